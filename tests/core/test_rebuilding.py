"""A layer that is built again: alone for another shape, within a model for its own alone."""

import contextlib

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ShapeError

L = nl.layers


@pytest.mark.parametrize("make", [L.Flatten, lambda: L.RepeatVector(2), lambda: L.Rescaling(2.0)])
def test_a_layer_without_weights(make):
    alone = make()
    first, second = ((None, 3), (None, 5)) if isinstance(alone, L.RepeatVector) else (
        (None, 3, 2), (None, 5, 4)
    )  # fmt: skip
    alone.build(first)
    before = alone.output_shape
    alone.build(first)
    assert (alone.input_shape, alone.output_shape) == (first, before)
    alone.build(second)
    assert alone.input_shape == second
    assert alone.output_shape != before
    inside = make()
    model = nl.Sequential([inside])
    model.build(first)
    assert inside.output_shape == before
    with contextlib.suppress(ShapeError):
        inside.build(second)
    assert (inside.input_shape, inside.output_shape) == (first, before)


def test_a_layer_with_weights_keeps_them():
    layer = L.Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel.copy()
    layer.build((4, 3))  # the batch may have any size
    np.testing.assert_array_equal(layer.kernel, kernel)
    with pytest.raises(ShapeError):
        layer.build((None, 4))
    np.testing.assert_array_equal(layer.kernel, kernel)
