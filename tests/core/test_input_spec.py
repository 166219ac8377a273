"""Weights that are declared: bound when they are asked for, and no attribute of other layers."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.binding import Declared
from netlayers.core.building import abstract_build
from netlayers.errors import ConfigurationError, ShapeError
from tests.user_layers import Gate, Halves, MaskedMean

L = nl.layers


class Scale(L.Layer):
    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), initializer="ones")

    def forward(self, x, training=False):
        return x * self.scale


def test_a_weight_is_bound_when_it_is_asked_for():
    layer = L.Dense(2)
    layer.build((None, 3))
    assert layer._vector is None
    gradient = layer.d_kernel
    assert np.shares_memory(gradient, layer.parameters.gradients)
    assert np.shares_memory(layer.kernel, layer.parameters.values)
    assert vars(layer)["kernel"] is layer.kernel


def test_a_layer_has_the_weights_that_it_declared_and_no_others():
    with_bias, without = L.Dense(2), L.Dense(2, use_bias=False)
    for layer in (with_bias, without):
        layer.build((None, 3))
    assert hasattr(with_bias, "bias")
    assert hasattr(with_bias, "d_bias")
    assert without.bias is None
    assert not hasattr(without, "d_bias")
    assert not hasattr(L.Dense(2), "kernel")  # not built
    with pytest.raises(AttributeError, match=r"layer Dense has no attribute 'd_bias'\.$"):
        without.d_bias  # noqa: B018


def test_a_layer_that_is_not_built_says_so():
    built = Scale()
    built.build((None, 2))
    with pytest.raises(AttributeError, match=r"not built yet.*x = self.prepare\(x\)"):
        Scale().forward(np.ones((1, 2)))
    built._unbuild()
    with pytest.raises(AttributeError, match="not built yet"):
        built.scale  # noqa: B018


def test_what_a_class_has_of_its_own_is_no_name_for_a_weight():
    class Taken(L.Layer):
        scale = 3

        def build(self, input_shape):
            self.add_weight("scale", ())

    with pytest.raises(ConfigurationError, match="free Python identifier"):
        Taken().build((None, 2))
    assert Taken.scale == 3

    class Again(Scale):  # its base has the weight already
        pass

    for kind in (Scale, Again, Scale):
        layer = kind()
        layer.build((None, 2))
        assert layer(np.ones((1, 2))).shape == (1, 2)
    assert isinstance(Scale.scale, Declared)


def test_attributes_of_layers_are_found_the_fast_way():
    assert not hasattr(nl.Sequential, "__getattr__")


def test_copies_have_weights_of_their_own():
    layer = Scale()
    layer.build((None, 2))
    layer.scale[...] = [2, 3]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(L.Dense(2)))):
        other.build((None, 2))
        assert other.weights[0] is not layer.scale
    assert copy.deepcopy(layer).scale.tolist() == [2, 3]


def test_in_a_draft_a_weight_has_its_shape_and_no_memory():
    with abstract_build():
        layer = L.Dense(10**9)
        layer.build((None, 10**6))
        assert layer.kernel.shape == (10**6, 10**9)
        assert layer._vector is None


ONE, TWO = (None, 3), ((None, 3), (None, 3))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Dense(1), TWO, r"'dense' \(Dense\): takes one input, got 2: .* and \(batch, 3\)"),
        (L.Flatten(), TWO, r"'flatten' \(Flatten\): takes one input, got 2"),
        (Gate(), ONE, r"'gate' \(Gate\): takes 2 inputs \(a, b\), got 1: \(batch, 3\)"),
        (MaskedMean(), ONE, r"\(MaskedMean\): x must have 3 axes.*shape \(None, 3\)"),
    ],
)
def test_a_layer_is_built_for_the_inputs_that_it_declares_alone(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        layer.build(shape)
    assert not layer.built
    with pytest.raises(ShapeError, match=message):
        nl.Sequential([L.Input((3,)), L.Dense(3) if shape == ONE else Halves(), layer])
