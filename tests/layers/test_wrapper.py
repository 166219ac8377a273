"""The base class of layers that hold another one."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError

X = np.random.default_rng(0).normal(size=(4, 3))


class Doubled(nl.layers.Wrapper):
    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, dy, input_gradient=True):
        return super().backward(2 * dy, input_gradient)


def test_a_wrapper_computes_with_its_layer(tmp_path):
    dense = nl.layers.Dense(2, "tanh")
    model = nl.Sequential([Doubled(dense, name="twice"), nl.layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(X, X[:, 0], epochs=2, verbose=0)
    assert model.layers[0].layer is dense
    assert [len(model.layers[0].weights), model.layers[0].output_shape] == [2, (None, 2)]
    np.testing.assert_array_equal(model.layers[0](X), 2 * dense(X))
    assert nl.check_gradients(model, X).passed
    model.save(tmp_path / "model.safetensors")
    loaded = nl.load_model(tmp_path / "model.safetensors", custom_objects={"Doubled": Doubled})
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_by_itself_it_changes_nothing():
    layer, dense = nl.layers.Wrapper(nl.layers.Dense(2)), nl.layers.Dense(2)
    model = nl.Sequential([layer], seed=0)
    y = model.predict(X)
    dense.build((None, 3))
    dense.set_weights(layer.get_weights())
    np.testing.assert_array_equal(y, dense(np.float32(X)))
    with pytest.raises(ShapeError, match="expected an input of shape"):
        layer(np.ones((2, 5)))
    with pytest.raises(ConfigurationError, match="must be objects of Layer"):
        nl.layers.Wrapper("dense")
