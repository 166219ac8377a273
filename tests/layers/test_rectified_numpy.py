"""By NumPy's kernels, too, a layer with its rectifier gives what they give one by one."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.layers.rectified import Rectified
from tests.layers.stacks import arrays, assert_same, called, one_by_one
from tests.snapshots import numpy_kernels  # noqa: F401

L = nl.layers


def network(**how):
    """A residual block; its arrays are so large that rectifiers use a kernel."""
    x = nl.Input((8, 8, 3))
    h = L.ReLU()(L.BatchNormalization(**how)(L.Conv2D(16, 3, padding="same")(x)))
    f = L.BatchNormalization(**how)(L.Conv2D(16, 3, padding="same")(h))
    y = L.ReLU()(L.Conv2D(4, 1)(L.Activation("relu")(L.Add()([f, h]))))
    model = nl.Model(x, y, seed=0)
    model.parameters.values[...] += np.linspace(-0.1, 0.1, model.parameters.size)
    return model


def images():
    return np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("how", [{}, {"trainable": False}])
def test_the_bits_are_those_of_the_layers_alone(monkeypatch, how):
    model, x = network(**how), images()
    dy = np.random.default_rng(1).normal(size=(6, 8, 8, 4)).astype("float32")
    statistics = [p for p in model.declared_parameters if p.statistic]
    before = [p.value.copy() for p in statistics]
    calls = called(monkeypatch, "relu", "relu_gradient")
    together = arrays(model, x, dy)
    assert calls == ["relu", *["relu_gradient"] * 3, "relu"]  # in place, of a convolution
    for p, value in zip(statistics, before, strict=True):
        p.value[...] = value
    with one_by_one(model):
        assert_same(together, arrays(model, x, dy))
    assert calls.count("relu") == 6  # two in training, two at inference; the last one is small


def test_an_observer_of_the_forward_pass_changes_no_bit_of_the_gradient():
    model, x = network(), images()
    y = model.forward(x, training=True).copy()
    dx = model.backward(np.ones_like(y)).copy()
    with one_by_one(model):
        model.forward(x, training=True)
    np.testing.assert_array_equal(model.backward(np.ones_like(y)), dx)


def test_chains_and_kernels_that_are_selected_later():
    layers = [L.Conv2D(3, 3), L.ReLU(), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(2)]
    model = nl.Sequential(layers, seed=0)
    x = images()
    y = model.forward(x, training=True).copy()
    assert [type(call) is Rectified for call in model._stages()] == [1, 1, 0, 0]
    assert not layers[1].workspace.views  # no second array
    assert not layers[3].workspace.views
    pytest.importorskip("numba")
    nl.use_kernels("numba")
    np.testing.assert_allclose(model.forward(x, training=True), y, rtol=1e-5, atol=1e-5)
    assert len(model._stages()) == 4
