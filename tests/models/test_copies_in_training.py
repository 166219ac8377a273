"""Copies of a model that another thread trains are those of a moment between two steps."""

import copy
import itertools
import pickle
import threading
import time

import numpy as np
import pytest

import netlayers as nl

SIZE = 300_000


class Counts(nl.layers.Layer):
    """Adds its weights, whose gradients are all 1."""

    def build(self, input_shape):
        self.add_weight("w", (SIZE,), "zeros")
        self.add_weight("steps", (SIZE,), "zeros", statistic=True)

    def forward(self, x, training=False):
        if training:
            self.steps += 1
        return x + self.w[0]

    def backward(self, dy):
        self.d_w[...] = 1
        return dy


@pytest.fixture
def trained():
    """A model in training by another thread; each step takes 1 from each weight."""
    model = nl.Sequential([Counts()], seed=0)
    model.compile(nl.optimizers.SGD(1.0, momentum=0.0), "mse")
    begun, done = threading.Event(), threading.Event()

    def look(*_):
        begun.set()
        model.stop_training = done.is_set()

    def train():
        x = np.ones((64, 1), np.float32)
        look_at = nl.callbacks.LambdaCallback(on_train_batch_end=look)
        model.fit(x, x, batch_size=1, epochs=10**6, callbacks=[look_at], verbose=0)

    thread = threading.Thread(target=train)
    thread.start()
    begun.wait()
    yield model
    done.set()
    thread.join()


WAYS = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "get_weights": lambda model: model.get_weights(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_of_one_moment(trained, way):
    counts = set()
    for i in itertools.count():
        if i >= 40 and len(counts) > 1:
            break
        time.sleep(0.001)  # the other thread waits for this one, too
        copied = WAYS[way](trained)
        w, steps = copied if way == "get_weights" else copied.get_weights()
        assert (w == w[0]).all()
        assert (steps == -w[0]).all()
        if way != "get_weights":
            assert copied.optimizer.iterations == -w[0]
            copied.train_on_batch(np.ones((1, 1)), np.ones(1))  # it is a model of its own
        counts.add(float(w[0]))
