"""Recurrent networks with data, for any seed."""

from __future__ import annotations

import numpy as np

import netlayers as nl

L = nl.layers


def recurrent(seed):
    """A healthy one: the sum of the last steps."""
    x = np.random.default_rng(seed).normal(size=(200, 8, 2))
    parts = [L.SimpleRNN(8, return_sequences=True), L.LSTM(8), L.Dense(1)]
    model = nl.Sequential(parts, seed=seed)
    model.compile(nl.optimizers.Adam(0.005), "mse")
    return model, x, x[:, -3:, 0].sum(axis=1)


def forgetful(initializer):
    """The first of 40 steps is to be remembered, by recurrent weights that may not suit it."""

    def make(seed):
        x = np.random.default_rng(seed).normal(size=(100, 40, 2))
        parts = [L.SimpleRNN(16, recurrent_initializer=initializer), L.Dense(1)]
        model = nl.Sequential(parts, seed=seed)
        model.compile("adam", "mse")
        return model, x, x[:, 0, 0]

    return make
