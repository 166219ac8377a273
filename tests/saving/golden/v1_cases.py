"""The models of the golden files of version 1, and how they continue training.

``make_v1.py`` wrote the files; ``tests/saving/test_golden_v1.py`` continues from them in the same
way. Only the former makes the models.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers import layers, losses, metrics, optimizers, regularizers
from netlayers.optimizers import schedules


def numbers(seed, *shape):
    """Return numbers in [-1, 1), the same everywhere: a bit generator's raw bits never change."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


X = numbers(1, 50, 4)
TARGETS = {
    "number": X[:, :1] * X[:, 1:2] + X[:, 2:3],
    "binary": (X[:, :1] + X[:, 1:2] * X[:, 2:3] > 0).astype(float),
    "classes": np.floor((X[:, 0] + 1) * 1.5).astype(np.int64),
}
TARGETS["split"] = np.concatenate([TARGETS["number"], TARGETS["classes"][:, None]], axis=1)

# Models ------------------------------------------------------------------------------------------


def cube(y_true, y_pred):
    """A metric without a configuration, handed in when a file is loaded."""
    error = np.abs(y_pred - y_true)
    return np.mean(error * error * error, axis=-1)


def dense(units=5, activation="tanh", **kwargs):
    return layers.Dense(units, activation, **kwargs)


def plain(rule, loss="mse", last=1, dtype=None, metrics=()):
    model = nl.Sequential([dense(), dense(last, None)], seed=1, dtype=dtype)
    model.compile(rule, loss, metrics=list(metrics))
    return model


def around(middle, dtype, rule="adam", seed=2):
    model = nl.Sequential([dense(6), *middle, dense(1, None)], seed=seed, dtype=dtype)
    model.compile(rule, "mse", metrics=["mae"])
    return model


def adam():
    # In front of a normalization, the gradient of a bias is nothing but rounding.
    first = [dense(8, "relu", use_bias=False), layers.BatchNormalization(momentum=0.75)]
    model = nl.Sequential([*first, dense(3, None)], seed=3)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    named = ["accuracy", metrics.SparseTopKCategoricalAccuracy(2, name="top")]
    model.compile(optimizers.Adam(0.01, amsgrad=True, beta_1=0.75), loss, metrics=named)
    return model


def adamw():
    rate = schedules.CosineDecay(0.05, 20, alpha=0.25, warmup_target=0.0625, warmup_steps=3)
    averages = {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 5}
    rule = optimizers.AdamW(rate, weight_decay=0.125, **averages)
    rule.exclude_from_weight_decay(var_names=["bias", "^dense_1/"])
    return plain(rule)


def momentum():
    rate = schedules.ExponentialDecay(0.1, 5, 0.75, staircase=True)
    rule = optimizers.SGD(rate, momentum=0.75, nesterov=True, clipnorm=0.25)
    return plain(rule, losses.Huber(0.5), dtype="float64")


def accumulating():
    return plain(optimizers.Adam(0.02, gradient_accumulation_steps=4, global_clipnorm=0.5))


def accumulating_64():
    rule = optimizers.SGD(0.1, momentum=0.5, gradient_accumulation_steps=3, weight_decay=0.01)
    return plain(rule, dtype="float64")


def random(dtype):
    drops = [
        layers.Dropout(0.25),
        layers.GaussianNoise(0.25),
        layers.Dropout(0.125, seed=11),
        layers.GaussianNoise(0.125, seed=12),
        nl.Sequential([layers.GaussianDropout(0.125), layers.AlphaDropout(0.125)]),
        layers.Reshape((2, 3)),
        layers.SpatialDropout1D(0.25, seed=13),
        layers.Dropout(0.25, noise_shape=(None, 1, None)),
        layers.Flatten(),
    ]
    return around(drops, dtype)


def normalizations(dtype):
    adapted = layers.Normalization()
    adapted.adapt(X * 3 + 1)
    chain = [
        adapted,
        dense(6, use_bias=False),
        layers.BatchNormalization(epsilon=0.01),
        layers.LayerNormalization(),
        dense(6),
        layers.GroupNormalization(2),
        layers.RMSNormalization(),
        layers.Normalization(mean=0.5, variance=4.0, invert=True),
        layers.UnitNormalization(),
        dense(1, None),
    ]
    model = nl.Sequential(chain, seed=4, dtype=dtype)
    model.compile(optimizers.SGD(0.02, momentum=0.5), "mse")
    return model


def nested():
    inner = nl.Sequential([dense(3), nl.Sequential([dense(4)], name="inner")], name="inner")
    outer = nl.Sequential([dense(3), inner, dense(4)], name="outer")
    middle = [
        outer,
        layers.Residual([dense(4), layers.Residual([dense(5), dense(4, None)])]),
        layers.Residual([dense(3)]),  # makes a projection
        layers.Residual([dense(6)], projection=dense(6, "sigmoid", use_bias=False)),
    ]
    return around(middle, None, optimizers.Nadam(0.01))


def parallel(dtype):
    middle = [layers.Parallel([dense(2), [dense(3), dense(2, None)], [], dense(2)]), dense(6)]
    for merge in ("add", "multiply", "average", "maximum"):
        branches = [dense(6), [dense(2), dense(6, None)], [], layers.Residual([dense(6)])]
        middle.append(layers.Parallel(branches[: 3 + (merge == "add")], merge))
    middle.append(layers.Parallel([dense(2), dense(3, "softplus")]))
    return around(middle, dtype, optimizers.SGD(0.05))


def shared(dtype):
    kept = {"kernel_constraint": nl.constraints.MaxNorm(1.5), "bias_constraint": "non_neg"}
    pulled = {"kernel_regularizer": regularizers.L1L2(0.01, 0.02), "bias_regularizer": "l1"}
    first = dense(6, None, **kept, **pulled)
    frozen, last = dense(), dense(4, None, learning_rate_multiplier=2.0)
    frozen.trainable = False
    slopes = layers.PReLU("ones", regularizers.L2(0.01), "non_neg", shared_axes=[1])
    chain = [
        first,
        layers.PReLU(nl.initializers.RandomUniform(0.125, 0.25, seed=5)),
        layers.ActivityRegularization(l1=0.01, l2=0.02),
        layers.Reshape((2, 3)),
        layers.Permute((2, 1)),
        slopes,
        layers.Flatten(),
        layers.Rescaling(0.5, offset=0.25),
        frozen,
        last,
    ]
    model = nl.Sequential(chain, seed=5, dtype=dtype)
    classes = losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = losses.SplitLoss(["mse", classes], sizes=[1, 3], weights=[1.0, 0.5])
    model.compile(optimizers.Adam(0.02), loss)
    return model


def measured():
    named = ["accuracy", metrics.AUC(num_thresholds=20), metrics.F1Score(threshold=0.5)]
    named += [metrics.Precision(), metrics.Recall(0.25), metrics.ConfusionMatrix(name="table")]
    model = nl.Sequential([dense(), dense(1, "sigmoid")], seed=6)
    rule = optimizers.Adagrad(0.05, clipvalue=0.125)
    model.compile(rule, losses.BinaryFocalCrossentropy(gamma=2.0), metrics=named)
    return model


def customized():
    named = [cube, metrics.R2Score(name="r2"), metrics.RootMeanSquaredError(), "mape"]
    return plain(optimizers.Adam(schedules.LinearWarmup(0.02, 4)), "log_cosh", metrics=named)


def unbuilt():
    """Return a model with a Normalization that is built; the rest is when it goes on."""
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(X * 3 + 1)
    starts = ["he_normal", "lecun_uniform", "orthogonal", "truncated_normal", "glorot_normal"]
    starts.append(nl.initializers.RandomNormal(stddev=0.5, seed=7))
    chain = [adapted, *(dense(5, kernel_initializer=s) for s in starts), layers.Dropout(0.25)]
    model = nl.Sequential([*chain, dense(1, None)], seed=8)
    model.compile(optimizers.Adam(0.01), "mse")
    return model


RULES = {
    "adadelta": lambda: optimizers.Adadelta(0.5),
    "adamax": lambda: optimizers.Adamax(schedules.InverseTimeDecay(0.02, 5, 0.5)),
    "lamb": lambda: optimizers.Lamb(schedules.PiecewiseConstantDecay([9], [0.02, 0.01])),
    "lion": lambda: optimizers.Lion(schedules.PolynomialDecay(0.01, 20), weight_decay=0.01),
    "radam": lambda: optimizers.RAdam(schedules.OneCycle(0.05, 30)),
    "rmsprop": lambda: optimizers.RMSprop(
        schedules.CosineDecayRestarts(0.02, 4), momentum=0.5, centered=True
    ),
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.5, global_clipnorm=0.25, use_ema=True),
}
# Name: what makes the model, and its targets.
MODELS = {
    "adam": (adam, "classes"),
    "adamw": (adamw, "number"),
    "momentum": (momentum, "number"),
    "accumulating": (accumulating, "number"),
    "accumulating_64": (accumulating_64, "number"),
    "nested": (nested, "number"),
    "measured": (measured, "binary"),
    "customized": (customized, "number"),
    "unbuilt": (unbuilt, "number"),
}
for _bits in ("32", "64"):
    for _make in (random, normalizations, parallel, shared):
        MODELS[f"{_make.__name__}_{_bits}"] = (
            lambda make=_make, dtype=f"float{_bits}": make(dtype),
            "split" if _make is shared else "number",
        )
for _name, _rule in RULES.items():
    MODELS[_name] = (lambda rule=_rule: plain(rule()), "number")


def trained(name):
    """Return a model as it is saved: after 14 batches, which is in the middle of accumulating."""
    make, targets = MODELS[name]
    model, y = make(), TARGETS[targets]
    if name == "unbuilt":
        return model
    if model.optimizer.gradient_accumulation_steps:
        # Batches of one size: of others, 0.1.0 took the mean of their means.
        model.fit(X, y, batch_size=10, epochs=1, verbose=0)
        for i in range(9):
            model.train_on_batch(X[i : i + 10], y[i : i + 10])
        return model
    model.fit(X, y, batch_size=8, epochs=1, verbose=0)
    for i in range(7):
        model.train_on_batch(X[i : i + 9], y[i : i + 9])
    return model


def go_on(name, model):
    """Train on ten more batches, at whose end nothing is gathered; return what it gives."""
    y, logs = TARGETS[MODELS[name][1]], []
    found = {"prediction": model.predict(X)}
    for i in range(5):
        rows = slice(i, None, 5)
        logs.append(model.train_on_batch(X[rows], y[rows], return_dict=True))
    size = 10 if model.optimizer.gradient_accumulation_steps else 11
    history = model.fit(X, y, batch_size=size, verbose=0, validation_data=(X[:9], y[:9])).history
    logs = {"logs": logs, "history": history, "evaluate": model.evaluate(X, y, verbose=0)}
    return {**found, **contents(model, logs)}


WEIGHTS = ("adam", "nested")  # have a file of weights alone too


# What is stored ----------------------------------------------------------------------------------


def read(path):
    """Return the arrays of a file by name, and its description."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    description = json.loads(header.pop("__metadata__")["description"])
    kinds = {"F64": np.float64, "F32": np.float32, "U8": np.uint8, "I64": np.int64}
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[start + begin : start + end], kinds[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays, description


def state(path):
    """Return what a file says of weights and training, in few arrays, and the rest as a dict."""
    arrays, description = read(path)
    vectors = {name: v for name, v in arrays.items() if name.startswith("optimizer.")}
    weights = [arrays[name].ravel() for name in description["weights"]]
    vectors["weights"] = np.concatenate(weights)
    names = ("weights", "random", "optimizer", "built")
    return vectors, {name: description.get(name) for name in names}


def contents(model, logs):
    """Return the state of a model, as a file of it has it, and logs, as arrays."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        vectors, rest = state(Path(folder) / "model")
    vectors.pop("optimizer.gradient_sum", None)  # nothing is gathered: what is left has no meaning
    text = json.dumps({**logs, **rest}, default=lambda v: np.asarray(v).tolist())
    return {**vectors, "numbers": np.array(text)}
