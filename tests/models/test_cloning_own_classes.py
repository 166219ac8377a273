"""Clones of models with classes that nobody has registered, as in Keras."""

import importlib

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers


class Scale(nl.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def forward(self, x, training=False):
        return self.prepare(x) * self.factor

    def backward(self, dy, input_gradient=True):
        return dy * self.factor


class Dense(layers.Dense):  # the name of another class
    pass


class Fives(nl.initializers.Initializer):
    def fill(self, out, rng=None):
        out[...] = 5


class Around(nl.Layer):
    """Holds a layer in its configuration."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def forward(self, x, training=False):
        return self.inner.forward(self.prepare(x), training)

    def backward(self, dy, input_gradient=True):
        return self.inner.backward(dy, input_gradient)

    def get_config(self):
        return {**super().get_config(), "inner": layers.serialize(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(layers.deserialize(config.pop("inner")), **config)


def functional(*its):
    x = y = nl.Input((3,))
    for layer in its:
        y = layer(y)
    return nl.Model(x, y)


def chain(*its):
    return nl.Sequential([layers.Input((3,)), *its])


@pytest.mark.parametrize("kind", [functional, chain])
def test_own_classes(kind):
    model = kind(
        Scale(3.0),
        Dense(2, kernel_initializer=Fives()),
        nl.Sequential([Scale(0.5)]),
        Around(Scale(2.0)),
    )
    model.compile(nl.optimizers.SGD(0.5), "mse")
    clone = nl.models.clone_model(model)
    assert [type(layer) for layer in clone.layers] == [type(layer) for layer in model.layers]
    assert clone.predict(np.ones((1, 3), np.float32)).tolist() == [[45.0, 45.0]]  # 3 · 3 · 5
    assert clone.optimizer.learning_rate == 0.5
    with pytest.raises(nl.errors.UnknownNameError, match="unknown layer 'Scale'"):
        type(model).from_config(model.get_config())  # plain data, as in a file


def test_own_initializer_in_both_directions():
    both = layers.Bidirectional(layers.LSTM(2, kernel_initializer=Fives()))
    both.build((None, 4, 3))
    assert (both.backward_layer.kernel == 5).all()
    assert both.backward_layer.kernel_initializer is not both.forward_layer.kernel_initializer


def test_own_classes_in_an_estimator():
    pytest.importorskip("sklearn")
    estimators = importlib.import_module("netlayers.estimators")
    net = estimators.NeuralNetRegressor(model=chain(Scale(3.0), Dense(1)), max_iter=1)
    with pytest.warns(UserWarning, match="max_iter"):
        net.fit(np.ones((4, 3)), np.ones(4))
    assert [type(layer) for layer in net.model_.layers] == [Scale, Dense]
