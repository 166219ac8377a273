"""Gradients at the ends of the range of numbers do not end the learning of their weights."""

import numpy as np
import pytest

import netlayers as nl
from tests.optimizers.networks import RULES

SQUARES = ["Adam", "AdamW", "Nadam", "RAdam", "Lamb", "Adagrad", "Adadelta", "RMSprop"]
SQUARES += ["LazyAdam", "Adafactor", "Ftrl", "Muon", "ScheduleFreeAdamW"]
OTHERS = ["SGD", "Adamax", "Lion", "LARS"]
SUMS = ["Adagrad", "Ftrl"]  # never fall


def made(name, rate):
    options = {"exclude_layers": ["dense"]} if name == "Muon" else {}  # squares are those of AdamW
    return getattr(nl.optimizers, name)(rate, **options)


def built(optimizer, dtype="float32"):
    model = nl.Sequential([nl.layers.Dense(2), nl.layers.Dense(1)], seed=0, dtype=dtype)
    model.compile(optimizer, "mse")
    model.build((None, 3))
    return model


def steps(model, *huge):
    """Take steps with a gradient of 0.1, but one entry of ``dense/kernel`` as given."""
    for value in huge:
        model.parameters.gradients[:] = 0.1
        model.parameters.gradients[2] = value
        model.optimizer.step(model.parameters)


def test_every_optimizer_is_here():
    assert set(RULES) == {*SQUARES, *OTHERS}


@pytest.mark.parametrize(("dtype", "huge"), [("float32", 1.9e19), ("float64", -1.4e154)])
@pytest.mark.parametrize("name", SQUARES)
def test_squares_stay_finite(name, dtype, huge):
    model = built(made(name, 0.01), dtype)
    message = f"{name}: at update 1 the square of a gradient of 'dense/kernel' is too large for "
    with pytest.warns(UserWarning, match=message + dtype) as warned:
        steps(model, *[huge] * 40)
    assert len(warned) == 1
    assert np.isfinite(model.parameters.values).all()
    for vector in model.optimizer.state.values():
        assert np.isfinite(vector).all()
    largest = max(np.abs(v).max() for v in model.optimizer.state.values())
    assert largest > np.finfo(dtype).max / 1e4


@pytest.mark.parametrize("name", SQUARES)
def test_the_weight_learns_again(name):
    model = built(made(name, 0.01))
    with pytest.warns(UserWarning, match="too large"):
        steps(model, 1e30)
    others = ("m", "momentum", "linear")
    squares = next(v for k, v in model.optimizer.state.items() if k not in others)
    peak = float(squares.max())
    steps(model, *[0.1] * 20)
    assert name in SUMS or squares.max() < 0.99 * peak


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_take_them_as_they_are(name, recwarn):
    model = built(getattr(nl.optimizers, name)(1e-21))
    before = model.parameters.values[2]
    steps(model, 1e20)
    assert not recwarn
    if name == "SGD":
        assert before - model.parameters.values[2] == pytest.approx(0.1, rel=1e-5)


@pytest.mark.parametrize("clip", [{"clipvalue": 1.0}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}])
def test_clipping_comes_first(clip, recwarn):
    model = built(nl.optimizers.Adam(0.01, **clip))
    steps(model, 1e20)
    assert not recwarn
    assert model.optimizer.state["v"].max() <= 1.001


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Nadam", "RAdam", "Lamb", "Adamax"])
def test_an_epsilon_that_is_zero_in_the_dtype(name):
    kind = getattr(nl.optimizers, name)
    with pytest.raises(
        nl.errors.ConfigurationError, match="epsilon=1e-50 is too small for float32"
    ):
        steps(built(kind(epsilon=1e-50)), 0.1)
    for dtype, smallest in (("float32", 1.2e-38), ("float64", 1e-50)):
        model = built(kind(epsilon=smallest), dtype)
        model.parameters.gradients[:] = 0
        model.optimizer.step(model.parameters)
        assert np.isfinite(model.parameters.values).all()
