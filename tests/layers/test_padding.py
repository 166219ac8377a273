"""Padding a batch further changes no output, loss, metric or gradient, for all that take masks."""

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
# What takes a mask, and whether it has an output for each step.
CONSUMERS = {
    "simple": (lambda: [L.SimpleRNN(3)], False),
    "lstm": (lambda: [L.LSTM(3, return_sequences=True)], True),
    "lstm of zeros": (lambda: [L.LSTM(3, return_sequences=True, zero_output_for_mask=True)], True),
    "gru": (lambda: [L.GRU(3, reset_after=False)], False),
    "two layers": (lambda: [L.GRU(3, return_sequences=True), L.LSTM(2)], False),
    "cells": (lambda: [L.RNN([L.LSTMCell(3), L.GRUCell(2, "softsign")])], False),
    "both": (lambda: [L.Bidirectional(L.GRU(2, return_sequences=True))], True),
    "both, last": (lambda: [L.Bidirectional(L.LSTM(2), "mul")], False),
    "pooling": (lambda: [L.GlobalAveragePooling1D()], False),
    "steps": (lambda: [L.TimeDistributed(L.Dense(3, "tanh")), L.GRU(2)], False),
    "losses": (lambda: [L.Dense(3, "tanh")], True),
}
LOSSES = ("mse", "mae", "huber", nl.losses.LogCosh(reduction="mean_with_sample_weight"))


def measured(name, x, y, loss):
    """Return the loss, the metrics, and the gradients of the weights and the series."""
    made, _ = CONSUMERS[name]
    given = nl.Input((None, 2), name="series")
    value = L.Masking(mask_value=9.0)(given)
    for layer in [*made(), L.Dense(1)]:
        value = layer(value)
    model = nl.Model(given, value, seed=0, dtype="float64")
    model.compile("sgd", loss, metrics=["mae", nl.metrics.RootMeanSquaredError()])
    values = model.evaluate(x, y, verbose=0)
    d_x = model.gradients_of(["series"], x, y)["series"]
    model.train_on_batch(x, y)
    return np.array(values), d_x, [w.copy() for w in model.get_weights()]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CONSUMERS)
def test_more_padding_changes_nothing(name, seed):
    rng = np.random.default_rng(seed)
    steps, count = int(rng.integers(3, 7)), 3
    lengths = rng.integers(1, steps + 1, count)
    there = np.arange(steps) < lengths[:, None]
    if seed:  # also in front and in the middle
        there &= rng.random(there.shape) < 0.8
        there[:, lengths.min() - 1] = True
    x = np.where(there[..., None], rng.normal(size=(count, steps, 2)), 9.0)
    y = rng.normal(size=(count, steps, 1) if CONSUMERS[name][1] else (count, 1))
    loss = LOSSES[int(rng.integers(len(LOSSES)))]
    values, d_x, weights = measured(name, x, y, loss)
    assert (d_x[~there] == 0).all()
    more = [(0, 0), (0, int(rng.integers(1, 9))), (0, 0)]
    padded = np.pad(x, more, constant_values=9.0)
    targets = np.pad(y, more, constant_values=1e3) if y.ndim == 3 else y
    again, d_padded, others = measured(name, padded, targets, loss)
    np.testing.assert_allclose(again, values, rtol=1e-11)
    np.testing.assert_allclose(d_padded[:, :steps], d_x, rtol=1e-9, atol=1e-13)
    assert (d_padded[:, steps:] == 0).all()
    for one, other in zip(others, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
