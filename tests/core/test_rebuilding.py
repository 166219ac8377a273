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


def test_inputs_of_the_same_lengths_are_checked_once():
    model = nl.Sequential([L.LSTM(2)])
    model.build((None, None, 3))
    layer, converted = model.layers[0], []

    def watch(part):
        check = part._converted
        part._converted = lambda x: (
            converted.append((part.name, getattr(x, "shape", 0))) or check(x)
        )

    for part in (model, layer):
        watch(part)
    x = np.zeros((4, 5, 3), np.float32)
    for given in (x, x, x[:1], x[:, :2], x[:, :2].copy(), x[:3].astype(float), x):
        assert model.forward(given).shape == (len(given), 2)
    assert converted == [
        (part.name, shape)
        for shape in ((4, 5, 3), (4, 2, 3), (3, 5, 3))  # not (1, 5, 3), and the last one not again
        for part in (model, layer)
    ]
    for wrong in (x[..., :2], x[:, :0], x[0]):
        with pytest.raises(ShapeError):
            model.forward(wrong)
    assert model.predict(x[:, :2]).shape == (4, 2)
    h = np.ones((4, 2), np.float32)
    assert layer(x, initial_state=[h, h]).tolist() != layer(x).tolist()
