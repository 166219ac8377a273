"""Networks of images: healthy ones, and ill ones by the name of the illness; for any seed."""

from __future__ import annotations

import numpy as np

from netlayers import layers
from netlayers import optimizers as opt
from netlayers.initializers import Constant
from tests.diagnostics.networks import made

L = layers
CLASSES = "sparse_categorical_crossentropy"


def pictures(seed, channels=1):
    """Images with a bright square in one of four corners."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, 200)
    x = rng.random((200, 8, 8, channels)) / 2
    for image, corner in zip(x, y, strict=True):
        row, column = 4 * (corner // 2), 4 * (corner % 2)
        image[row : row + 4, column : column + 4] += 0.5
    return x, y


def head():
    return [L.Flatten(), L.Dense(4, "softmax")]


def convolutions(first=False, scale=1.0, before=(), change=None, seen=None, **options):
    """Two convolutions; ``seen`` changes the images, ``change`` the built model."""

    def make(seed):
        x, y = pictures(seed)
        order = {"data_format": "channels_first"} if first else {}
        options_of_first = {"activation": "relu", **options}
        parts = [
            *(make_layer() for make_layer in before),
            L.Conv2D(8, 3, name="first", **order, **options_of_first),
            L.MaxPooling2D(2, **order),
            L.Conv2D(8, 2, activation="relu", name="second", **order),
        ]
        x = scale * (np.moveaxis(x, -1, 1) if first else x)
        model = made([*parts, *head()], opt.Adam(0.003), CLASSES, seed)
        if change is not None:
            model.build((None, *x.shape[1:]))
            change(model)
        return model, x if seen is None else seen(x), y

    return make


def normalized(seed):
    """Batch normalization between convolutions and activations, images of 8 bits."""
    x, y = pictures(seed, 3)
    parts = [L.Rescaling(1 / 255)]
    for _ in range(2):
        parts += [L.Conv2D(8, 3, padding="same"), L.BatchNormalization(), L.Activation("relu")]
    model = made([*parts, *head()], opt.Adam(0.003), CLASSES, seed)
    return model, (255 * x).astype(np.uint8), y


def of_a_dense_layer(*parts, channels=0):
    """Images that come to a Dense layer first."""

    def make(seed):
        x, y = pictures(seed)
        x = np.repeat(x, channels, axis=-1) if channels else x[..., 0]
        model = made([*(make_layer() for make_layer in parts), *head()], "adam", CLASSES, seed)
        return model, x, y

    return make


def shut(model):
    model.get_layer("first").bias[:6] = -100


def opened(model):
    model.get_layer("first").kernel[..., :3] *= 1e-6
    model.get_layer("first").bias[:3] = 1


def colours_first(seed):
    """Images (3, 8, 8) for layers that have the channels last."""
    x, y = pictures(seed, 3)
    parts = [L.Conv2D(8, 3, padding="same", activation="relu", name="first"), *head()]
    return made(parts, "adam", CLASSES, seed), np.moveaxis(x, -1, 1), y


def colours_last(seed):
    """Images (8, 8, 3) for layers that have the channels first."""
    x, y = pictures(seed, 3)
    order = {"data_format": "channels_first"}
    parts = [L.Conv2D(8, 3, padding="same", activation="relu", name="first", **order), *head()]
    return made(parts, "adam", CLASSES, seed), x, y


HEALTHY = {
    "convolutions": convolutions(),
    "tanh": convolutions(activation="tanh"),
    "no activation": convolutions(activation=None, before=[lambda: L.Rescaling(1.0)]),
    "channels first": convolutions(first=True),
    "normalized, 8 bits": normalized,
    "scaled by a layer": convolutions(scale=255, before=[lambda: L.Rescaling(1 / 255)]),
    "flattened": of_a_dense_layer(L.Flatten, lambda: L.Dense(16, "relu")),
}
ILLS = {
    "inputs not scaled": [
        convolutions(scale=255),
        convolutions(first=True, scale=255),
        convolutions(scale=255, seen=lambda x: x.astype(np.uint8)),
    ],
    "channels misplaced": [colours_first, colours_last],
    "images not flattened": [
        of_a_dense_layer(lambda: L.Dense(16, "relu")),
        of_a_dense_layer(lambda: L.Dense(16, "relu"), channels=3),
    ],
    "dead filters": [
        convolutions(change=shut),
        convolutions(first=True, change=shut),
        convolutions(
            activation=None,
            before=[lambda: L.Conv2D(4, 1, activation="relu", bias_initializer=Constant(-9.0))],
        ),
    ],
    "constant feature maps": [
        convolutions(change=opened),
        convolutions(first=True, change=opened),
        convolutions(change=opened, padding="same"),
    ],
}
