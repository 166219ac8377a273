"""The compiled steps of recurrent layers are held to those of NumPy."""

import importlib.util

import numpy as np
import pytest

import netlayers as nl
from netlayers.kernels import threads
from netlayers.kernels.exact import exactly
from netlayers.kernels.recurrent import are_few

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")

KINDS = {
    "LSTM": {},
    "GRU": {},
    "GRU, reset before": {"reset_after": False},
    "SimpleRNN": {},
}


@pytest.fixture(autouse=True)
def in_use():
    before = nl.kernels_in_use()
    yield
    nl.use_kernels(before)


def results(kind, kernels, shape, units, dtype="float64", masked=False, frozen=False, **options):
    """Return outputs and gradients; the kernels are those of forward and of backward."""
    rng = np.random.default_rng(0)
    layer = getattr(nl.layers, kind.split(",")[0])(
        units, return_sequences=True, return_state=True, dtype=dtype, **KINDS[kind], **options
    )
    layer.build(shape)
    layer.set_weights([0.3 * rng.normal(size=w.shape) for w in layer.get_weights()])
    layer.trainable = not frozen
    x = rng.normal(size=shape).astype(dtype)
    mask = rng.random(shape[:2]) > np.linspace(0, 1.1, shape[1]) if masked else None
    nl.use_kernels(kernels[0])
    y = layer.forward(x, training=True, mask=mask)
    y = [a.copy() for a in y]
    nl.use_kernels(kernels[1])
    dx = layer.backward(tuple(rng.normal(size=a.shape).astype(dtype) for a in y))
    gradients = [] if frozen else [layer.d_kernel, layer.d_recurrent_kernel]
    gradients += [] if frozen or not layer.use_bias else [layer.d_bias]
    return [*y, dx.copy(), *(a.copy() for a in gradients)]


def compare(found, expected, limit=1e-11):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=limit * (1 + np.abs(b).max()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "units", "options"),
    [
        ((5, 4, 3), 2, {}),
        ((1, 3, 1), 17, {"use_bias": False}),
        ((30, 9, 5), 33, {"masked": True}),
        ((13, 4, 40), 20, {"recurrent_dropout": 0.4, "dropout": 0.3, "seed": 1}),
        ((4, 5, 2), 3, {"masked": True, "recurrent_dropout": 0.4, "seed": 1, "frozen": True}),
    ],
)
def test_all_steps_are_those_of_numpy(kind, shape, units, options):
    expected = results(kind, ("numpy", "numpy"), shape, units, **options)
    compare(results(kind, ("numba", "numba"), shape, units, **options), expected)
    compare(results(kind, ("numba", "numpy"), shape, units, **options), expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_steps_in_float32(kind):
    case = ((30, 9, 5), 33, "float32", True)
    expected = results(kind, ("numpy", "numpy"), *case)
    compare(results(kind, ("numba", "numba"), *case), expected, limit=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_the_same_in_any_share(kind, monkeypatch):
    case = (kind, ("numba", "numba"), (7, 5, 3), 4)
    expected = results(*case, masked=True)

    module = importlib.import_module("netlayers.kernels.compiled.recurrent")
    monkeypatch.setattr(module, "equal_shares", lambda samples, work: threads._cut(samples, 3))
    found = results(*case, masked=True)
    states = len(found) - 3
    for a, b in zip(found[:states], expected[:states], strict=True):
        np.testing.assert_array_equal(a, b)
    compare(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "SimpleRNN"])
def test_few_rows_have_the_same_bits(kind, dtype, monkeypatch):
    case = (kind, ("numpy", "numpy"), (1, 3, 40), 20, dtype)
    found = results(*case)
    module = importlib.import_module(f"netlayers.kernels.{kind.split(',')[0].lower()}")
    asked = []
    monkeypatch.setattr(module, "are_few", lambda x, u: asked.append(are_few(x, u)))
    for a, b in zip(found, results(*case), strict=True):
        np.testing.assert_array_equal(a, b)
    assert asked == [True]


def test_shares_are_equal_and_one_for_each_thread(monkeypatch):
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda count: None, lambda: 4))
    assert threads.equal_shares(9, 1e9) == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 9)]
    assert threads.equal_shares(3, 1e9) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert threads.equal_shares(9, 1.0) == [slice(0, 9)]  # not worth a thread


@pytest.mark.parametrize("kind", KINDS)
def test_exact_products_are_left_to_numpy(kind):
    case = (kind, ("numpy", "numpy"), (5, 4, 3), 9)
    expected = exactly(results)(*case)
    for a, b in zip(exactly(results)(kind, ("numba", "numba"), *case[2:]), expected, strict=True):
        np.testing.assert_array_equal(a, b)
