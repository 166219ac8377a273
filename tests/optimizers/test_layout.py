"""Blocks of parameters: their limits do not change an update, and what is nearly 0 becomes 0."""

import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.optimizers import layout, tables
from netlayers.optimizers.layout import Gradients, cut
from tests.classes import concrete
from tests.snapshots import numbers

L = nl.layers


def network(dtype="float64"):
    layers = [L.Dense(4, name="a"), L.Dense(5, name="b", trainable=False), L.Dense(3, name="c")]
    layers.append(L.Dense(2, name="d", learning_rate_multiplier=0.5))
    model = nl.Sequential(layers, dtype=dtype, seed=0)
    model.build((None, 3))
    model.parameters.values[...] = numbers(model.parameters.size)
    return model.parameters


def updated(optimizer, steps=3):
    vector = network()
    for i in range(steps):
        vector.gradients[...] = numbers(vector.gradients.size, first=i)
        optimizer.step(vector)
    return [vector.values, *optimizer.state.values()]


@pytest.mark.parametrize(
    ("at", "longest", "expected"),
    [
        ((0, 5), 5, [(0, 5)]),
        ((0, 5), 2, [(0, 2), (2, 4), (4, 5)]),
        ((3, 9), 3, [(3, 6), (6, 9)]),
        ((4, 4), 3, []),
    ],
)
def test_cuts(at, longest, expected):
    parts = list(cut(slice(*at), slice(at[0] + 10, at[1] + 10), longest))
    assert [(p.start, p.stop) for p, _ in parts] == expected
    assert [(p.start - 10, p.stop - 10) for _, p in parts] == expected


@pytest.mark.parametrize(
    "cls", [c for c in concrete("optimizer") if c is not nl.optimizers.MultiOptimizer]
)
@pytest.mark.parametrize("options", [{}, {"use_ema": True, "weight_decay": 0.1}])
def test_blocks_do_not_change_an_update(cls, options, monkeypatch):
    expected = updated(cls(0.1, **options))
    for block in (1, 7, 16):
        monkeypatch.setattr(layout, "BLOCK", block)
        for a, b in zip(updated(cls(0.1, **options)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("block", [4, 1 << 18])
@pytest.mark.parametrize("decay", [None, 0.1])
def test_numbers_that_are_nearly_denormal_become_0(block, decay, monkeypatch):
    monkeypatch.setattr(layout, "BLOCK", block)
    limit = float(np.finfo("float64").tiny) * 2.0**20
    optimizer, vector = nl.optimizers.SGD(0.0, momentum=0.5, weight_decay=decay), network()
    optimizer.bind(vector)
    (state,) = optimizer.state.values()
    vector.gradients[...] = 0
    start = [limit, 1.5 * limit, -limit, -1.5 * limit, 2.0, 0.0]
    vector.values[:6] = start
    frozen = slice(16, 41)
    vector.values[frozen] = limit / 2
    for count in range(1, 101):
        state[:6] = [2 * v for v in start]
        state[frozen] = limit / 2
        optimizer.step(vector)
        expected = [0, 1.5 * limit, 0, -1.5 * limit, 2.0, 0.0] if count == 100 else start
        assert state[:6].tolist() == expected
        assert vector.values[frozen].tolist() == [limit / 2] * 25
        vector.values[:6] = start
    optimizer._layout.flush(decays=bool(decay))
    expected = [0, 1.5 * limit, 0, -1.5 * limit, 2.0, 0.0] if decay else start
    assert vector.values[:6].tolist() == expected


def test_gradients_of_what_is_trained():
    vector = network()
    found = Gradients(vector)
    assert not found.whole
    assert sum(g.size for g in found.arrays) == vector.size - 25
    assert [g.size for g in found.tensors] == [12, 4, 15, 3, 6, 2]
    assert (found.tables, found.denominator, found.norm) == ([], None, None)
    vector.gradients[...] = 0
    vector.gradients[[0, 3]] = np.nan, np.inf
    vector.gradients[-1] = -np.inf
    assert [(p.path, n) for p, n in found.nonfinite()] == [("d/bias", 1), ("a/kernel", 2)]
    model = nl.Sequential([L.Dense(2)], seed=0)
    model.build((None, 3))
    assert Gradients(model.parameters).whole
    model.layers[0].learning_rate_multiplier = 0.0
    none = Gradients(model.parameters)
    assert (none.arrays, none.tensors, list(none.nonfinite())) == ([], [], [])


@pytest.mark.parametrize(("size", "text"), [(1, "1 MiB"), (2**20, "1 MiB"), (2**20 + 1, "2 MiB")])
def test_megabytes(size, text):
    assert tables._megabytes(size) == text


class Parameter:
    """A large parameter, as far as the warning looks at it."""

    path = "embed/table"
    value = np.zeros(1, "float32")

    def __init__(self, size):
        self.size = size


@pytest.mark.parametrize("size", [2**20, 2**20 + 1])
def test_the_warning_of_large_gradients(size):
    optimizer = nl.optimizers.Adam()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            tables.warn_about_dense_gradient(optimizer, Parameter(size))
    if size == 2**20:
        assert not seen
        return
    (warning,) = seen
    assert str(warning.message) == (
        "Adam updates all rows of 'embed/table', also those without a gradient, so the gradient is "
        "made dense. This takes 5 MiB in addition to 9 MiB of state, and each step processes all "
        "of it. SGD without momentum, Adagrad and LazyAdam update only the rows of the batch."
    )
