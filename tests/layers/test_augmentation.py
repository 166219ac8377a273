"""Layers that change images at random: known values, labels and masks, and runs that go on."""

import numpy as np
import pytest
from scipy import ndimage

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.kernels.affine import warp, warp_gradient

ALL = {
    "RandomFlip": {},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": 0.3},
    "RandomCrop": {"height": 6, "width": 5},
    "RandomContrast": {"factor": 0.5},
    "RandomBrightness": {"factor": 0.2},
    "RandomErasing": {"factor": (1, 1)},
    "MixUp": {"alpha": 1.0},
    "CutMix": {},
}
NAMES = sorted(ALL)


def make(name, seed=1, **more):
    return getattr(L, name)(**ALL[name], seed=seed, **more)


def images(count=8, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, (count, 9, 8, 3)).astype(dtype)


def scratch(name, shape):
    return np.empty(shape)


@pytest.mark.parametrize(
    ("mode", "theirs"),
    [
        ("reflect", "reflect"),
        ("wrap", "grid-wrap"),
        ("nearest", "nearest"),
        ("constant", "grid-constant"),
    ],
)
@pytest.mark.parametrize("nearest", [False, True])
def test_affine_maps_are_those_of_scipy(mode, theirs, nearest):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 5, 7, 3)), np.empty((2, 5, 7, 3))
    maps = rng.normal(size=(2, 2, 3)) * [1, 1, 4]
    warp(x, maps, mode, 0.5, nearest, y, scratch)
    for n, c in np.ndindex(2, 3):
        expected = ndimage.affine_transform(
            x[n, ..., c], maps[n, :, :2], maps[n, :, 2], order=1 - nearest, mode=theirs, cval=0.5
        )
        np.testing.assert_allclose(y[n, ..., c], expected, atol=1e-12)
    # The gradient is the adjoint map: <dy, M x> = <Mᵀ dy, x>.
    dy, dx = rng.normal(size=y.shape), np.empty_like(x)
    warp(x, maps, mode, 0.0, nearest, y, scratch)
    warp_gradient(dy, maps, mode, nearest, dx, scratch)
    np.testing.assert_allclose(np.vdot(dy, y), np.vdot(dx, x), rtol=1e-10)


def test_whole_shifts_and_quarter_turns_move_pixels():
    x = images(1, "float32")[:, :8]
    shifted = L.RandomTranslation((0.25, 0.25), (-0.5, -0.5), "wrap")(x)
    np.testing.assert_allclose(shifted, np.roll(x, (2, -4), (1, 2)), atol=1e-4)
    turned = L.RandomRotation((0.25, 0.25))(x)
    np.testing.assert_allclose(turned, np.rot90(x, axes=(1, 2)), atol=1e-3)
    still = L.RandomZoom((0.0, 0.0))(x)
    np.testing.assert_allclose(still, x, atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "mirrored"),
    [
        ("horizontal", np.s_[:, ::-1]),
        ("vertical", np.s_[::-1]),
        ("horizontal_and_vertical", np.s_[::-1, ::-1]),
    ],
)
def test_about_half_of_the_images_are_mirrored(mode, mirrored):
    x = images(200)
    y = L.RandomFlip(mode, seed=0)(x)
    flipped = [np.array_equal(b, a[mirrored]) for a, b in zip(x, y, strict=True)]
    kept = [np.array_equal(b, a) for a, b in zip(x, y, strict=True)]
    assert sum(flipped) + sum(kept) == 200
    assert 70 < sum(flipped) < 130


@pytest.mark.parametrize("name", NAMES)
def test_inference_changes_nothing_but_the_size(name):
    x = images()
    layer = make(name)
    y = layer(x, training=False)
    if name == "RandomCrop":
        np.testing.assert_allclose(y, L.Resizing(6, 5, crop_to_aspect_ratio=True)(x), rtol=1e-5)
    else:
        np.testing.assert_array_equal(y, x)
    assert y.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_uint8_and_the_channels_first_change_nothing(name):
    x = images()
    expected = np.array(make(name)(x))
    assert not np.array_equal(expected[:, :6, :5], x[:, :6, :5])
    np.testing.assert_array_equal(make(name)(x.astype("float32")), expected)
    if name == "RandomErasing":  # noise is drawn channel by channel
        return
    first = make(name, data_format="channels_first")(np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_saved_goes_on_with_the_same_bits(name, tmp_path):
    def model():
        layers = [L.Rescaling(1 / 255), make(name, None), L.Flatten(), L.Dense(2)]
        net = nl.Sequential([L.Input((9, 8, 3)), *layers], seed=3)
        net.compile("sgd", "mse")
        return net

    x, y = images(), np.random.default_rng(1).normal(size=(8, 2))
    whole, half = model(), model()
    whole.fit(x, y, batch_size=3, epochs=2, verbose=0)
    half.fit(x, y, batch_size=3, epochs=1, verbose=0)
    half.save(tmp_path / "half.safetensors")
    again = nl.load_model(tmp_path / "half.safetensors")
    again.fit(x, y, batch_size=3, epochs=2, initial_epoch=1, verbose=0)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_masks_and_labels_come_with_the_images(name):
    x = images(dtype="float32")
    labels = nl.utils.to_categorical(np.arange(8) % 3, 3)
    masks = np.zeros((8, 9, 8, 1), "uint8")
    given = {"images": x, "labels": labels, "segmentation_masks": masks}
    found = make(name)(given)
    assert list(found) == list(given)
    assert found["labels"].shape == labels.shape
    assert found["segmentation_masks"].dtype == ("float32" if name == "MixUp" else "uint8")
    assert found["segmentation_masks"].shape[:3] == found["images"].shape[:3]
    if name not in ("MixUp", "CutMix"):
        np.testing.assert_array_equal(found["labels"], labels)
    unchanged = make(name)(given, training=False)
    np.testing.assert_array_equal(unchanged["labels"], labels)
    one = make(name)({"images": x[0], "labels": labels[0]})
    assert one["images"].ndim == 3
    assert one["labels"].shape == (3,)


MOVING = ["RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop"]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", [*MOVING, "MixUp", "CutMix"])
def test_masks_move_as_the_images(name, first):
    masks = (np.random.default_rng(0).random((8, 9, 8, 1)) < 0.5).astype("uint8")
    axis = 1 if first else 3
    more = {"interpolation": "nearest"} if name in MOVING[1:4] else {}
    layer = make(name, data_format="channels_first" if first else None, **more)
    for flat in (False, True):  # with and without an axis of channels
        moved = np.moveaxis(masks, 3, axis)
        given = moved.squeeze(axis) if flat else moved
        found = layer({"images": moved, "segmentation_masks": given})
        expected = found["images"].squeeze(axis) if flat else found["images"]
        np.testing.assert_allclose(found["segmentation_masks"], expected, atol=1e-6)


def test_masks_of_a_crop_that_resizes():
    layer = L.RandomCrop(6, 4)
    masks = np.arange(6).reshape(1, 3, 2, 1)
    found = layer({"images": masks, "segmentation_masks": masks})
    np.testing.assert_array_equal(
        found["segmentation_masks"][0, :, :, 0], np.repeat(np.repeat(masks[0, :, :, 0], 2, 0), 2, 1)
    )


def test_mixup_mixes_labels_as_images():
    labels = np.eye(8)
    x = labels.reshape(8, 8, 1, 1) * np.ones((8, 8, 2, 1))
    found = L.MixUp(0.5, seed=0)({"images": x, "labels": labels})
    np.testing.assert_allclose(found["images"][:, :, 0, 0], found["labels"], atol=1e-6)
    np.testing.assert_allclose(found["labels"].sum(axis=1), 1, rtol=1e-6)
    assert ((found["labels"] > 0.01).sum(axis=1) == 2).any()


def test_cutmix_counts_the_pixels():
    x = np.arange(6.0).reshape(6, 1, 1, 1) * np.ones((6, 10, 12, 1))
    found = L.CutMix(seed=0)({"images": x, "labels": np.eye(6)})
    for image, label in zip(found["images"], found["labels"], strict=True):
        shares = [(image == i).mean() for i in range(6)]
        np.testing.assert_allclose(label, shares, atol=1e-6)


def test_contrast_and_brightness_of_known_images():
    x = np.array([0.0, 100.0, 200.0, 20.0]).reshape(1, 2, 2, 1)
    found = L.RandomContrast((0, 0.5)).transform_images(x, {"contrast_factor": np.float32(1.5)})
    np.testing.assert_allclose(found.ravel(), [0, 110, 255, 0], atol=1e-4)
    found = L.RandomBrightness((-0.1, -0.1), (0, 100))(x)
    np.testing.assert_allclose(found.ravel(), [0, 90, 100, 10])


def test_erasing_fills_a_rectangle():
    x = np.full((40, 10, 10, 3), 7.0)
    y = L.RandomErasing((1, 1), (0.25, 0.25), fill_value=(1, 2, 3), seed=0)(x)
    for image in y:
        erased = image[..., 0] == 1
        assert erased.sum() in (16, 20, 25, 30, 36)
        np.testing.assert_array_equal(image[erased], [[1, 2, 3]] * erased.sum())
        assert (image[~erased] == 7).all()
    noise = L.RandomErasing((1, 1), (1, 1), value_range=(0, 1), seed=0)(x)
    assert 0 <= noise.min() < noise.max() <= 1
    some = L.RandomErasing((0.3, 0.3), fill_value=0, seed=0)(np.ones((300, 6, 6, 1)))
    assert 60 < (some.min(axis=(1, 2, 3)) == 0).sum() < 120


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.RandomFlip("diagonal"), "mode must be"),
        (lambda: L.RandomRotation(2), "factor must be"),
        (lambda: L.RandomRotation((0, 1, 2)), r"a number or a pair \(lower, upper\)"),
        (lambda: L.RandomZoom((-1, 0)), "height_factor must be above -1"),
        (lambda: L.RandomTranslation(0.1, 0.1, "mirror"), "fill_mode must be"),
        (lambda: L.RandomTranslation(0.1, 0.1, interpolation="cubic"), "interpolation must be"),
        (lambda: L.RandomBrightness(0.1, (255, 0)), "value_range must increase"),
        (lambda: L.RandomContrast(0.1, 255), r"value_range must be a pair"),
        (lambda: L.RandomContrast((0.1,)), r"a number or a pair"),
        (lambda: L.RandomCrop(0, 1), "height must be"),
        (lambda: L.RandomErasing(fill_value="black"), "fill_value must be"),
        (lambda: L.MixUp(0), "alpha must be above 0"),
        (lambda: L.CutMix(-1), "factor must be"),
        (lambda: L.RandomFlip()({"images": images(), "boxes": 0}), "got the key 'boxes'"),
        (lambda: L.RandomFlip()({"labels": [1]}), "must hold 'images'"),
    ],
)
def test_a_wrong_argument_is_named(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_wrong_shape_is_named():
    with pytest.raises(ShapeError, match="to_categorical"):
        L.MixUp()({"images": images(), "labels": np.arange(8)})
    classes = np.arange(8)[:, None, None, None] * np.ones((8, 9, 8, 1), int)
    with pytest.raises(DataError, match="shares from 0 to 1, got values from 0 to 7"):
        L.MixUp()({"images": images(), "segmentation_masks": classes})
    for masks in (classes[:, 1:], classes[:, 0, 0, 0]):
        with pytest.raises(ShapeError, match=r"height and width \(9, 8\), and segmentation_masks"):
            L.RandomFlip()({"images": images(), "segmentation_masks": masks})
    with pytest.raises(ShapeError, match=r"8 images, and labels has the shape \(7,\)"):
        L.RandomFlip()({"images": images(), "labels": np.arange(7)})
    with pytest.raises(ShapeError, match="fill_value has 2 numbers, the images have 3 channels"):
        L.RandomErasing(fill_value=(1, 2))(images())
    with pytest.raises(ShapeError, match="expected images of shape"):
        L.RandomFlip().forward(np.zeros((3, 4)))
