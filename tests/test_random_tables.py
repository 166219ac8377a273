"""The functions of nl.random and set_random_seed: their numbers, bounds and errors, in a table."""

import random

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError
from tests.golden import check_text
from tests.snapshots import shown

DRAWS = {
    "normal": (nl.random.normal, [
        ((), {}), ((3,), {}), ((2, 3), {"mean": 2.0, "stddev": 0.5}), (4, {"stddev": 0}),
        ((3,), {"dtype": "float64"}), ((3,), {"stddev": -1}), ((3,), {"mean": "a"}),
        ((3,), {"dtype": "text"}), ((-1,), {}), ((3,), {"seed": "a"}), ((3,), {"seed": -1}),
        ((3,), {"stddev": "b"}), ("a", {}), ((3,), {"mean": np.inf}), ((2.5,), {}),
        ((3,), {"dtype": "int32", "stddev": 9.0}),
    ]),
    "uniform": (nl.random.uniform, [
        ((3,), {}), ((2, 3), {"minval": -1.0, "maxval": 3}), ((3,), {"minval": 2.0}),
        ((3,), {"minval": 1.0}), ((3,), {"minval": 1.0, "maxval": 0.5}), ((3,), {"minval": "a"}),
        ((3,), {"maxval": None}), ((3,), {"dtype": "float16"}), ((3,), {"dtype": 3}), (None, {}),
        ((3,), {"seed": 1.5}),
    ]),
    "randint": (nl.random.randint, [
        ((5,), {"minval": 0, "maxval": 10}), ((5,), {"minval": 3, "maxval": 4}),
        ((5,), {"minval": 3, "maxval": 3}), ((5,), {"minval": 4, "maxval": 3}),
        ((5,), {"minval": -128, "maxval": 128, "dtype": "int8"}),
        ((5,), {"minval": -129, "maxval": 0, "dtype": "int8"}),
        ((5,), {"minval": 0, "maxval": 129, "dtype": "int8"}),
        ((5,), {"minval": 0, "maxval": 256, "dtype": "uint8"}),
        ((5,), {"minval": -1, "maxval": 5, "dtype": "uint8"}),
        ((5,), {"minval": 0, "maxval": 300, "dtype": "float32"}),
        ((5,), {"minval": "a", "maxval": 3}), ((5,), {"minval": 0, "maxval": 2.5}),
        ((5,), {"minval": 0, "maxval": 2, "dtype": "text"}), ((-5,), {"minval": 0, "maxval": 2}),
    ]),
    "shuffle": (nl.random.shuffle, [
        (np.arange(6), {}), (np.arange(6).reshape(2, 3), {"axis": 1}),
        (np.arange(6).reshape(2, 3), {"axis": -1}), (np.arange(6).reshape(2, 3), {"axis": 2}),
        ([1, 2, 3], {}), (3, {}), (np.arange(6).reshape(2, 3), {"axis": "a"}),
    ]),
}  # fmt: skip


def test_draws():
    lines = []
    for name, (function, cases) in DRAWS.items():
        for first, options in cases:
            try:
                found = shown(function(first, **{"seed": 3, **options}))
            except NetlayersError as error:
                found = f"{type(error).__name__}: {error}"
            lines.append(f"{name} {str(first)!r} {options}: {' '.join(found.split())}")
    one, other = nl.random.SeedGenerator(5), nl.random.SeedGenerator(5)
    for name, function in (
        ("normal", nl.random.normal), ("uniform", nl.random.uniform),
        ("randint", lambda shape, seed: nl.random.randint(shape, 0, 99, seed=seed)),
        ("shuffle", lambda shape, seed: nl.random.shuffle(np.arange(9), seed=seed)),
    ):  # fmt: skip
        drawn = [function((3,), seed=one).tolist() for _ in range(2)]
        assert drawn == [function((3,), seed=other).tolist() for _ in range(2)]
        assert drawn[0] != drawn[1], name
    check_text(__file__, "draws.txt", "\n".join(lines))


@pytest.fixture
def global_states():
    before = random.getstate(), np.random.get_state()
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])
    nl.utils.clear_session(free_memory=False)


def test_one_seed_for_all(global_states):
    for seed in (0, 1, 2**31, 2**32 - 1, np.int64(7)):
        drawn = []
        for _ in range(2):
            nl.utils.set_random_seed(seed)
            model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)])
            drawn.append((random.random(), np.random.random(), nl.random.normal(()).item(),
                          model.get_weights()[0].tolist()))  # fmt: skip
        assert drawn[0] == drawn[1]
        assert drawn[0][0] == random.Random(int(seed)).random()
        assert drawn[0][1] == np.random.RandomState(seed).random()
    for wrong in (-1, 2**32, 1.5, "a", None, True):
        with pytest.raises(NetlayersError) as raised:
            nl.utils.set_random_seed(wrong)
        bound = {-1: " >= 0", 2**32: " >= 0 and at most 4294967295"}.get(wrong, "")
        words = f"set_random_seed: seed must be an integer{bound}"
        assert str(raised.value).startswith(words), raised.value
