"""Options of the optimizer change no diagnosis, and nothing of the model is changed by one."""

import numpy as np
import pytest

import netlayers as nl

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).astype(np.float32)
Y = np.tanh(X.sum(axis=1, keepdims=True))


def make(rate=0.05, **options):
    layers = [nl.layers.Dense(8, "tanh"), nl.layers.BatchNormalization(), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.SGD(rate, **options), "mse")
    model.build((None, 3))
    return model


OPTIONS = [
    {"use_ema": True, "ema_momentum": 0.999, "ema_overwrite_frequency": 1},
    {"use_ema": True, "ema_momentum": 1.0, "ema_overwrite_frequency": 3},
    {"use_ema": True},
    {"gradient_accumulation_steps": 7},
    {"gradient_accumulation_steps": 5, "use_ema": True, "ema_overwrite_frequency": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("rate", [0.05, 1e-7])
def test_a_diagnosis_is_the_same_with_averages_and_accumulation(rate, options):
    plain, other = make(rate), make(rate, **options)
    expected = plain.diagnose(X, Y, verbose=0)
    found = other.diagnose(X, Y, verbose=0)
    assert found.losses == expected.losses
    assert str(found) == str(expected)
    assert found.losses[-1] < found.losses[0] or rate < 0.01


@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
def test_nothing_of_the_model_is_changed(options, tmp_path):
    model = make(**options)
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "before")
    model.diagnose(X, Y, verbose=0)
    model.loss_surface(X, Y, size=3)
    model.activation_histograms(X)
    model.profile(X, Y, steps=3)
    nl.find_learning_rate(model, X, Y, steps=5)
    model.trace(X[:4], Y[:4])
    model.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


def test_steps_that_are_not_finite_are_reported_and_not_raised():
    model = make(rate=1e30)
    report = model.diagnose(X, Y, verbose=0)
    assert model.optimizer.on_nonfinite == "raise"
    assert len(report.losses) < 20 or not np.isfinite(report.losses[-1])
    assert not report.healthy


def test_the_rows_that_are_looked_at_are_the_same_before_and_after_the_steps():
    still = make(rate=0.0).diagnose(X, Y, verbose=0, batch_size=100).findings[0]
    assert still.illness == "learning rate too low"
    assert still.evidence["loss_after"] == still.evidence["loss_before"]
