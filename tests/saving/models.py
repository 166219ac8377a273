"""Data and comparisons that several test files of this folder share."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.registry import registered

LAYERS = sorted(
    {
        c
        for c in registered("layer").values()
        if c.__module__.startswith("netlayers.") and c.__name__ not in ("Functional", "Lambda")
    },
    key=lambda c: c.__name__,
)
EXAMPLES = [
    pytest.param(cls, kwargs, shape, id=f"{cls.__name__}-{i}")
    for cls in LAYERS
    for i, (kwargs, shape) in enumerate(cls.examples())
]
# Those whose inference changes nothing; a state belongs to batches of one size.
STATELESS = [example for example in EXAMPLES if not example.values[1].get("stateful")]


def data(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def trained(optimizer, epochs=2):
    layers = [
        nl.layers.Dense(8, "relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
        nl.layers.BatchNormalization(),
        nl.layers.Dropout(0.3),
        nl.layers.Residual([nl.layers.Dense(5, "tanh"), nl.layers.GaussianNoise(0.1, seed=4)]),
        nl.layers.Dense(3, "softmax", learning_rate_multiplier=0.5),
    ]
    model = nl.Sequential(layers, seed=7, name="net")
    layers[0].trainable = False
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy", nl.metrics.AUC()]
    )
    x, y = data((33, 4)), np.arange(33) % 3
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
    return model, x, y


# Classes and functions of the user's -----------------------------------------------------------


class Twice(nl.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def forward(self, x, training=False):
        return self.prepare(x) * self.factor

    def backward(self, dy):
        return dy * self.factor
