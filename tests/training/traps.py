"""A layer that produces values that are not finite in chosen rows, and networks that contain it."""

import numpy as np

import netlayers as nl
from netlayers import layers as L

N = 8


@nl.register("layer")
class Trap(L.Layer):
    """A scale, but wrong for the rows in MARKED: ``kind`` names how."""

    bad_rows = frozenset()

    def __init__(self, kind="log", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), "ones")

    def forward(self, x, training=False):
        x = self.prepare(x)
        if len(x) > 1:
            self.bad_rows = {x[i].tobytes() for i in MARKED}  # known again if they come alone
        self.marked = marked = np.array([row.tobytes() in self.bad_rows for row in x])
        y = x * self.scale
        if training:
            self.cache.x = x
        if self.kind == "log":
            y[marked] = np.log(np.minimum(x[marked], 0) - 1)
        elif self.kind == "divide":
            y[marked] = 1 / (x[marked] * 0)
        elif self.kind == "exp":
            y[marked] = np.exp(np.abs(x[marked]) * 0 + 1000)
        return y

    def backward(self, dy):
        np.sum(dy * self.cache.x, axis=0, out=self.d_scale)
        dx = dy * self.scale
        if self.kind == "backward":
            dx[self.marked] = np.inf
        elif self.kind == "weight":
            rows = np.where(self.marked[:, None], np.inf, 1.0)
            np.sum(np.where(dy == 0, 0, dy) * rows, axis=0, out=self.d_scale)
        return dx


MARKED = []


class Late(nl.callbacks.Callback):
    """Lets the traps spring in one batch alone."""

    def __init__(self, epoch, batch, rows=(2, 5)):
        self.when, self.rows = (epoch, batch), list(rows)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        MARKED[:] = self.rows if (self.epoch, batch) == self.when else []


RNG = np.random.default_rng(0)
X = RNG.normal(size=(3 * N, 4)).astype(np.float32)
Y = RNG.normal(size=(3 * N, 2)).astype(np.float32)


def plain(trap):
    return [L.Dense(4, "tanh"), trap, L.Dense(3, "relu")]


def residual(trap):
    return [L.Dense(4), L.Residual([L.Dense(4, "tanh"), trap], name="block"), L.Dense(3)]


def parallel(trap):
    branches = [[L.Dense(4), trap], L.Dense(2)]
    return [L.Dense(4, "tanh"), L.Parallel(branches, name="block")]


def nested(trap):
    inner = nl.Sequential([L.Dense(4), trap, L.Dense(4)], name="inner")
    return [nl.Sequential([inner, L.Dense(3)], name="block"), L.BatchNormalization()]


SHAPES = {
    "plain": (plain, "trap"),
    "residual": (residual, "block/trap"),
    "parallel": (parallel, "block/chain/trap"),
    "nested": (nested, "block/inner/trap"),
}


def make(shape="plain", kind="log", optimizer="sgd", loss="mse"):
    model = nl.Sequential([*SHAPES[shape][0](Trap(kind)), L.Dense(2)], seed=0, name="net")
    model.compile(optimizer, loss)
    return model


def fit(model, *callbacks, x=X, y=Y, **options):
    options = {"batch_size": N, "epochs": 3, "verbose": 0, "shuffle": False} | options
    return model.fit(x, y, callbacks=list(callbacks), **options)


# Loss -----------------------------------------------------------------------------------------


class HalfLost(nl.losses.MeanSquaredError):
    """Infinite for targets of 9, with a finite gradient."""

    def forward_samples(self, y_true, y_pred):
        losses = super().forward_samples(y_true, y_pred)
        losses[y_true[:, 0] == 9] = np.inf
        return losses
