"""Networks and data that are ill, each for any seed, by the name of the illness."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse

import netlayers as nl
from netlayers import layers
from netlayers import optimizers as opt
from tests.diagnostics.networks import (
    binary,
    classes,
    classifier,
    dense,
    digits,
    made,
    moons,
    regression,
    spirals,
    table,
)
from tests.diagnostics.series import forgetful

L = layers
CLASSES = "sparse_categorical_crossentropy"


# The learning rate ----------------------------------------------------------------------------


def relu_network(optimizer, seed):
    return classifier(lambda: optimizer)(seed)


def normalized_network(optimizer, seed):
    x, y = classes(seed)
    parts = []
    for _ in range(2):
        parts += [L.Dense(32), L.BatchNormalization(), L.Activation("relu")]
    return made([*parts, L.Dense(3, "softmax")], optimizer, CLASSES, seed), x, y


def tanh_network(optimizer, seed):
    return regression(lambda: optimizer)(seed)


# The networks, the optimizers, and the least rate that ruins each (measured: after 20 epochs, the
# loss is where it was at the start, or above; a tenth of the rate trains it).
RATES = [0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e5, 1e6]
RUINOUS = {
    ("relu", "sgd"): (relu_network, opt.SGD, 5.0),
    ("relu", "momentum"): (relu_network, lambda rate: opt.SGD(rate, momentum=0.9), 1.0),
    ("relu", "adam"): (relu_network, opt.Adam, 0.5),
    ("batch normalization", "sgd"): (normalized_network, opt.SGD, 5.0),
    ("batch normalization", "rmsprop"): (normalized_network, opt.RMSprop, 2.0),
    ("batch normalization", "adam"): (normalized_network, opt.Adam, 2.0),
    ("tanh", "sgd"): (tanh_network, opt.SGD, 1.0),
    ("tanh", "momentum"): (tanh_network, lambda rate: opt.SGD(rate, momentum=0.9), 0.5),
    ("tanh", "adam"): (tanh_network, opt.Adam, 2.0),
}


# Everything else -----------------------------------------------------------------------------


def frozen(*numbers):
    """A classifier with frozen layers, by number; by default all."""

    def make(seed):
        model, x, y = classifier(lambda: opt.Adam(0.01))(seed)
        for number in numbers or range(len(model.layers)):
            model.layers[number].trainable = False
        return model, x, y

    return make


def frozen_model(seed):
    model, x, y = regression(lambda: opt.SGD(0.1))(seed)
    model.trainable = False
    return model, x, y


def without_rate(seed):
    x, y = classes(seed)
    parts = dense([16], "relu", [L.Dense(3, "softmax")])
    model = nl.Sequential(parts, seed=seed, learning_rate_multiplier=0.0)
    model.compile("adam", CLASSES)
    return model, x, y


def dropping(*parts):
    def make(seed):
        x, y = classes(seed)
        layers = [L.Dense(32, "relu"), *(part() for part in parts), L.Dense(3, "softmax")]
        return made(layers, opt.Adam(0.01), CLASSES, seed), x, y

    return make


def linear(*parts, loss="mse", classified=False):
    def make(seed):
        x, y = classes(seed) if classified else table(seed)
        return made([part() for part in parts], opt.Adam(0.01), loss, seed), x, y

    return make


def lost_feature(factor, in_front=list):
    """One column of x has another size."""

    def make(seed):
        x, y = classes(seed)
        layers = [*in_front(), L.Dense(32, "relu"), L.Dense(3, "softmax")]
        x = x * np.where(np.arange(8) == seed % 8, factor, 1.0)
        return made(layers, opt.Adam(0.01), CLASSES, seed), x, y

    return make


def sparse_feature(seed):
    rng = np.random.default_rng(seed)
    x = scipy.sparse.random(500, 30, 0.2, "csr", random_state=rng, data_rvs=rng.standard_normal)
    scale = np.ones(30)
    scale[4] = 1e6
    y = np.asarray(x.sum(axis=1)).ravel()
    model = made(dense([16], "relu", [L.Dense(1)]), "adam", "mse", seed)
    return model, x.multiply(scale).tocsr(), y


def shuffled(healthy):
    """The labels of a healthy network, in another order than its inputs."""

    def make(seed):
        model, x, y = healthy(seed)
        return model, x, np.random.default_rng(seed + 99).permutation(y)

    return make


def overflowed(optimizer):
    """One row was huge once: the squares of its gradients are infinite in float32."""

    def make(seed):
        model, x, y = regression(optimizer, (16,), "relu")(seed)
        model.fit(x, y, epochs=1, verbose=0)
        huge = y[:1] * 0 + 1e25
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of squares that are limited
            model.train_on_batch(x[:1], huge)
        return model, x, y

    return make


ILLS = {
    "vanishing gradient over time": [forgetful("random_normal")],
    "exploding gradient over time": [forgetful(nl.initializers.RandomNormal(stddev=0.8))],
    "frozen layers": [frozen(), frozen(0), frozen(0, 1), frozen(2), frozen_model, without_rate],
    "dropout too high": [
        dropping(lambda: L.Dropout(0.99)),
        dropping(lambda: L.Dropout(0.95), lambda: L.Dense(32, "relu")),
        dropping(lambda: L.AlphaDropout(0.99)),
        dropping(lambda: L.GaussianDropout(0.99)),
        dropping(lambda: L.Dropout(1.0)),
    ],
    "linear layers": [
        linear(lambda: L.Dense(20), lambda: L.Dense(20), lambda: L.Dense(1)),
        linear(lambda: L.Dense(20), lambda: L.Dropout(0.2), lambda: L.Dense(1)),
        linear(lambda: L.Dense(20), L.BatchNormalization, lambda: L.Dense(1)),
        linear(lambda: L.Dense(16, "relu"), lambda: L.Dense(16), lambda: L.Activation("linear"),
               lambda: L.Dense(3, "softmax"), loss=CLASSES, classified=True),
        linear(lambda: L.Residual([L.Dense(16), L.Dense(8)]), lambda: L.Dense(1)),
    ],
    "inputs not scaled": [
        lost_feature(1e6),
        lost_feature(1e-6),
        lost_feature(1e6, lambda: [L.LayerNormalization()]),
        lost_feature(1e-6, lambda: [L.BatchNormalization()]),
        lost_feature(1e6, lambda: [L.Dropout(0.1)]),
        sparse_feature,
    ],
    "unrelated labels": [
        shuffled(make)
        for make in (
            classifier(lambda: opt.Adam(0.01)), regression(lambda: opt.SGD(0.05)), digits, moons,
            spirals,
        )
    ],
    "moments too large": [
        overflowed(lambda: opt.Adam(0.01)),
        overflowed(lambda: opt.RMSprop(0.01)),
        overflowed(lambda: opt.Adagrad(0.01)),
    ],
}  # fmt: skip


def shared(part, kind=table):
    """Validation data of which ``part`` are training rows."""

    def make(seed):
        x, y = kind(seed)
        x_new, y_new = kind(seed + 1000)
        count = int(part * 200)
        x_val = np.concatenate([x[:count], x_new[: 200 - count]])
        y_val = np.concatenate([y[:count], y_new[: 200 - count]])
        return x, y, (x_val, y_val)

    return make


def digits_rows(seed):
    (x, y), _ = nl.datasets.digits.load_data()
    order = np.random.default_rng(seed % 1000).permutation(len(x))
    x, y = x.reshape(len(x), -1)[order] / 16.0, y[order]
    return (x[900:], y[900:]) if seed >= 1000 else (x[:900], y[:900])


def oversampled(seed):
    """Rows of the rare class are copied before the split."""
    x, y = binary(seed)
    rare = np.flatnonzero(y == 1)[:60]
    rows = np.concatenate([np.flatnonzero(y == 0), np.repeat(rare, 5)])
    rows = np.random.default_rng(seed).permutation(rows)
    return x[rows[:400]], y[rows[:400]], (x[rows[400:]], y[rows[400:]])


def patterns(seed):
    """Rows of eight bits: natural repetitions."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (600, 8)).astype(float)
    y = x[:, 0] * x[:, 1] + x[:, 2]
    return x[:400], y[:400], (x[400:], y[400:])


LEAKS = [shared(1.0), shared(0.05), shared(0.3, digits_rows), oversampled]
NO_LEAKS = [shared(0.0), shared(0.0, digits_rows), patterns]
