"""Layers on images beyond values and gradients: errors, masks, single images, other names."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, ShapeError


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Cropping2D(((1, 0), (2, 3))), (1, 4, 5, 1), r"width 5 - 2 - 3 leaves nothing"),
        (L.Cropping1D(2, "channels_first"), (1, 3, 4), r"length 4 - 2 - 2 leaves nothing"),
        (L.Cropping3D((0, 2, 0)), (1, 4, 4, 4, 1), r"height 4 - 2 - 2 leaves nothing"),
        (L.ZeroPadding2D(), (1, 4, 4), r"expected images of shape \(batch, height, width"),
        (L.UpSampling3D(), (1, 4, 4, 1), r"expected volumes of shape \(batch, depth"),
        (L.Resizing(2, 2), (1, 4), r"expected images of shape"),
        (L.AdaptiveAveragePooling1D(2), (1, 0, 3), r"length 0 leaves nothing to pool"),
        (L.SpatialDropout2D(0.5), (1, 4, 3), r"noise_shape \(None, 1, 1, None\) does not fit"),
    ],
)
def test_a_wrong_shape_is_named(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        layer.forward(np.zeros(shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.ZeroPadding1D((1,)), r"padding must be an integer >= 0 or a pair"),
        (lambda: L.ZeroPadding1D((1, 2, 3)), r"padding must be an integer >= 0 or a pair"),
        (lambda: L.ZeroPadding2D(-1), r"padding must be"),
        (lambda: L.ZeroPadding2D((1, (2,))), r"\(before, after\) of the height"),
        (lambda: L.Cropping3D((1, 2)), r"cropping must be an integer >= 0 or a tuple of 3"),
        (lambda: L.UpSampling1D(0), r"size must be"),
        (lambda: L.UpSampling2D(interpolation="area"), r"interpolation must be"),
        (lambda: L.AdaptiveMaxPooling2D((2, 2, 2)), r"output_size must be an integer, or a tuple"),
        (lambda: L.Resizing(2, 2, fill_mode="wrap"), r"fill_mode must be"),
        (
            lambda: L.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            r"only one of crop_to_aspect_ratio and pad",
        ),
        (lambda: L.CenterCrop(0, 2), r"height must be"),
        (lambda: L.SpatialDropout3D(0.5, "channels"), r"data_format must be"),
    ],
)
def test_a_wrong_argument_is_named(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("antialias", [False, True])
def test_resizing_keeps_a_constant_image_and_one_of_the_same_size(name, antialias):
    layer = L.Resizing(5, 11, name, antialias=antialias)
    np.testing.assert_allclose(layer(np.full((1, 8, 6, 2), 0.25)), 0.25, rtol=1e-6)
    x = np.random.default_rng(0).random((1, 5, 11, 2), "float32")
    np.testing.assert_array_equal(layer(x), x)


def test_images_of_uint8_are_taken():
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), "uint8")
    for layer in (L.Resizing(3, 3), L.CenterCrop(4, 4), L.ZeroPadding2D(), L.UpSampling2D()):
        y = layer(x)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, layer(x.astype("float32")))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_single_image_gives_a_single_image(data_format):
    x = np.random.default_rng(0).random((6, 6, 6), "float32")
    for layer in (L.Resizing(3, 4, data_format=data_format), L.CenterCrop(4, 5, data_format)):
        assert layer(x).ndim == 3
        np.testing.assert_array_equal(layer(x), layer(x[None])[0])


@pytest.mark.parametrize("first", [False, True])
def test_spatial_dropout_drops_whole_channels(first):
    for layer, places in ((L.SpatialDropout2D, (5, 6)), (L.SpatialDropout3D, (2, 3, 4))):
        shape = (4, 8, *places) if first else (4, *places, 8)
        y = layer(0.5, "channels_first" if first else None, seed=1)(np.ones(shape), training=True)
        flat = np.moveaxis(y, 1, -1).reshape(4, -1, 8) if first else y.reshape(4, -1, 8)
        assert (flat == flat[:, :1]).all()
        assert {0.0, 2.0} == set(flat.ravel().tolist())


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_average_pooling_leaves_masked_steps_out(keepdims):
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    mask = np.array([[True, True, False, False], [True, False, True, True], [False] * 4])
    x[0, 2:] = np.nan
    layer = L.GlobalAveragePooling1D(keepdims=keepdims, dtype="float64")
    y = layer(x, mask=mask).reshape(3, 2)
    np.testing.assert_allclose(y[0], x[0, :2].mean(axis=0))
    np.testing.assert_allclose(y[1], x[1][mask[1]].mean(axis=0))
    assert (y[2] == 0).all()
    first = L.GlobalAveragePooling1D("channels_first", keepdims, dtype="float64")
    np.testing.assert_allclose(first(np.moveaxis(x, 1, 2), mask=mask).reshape(3, 2), y)


def test_a_mask_of_an_embedding_reaches_global_average_pooling():
    layers = [L.Embedding(10, 4, mask_zero=True), L.GlobalAveragePooling1D()]
    model = nl.Sequential(layers, seed=0)
    x = np.array([[1, 2, 0, 0], [3, 4, 5, 6]])
    rows = model.layers[0].forward(x) if model.predict(x).any() else None
    np.testing.assert_allclose(model.predict(x)[0], rows[0, :2].mean(axis=0), rtol=1e-6)


def test_the_first_of_equal_entries_gets_the_gradient():
    layer = L.AdaptiveMaxPooling2D(1, dtype="float64")
    layer.forward(np.array([[0.0, 2.0], [2.0, 2.0]]).reshape(1, 2, 2, 1), training=True)
    dx = layer.backward(np.full((1, 1, 1, 1), 3.0))
    assert dx.ravel().tolist() == [0, 3, 0, 0]


def test_other_names_of_keras_are_the_same_classes():
    assert L.MaxPool2D is L.MaxPooling2D
    assert L.AvgPool1D is L.AveragePooling1D
    assert L.GlobalMaxPool3D is L.GlobalMaxPooling3D
    assert L.GlobalAvgPool2D is L.GlobalAveragePooling2D
    assert L.Convolution2D is L.Conv2D
    assert L.Convolution1DTranspose is L.Conv1DTranspose
    assert L.SeparableConvolution2D is L.SeparableConv2D


def test_padding_and_data_format_may_be_in_capitals():
    for layer in (L.Conv2D(1, 2, padding="SAME"), L.MaxPooling2D(padding="Same")):
        assert layer.padding == "same"
    assert L.ZeroPadding2D(data_format="CHANNELS_FIRST").data_format == "channels_first"


def test_a_mask_of_global_average_pooling_may_come_by_position():
    x, mask = np.arange(6.0).reshape(1, 3, 2), np.array([[True, False, True]])
    for y in (L.GlobalAveragePooling1D()(x, mask), L.GlobalAveragePooling1D()(inputs=x, mask=mask)):
        assert y.tolist() == [[2.0, 3.0]]
    assert L.GlobalAveragePooling1D()(x, True).tolist() == [[2.0, 3.0]]
    with pytest.raises(nl.errors.DataError, match="takes one input, got 2"):
        L.GlobalAveragePooling1D()(x, x)
