"""The layers of ``user_layers`` are called as in Keras, and pass on indices and masks."""

import numpy as np
import pytest

import netlayers as nl
from tests.user_layers import Gate, MaskedMean, MaskingEmbed


def test_layers_are_called_as_those_of_keras():
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    gate = Gate()
    np.testing.assert_array_equal(gate(a, b), gate.forward((a, b)))
    np.testing.assert_array_equal(gate([a, b], training=True), gate.forward((a, b)))
    dense = nl.layers.Dense(2)
    np.testing.assert_array_equal(dense(a, True), dense.forward(a))
    with pytest.raises(nl.errors.ConfigurationError, match="takes no mask"):
        dense(a, mask=np.ones(2, bool))


def test_arguments_of_execution():
    dense = nl.layers.Dense(2, autocast=False)
    assert "autocast" not in dense.get_config()
    with pytest.raises(TypeError, match="unknown argument 'unroll'"):
        nl.layers.Dense(2, unroll=True)
    model = nl.Sequential([dense])
    model.compile("sgd", "mse", jit_compile=True, steps_per_execution=4)
    with pytest.raises(TypeError, match="has no argument workers"):
        model.compile("sgd", "mse", workers=2)


def test_indices_pass_an_input_layer():
    class Last(nl.layers.Layer):
        input_spec = nl.InputSpec(dtype="integer", gradient=False)

        def forward(self, x, training=False):
            return (self.prepare(x) % 10).astype(self.compute_dtype)

        def backward(self, dy):
            return None

    model = nl.Sequential([nl.layers.Input((1,)), Last()])
    index = np.array([[16_777_217], [2**53 + 1]])
    np.testing.assert_array_equal(model.predict(index), [[7], [3]])


def test_masks_pass_what_keeps_the_steps():
    """Through layers that compute each step alone, a residual block, and an inner model."""
    inner = nl.Sequential([nl.layers.Dense(4), nl.layers.LayerNormalization()])
    block = nl.layers.Residual([nl.layers.Dense(4, "tanh"), nl.layers.Dropout(0.1)])
    layers = [MaskingEmbed(9, 4), nl.layers.Activation("tanh"), inner, block, MaskedMean()]
    model = nl.Sequential([nl.layers.Input((None,)), *layers], seed=0, dtype="float64")
    short = np.array([[3, 4, 5], [1, 2, 0]])
    padded = np.concatenate([short, np.zeros((2, 2), int)], axis=1)
    np.testing.assert_allclose(model.predict(padded), model.predict(short), rtol=1e-12)
