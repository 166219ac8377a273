"""Integers, floats, strings and other dtypes reach the first layer unchanged."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlayers.arrays.convert import as_kind
from netlayers.arrays.spec import InputSpec
from netlayers.errors import DataError
from tests.data.kinds import Lazy, recorder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
FLOAT64 = np.dtype(np.float64)


# Kinds of values -----------------------------------------------------------------------------

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


@settings(max_examples=100, deadline=None)
@given(
    values=st.sampled_from(INTEGERS).flatmap(
        lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))
    ),
    swap=st.booleans(),
)
def test_integers_arrive_unchanged(values, swap):
    spec = InputSpec(dtype="integer")
    if swap:
        values = values.astype(values.dtype.newbyteorder("S"))
    got = as_kind("fit", "x", values, spec, FLOAT64)
    assert got.dtype == values.dtype.newbyteorder("=")
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, values)
    assert np.shares_memory(got, values) or swap or values.size == 0 or values.itemsize == 1


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), (3,), elements=st.floats(width=32)))
def test_floats_as_integers(values):
    spec = InputSpec(dtype="integer")
    whole = np.isfinite(values) & (values == np.trunc(values)) & (np.abs(values) < 2.0**63)
    if whole.all():
        got = as_kind("fit", "x", values, spec, FLOAT64)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got.astype(values.dtype), values)
    else:
        with pytest.raises(DataError, match=rf"x must hold integers.*row {np.argmin(whole)}\)"):
            as_kind("fit", "x", values, spec, FLOAT64)


def test_other_kinds():
    integer, boolean, text = (InputSpec(dtype=k) for k in ("integer", "boolean", "string"))
    assert as_kind("fit", "x", [True, False], integer, FLOAT64).dtype == np.int64
    flags = np.array([True, False])
    assert as_kind("fit", "x", flags, boolean, FLOAT64) is flags
    got = as_kind("fit", "x", [[1.0, 0.0]], boolean, FLOAT64)
    assert got.dtype == bool
    assert got.tolist() == [[True, False]]
    with pytest.raises(DataError, match=r"x must hold booleans, got 2 \(row 1\)"):
        as_kind("fit", "x", [1, 2], boolean, FLOAT64)
    for words in (np.array(["a", "bc"]), np.array([b"a"]), np.array(["a", "bcd"], object)):
        assert as_kind("fit", "x", words, text, FLOAT64) is words
    assert as_kind("fit", "x", ["a", "b"], text, FLOAT64).dtype.kind == "U"
    for wrong in (np.ones(3), np.array(["a", None], object), np.array(["a", 1], object)):
        with pytest.raises(DataError, match="x must hold strings"):
            as_kind("fit", "x", wrong, text, FLOAT64)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("entry", ["fit", "evaluate", "predict", "train_on_batch", "stream"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_an_index_of_16777217_reaches_the_first_layer(dtype, entry, lazy):
    model, seen = recorder("integer")
    top = 16_777_217 if dtype is not np.uint8 else 255
    x = np.full((6, 2), top, dtype)
    given = Lazy(x) if lazy else x
    y = np.ones((6, 1))
    calls = {
        "fit": lambda: model.fit(given, y, verbose=0),
        "evaluate": lambda: model.evaluate(given, y, verbose=0),
        "predict": lambda: model.predict(given),
        "train_on_batch": lambda: model.train_on_batch(given, y),
        "stream": lambda: model.fit([(x, y)], verbose=0),
    }
    with np.errstate(all="ignore"):
        calls[entry]()
    assert seen.seen.dtype == dtype
    assert (seen.seen == top).all()


def test_text_and_fractions_of_a_model():
    model, seen = recorder("string")
    words = np.array([["a", "bc"], ["d", "e"]])
    model.fit(words, np.ones((2, 1)), verbose=0)
    assert seen.seen.dtype == words.dtype
    model, _ = recorder("integer")
    with pytest.raises(DataError, match=r"fit: x must hold integers, got 0.5 \(row 1\)"):
        model.fit([[1.0], [0.5]], np.ones((2, 1)), verbose=0)
    assert not model.built
    with pytest.raises(DataError, match="sparse matrix, but an array of integer values"):
        model.fit(sp.csr_array(X), Y, verbose=0)
