"""The default batch size of evaluate and predict: as many rows as fit into the cache."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.training.inference_rows import rows_at_once

# 2^21 numbers in the largest array, from 32 to 1024 rows.
EXPECTED = [
    ("small", (20,), [layers.Dense(512)], 1024),
    ("wide", (20,), [layers.Dense(1 << 14)], 128),
    ("maps of 26 x 26 x 32", (28, 28, 1), [layers.Conv2D(32, 3), layers.Flatten()], 96),
    ("inside of a model", (28, 28, 1), [nl.Sequential([layers.Conv2D(32, 3)])], 96),
    ("maps of 126 x 126 x 32", (128, 128, 3), [layers.Conv2D(32, 3)], 32),
    ("of any size", (None, None, 1), [layers.Conv2D(32, 3, padding="same")], 80),
    ("4 gates of 200 steps", (200, 16), [layers.LSTM(64)], 40),
    ("of any length", (None, 16), [layers.Bidirectional(layers.LSTM(64))], 40),
    ("the outputs of 200 steps", (200, 16), [layers.GRU(64, return_sequences=True)], 40),
]


@pytest.mark.parametrize(
    ("shape", "its", "rows"), [c[1:] for c in EXPECTED], ids=[c[0] for c in EXPECTED]
)
def test_rows(shape, its, rows):
    model = nl.Sequential([layers.Input(shape), *its])
    given = {2: (200, 16), 3: (28, 29, 1)}
    row = shape if None not in shape else given[len(shape)]
    assert rows_at_once(model, (5000, *row)) == rows
    assert rows_at_once(model, (5000, *row)) == rows  # as remembered
    assert rows_at_once(model, (30, *row)) == 1024  # one batch


def test_a_changed_model():
    model = nl.Sequential([layers.Input((8,)), layers.Dense(1 << 13), layers.Dense(1)])
    assert rows_at_once(model, (5000, 8)) == 256
    model.add(layers.Dense(1 << 14))
    assert rows_at_once(model, (5000, 8)) == 128


def test_states_keep_the_rows_of_a_batch():
    model = nl.Sequential([layers.Input((200, 16)), layers.LSTM(64, stateful=True)])
    assert rows_at_once(model, (40, 200, 16)) == 1024


def test_batches():
    class Seen(layers.Layer):
        def forward(self, x, training=False):
            sizes.append(len(x))
            return self.prepare(x)

    sizes = []
    model = nl.Sequential(
        [layers.Input((32, 32, 1)), Seen(), layers.Conv2D(64, 1), layers.Flatten()]
    )
    model.add(layers.Dense(1))
    model.compile("sgd", "mse")
    x, y = np.zeros((40, 32, 32, 1), np.float32), np.zeros((40, 1), np.float32)
    model.predict(x[:1])
    for compute in (
        lambda: model.predict(x),
        lambda: model.predict(x, callbacks=[nl.callbacks.Callback()]),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.fit(x[:1], y[:1], verbose=0, validation_data=(x, y)),
    ):
        del sizes[:]
        compute()
        assert sizes[-2:] == [32, 8]
    del sizes[:]
    model.predict(x, batch_size=40)
    assert sizes == [40]
