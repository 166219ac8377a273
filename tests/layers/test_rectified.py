"""A convolution, normalization or sum with its rectifier gives what they give one by one."""

import importlib.util

import numpy as np
import pytest

import netlayers as nl
from netlayers.layers.rectified import Rectified
from netlayers.layers.stacking import stacked
from tests.layers.stacks import (
    arrays,
    assert_same,
    called,
    compiled,  # noqa: F401
    one_by_one,
)

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")
L = nl.layers


@pytest.fixture
def calls(monkeypatch):
    """Names of the kernels of rectifiers that were called, in their order."""
    return called(monkeypatch, "relu", "relu_gradient")


def network(dtype="float32", last="relu", **how):
    """A residual block; its arrays are so large that rectifiers use a kernel."""
    x = nl.Input((64,), dtype=dtype)
    h = L.ReLU()(L.BatchNormalization(**how)(L.Dense(64, use_bias=False)(x)))
    f = L.BatchNormalization(**how)(L.Dense(64, use_bias=False)(h))
    y = L.Activation(last)(L.Add()([f, h]))
    model = nl.Model(x, y, seed=0, dtype=dtype)
    model.parameters.values[...] += np.linspace(-0.1, 0.1, model.parameters.size)
    return model


def data(dtype="float32", rows=100):
    return np.random.default_rng(0).normal(size=(2, rows, 64)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", [{}, {"center": False}, {"scale": False}, {"trainable": False}])
def test_the_bits_are_those_of_the_layers_alone(calls, dtype, how):
    model = network(dtype, **how)
    x, dy = data(dtype)
    statistics = [p.value.copy() for p in model.declared_parameters if p.statistic]
    together = arrays(model, x, dy)
    # Constant moments, and a sum, whose gradient goes two ways, need the gradient of each kind.
    assert calls == ["relu_gradient"] * (2 if how == {"trainable": False} else 1)
    for p, before in zip(
        (p for p in model.declared_parameters if p.statistic), statistics, strict=True
    ):
        p.value[...] = before
    with one_by_one(model):
        assert_same(together, arrays(model, x, dy))
    assert calls.count("relu") == 4  # two in training, two at inference


def test_a_network_that_is_observed_after_its_forward_pass_goes_on_one_by_one():
    model = network()
    x, dy = data()
    first = arrays(model, x, dy)
    model.forward(x, training=True)
    with one_by_one(model):
        np.testing.assert_array_equal(model.backward(dy), first[1])
    with one_by_one(model):
        model.forward(x, training=True)
    np.testing.assert_array_equal(model.backward(dy), first[1])
    assert nl.check_gradients(network("float64"), data("float64", 7)[0]).passed


def test_what_can_be_one():
    class Mine(L.ReLU):
        pass

    layers = [
        *(L.BatchNormalization(), L.ReLU(), L.ReLU()),
        *(L.BatchNormalization(), L.ReLU(max_value=6)),
        *(L.BatchNormalization(), L.Activation("relu")),
        *(L.BatchNormalization(), L.Activation("tanh")),
        *(L.BatchNormalization(), Mine()),
        *(L.LayerNormalization(), L.ReLU()),
        *(L.Conv1D(3, 3), L.ReLU()),
        *(L.Conv2D(3, 3, activation="tanh"), L.ReLU()),
    ]
    found = [type(call) is Rectified for call in stacked(layers)]
    assert found == [True, *[False] * 3, True, *[False] * 6, True, *[False] * 2]
    x = nl.Input((4,))
    h = L.BatchNormalization()(x)
    twice = nl.Model(x, L.Concatenate()([h, L.ReLU()(h)]))  # h is needed as well
    assert not any(type(node.call) is Rectified for node in twice._stacked_nodes()[0])
    shown = nl.Model(x, [h, L.ReLU()(h)])
    assert not any(type(node.call) is Rectified for node in shown._stacked_nodes()[0])


def test_the_array_in_between_is_not_kept():
    model = nl.Sequential([L.BatchNormalization(), L.ReLU()])
    x, dy = data()
    model.forward(x, training=True)
    model.backward(dy)
    names = {name for layer in model.layers for name, *_ in layer.workspace.views}
    assert names == {"y", "dx"}
    assert not model.layers[1].workspace.views


def convolutions(dtype="float32", how=None):
    """A direct sum, tiles of 2 x 2, and a stride; with the channels first, arrays are copied."""
    x = nl.Input((10, 8, 10), dtype=dtype)
    h = L.ReLU()(L.Conv2D(16, 3, padding="same", bias_initializer="ones", **(how or {}))(x))
    h = L.Activation("relu")(L.Conv2D(16, 3, padding="same", **(how or {}))(h))
    y = L.ReLU()(L.Conv2D(3, 3, 2, use_bias=False, **(how or {}))(h))
    return nl.Model(x, y, seed=0, dtype=dtype)


@pytest.mark.parametrize("how", [{}, {"data_format": "channels_first"}, {"trainable": False}])
def test_convolutions_have_the_bits_of_the_layers_alone(calls, how):
    model = convolutions(how=how)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 10, 8, 10)).astype("float32")
    dy = rng.normal(size=model.forward(x).shape).astype("float32")
    calls.clear()
    together = arrays(model, x, dy)
    assert calls == ["relu_gradient"] * 3
    assert 0 < (together[0] > 0).mean() < 1
    assert not any(layer.workspace.views for layer in model.layers[2::2])
    with one_by_one(model):
        assert_same(together, arrays(model, x, dy))
    assert "relu" in calls
    model.layers[1].activation = "tanh"
    y = model.forward(x)
    with one_by_one(model):
        np.testing.assert_array_equal(y, model.forward(x))


def test_a_method_of_a_convolution_s_own_activation_that_is_replaced_gets_what_it_gets_alone():
    model = nl.Sequential([L.Conv1D(3, 2, kernel_initializer="ones"), L.ReLU()])
    x = np.full((1, 4, 2), -1)
    assert not model(x).any()
    linear = model.layers[0].activation
    linear.forward = lambda z, training=False, inplace=False: z + 5
    np.testing.assert_array_equal(model(x), 1)  # 5 - 4, and not 5 + max(-4, 0)
    del linear.forward
    assert not model(x).any()
