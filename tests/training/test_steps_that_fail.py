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


class Own(nl.Sequential):
    """A step of its own, whose gradients are NaN in one batch."""

    made, bad = 0, 2

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred)
        self.backward(self.compute_loss_gradient() * (np.nan if self.made == self.bad else 1))
        self.made += 1
        self.optimizer.step(self.parameters)
        return {"loss": loss}


@pytest.mark.parametrize("bad", [0, 2])
def test_a_step_of_its_own_takes_its_statistics_back(bad):
    model = Own([L.BatchNormalization(), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.bad = bad
    seen = []
    keep = nl.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(model.get_weights())
    )
    with pytest.raises(NonFiniteError):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[keep])
    assert len(seen) == bad + 1
    for now, before in zip(model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(now, before)
    assert bad == 0 or any((a != b).any() for a, b in zip(seen[0], seen[-1], strict=True))
