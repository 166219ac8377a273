"""A layer that stands alone takes arrays of other shapes, where its weights fit."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ShapeError

L = nl.layers
RNG = np.random.default_rng(0)
SHAPES = [(4, 6, 8), (4, 8), (4, 3, 6, 8), (4, 5, 8), (4, 6, 8)]

LAYERS = [
    L.LayerNormalization,
    L.RMSNormalization,
    L.BatchNormalization,
    L.UnitNormalization,
    lambda: L.Reshape((-1, 4)),
    L.Flatten,
]


@pytest.mark.parametrize("make", LAYERS)
def test_each_shape_gives_what_a_new_layer_gives(make):
    layer = make()
    for shape in SHAPES:
        x = RNG.normal(size=shape).astype(np.float32)
        fresh = type(layer).from_config(layer.get_config())
        fresh.build(shape)
        for old, new in zip(layer.weights if layer.built else [], fresh.weights, strict=False):
            new[...] = old
        y = layer(x, training=True).copy()
        np.testing.assert_array_equal(y, fresh(x, training=True))
        assert len(layer.output_shape) == y.ndim
        dy = RNG.normal(size=y.shape).astype(np.float32)
        np.testing.assert_array_equal(layer.backward(dy), fresh.backward(dy))


def test_moments_of_an_adapted_layer_fit_any_rank():
    layer = L.Normalization()
    layer.adapt(RNG.normal(3, 2, size=(50, 8)))
    y = layer(RNG.normal(3, 2, size=(100, 9, 8)))
    assert layer.mean.shape == (1, 1, 8)
    assert abs(float(y.mean())) < 0.2
    assert layer(np.ones((2, 8))).shape == (2, 8)
    assert layer.mean.shape == (1, 8)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (L.LayerNormalization, np.ones((2, 3, 7))),  # another size of the axis
        (lambda: L.LayerNormalization(axis=1), np.ones((2, 8))),  # was 6
        (lambda: L.LayerNormalization(axis=2), np.ones((2, 8))),  # no such axis
        (lambda: L.GroupNormalization(2), np.ones((2, 8))),
        (L.Normalization, np.ones((2, 7))),
    ],
)
def test_weights_that_do_not_fit(make, x):
    layer = make()
    layer.build((None, 6, 8))
    before = copy.deepcopy(layer)
    good = RNG.normal(size=(2, 6, 8))
    with pytest.raises(ShapeError, match=r"expected an input of shape \(batch, 6, 8\)"):
        layer(x)
    np.testing.assert_array_equal(layer(good), before(good))


@pytest.mark.parametrize("make", [L.LayerNormalization, lambda: L.Reshape((-1, 4))])
def test_in_a_model_the_rank_stays(make):
    model = nl.Sequential([make()])
    model.build((None, 6, 8))
    with pytest.raises(ShapeError, match=r"expected an input of shape \(batch, 6, 8\)"):
        model.predict(np.ones((2, 8)))
