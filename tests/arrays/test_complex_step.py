"""Arrays that carry a derivative compute what real ones do, and the derivative beside it."""

import numpy as np
import pytest

from netlayers.arrays import complex_step
from netlayers.arrays.complex_step import ComplexStep, seen

H = 1e-30
X = np.array([-2.5, -1.0, -0.3, 0.4, 1.0, 2.7])
Y = np.array([1.5, -3.0, -0.2, 0.3, 2.0, 2.6])
DX = np.array([1.0, 2.0, -1.0, 0.5, 3.0, -2.0])
DY = np.array([0.5, -1.0, 2.0, 1.5, 1.0, 4.0])


def moving(x, d):
    return (np.asarray(x) + 1j * H * np.asarray(d)).view(ComplexStep)


@pytest.fixture(autouse=True)
def no_corner():
    complex_step.seen.corner = False
    yield
    complex_step.seen.corner = False


def check(got, value, derivative):
    np.testing.assert_allclose(np.real(got), value, rtol=1e-15)
    np.testing.assert_allclose(np.imag(got) / H, derivative, rtol=1e-14, atol=1e-300)
    assert not complex_step.seen.corner


ONE = {
    np.absolute: np.sign(X) * DX,
    np.negative: -DX,
    np.exp: np.exp(X) * DX,
    np.tanh: (1 - np.tanh(X) ** 2) * DX,
    np.square: 2 * X * DX,
    np.conjugate: DX,
    np.sign: 0 * DX,
    np.floor: 0 * DX,
    np.ceil: 0 * DX,
    np.trunc: 0 * DX,
    np.rint: 0 * DX,
}
TWO = {
    np.add: DX + DY,
    np.subtract: DX - DY,
    np.multiply: DX * Y + X * DY,
    np.divide: DX / Y - X * DY / Y**2,
    np.maximum: np.where(X > Y, DX, DY),
    np.fmax: np.where(X > Y, DX, DY),
    np.minimum: np.where(X < Y, DX, DY),
    np.fmin: np.where(X < Y, DX, DY),
}
COMPARISONS = [np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal]


@pytest.mark.parametrize("function", ONE, ids=lambda f: f.__name__)
def test_functions_of_one_number(function):
    x = moving(X, DX)
    check(function(x), function(X), ONE[function])
    out = moving(X, 0 * DX)
    assert function(x, out=out) is out
    check(out, function(X), ONE[function])


@pytest.mark.parametrize("function", TWO, ids=lambda f: f.__name__)
def test_functions_of_two_numbers(function):
    check(function(moving(X, DX), moving(Y, DY)), function(X, Y), TWO[function])
    out = moving(X, 0 * DX)
    assert function(moving(X, DX), moving(Y, DY), out=out) is out
    check(out, function(X, Y), TWO[function])


@pytest.mark.parametrize("function", COMPARISONS, ids=lambda f: f.__name__)
def test_comparisons_look_at_the_real_parts(function):
    near = X.copy()
    near[[0, 3]] += 1
    got = function(moving(X, DX), moving(near, DX))  # equal numbers that move together
    assert got.dtype == bool
    np.testing.assert_array_equal(got, function(X, near))
    np.testing.assert_array_equal(function(moving(X, DX), 0.5), function(X, 0.5))
    np.testing.assert_array_equal(function(0.5, moving(X, DX)), function(0.5, X))
    assert not complex_step.seen.corner


def test_sums_and_products():
    a, b = moving(X.reshape(2, 3), DX.reshape(2, 3)), moving(Y.reshape(3, 2), DY.reshape(3, 2))
    real = X.reshape(2, 3), Y.reshape(3, 2)
    d = DX.reshape(2, 3), DY.reshape(3, 2)
    product = d[0] @ real[1] + real[0] @ d[1]
    check(a @ b, real[0] @ real[1], product)
    check(np.vecdot(a, b.T), np.vecdot(real[0], real[1].T), np.diag(product))
    check(np.vecdot(a.T, b, axis=0), np.vecdot(real[0].T, real[1], axis=0), np.diag(product))
    check(np.einsum("ij,ji->", a, b), np.trace(real[0] @ real[1]), np.trace(product))
    check(a.sum(axis=0), real[0].sum(axis=0), d[0].sum(axis=0))
    check(np.add.reduce(a, axis=None, dtype=np.float64), X.sum(), DX.sum())
    check(np.sum(a, axis=1, dtype="f8"), real[0].sum(axis=1), d[0].sum(axis=1))
    check(np.clip(moving(X, DX), -0.5, 0.9), np.clip(X, -0.5, 0.9), DX * (abs(X) < 0.5))
    out = moving(X, 0 * DX)
    assert np.clip(moving(X, DX), -0.5, 0.9, out=out) is out
    check(out, np.clip(X, -0.5, 0.9), DX * (abs(X) < 0.5))
    check(np.add.reduce(moving([3.0, 0.0], [1.0, 2.0])), 3.0, 3.0)  # a sum of a number and 0
    for part in (*np.split(moving(X, DX), 2), a @ b, a.sum()):
        assert isinstance(part, ComplexStep)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("largest", [True, False])
def test_the_largest_along_an_axis(axis, keepdims, largest):
    x, d = (
        np.array([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]]),
        np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    )
    method = "max" if largest else "min"
    got = getattr(moving(x, d), method)(axis=axis, keepdims=keepdims)
    value = getattr(x, method)(axis=axis, keepdims=True)
    derivative = np.where(x == value, d, 0).sum(axis=axis, keepdims=True)
    check(np.reshape(got, value.shape), value, derivative)
    tied = x.copy()
    tied[0, 0], tied[1, 0] = (9.0, 9.0) if largest else (-9.0, -9.0)
    tied[1, 1] = tied[1, 0]
    getattr(moving(tied, d), method)(axis=axis)
    assert complex_step.seen.corner
    complex_step.seen.corner = False
    getattr(moving(tied, np.ones_like(d)), method)(axis=axis)  # they move together
    assert not complex_step.seen.corner


TIES = {
    "abs of 0": lambda a, b: np.abs(a),
    "sign of 0": lambda a, b: np.sign(a),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "greater": np.greater,
    "equal": np.equal,
    "clip": lambda a, b: np.clip(a, 0.0, 1.5),
}


@pytest.mark.parametrize("name", TIES)
def test_one_number_at_a_corner_among_others(name):
    a, b = X.copy(), Y.copy()
    a[2] = b[2] = 0.0
    TIES[name](moving(a, 0 * DX), moving(b, 0 * DY))
    assert not complex_step.seen.corner  # nothing moves
    others = DX.copy()
    others[2] = 0.0
    TIES[name](moving(a, others), moving(b, DY * 0))
    assert not complex_step.seen.corner  # the one in the corner does not
    TIES[name](moving(a, DX), moving(b, 0 * DY))
    assert complex_step.seen.corner


def test_not_a_number_is_handed_on():
    x = X.copy()
    x[1] = np.nan
    for function in (np.maximum, np.minimum):
        for got in (function(moving(x, DX), 0.0), function(0.0, moving(x, DX))):
            assert np.isnan(np.real(got)).tolist() == np.isnan(x).tolist()


def test_only_the_largest_of_an_axis_notes_ties():
    x = np.array([1.0, 1.0 + 1e-20j]).view(ComplexStep)
    for method, corner in (("accumulate", False), ("reduce", True)):
        seen.corner = False
        getattr(np.maximum, method)(x)
        assert seen.corner is corner
    seen.corner = False
    np.maximum.reduce(moving([[2.0, 2.0], [1.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]))  # along axis 0
    assert not seen.corner
    np.maximum.reduce(moving([[2.0, 1.0], [2.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]))
    assert seen.corner
