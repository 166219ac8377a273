"""Activations and their derivatives at numbers of all sizes, against mpmath."""

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")

import netlayers as nl  # noqa: E402
from netlayers.activations.base import AxisActivation  # noqa: E402
from tests.accuracy.activations import TABLE, logistic  # noqa: E402
from tests.accuracy.cases import coarse  # noqa: E402
from tests.accuracy.losses import log_softmax  # noqa: E402
from tests.accuracy.numbers import DIGITS, DTYPES, error, numbers  # noqa: E402

# Values are right to the last digits, but for the exponential of a square far from 0.
VALUE = {"gelu": 1024, "gelu (approximate)": 1024}
SLOPE = 16  # roundings of the largest slope: a small derivative is 1 - y or the like


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TABLE)
def test_values_and_derivatives(name, dtype):
    arguments, value, slope = TABLE[name]
    identifier = name.split(" ")[0]
    kind = (
        nl.layers.Threshold if identifier == "threshold" else type(nl.activations.get(identifier))
    )
    layer, x = kind(**arguments, dtype=dtype), numbers(dtype)
    with np.errstate(over="ignore"):
        y = layer.forward(x[:, None].copy(), training=True)[:, 0].copy()
        dx = layer.backward(np.ones((x.size, 1), dtype))[:, 0].copy()
    with mpmath.workdps(DIGITS):
        for at, got, its in zip(x.tolist(), y, dx, strict=True):
            expected, steep = value(mpmath.mpf(at)), slope(mpmath.mpf(at))
            assert error(got, expected, dtype) < VALUE.get(name, 8), (at, got, float(expected))
            assert error(its, steep, dtype, 1) < SLOPE, (at, its, float(steep))


def test_every_activation_is_compared():
    known = {type(nl.activations.get(n.split(" ")[0])) for n in TABLE if n != "threshold"}
    known |= {nl.layers.Threshold}
    along = {nl.activations.Softmax, nl.activations.LogSoftmax, nl.activations.Sparsemax}
    every = {
        kind
        for kind in vars(nl.activations).values()
        if isinstance(kind, type) and issubclass(kind, nl.activations.ActivationLayer)
    }
    base = {nl.activations.ActivationLayer, AxisActivation, nl.activations.GLU}
    base |= {nl.activations.FunctionActivation}
    assert every - along - base == known, every - along - base - known


def softmax(x):
    return [mpmath.exp(u) for u in log_softmax(x)]


def sparsemax(x):
    best = sorted(x, reverse=True)
    sums = [sum(best[: k + 1]) - 1 for k in range(len(x))]
    k = max(k for k, v in enumerate(best) if v * (k + 1) > sums[k])
    return [max(v - sums[k] / (k + 1), mpmath.mpf(0)) for v in x]


ALONG = {"softmax": softmax, "log_softmax": log_softmax, "sparsemax": sparsemax}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALONG)
def test_activations_along_an_axis(name, dtype):
    some = coarse(dtype)
    span = float(np.finfo(dtype).max)
    rows = [[a, b, 0] for a in some.tolist() for b in some.tolist()]
    rows = [row for row in rows if max(row) - min(row) <= span]
    x = np.array(rows, dtype)
    layer = type(nl.activations.get(name))(dtype=dtype)
    y = layer.forward(x.copy(), training=True).copy()
    dx = layer.backward(np.ones_like(x))
    with mpmath.workdps(1300 if name == "sparsemax" else DIGITS):
        for row, got in zip(rows, y, strict=True):
            expected = ALONG[name]([mpmath.mpf(v) for v in row])
            for its, right in zip(got, expected, strict=True):
                assert error(its, right, dtype, 1) < 8, (row, got, [*map(float, expected)])
    # The outputs sum to one (or their exponentials do), so that this gradient is 0; log_softmax
    # has dx = 1 - 3 y.
    limit = np.abs(1 - 3 * np.exp(y.astype("f8"))) if name == "log_softmax" else 0
    assert np.all(np.abs(np.abs(dx) - limit) <= 16 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_glu(dtype):
    x = np.stack([numbers(dtype)] * 2, axis=1)
    layer = nl.activations.GLU(dtype=dtype)
    y = layer.forward(x.copy(), training=True)[:, 0].copy()
    dx = layer.backward(np.ones((len(x), 1), dtype))
    with mpmath.workdps(DIGITS):
        for at, got, (da, db) in zip(x[:, 0].tolist(), y, dx, strict=True):
            v = mpmath.mpf(at)
            gate, rest = logistic(v), logistic(-v)
            assert error(got, v * gate, dtype) < 8
            assert error(da, gate, dtype) < 8
            assert error(db, v * gate * rest, dtype, 1) < 64
