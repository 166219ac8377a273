"""Running statistics after a step that fails, of plain and of own steps; schedules that end."""

import contextlib

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


@pytest.mark.parametrize(("steps", "updates"), [(None, 6), (1, 6), (2, 3), (4, 1)])
def test_a_schedule_that_ends_before_the_run_is_told_of(steps, updates):
    def fit(total):
        model = nl.Sequential([L.Dense(1)], seed=0)
        schedule = nl.optimizers.schedules.OneCycle(0.1, total)
        model.compile(nl.optimizers.SGD(schedule, gradient_accumulation_steps=steps), "mse")
        model.fit(X, Y, epochs=2, verbose=0)

    said = f"total_steps=2, but the run ends with update {updates};"
    warns = pytest.warns(UserWarning, match=said) if updates > 2 else contextlib.nullcontext()
    with warns:
        fit(2)
    fit(max(updates, 2))  # long enough: no warning
