"""Layers, losses, rules, metrics and callbacks as a user writes them, with a state of their own."""

import random

import numpy as np

import netlayers as nl
from netlayers import callbacks, layers, losses, metrics, optimizers


class Drift(layers.Layer):
    """Adds noise that grows with the number of batches, from generators in a list and alone."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count, self.mean = 0, np.zeros(2)
        self.rngs = [np.random.default_rng(1), np.random.default_rng(2)]
        self.by_name = {"a": np.random.default_rng(3)}
        self.old, self.plain = np.random.RandomState(4), random.Random(5)

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.count += 1
            self.mean = 0.9 * self.mean + 0.1 * x.mean()
            noise = sum(rng.normal() for rng in (*self.rngs, *self.by_name.values(), self.old))
            x = x + self._dtype.type(1e-2 * self.count * (noise + self.plain.random()))
        return x

    def backward(self, dy):
        return dy

    def get_state(self):
        return {"count": self.count, "mean": self.mean, "old": self.old, "plain": self.plain}

    def set_state(self, state):
        for name in ("count", "mean", "old", "plain"):
            setattr(self, name, state[name])


class Annealed(losses.Loss):
    """Mean squared error, times a factor that falls with each batch."""

    factor = 1.0

    def forward_samples(self, y_true, y_pred):
        self.factor *= 0.97
        self.cache.d = y_pred - y_true
        return y_pred.dtype.type(self.factor) * (self.cache.d**2).mean(axis=-1)

    def backward_samples(self, dl):
        return np.float32(2 * self.factor) * self.cache.d * dl

    def get_state(self):
        return {"factor": self.factor}

    def set_state(self, state):
        self.factor = state["factor"]


class Jumping(optimizers.Optimizer):
    """Gradient descent with a random factor."""

    def __init__(self, learning_rate=0.1, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.numbers = [np.random.default_rng(3)]

    def update(self, w, g, lr, state, scratch):
        np.multiply(g, lr * self.numbers[0].uniform(), out=scratch)
        w -= scratch

    def get_state(self):
        return {"numbers": self.numbers}

    def set_state(self, state):
        self.numbers = state["numbers"]


class Slower(optimizers.schedules.LearningRateSchedule):
    """A rate that follows from the one before."""

    def __init__(self):
        self.rate, self.step = 0.2, 0

    def __call__(self, step):
        if step != self.step:
            self.rate, self.step = 0.9 * self.rate + 1e-3, step
        return self.rate

    def get_state(self):
        return {"rate": self.rate, "step": self.step}

    def set_state(self, state):
        self.rate, self.step = state["rate"], state["step"]


class Moving(metrics.Metric):
    """An attribute is an argument too, another is a generator."""

    def __init__(self, total=0.0, vector=(), name=None):
        super().__init__(name)
        self.total, self.vector = total, np.array(vector, float)
        self.rng = np.random.default_rng(5)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total += float(np.mean(y_pred)) * self.rng.uniform()
        self.vector = self.vector + 1.0

    def result(self):
        return self.total + float(self.vector.sum())

    def reset_state(self):
        pass


class Counter(callbacks.Callback):
    """Changes a weight by what it has counted and drawn."""

    def __init__(self):
        self.count, self.rngs = 0, {"a": np.random.default_rng(6), "b": random.Random(7)}

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        change = 1e-3 * self.count * (self.rngs["a"].normal() + self.rngs["b"].random())
        self.model.weights[0][...] += np.float32(change)

    def get_state(self):
        return {"count": self.count, "rngs": self.rngs}

    def set_state(self, state):
        self.count, self.rngs = state["count"], state["rngs"]


OBJECTS = {
    c.__name__: c for c in (Drift, Annealed, Jumping, Slower, Moving, Counter, losses.SplitLoss)
}


def model(rule=None):
    made = nl.Sequential([layers.Dense(3, "tanh"), Drift(), layers.Dense(2)], seed=0)
    loss = losses.SplitLoss([Annealed(), "mse"], [1, 1], [1.0, 2.0])
    made.compile(rule or Jumping(Slower()), loss, metrics=[[Moving(vector=[1, 2])], []])
    return made
