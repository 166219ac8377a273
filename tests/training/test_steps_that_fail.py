"""Running statistics after a step whose numbers are not finite, of plain and of own steps."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import NonFiniteError

X = np.random.default_rng(0).normal(size=(96, 5)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def test_running_statistics_are_those_before_a_step_that_fails():
    class Own(nl.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    for cls in (nl.Sequential, Own):
        model = cls([L.BatchNormalization(name="b"), L.Dense(1, name="d")], seed=0)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        model.get_layer("d").kernel[...] = np.inf
        statistics = model.parameters.statistics.copy()
        with pytest.raises(NonFiniteError):
            model.fit(X + 5, Y, verbose=0)
        np.testing.assert_array_equal(model.parameters.statistics, statistics)
