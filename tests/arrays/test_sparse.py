"""SciPy's sparse matrices as inputs: the numbers of the dense ones, in little memory."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import netlayers as nl
from netlayers.arrays import sparse
from netlayers.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
DENSE = (RNG.random((60, 30)) * (RNG.random((60, 30)) < 0.1)).astype(np.float32)
DENSE[7] = 0
Y = RNG.integers(0, 3, 60)


def shuffled_entries():
    """Unsorted columns, a double entry, an explicit zero and an empty row."""
    m = sp.csr_matrix(DENSE)
    indices, data, indptr = [], [], [0]
    for row in range(60):
        part = slice(m.indptr[row], m.indptr[row + 1])
        indices += [*m.indices[part][::-1], 29, 29, 3]
        data += [*m.data[part][::-1], 1.5, -1.5, 0.0]
        if row == 7:
            del indices[-3:], data[-3:]
        indptr.append(len(indices))
    return sp.csr_matrix((np.array(data, np.float32), indices, indptr), shape=m.shape)


def long_indices():
    m = sp.csr_array(DENSE)
    m.indices, m.indptr = m.indices.astype(np.int64), m.indptr.astype(np.int64)
    return m


def big_endian():
    m = sp.csr_array(DENSE)
    m.data = m.data.astype(">f4")
    return m


KINDS = {
    "csr_matrix": lambda: sp.csr_matrix(DENSE),
    "csr_array": lambda: sp.csr_array(DENSE),
    "csc_matrix": lambda: sp.csc_matrix(DENSE),
    "csc_array": lambda: sp.csc_array(DENSE),
    "coo_array": lambda: sp.coo_array(DENSE),
    "float64": lambda: sp.csr_array(DENSE.astype(np.float64)),
    "long indices": long_indices,
    "big-endian": big_endian,
    "odd entries": shuffled_entries,
}


def make(dtype="float32", first=(), units=8, **options):
    layers = [*first, nl.layers.Dense(units, activation="relu", **options), nl.layers.Dense(3)]
    model = nl.Sequential(layers, seed=0, dtype=dtype)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def run(x, dtype="float32"):
    """Everything that takes data, and what comes out of it."""
    model = make(dtype, kernel_regularizer="l2")
    results = [model.train_on_batch(x, Y), model.test_on_batch(x, Y)]
    results += [model.forward(x), model.predict_on_batch(x)]
    history = model.fit(x, Y, batch_size=16, epochs=2, validation_split=0.2, verbose=0).history
    model.fit(x, Y, batch_size=16, shuffle=False, steps_per_epoch=5, verbose=0)
    model.fit(x, Y, validation_split=0.2, stratify=True, class_weight="balanced", verbose=0)
    results += [*history.values(), model.evaluate(x, Y, batch_size=7, verbose=0)]
    results += [model.predict(x, batch_size=7), model.predict(x, batch_size=8, steps=2)]
    model.forward(x, training=True)
    dy = np.linspace(-1, 1, 180, dtype=np.float32).reshape(60, 3)
    results += [model.backward(dy), model.parameters.gradients.copy()]
    assert model.backward(dy, input_gradient=False) is None
    return [*results, model.parameters.values.copy()]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_dense_result(kind):
    matrix = KINDS[kind]()
    before = [(a, a.copy()) for a in (matrix.data, getattr(matrix, "indices", matrix.data))]
    for got, expected in zip(run(matrix), run(DENSE), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)
    for array, copy in before:
        assert array is matrix.data or array is matrix.indices
        assert array.tobytes() == copy.tobytes()


def test_equal_to_rounding_in_float64():
    for got, expected in zip(
        run(sp.csr_array(DENSE), "float64"), run(DENSE, "float64"), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, bool])
def test_entries_of_other_types(dtype):
    x = sp.csr_array((DENSE > 0.3).astype(dtype))
    for a, b in zip(run(x), run(x.toarray()), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_gradient_in_float64():
    """dW = xᵀ dz and dx = dz Wᵀ against central differences."""
    layer = nl.layers.Dense(3, activation="tanh", dtype="float64")
    x = sp.csr_array(DENSE.astype(np.float64))
    dy = RNG.normal(size=(60, 3))
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    assert isinstance(dx, np.ndarray)
    h = 1e-5

    def loss(x):
        return float(np.sum(layer.forward(x) * dy))

    for i, j in [(0, 0), (3, 2), (29, 1)]:
        old = layer.kernel[i, j]
        sides = []
        for value in (old + h, old - h):
            layer.kernel[i, j] = value
            sides.append(loss(x))
        layer.kernel[i, j] = old
        assert layer.d_kernel[i, j] == pytest.approx((sides[0] - sides[1]) / (2 * h), abs=1e-8)
    up, down = x.toarray(), x.toarray()
    up[4, 5] += h
    down[4, 5] -= h
    assert dx[4, 5] == pytest.approx((loss(up) - loss(down)) / (2 * h), abs=1e-8)


def test_frozen_kernel_and_plain_products(monkeypatch):
    x = sp.csr_array(DENSE)
    layer = nl.layers.Dense(4)
    inner = layer.forward(x).copy()
    layer.forward(x, training=True)
    layer.backward(np.ones((60, 4)), input_gradient=False)
    gradient = layer.d_kernel.copy()
    monkeypatch.setattr(sparse, "_add_product", lambda *_: False)
    np.testing.assert_allclose(layer.forward(x), inner, rtol=1e-6)
    layer.backward(np.ones((60, 4)), input_gradient=False)
    np.testing.assert_allclose(layer.d_kernel, gradient, rtol=1e-6)


def test_scipy_has_the_inner_routines():
    """Without them all still works, but the gradient takes a hundred times longer."""
    out = np.full((60, 2), 7, np.float32)
    w = RNG.random((30, 2)).astype(np.float32)
    assert sparse._add_product("csr_matvecs", sp.csr_array(DENSE), (60, 30), w, out)
    np.testing.assert_allclose(out, 7 + DENSE @ w, rtol=1e-6)


def test_memory_stays_with_the_entries():
    entries = 100_000
    rows, columns = RNG.integers(0, 20000, entries), RNG.integers(0, 50000, entries)
    values = RNG.random(entries, np.float32)
    x = sp.csr_array((values, (rows, columns)), shape=(20000, 50000))
    y = RNG.integers(0, 3, 20000)
    model = make(units=8)
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=500, validation_split=0.1, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        now = tracemalloc.get_traced_memory()[0]
        model.train_on_batch(x[:500], y[:500])
        step = tracemalloc.get_traced_memory()[1] - now
    finally:
        tracemalloc.stop()
    # Values, gradients and Adam's two moments are 1.6 MB each; the dense matrix would be 4 GB.
    assert peak < 25e6
    assert step < 0.3 * model.layers[0].kernel.nbytes


@pytest.mark.parametrize(
    ("first", "named"),
    [(nl.layers.ReLU(), "layer 're_lu' (ReLU)"), (nl.layers.Activation("tanh"), "(Activation)")],
)
def test_a_layer_that_can_not(first, named):
    x = sp.csr_array(DENSE)
    model = make(first=[first])
    for use in (
        lambda: model.fit(x, Y, verbose=0),
        lambda: model.predict(x),
        lambda: model.train_on_batch(x, Y),
        lambda: model.predict_on_batch(x),
    ):
        with pytest.raises(DataError, match="Put a Dense layer first") as raised:
            use()
        assert named in str(raised.value)
    assert not model.built
    with pytest.raises(DataError, match="sparse matrices"):
        model.forward(x)
    with pytest.raises(DataError, match="sparse matri"):
        type(first).from_config(first.get_config()).forward(x)


def test_input_in_front_hands_it_on():
    model = make(first=[nl.layers.Input((30,))])
    model.fit(sp.csr_array(DENSE), Y, verbose=0)
    got = model.predict(sp.csc_array(DENSE))
    np.testing.assert_allclose(got, model.predict(DENSE), rtol=1e-4, atol=1e-6)


def broken(part):
    m = sp.csr_array(DENSE)
    if part == "indices":
        m.indices[5] = 30
    elif part == "negative":
        m.indices[5] = -1
    elif part == "short":
        m.indices = m.indices[:-1]
    elif part == "first":
        m.indptr[0] = 1
    else:
        m.indptr[3] = m.indptr[-1] + 1
    return m


BAD = {
    "NaN": (lambda: with_entry(np.nan), ["x contains NaN", "row 9 (column 4)"]),
    "infinite": (lambda: with_entry(-np.inf), ["infinite", "row 9 (column 4)"]),
    "too large": (lambda: with_entry(1e60), ["too large for float32 (1e+60)", "row 9"]),
    "complex": (lambda: sp.csr_array(DENSE.astype(complex)), ["x", "complex"]),
    "indices": (lambda: broken("indices"), ["malformed"]),
    "negative": (lambda: broken("negative"), ["malformed"]),
    "indptr": (lambda: broken("indptr"), ["malformed"]),
    "first": (lambda: broken("first"), ["malformed"]),
    "short": (lambda: broken("short"), ["malformed"]),
    "rank 1": (lambda: sp.coo_array(DENSE[0]), ["(batch, features)", "(30,)"]),
    "rows": (lambda: sp.csr_array(DENSE[:50]), ["x has 50 rows", "y has 60 rows"]),
    "empty": (lambda: sp.csr_array((0, 30)), ["x is empty"]),
}


def with_entry(value):
    x = DENSE.astype(np.float64)
    x[9, 4] = value
    return sp.csr_array(x)


@pytest.mark.parametrize("case", BAD)
def test_bad_matrices(case):
    matrix, parts = BAD[case]
    for method in ("fit", "train_on_batch"):
        model = make()
        options = {"verbose": 0} if method == "fit" else {}
        with pytest.raises((DataError, ShapeError)) as raised:
            getattr(model, method)(matrix(), Y, **options)
        for part in parts:
            assert part in str(raised.value)
        assert not model.built


def test_no_entries_and_no_rows():
    model = make()
    empty = sp.csr_array((60, 30), dtype=np.float32)
    model.fit(empty, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(empty), model.predict(np.zeros((60, 30))))
    assert model.predict(empty[:0]).shape == (0, 3)


def test_nothing_of_scipy_is_loaded_for_it():
    code = (
        "import sys, numpy as np, netlayers as nl\n"
        "m = nl.Sequential([nl.layers.Dense(2)])\n"
        "m.compile('adam', 'mse')\n"
        "m.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)\n"
        "m.fit(lambda: iter([(np.ones((4, 3)), np.ones((4, 2)))]), verbose=0)\n"
        "assert not {'scipy', 'pandas'} & {n.partition('.')[0] for n in sys.modules}\n"
    )
    root = Path(nl.__file__).parents[1]
    env = {**os.environ, "NETLAYERS_KERNELS": "numpy"}  # numba loads SciPy
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=env)
