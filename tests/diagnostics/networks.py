"""Healthy networks of many kinds, each with data that it learns, for any seed."""

from __future__ import annotations

import numpy as np
import scipy.sparse

import netlayers as nl
from netlayers import layers, losses
from netlayers import optimizers as opt
from tests.diagnostics.series import recurrent
from tests.diagnostics.tables import binary, classes, table

L = layers
SOFTMAX = losses.SparseCategoricalCrossentropy(from_logits=True)


def made(parts, optimizer, loss, seed, **options):
    dtype = options.pop("dtype", None)
    model = nl.Sequential(parts, seed=seed, dtype=dtype)
    model.compile(optimizer, loss, **options)
    return model


def dense(units, activation="relu", last=(), **options):
    return [*(L.Dense(n, activation, **options) for n in units), *last]


def classifier(optimizer, hidden=(32, 32), activation="relu"):
    def make(seed):
        x, y = classes(seed)
        parts = dense(hidden, activation, [L.Dense(3, "softmax")])
        return made(parts, optimizer(), "sparse_categorical_crossentropy", seed), x, y

    return make


def regression(optimizer, hidden=(32,), activation="tanh", loss="mse", dtype=None):
    def make(seed):
        x, y = table(seed)
        parts = dense(hidden, activation, [L.Dense(1)])
        return made(parts, optimizer(), loss, seed, dtype=dtype), x, y

    return make


def multi_label(seed):
    x, t = table(seed)
    y = np.stack([t > 0, x[:, 3] > 1.3, x[:, 4] * x[:, 5] > 0.2], axis=1).astype(float)
    parts = dense([32], "relu", [L.Dense(3, "sigmoid")])
    return made(parts, "adam", "binary_crossentropy", seed), x, y


def autoencoder(seed):
    rng = np.random.default_rng(seed)
    x = np.tanh(rng.normal(size=(600, 3)) @ rng.normal(size=(3, 12)))
    parts = [L.Dense(16, "relu"), L.Dense(3), L.Dense(16, "relu"), L.Dense(12)]
    return made(parts, "adam", "mse", seed), x, x


def linear_autoencoder(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 10)) + 0.1 * rng.normal(size=(500, 10))
    return made([L.Dense(2), L.Dense(10)], opt.Adam(0.01), "mse", seed), x, x


def denoising(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(500, 4)) @ rng.uniform(size=(4, 16)) / 2
    parts = [L.GaussianNoise(0.1), *dense([24], "relu", [L.Dense(16)])]
    return made(parts, "adam", "mse", seed), x, x


def mixed(seed):
    x, y = classes(seed)
    parts = [
        *(L.Dense(24, name) for name in ("relu", "tanh", "gelu", "elu")),
        L.Dense(24, "swish"),
        L.Dense(3, "softmax"),
    ]
    return made(parts, "adam", "sparse_categorical_crossentropy", seed), x, y


def batch_normalized(seed):
    x, y = classes(seed)
    parts = []
    for _ in range(3):
        parts += [L.Dense(32, use_bias=False), L.BatchNormalization(), L.Activation("relu")]
    return made([*parts, L.Dense(3)], opt.SGD(0.1), SOFTMAX, seed), x, y


def layer_normalized(seed):
    x, y = classes(seed)
    parts = []
    for _ in range(3):
        parts += [L.Dense(32), L.LayerNormalization(), L.Activation("gelu")]
    return made([*parts, L.Dense(3)], "adam", SOFTMAX, seed), x, y


def dropped(seed):
    x, y = classes(seed)
    parts = [
        L.Dropout(0.1), L.Dense(64, "relu"), L.Dropout(0.5), L.Dense(64, "selu"),
        L.AlphaDropout(0.1), L.Dense(64, "relu"), L.GaussianDropout(0.3), L.Dense(3, "softmax"),
    ]  # fmt: skip
    return made(parts, "adam", "sparse_categorical_crossentropy", seed), x, y


def regularized(seed):
    x, y = table(seed)
    options = {"kernel_regularizer": nl.regularizers.L1L2(1e-4, 1e-3)}
    parts = dense([32, 32], "relu", [L.ActivityRegularization(l2=1e-4), L.Dense(1)], **options)
    return made(parts, opt.AdamW(0.003), "mse", seed), x, y


def constrained(seed):
    x, y = classes(seed)
    parts = dense([32], "relu", [L.Dense(3)], kernel_constraint=nl.constraints.MaxNorm(2.0))
    return made(parts, opt.SGD(0.1, momentum=0.9), SOFTMAX, seed), x, y


def sparse(seed):
    rng = np.random.default_rng(seed)
    words = (rng.uniform(size=(800, 200)) < 0.05) * rng.integers(1, 4, (800, 200))
    y = (words[:, :40].sum(axis=1) > words[:, 40:80].sum(axis=1)).astype(int)
    parts = dense([32], "relu", [L.Dense(1, "sigmoid")])
    model = made(parts, "adam", "binary_crossentropy", seed)
    return model, scipy.sparse.csr_matrix(words.astype(np.float32)), y


def one_hot_words(seed):
    """Words of which each row has one of 30, as one-hot vectors: a table of vectors in front."""
    rng = np.random.default_rng(seed)
    word = rng.integers(0, 30, (600, 2))
    y = rng.normal(size=30)[word].sum(axis=1)
    parts = [L.Dense(8, use_bias=False), *dense([32], "relu", [L.Dense(1)])]
    x = np.eye(30)[word].reshape(600, 60)
    return made(parts, opt.Adam(0.01), "mse", seed), x, y


def frame(seed):
    pandas = __import__("pandas")
    x, y = table(seed)
    data = pandas.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    return made(dense([32], "relu", [L.Dense(1)]), "adam", "mse", seed), data, pandas.Series(y)


def deep_residual(seed):
    x, y = table(seed)
    blocks = [
        L.Residual([L.LayerNormalization(), L.Dense(24, "relu"), L.Dense(24)]) for _ in range(6)
    ]
    return made([L.Dense(24), *blocks, L.Dense(1)], "adam", "mse", seed), x, y


def branches(seed):
    x, y = table(seed)
    wide = L.Parallel([dense([16, 16], "relu"), L.Dense(4)])
    return made([wide, L.Dense(1)], "adam", "mse", seed), x, y


def imbalanced(seed):
    x, t = table(seed, rows=1000)
    y = (t > np.quantile(t, 0.95)).astype(int)
    parts = dense([32], "relu", [L.Dense(1, "sigmoid")])
    return made(parts, "adam", "binary_crossentropy", seed), x, y


def focal(seed):
    x, t = table(seed, rows=1000)
    y = (t > np.quantile(t, 0.9)).astype(float)
    parts = dense([32], "tanh", [L.Dense(1, "sigmoid")])
    return made(parts, opt.Adam(0.005), losses.BinaryFocalCrossentropy(), seed), x, y


def two_tasks(seed):
    x, t = table(seed)
    y = np.stack([t, np.digitize(x[:, 3], [-0.5, 0.5])], axis=1)
    loss = losses.SplitLoss(["mse", SOFTMAX], sizes=[1, 3], weights=[1.0, 0.5])
    return made(dense([32], "relu", [L.Dense(4)]), "adam", loss, seed), x, y


def gaussian(seed):
    """The mean is 0, and x says how far the targets are from it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(800, 4))
    y = rng.normal(size=800) * np.exp(x[:, 0])
    heads = L.Parallel([L.Dense(1), L.Dense(1, "softplus")])
    return made(dense([32], "relu", [heads]), "adam", losses.GaussianNLL(), seed), x, y


def quantiles(seed):
    x, y = table(seed)
    loss = losses.Quantile([0.1, 0.5, 0.9])
    return made(dense([32], "relu", [L.Dense(3)]), opt.Adam(0.003), loss, seed), x, y


def counts(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 6))
    y = rng.poisson(np.exp(0.8 * x[:, 0] - 0.5 * x[:, 1]))
    return made(dense([32], "relu", [L.Dense(1, "exponential")]), "adam", "poisson", seed), x, y


def cosine(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 6))
    y = np.tanh(x @ rng.normal(size=(6, 4)))
    loss = losses.CosineSimilarity()
    return made(dense([32], "relu", [L.Dense(4)]), "adam", loss, seed), x, y


def hinge(seed):
    x, y = binary(seed)
    return made(dense([32], "relu", [L.Dense(1)]), "adam", "hinge", seed), x, 2 * y - 1


def linear(seed):
    x, y = table(seed)
    return made([L.Dense(1)], opt.SGD(0.05), "mse", seed), x, y


def logistic(seed):
    x, y = binary(seed)
    parts = [L.Dense(1, "sigmoid", kernel_initializer="zeros")]
    return made(parts, opt.SGD(0.5), "binary_crossentropy", seed), x, y


def normalized_salaries(seed):
    """Features of sizes from 1e-3 to 1e6 behind a Normalization."""
    x, y = table(seed)
    x = x * np.geomspace(1e-3, 1e6, 8) + np.linspace(0, 1e3, 8)
    adapted = L.Normalization()
    adapted.adapt(x)
    return made([adapted, *dense([32], "relu", [L.Dense(1)])], "adam", "mse", seed), x, y


def batch_normalized_salaries(seed):
    x, y = classes(seed)
    parts = [L.BatchNormalization(), *dense([32], "relu", [L.Dense(3)])]
    return made(parts, opt.Adam(0.01), SOFTMAX, seed), x * np.geomspace(1, 1e4, 8), y


def transfer(seed):
    """The first layers are trained before, and frozen."""
    first, x, y = classifier(lambda: opt.Adam(0.01))(seed)
    first.fit(x, y, epochs=8, verbose=0)
    kept = first.layers[:2]
    for layer in kept:
        layer.trainable = False
    fresh = [nl.layers.Dense(16, "relu"), nl.layers.Dense(1, "sigmoid")]
    target = (y == 1).astype(int)
    return made([*kept, *fresh], "adam", "binary_crossentropy", seed), x, target


def digits(seed):
    (x, y), _ = nl.datasets.digits.load_data()
    x = x.reshape(len(x), -1) / np.max(x)
    parts = dense([64], "relu", [L.Dropout(0.3), L.Dense(10, "softmax")])
    return made(parts, "adam", "sparse_categorical_crossentropy", seed), x, y


def moons(seed):
    rng = np.random.default_rng(seed)
    angle, y = rng.uniform(0, np.pi, 400), rng.integers(0, 2, 400)
    x = np.stack([np.cos(angle) + y - 0.5, np.where(y, -1, 1) * np.sin(angle) + 0.5 * y], axis=1)
    x += 0.15 * rng.normal(size=x.shape)
    parts = dense([16, 16], "tanh", [L.Dense(1, "sigmoid")])
    return made(parts, opt.Adam(0.01), "binary_crossentropy", seed), x, y


def spirals(seed):
    rng = np.random.default_rng(seed)
    radius, y = rng.uniform(0.1, 1, 600), rng.integers(0, 3, 600)
    angle = 4 * radius + 2 * np.pi / 3 * y + 0.1 * rng.normal(size=600)
    x = 2 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return made(dense([64, 64], "relu", [L.Dense(3)]), opt.Adam(0.01), SOFTMAX, seed), x, y


def xor(seed):
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    parts = dense([8], "tanh", [L.Dense(1, "sigmoid")])
    return made(parts, opt.Adam(0.05), "binary_crossentropy", seed), x, np.array([0, 1, 1, 0])


def noisy_labels(seed):
    """Hard data: four labels of ten are drawn by chance."""
    x, y = binary(seed, rows=1500)
    rng = np.random.default_rng(seed + 1000)
    y = np.where(rng.uniform(size=1500) < 0.4, rng.integers(0, 2, 1500), y)
    parts = dense([32], "relu", [L.Dropout(0.5), L.Dense(1, "sigmoid")])
    return made(parts, "adam", "binary_crossentropy", seed), x, y


def weak_signal(seed):
    """Hard data: x explains a tenth of the variance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1500, 10))
    y = 0.33 * x[:, 0] + rng.normal(size=1500)
    return made(dense([16], "relu", [L.Dense(1)]), "adam", "mse", seed), x, y


def sequences(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 6, 5))
    y = np.cumsum(x[..., :1], axis=1)
    parts = [L.Dense(16, "tanh"), L.Flatten(), L.Dense(32, "relu"), L.Dense(6), L.Reshape((6, 1))]
    return made(parts, "adam", "mse", seed), x, y


def masked(seed):
    """Some targets are unknown."""
    x, t = table(seed)
    y = np.stack([t, x[:, 3] - x[:, 4]], axis=1)
    y[np.random.default_rng(seed).uniform(size=y.shape) < 0.3] = np.nan
    loss = losses.MeanSquaredError(mask_nan=True)
    return made(dense([32], "relu", [L.Dense(2)]), "adam", loss, seed), x, y


def positive(seed):
    """One feature from 0 to 1: half of the units of the first layer are shut."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(500, 1))
    y = np.sin(6 * x[:, 0]) + 0.1 * rng.normal(size=500)
    return made(dense([64, 64], "relu", [L.Dense(1)]), opt.Adam(0.003), "mse", seed), x, y


def small(seed):
    x, y = binary(seed, rows=60)
    parts = dense([4], "tanh", [L.Dense(1, "sigmoid")])
    return made(parts, opt.Adam(0.01), "binary_crossentropy", seed), x, y


def warm(seed):
    x, y = classes(seed)
    schedule = opt.schedules.LinearWarmup(0.05, 100)
    model = made(dense([32, 32], "relu", [L.Dense(3)]), opt.SGD(schedule, 0.9), SOFTMAX, seed)
    return model, x, y


HEALTHY = {
    "recurrent": recurrent,
    "relu, sgd": classifier(lambda: opt.SGD(0.1)),
    "relu, momentum": classifier(lambda: opt.SGD(0.05, momentum=0.9, nesterov=True)),
    "relu, adam": classifier(lambda: opt.Adam(0.01)),
    "relu, rmsprop": classifier(lambda: opt.RMSprop(0.003)),
    "relu, adagrad": classifier(lambda: opt.Adagrad(0.05)),
    "relu, adadelta": classifier(lambda: opt.Adadelta(1.0)),
    "relu, nadam": classifier(lambda: opt.Nadam(0.005)),
    "relu, lion": classifier(lambda: opt.Lion(0.0003)),
    "relu, lamb": classifier(lambda: opt.Lamb(0.01)),
    "relu, clipped": classifier(lambda: opt.SGD(0.2, global_clipnorm=1.0)),
    "relu, averaged": classifier(lambda: opt.Adam(0.003, use_ema=True)),
    "wide": classifier(lambda: opt.Adam(0.001), (512,)),
    "deep": classifier(lambda: opt.Adam(0.001), [32] * 8, "elu"),
    "tiny": regression(lambda: opt.Adam(0.01), (3,)),
    "tanh": regression(lambda: opt.SGD(0.05)),
    "float64": regression(lambda: opt.Adam(0.003), (32, 32), "relu", "mae", "float64"),
    "huber": regression(lambda: opt.Adam(0.003), (32,), "sigmoid", "huber"),
    "warm-up": warm,
    "multi-label": multi_label,
    "autoencoder": autoencoder,
    "linear autoencoder": linear_autoencoder,
    "denoising": denoising,
    "mixed activations": mixed,
    "batch normalization": batch_normalized,
    "layer normalization": layer_normalized,
    "dropout": dropped,
    "regularized": regularized,
    "constrained": constrained,
    "sparse": sparse,
    "one-hot words": one_hot_words,
    "residual": deep_residual,
    "branches": branches,
    "imbalanced": imbalanced,
    "focal": focal,
    "two tasks": two_tasks,
    "gaussian": gaussian,
    "quantiles": quantiles,
    "counts": counts,
    "cosine": cosine,
    "hinge": hinge,
    "linear": linear,
    "logistic": logistic,
    "normalized salaries": normalized_salaries,
    "batch normalized salaries": batch_normalized_salaries,
    "transfer": transfer,
    "digits": digits,
    "moons": moons,
    "spirals": spirals,
    "xor": xor,
    "noisy labels": noisy_labels,
    "weak signal": weak_signal,
    "sequences": sequences,
    "masked": masked,
    "positive": positive,
    "small": small,
    "frame": frame,
}
