"""States as plain data and arrays, and what differs between two of them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from netlayers.errors import ConfigurationError
from netlayers.training.state import differences, pack, unpack

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
DTYPES = ["?", "<f4", "<f8", "<i8", "u1", "<u4"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
)
SCALARS = st.sampled_from(DTYPES).flatmap(lambda d: arrays_of.arrays(d, ()).map(lambda a: a[()]))
LONG = st.lists(st.floats(), min_size=32) | st.lists(st.integers(), min_size=32)
ALIKE = st.tuples(st.sampled_from(DTYPES), st.sampled_from([(), (0,), (3,), (2, 2)])).flatmap(
    lambda how: st.lists(arrays_of.arrays(*how), min_size=32, max_size=40)
)
LONG |= ALIKE | ALIKE.map(lambda items: [item.reshape(-1)[0] for item in items if item.size])
STATES = st.recursive(
    NUMBERS | ARRAYS | SCALARS | LONG,
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda k: k != "__"), inner),
    max_leaves=8,
)


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b or (a != a and b != b)


@given(STATES)
def test_round_trip(state):
    plain, arrays = pack({"state": state})
    text = json.dumps(plain)
    copies = {name: np.array(array, copy=True) for name, array in arrays.items()}
    same(unpack(json.loads(text), copies)["state"], state)


def test_long_lists_are_no_text():
    plain, arrays = pack({"loss": [0.5] * 1000, "epoch": list(range(1000)), "few": [1.0, 2.0]})
    assert len(json.dumps(plain)) < 200
    assert arrays["loss"].dtype == np.float64
    assert unpack(plain, arrays)["epoch"][999] == 999


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint64, np.bool_])
def test_a_long_history_of_numpy_fits_a_header(kind):
    """More than 100,000 containers are refused where a file is read."""
    scalars = [kind(i % 2) for i in range(120_000)]
    state = {"scalars": scalars, "arrays": [np.array([x, x]) for x in scalars]}
    plain, arrays = pack(state)
    assert len(json.dumps(plain)) < 200
    assert len(arrays) == 2
    same(unpack(plain, arrays), state)


def test_what_is_not_alike_stays_apart():
    for odd in (1.0, np.float32(1), np.zeros(2), np.zeros(3, np.float32), [0.0]):
        state = {"list": [np.zeros(3)] * 40 + [odd], "numbers": [np.float64(1)] * 40 + [odd]}
        plain, arrays = pack(state)
        same(unpack(json.loads(json.dumps(plain)), arrays), state)


@pytest.mark.parametrize("large", [2**63, 2**64 - 1, 2**64, -(2**63) - 1])
def test_integers_are_exact(large):
    """NumPy makes floats of integers of which some need 64 bits without a sign."""
    for state in ([large] + [-1] * 31, [large] * 32, [2**63 + 1] * 32, [large, 1] * 16):
        plain, arrays = pack({"list": state})
        same(unpack(json.loads(json.dumps(plain)), arrays)["list"], state)


def test_arrays_are_not_copied():
    x = np.arange(3.0)
    _, arrays = pack({"x": x, "mask": np.array([True, False])})
    assert arrays["x"] is x
    assert arrays["mask"].dtype == np.uint8


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {"b": [0, object]}}, "a/b/1 is <class"),
        ({"a": {1: 2}}, r"a is \{1: 2\}"),
        ({"a": {"__": 2}}, "a is"),
        ({"a": np.array(["text"])}, "a is array"),
        ({"a": 1j}, "a is 1j"),
        ({"a": np.longdouble(1)}, "a is"),
        ({"a": np.zeros(2, np.longdouble)}, "a is"),
        ({"a": [np.longdouble(1)] * 40}, "a/0 is"),
        ({"a": [np.zeros(2, np.longdouble)] * 40}, "a/0 is"),
    ],
)
def test_what_is_no_state(state, message):
    with pytest.raises(ConfigurationError, match=message):
        pack(state)


def test_differences():
    old = {"a": 1, "b": [1, {"c": 2}], "d": math.nan, "gone": 0, "long": [1, 2]}
    new = {"a": 1, "b": [1, {"c": 3}], "d": math.nan, "new": None, "long": [1]}
    assert list(differences(old, new)) == [
        ("b[1]: c", 2, 3),
        ("gone", 0, "nothing"),
        ("long", [1, 2], [1]),
    ]
    assert not list(differences(old, old))
