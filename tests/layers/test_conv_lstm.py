"""Convolutional LSTM layers: values and gradients as in Keras, dropout, what is refused."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError
from tests.layers.values.conv_lstm import CASES, FILE, MASK, draw, inputs_of, made, name_of

L = nl.layers
VALUES = np.load(FILE)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_values_and_gradients(case):
    layer = made(L, case)
    x, states, weights = inputs_of(case, layer, [p.shape for p in layer.declared_parameters])
    layer.set_weights(weights)
    mask = MASK if "mask" in case[2] else None
    outputs = layer.forward((x, *states) if states else x, training=True, mask=mask)
    outputs = [y.copy() for y in outputs]
    d = layer.backward(tuple(draw([y.shape for y in outputs], 2)))
    found = [*outputs, *(d if states else (d,)), *layer.gradients]
    for i, mine in enumerate(found):
        answer = VALUES[f"{name_of(case)}/{i}"]
        np.testing.assert_allclose(mine, answer, rtol=1e-9, atol=1e-10)
    assert f"{name_of(case)}/{len(found)}" not in VALUES


def test_a_kernel_of_one_place_is_an_lstm_at_each_place():
    layer = L.ConvLSTM2D(3, 1, return_sequences=True, dtype="float64")
    x = RNG.normal(size=(2, 4, 3, 2, 5))
    layer.build(x.shape)
    layer.set_weights([RNG.normal(size=w.shape) for w in layer.weights])
    at_each = L.LSTM(3, return_sequences=True, dtype="float64")
    places = x.transpose(0, 2, 3, 1, 4).reshape(-1, 4, 5)
    at_each.build(places.shape)
    at_each.set_weights([w.reshape(-1, 12) if w.ndim > 1 else w for w in layer.get_weights()])
    y = at_each(places).reshape(2, 3, 2, 4, 3).transpose(0, 3, 1, 2, 4)
    np.testing.assert_allclose(layer(x), y, rtol=1e-12)


def test_dropout_is_drawn_by_gate():
    layer = L.ConvLSTM1D(2, 3, dropout=0.5, recurrent_dropout=0.4, seed=1, dtype="float64")
    x = RNG.normal(size=(2, 3, 6, 2))
    first, second = (layer.forward(x, training=True).copy() for _ in range(2))
    assert (first != second).any()
    assert [m.shape for m in layer.cache.masks] == [(4, 2, 6, 2), (4, 2, 4, 2)]
    np.testing.assert_array_equal(layer(x), layer(x))


def test_states_between_batches_and_a_model():
    x = RNG.normal(size=(2, 4, 5, 4, 1)).astype("float32")
    layers = [L.ConvLSTM2D(2, 2, padding="same", stateful=True), L.Flatten(), L.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    parts = [model.predict(x[:, t : t + 2]) for t in (0, 2)]
    layers[0].reset_states()
    np.testing.assert_allclose(model.predict(x), parts[1], rtol=1e-5)
    with pytest.raises(ShapeError, match="batches of 2 samples, got 1"):
        model.predict(x[:1])
    both = L.Bidirectional(L.ConvLSTM1D(2, 3, padding="same", return_sequences=True))
    assert both(x[..., 0]).shape == (2, 4, 5, 4)


def test_what_is_refused():
    with pytest.raises(ShapeError, match=r"\(batch, steps, height, width, channels\) with at"):
        L.ConvLSTM2D(2, 3)(np.ones((2, 5, 5, 1)))
    with pytest.raises(ShapeError, match=r"\(batch, steps, channels, length\) with at"):
        L.ConvLSTM1D(2, 3, data_format="channels_first")(np.ones((2, 5, 1)))
    with pytest.raises(ShapeError, match="sizes of the axes must be known"):
        L.ConvLSTM1D(2, 3)(nl.Input((4, None, 1)))
    with pytest.raises(
        ConfigurationError, match="ConvLSTM1D: strides and dilation_rate cannot both"
    ):
        L.ConvLSTM1D(2, 3, strides=2, dilation_rate=2)
    with pytest.raises(ShapeError, match="length 2 is less than the kernel 3"):
        L.ConvLSTM1D(2, 3)(np.ones((2, 4, 2, 1)))
    with pytest.raises(ConfigurationError, match="ActivityRegularization"):
        L.ConvLSTM1D(2, 3, activity_regularizer="l2")
