"""Layers that combine several arrays: values by hand, shapes, masks, errors."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, ShapeError

A = np.array([[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]])
B = np.array([[2.0, 2.0, -3.0], [0.0, -1.0, 4.0]])
PAIRS = [
    (L.add, A + B),
    (L.subtract, A - B),
    (L.multiply, A * B),
    (L.average, (A + B) / 2),
    (L.maximum, np.maximum(A, B)),
    (L.minimum, np.minimum(A, B)),
    (L.concatenate, np.concatenate([A, B], axis=1)),
    (L.dot, np.sum(A * B, axis=1, keepdims=True)),
]


@pytest.mark.parametrize(
    ("function", "expected"), PAIRS, ids=lambda its: getattr(its, "__name__", "")
)
def test_values(function, expected):
    np.testing.assert_allclose(function([A, B], dtype="float64"), expected)
    name = function([nl.Input((3,)), nl.Input((3,))], name="mine").name
    assert name == "mine"


def test_axes_and_normalized_dot_products():
    a, b = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    assert L.concatenate([a, b], axis=1).shape == (2, 8, 4)
    assert L.dot([a, b], axes=2).shape == (2, 3, 5)
    np.testing.assert_allclose(L.dot([a, b], axes=(2, 2)), 4.0)
    np.testing.assert_allclose(L.dot([3 * a, b], axes=2, normalize=True), 1.0, rtol=1e-6)
    zero = L.dot([0 * a, b], axes=2, normalize=True)
    np.testing.assert_array_equal(zero, 0.0)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 1)), ((4, 2, 3), (4, 3)), ((4, 1, 3), (4, 2, 1))])
@pytest.mark.parametrize("layer", [L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum])
def test_shapes_that_numpy_broadcasts(layer, shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    assert nl.check_gradients(layer(), (a, b)).passed
    wide = layer(dtype="float64")((a, b))
    if b.ndim < a.ndim:
        b = b[:, None]
    function = {"Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply}
    function |= {"Maximum": np.maximum, "Minimum": np.minimum}
    function |= {"Average": lambda a, b: (a + b) / 2}
    np.testing.assert_allclose(wide, function[layer.__name__](a, b))


def test_ties_go_to_the_first():
    x = np.ones((1, 2))
    for layer in (L.Maximum(), L.Minimum()):
        layer.forward((x, x), training=True)
        first, second = layer.backward(np.full((1, 2), 3.0))
        np.testing.assert_array_equal(first, 3.0)
        np.testing.assert_array_equal(second, 0.0)


def test_masks_are_combined():
    x = np.zeros((1, 3, 2))
    one, two = np.array([[True, True, False]]), np.array([[True, False, False]])
    np.testing.assert_array_equal(L.Add().compute_mask((x, x), (one, two)), two)
    np.testing.assert_array_equal(L.Add().compute_mask((x, x), (one, None)), one)
    assert L.Add().compute_mask((x, x), (None, None)) is None
    both = L.Concatenate(axis=1).compute_mask((x, x), (one, None))
    np.testing.assert_array_equal(both, [[True, True, False, True, True, True]])
    assert L.Dot(axes=2).compute_mask((x, x), (one, two)) is None


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: L.add([A, B[:, :2]]), "cannot be combined: axis 1 has the sizes 3 and 2"),
        (lambda: L.subtract([A, B, A]), "takes 2 inputs"),
        (lambda: L.Add()(A), "got one|takes 2 inputs"),
        (lambda: L.add([nl.Input((3,))]), "at least 2 inputs|got one"),
        (lambda: L.concatenate([A, np.ones((2, 3, 1))]), "must agree in all axes"),
        (lambda: L.concatenate([A, B], axis=2), "axis=2 is no axis"),
        (lambda: L.concatenate([A, B], axis=0), "axis=0 is no axis"),
        (lambda: L.dot([A, B[:, :2]], axes=1), "have 3 and 2 entries"),
        (lambda: L.dot([A, B], axes=0), "names no axis"),
        (lambda: L.dot([A, B], axes=(1, 1, 1)), "an integer or two"),
    ],
)
def test_errors_name_the_shapes(use, message):
    with pytest.raises((ShapeError, ConfigurationError, nl.errors.DataError), match=message):
        use()
