"""The compiled kernels of batch normalization and dropout, against those of NumPy."""

import importlib.util
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.kernels import threads
from netlayers.kernels.reference import Kernels
from netlayers.kernels.threads import one_thread, own_threads

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")
EXTREME = [0.0, 1e-40, 1e-30, 1e4, -1e4, 1e30, -1e30, np.nan, np.inf, -np.inf]


@pytest.fixture
def in_use():
    before = nl.kernels_in_use()
    yield
    nl.use_kernels(before)


def compiled_kernels():
    from netlayers.kernels import compiled

    return compiled.compiled_kernels()


def compiled(name):
    return compiled_kernels()[name]


@st.composite
def matrices(draw):
    """Return two matrices, with an offset for each column of the first, and extreme numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20), "seed"))
    share = draw(st.sampled_from([0.0, 0.02, 0.2]), "share of extreme numbers")
    offset = draw(st.sampled_from([0.0, 1.0, 1e3, 1e6]), "offset")
    dtype = draw(st.sampled_from(["float32", "float64"]), "dtype")
    shape = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    result = []
    for _ in range(2):
        x = rng.normal(size=shape)
        if not result:
            x += offset * rng.normal(size=shape[1])
        places = rng.random(shape) < share
        x[places] = rng.choice(EXTREME, places.sum())
        result.append(x.astype(dtype))
    return result


@settings(max_examples=200, deadline=None)
@given(pair=matrices())
def test_moments_of_columns_are_those_of_numpy(pair):
    x, epsilon = pair[0], 1e-3
    before, eps = x.copy(), np.finfo(x.dtype).eps
    with np.errstate(all="ignore"):
        parts = [
            kernel(x, epsilon) for kernel in (Kernels.column_moments, compiled("column_moments"))
        ]
        assert all(near.dtype == x.dtype for near, _, _ in parts)
        results = [(near + rest, variance) for near, rest, variance in parts]
    np.testing.assert_array_equal(x, before)
    (mean, variance), (got_mean, got_variance) = results
    assert got_mean.dtype == got_variance.dtype == np.float64
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        exact_mean, exact_variance = wide.mean(axis=0), wide.var(axis=0)
        deviation = np.sqrt(exact_variance + epsilon)
        for a, b, c, bound in (
            (got_mean, mean, exact_mean, 8 * eps * deviation + 1e-15 * np.abs(exact_mean)),
            (got_variance, variance, exact_variance, 64 * eps * (exact_variance + epsilon)),
        ):
            # In a column with a NaN or infinity, the order of sums makes one of the other.
            finite = np.isfinite(wide).all(axis=0) & (np.abs(wide).max(axis=0) < 1e18)
            assert not np.isfinite(a[~np.isfinite(wide).all(axis=0)]).any()
            assert not np.isfinite(b[~np.isfinite(wide).all(axis=0)]).any()
            for result in (a, b):
                near = np.abs(result - c) <= bound
                assert near[finite].all(), (result, c, bound)


@settings(max_examples=200, deadline=None)
@given(pair=matrices())
def test_columns_are_added_up_as_by_numpy(pair):
    x, y = pair
    with np.errstate(all="ignore"):
        near = y[0]
        wide, deviation = x.astype(np.float64), y.astype(np.float64) - near.astype(np.float64)
        expected = wide.sum(axis=0), (wide * deviation).sum(axis=0)
        sizes = np.abs(wide).sum(axis=0), np.abs(wide * deviation).sum(axis=0)
        for a, b, size in zip(compiled("column_sums")(x, y, near), expected, sizes, strict=True):
            assert a.dtype == np.float64
            close = np.abs(a - b) <= 100 * np.finfo(np.float64).eps * size
            assert ((a == b) | close | (np.isnan(a) & np.isnan(b))).all()


@pytest.mark.parametrize("kind", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rectifier_in_the_same_pass_changes_no_bit(kind, dtype):
    k = Kernels if kind == "numpy" else types.SimpleNamespace(**compiled_kernels())
    x, dy, y, z, one, other = np.random.default_rng(0).normal(size=(6, 41, 7)).astype(dtype)
    rows = np.random.default_rng(1).normal(size=(4, 7)).astype(dtype)
    x[3, 2], dy[4] = np.nan, np.inf
    k.scale_and_shift(x, *rows[:3], z)
    np.maximum(z, 0, out=z)
    k.scale_and_shift(x, *rows[:3], y, True)
    np.testing.assert_array_equal(y, z)
    with np.errstate(invalid="ignore"):
        k.relu_gradient(dy, y, z)
        near, factor, offset, mean = rows
        found = k.column_sums(dy, x, near, factor, offset)
        for a, b in zip(found, k.column_sums(z, x, near), strict=True):
            np.testing.assert_array_equal(a, b)
        k.batch_gradient(dy, x, near, mean, mean, factor, one, offset)
        k.batch_gradient(z, x, near, mean, mean, factor, other)
    np.testing.assert_array_equal(one, other)
    k.add(x, dy, y)
    np.maximum(y, 0, out=y)
    k.add(x, dy, z, True)
    np.testing.assert_array_equal(y, z)


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    from netlayers.kernels.compiled import elementwise

    monkeypatch.setattr(threads, "_openblas", lambda: (lambda count: None, lambda: 2))
    x, dy = np.random.default_rng(0).normal(size=(2, 999, 24)).astype("float32")
    near, found = x[0], []
    for passes, inside in ((1 << 10, one_thread), (1 << 10, own_threads), (1, one_thread)):
        monkeypatch.setattr(elementwise, "_PASS", passes)  # 8 parts, and one
        with inside():
            found.append(
                [*compiled("column_moments")(x, 1e-3), *compiled("column_sums")(x, dy, near)]
            )
    several, same, one = found
    for a, b, c in zip(several, same, one, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("order", ["F", "columns", "read-only"])
def test_what_is_read_may_be_in_any_order(order):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9, 4))
    x = {"F": np.asfortranarray(x), "columns": np.repeat(x, 2, axis=1)[:, ::2], "read-only": x}[
        order
    ]
    x.flags.writeable = order != "read-only"
    rows = rng.normal(size=(4, 4))
    for name, arguments in (("batch_gradient", (y, *rows)), ("column_sums", (y, rows[0]))):
        out = [np.zeros_like(y) for _ in range(2)] if name == "batch_gradient" else [None] * 2
        results = [
            kernel(x, *arguments, *([o] if o is not None else []))
            for kernel, o in zip((getattr(Kernels, name), compiled(name)), out, strict=True)
        ]
        for a, b in zip(*(out if out[0] is not None else results), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_a_mask_may_be_smaller_than_what_it_is_stretched_over():
    x, y = np.arange(12.0).reshape(3, 4), np.empty((3, 4))
    compiled("apply_mask")(x, np.array([[True], [False], [True]]), 2.0, y)
    np.testing.assert_array_equal(y, [2 * x[0], 0 * x[1], 2 * x[2]])


@pytest.mark.parametrize("center", [True, False])
def test_training_is_that_of_numpy(in_use, center):
    rng = np.random.default_rng(0)
    x, y = 3 + rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    results = []
    for name in ("numpy", "numba"):
        nl.use_kernels(name)
        layers = [
            nl.layers.Dense(9),
            nl.layers.BatchNormalization(center=center),
            nl.layers.Dropout(0.3),
            nl.layers.Dense(3),
        ]
        model = nl.Sequential(layers, seed=0, dtype="float64")
        model.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, epochs=10, batch_size=16, verbose=0)
        assert nl.check_gradients(model, x, y).passed
        results.append(np.concatenate([w.reshape(-1) for w in model.get_weights()]))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-8, atol=1e-10)
