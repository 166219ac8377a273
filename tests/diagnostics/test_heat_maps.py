"""Saliency and Grad-CAM: known values, and differences of the scores."""

import types

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.diagnostics import grad_cam, saliency
from netlayers.diagnostics.heat_maps import _last_of_convolution
from netlayers.errors import ConfigurationError, DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 5, 2))


def network(*end, **options):
    body = [L.Conv2D(3, 3, padding="same", **options), L.BatchNormalization(), L.Activation("tanh")]
    layers = [nl.Input((6, 5, 2)), *body, L.Flatten(), L.Dropout(0.5), *end]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in model.get_weights()])
    return model


ENDS = {
    "linear": lambda: [L.Dense(4)],
    "softmax": lambda: [L.Dense(4, "softmax")],
    "softmax layer": lambda: [L.Dense(4), L.Softmax()],
    "activation layer": lambda: [L.Dense(4), L.Activation("softmax")],
    "sigmoid": lambda: [L.Dense(4, "sigmoid")],
    "gate": lambda: [L.Dense(4, "sigmoid"), L.Dense(4)],  # which belongs to the scores
}


@pytest.mark.kernels
@pytest.mark.parametrize("end", ENDS)
def test_saliency_is_the_slope_of_the_scores_at_inference(end):
    model = network(*ENDS[end]())
    scores = model
    if end not in ("linear", "gate"):  # the same network without softmax or sigmoid
        scores = network(L.Dense(4))
        scores.set_weights(model.get_weights())
    before = model.get_weights()
    found = saliency(model, X)
    expected = scores.predict(X)
    np.testing.assert_array_equal(found.classes, expected.argmax(axis=1))
    np.testing.assert_allclose(found.scores, expected.max(axis=1), rtol=1e-12)
    slopes = np.zeros_like(X)
    for i in np.ndindex(X.shape[1:]):
        step = np.zeros_like(X)
        step[(slice(None), *i)] = 1e-6
        up, down = scores.predict(X + step), scores.predict(X - step)
        change = (up - down)[np.arange(3), found.classes] / 2e-6
        slopes[(slice(None), *i)] = change
    np.testing.assert_allclose(found.maps, np.abs(slopes).max(axis=-1), rtol=1e-6, atol=1e-9)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_given_class_for_all_or_for_each_image():
    model = network(L.Dense(4, "softmax"))
    ones, each = saliency(model, X, 1), saliency(model, X, [1, 0, 3])
    assert ones.classes.tolist() == [1, 1, 1]
    assert each.classes.tolist() == [1, 0, 3]
    np.testing.assert_array_equal(ones.maps[0], each.maps[0])
    assert np.abs(ones.maps[1] - each.maps[1]).max() > 1e-3


def test_grad_cam_of_global_pooling_is_the_class_activation_map():
    """Selvaraju et al. 2017, section 3.1: then α_k is w_kc / Z with Z places."""
    inputs = nl.Input((6, 5, 2))
    maps = L.Conv2D(3, 3, padding="same", activation="relu", name="conv")(inputs)
    outputs = L.Dense(4, "softmax", name="out")(L.GlobalAveragePooling2D()(maps))
    model = nl.Model(inputs, outputs, seed=3, dtype="float64")
    found = grad_cam(model, X, [0, 1, 2])
    a = nl.Model(inputs, maps, dtype="float64").predict(X)
    weights = model.get_layer("out").kernel[:, [0, 1, 2]]
    expected = np.maximum(0, np.einsum("nhwk,kn->nhw", a, weights) / 30)
    assert found.layer == "conv"
    assert expected.any()
    np.testing.assert_allclose(found.maps, expected, rtol=1e-10, atol=1e-14)


def test_the_map_of_a_smaller_layer_is_interpolated():
    model = nl.Sequential(
        [nl.Input((4, 4, 1)), L.Conv2D(1, 2, 2, use_bias=False), L.Flatten(), L.Dense(1)],
        dtype="float64",
    )
    model.set_weights([np.full((2, 2, 1, 1), 0.25), np.ones((4, 1)), np.zeros(1)])
    image = np.kron([[0.0, 4.0], [8.0, 12.0]], np.ones((2, 2))).reshape(1, 4, 4, 1)
    found = grad_cam(model, image)
    across, down = np.meshgrid([0, 1, 3, 4], [0, 2, 6, 8])  # half a pixel from the centres
    np.testing.assert_allclose(found.maps[0], across + down)


def test_channels_first():
    def model(first):
        order = {"data_format": "channels_first"} if first else {}
        shape = (2, 6, 5) if first else (6, 5, 2)
        layers = [L.Conv2D(3, 3, activation="relu", **order), L.GlobalAveragePooling2D(**order)]
        return nl.Sequential([nl.Input(shape), *layers, L.Dense(4)], seed=0, dtype="float64")

    last, first = model(False), model(True)
    for function in (saliency, grad_cam):
        a, b = function(last, X), function(first, np.moveaxis(X, -1, 1))
        assert a.maps.any()
        np.testing.assert_allclose(a.maps, b.maps, rtol=1e-12)
        np.testing.assert_array_equal(a.images, b.images)


def test_the_layer_that_is_taken():
    def chosen(*layers):
        model = nl.Sequential([nl.Input((8, 8, 1)), *layers, L.Dense(2)], seed=0)
        return grad_cam(model, np.ones((1, 8, 8, 1)), 0).layer

    conv = L.Conv2D(2, 3, padding="same", name="conv")
    assert chosen(conv, L.MaxPooling2D(2), L.Flatten()) == "conv"
    conv = L.Conv2D(2, 3, padding="same", name="conv")
    relu = L.ReLU(name="relu")
    assert chosen(conv, L.BatchNormalization(), relu, L.MaxPooling2D(2), L.Flatten()) == "relu"
    assert chosen(L.MaxPooling2D(2, name="pool"), L.Flatten()) == "pool"


def test_rows_of_features():
    model = nl.Sequential([nl.Input((3,)), L.Dense(2)], dtype="float64")
    model.set_weights([np.array([[1.0, 0.0], [-2.0, 5.0], [3.0, 1.0]]), np.zeros(2)])
    assert saliency(model, np.ones((1, 3)), 0).maps.tolist() == [[1.0, 2.0, 3.0]]


def test_what_can_not_be_shown():
    model = network(L.Dense(4))
    with pytest.raises(DataError, match=r"classes must be from 0 to 3, got 1 to 4"):
        saliency(model, X, [1, 4, 2])
    with pytest.raises(DataError, match="one for each of the 3 rows, got int64 of shape"):
        saliency(model, X, [1, 2])
    with pytest.raises(DataError, match="classes must be an integer"):
        grad_cam(model, X, 0.5)
    with pytest.raises(ConfigurationError, match=r"spatial axes \(conv2d, .*\), got 'dense'"):
        grad_cam(model, X, layer="dense")
    dense = nl.Sequential([nl.Input((3,)), L.Dense(2)])
    with pytest.raises(ConfigurationError, match=r"spatial axes \(no layer\), got None"):
        grad_cam(dense, np.ones((1, 3)))
    maps = nl.Sequential([nl.Input((6, 5, 2)), L.Conv2D(2, 3)])
    with pytest.raises(ConfigurationError, match=r"scores of shape \(n, classes\), got \(3, 4, 3"):
        saliency(maps, X)
    a, b = nl.Input((2,)), nl.Input((2,))
    two = nl.Model([a, b], L.Dense(1)(a + b))
    with pytest.raises(ConfigurationError, match="must have one input, it has 2"):
        saliency(two, [np.ones((1, 2))] * 2)
    inputs = nl.Input((6, 5, 2))
    side, maps = L.Conv2D(2, 3, name="side")(inputs), L.Conv2D(2, 3, name="used")(inputs)
    used = L.Dense(2)(L.Flatten()(maps))
    both = nl.Model(inputs, used + 0 * L.Dense(2)(L.Flatten()(side)))
    assert grad_cam(both, X, layer="side").maps.max() == 0


def test_printed():
    model = nl.Sequential([nl.Input((2, 2, 1)), L.Flatten(), L.Dense(1)])
    model.set_weights([np.array([[1.0], [-2.0], [3.0], [0.0]]), np.zeros(1)])
    found = saliency(model, np.ones((1, 2, 2, 1)))
    assert str(found) == "image  class  score  largest    at\n0          0      2        3  1, 0"
    assert "<table" in found._repr_html_()


def test_which_layer_is_the_last_of_the_convolution():
    layers = {"scale": L.Rescaling(2.0), "conv": L.Conv2D(2, 3)}
    layers |= {"relu": L.ReLU(), "pool": L.MaxPooling2D(), "tanh": L.Tanh()}
    sizes = {"scale": 6, "conv": 4, "relu": 4, "pool": 2, "tanh": 2}
    found = types.SimpleNamespace(layers=layers)

    def last(*names):
        spatial = {name: np.zeros((1, sizes[name], sizes[name], 2)) for name in names}
        return _last_of_convolution(found, spatial)

    assert last(*layers) == "relu"
    assert last("scale", "conv") == "conv"
    assert last("scale", "relu") == "relu"  # without a convolution, the last of all
    assert last() is None
