"""What the uses in `written.py` and `written_classes.py` are made of."""

import numpy as np

import netlayers as nl
from netlayers import callbacks, initializers, layers, losses, optimizers
from tests.uses.outcomes import Silent

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
CLASSES = np.arange(32) % 3
ONE_HOT = np.eye(3)[CLASSES]
NAN = float("nan")


def fit(*chosen, x=X, y=Y, loss="mse", optimizer="sgd", metrics=None, weighted=None, **arguments):
    """Compile and fit a model; Dense(1) by default."""
    model = nl.Sequential(list(chosen) or [layers.Dense(1)], seed=0)
    model.compile(optimizer, loss, metrics=metrics, weighted_metrics=weighted)
    return model, model.fit(x, y, verbose=0, **arguments)


def dense(units=1, activation=None):
    return layers.Dense(units, activation)


class Passes(layers.Layer):
    def forward(self, x, training=False):
        return self.prepare(x) * 1

    def backward(self, dy):
        return dy


def layer(**methods):
    """Return an object of a user's layer with some methods replaced."""
    return type("Mine", (Passes,), methods)()


def loss(forward, backward=lambda self, dl: self.p * 0):
    def forward_samples(self, y_true, y_pred):
        self.p = y_pred
        return forward(y_true, y_pred)

    kind = type("Mine", (losses.Loss,), {})
    kind.forward_samples, kind.backward_samples = forward_samples, backward
    return kind()


def callback(**hooks):
    return type("Mine", (callbacks.Callback,), hooks)()


def schedule(value):
    base = optimizers.schedules.LearningRateSchedule
    return optimizers.SGD(type("Mine", (base,), {"__call__": lambda self, step: value})())


def rule(update):
    return type("Mine", (optimizers.Optimizer,), {"update": update})(0.1)


def built(*chosen):
    model = nl.Sequential(list(chosen) or [layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build((None, 4))
    return model


def weights_of(value):
    model = built()
    model.set_weights([np.full((4, 1), value), np.zeros(1)])


def in_epoch(act):
    return fit(callbacks=[callback(on_epoch_end=lambda self, epoch, logs=None: act(self.model))])


def set_on(make, name, value):
    setattr(make(), name, value)


def generator(size):
    yield X[:size], Y[:size]


def add_in_init():
    def build_too_early(self):
        Passes.__init__(self)
        self.add_weight("w", (4,))

    return type("Mine", (Passes,), {"__init__": build_too_early})()


def text_file(content, append):
    with open("log.csv", "wb") as file:
        file.write(content)
    fit(callbacks=[callbacks.CSVLogger("log.csv", append=append)])


def foreign_file(load):
    from numpy import savez

    savez("weights.npz", a=np.ones(3))
    load("weights.npz")


def safetensors_of_others(load):
    import json

    body = np.ones(4, np.float32).tobytes()
    header = {"weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, len(body)]}}
    text = json.dumps(header).encode()
    with open("others.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + body)
    load("others.safetensors")


def two_with(optimizer):
    models = [nl.Sequential([layers.Dense(1)], seed=0) for _ in range(2)]
    for model in models:
        model.compile(optimizer, "mse")
    return models


def add(array):
    array += 1
    return array


def declare(self, input_shape):
    self.add_weight("w", input_shape[1:])


def scaled(self, x, training=False):
    return self.prepare(x) * self.w


def no_backward():
    forward = {"forward": Passes.forward}
    return type("Mine", (layers.Layer,), forward)()


def empty_result(metric):
    if np.isnan(metric.result()):
        return  # AUC: NaN for no samples
    raise Silent("a number of nothing")


def seeded():
    shared = initializers.HeNormal(seed=3)
    return [layers.Dense(4, kernel_initializer=shared) for _ in range(2)]


class Short:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return [(X, Y), (X, Y)][i]
