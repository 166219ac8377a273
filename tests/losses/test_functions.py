"""Losses as functions."""

import pickle

import numpy as np
import pytest

from netlayers import losses, metrics
from netlayers.errors import ConfigurationError
from netlayers.registry import snake_case

FUNCTIONS = [v for v in vars(losses).values() if isinstance(v, losses.LossFunction)]


def test_there_is_a_function_for_each_loss_of_keras():
    ours = {
        "circle",
        "quantile",
        "gaussian_nll",
        "split_loss",
        "output_losses",
    }  # circle takes references too
    assert {f.__name__ for f in FUNCTIONS} | ours == {
        snake_case(c.__name__)
        for c in vars(losses).values()
        if isinstance(c, type) and issubclass(c, losses.Loss)
    } - {"loss", "crossentropy", "elementwise_loss", "function_loss"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_gives_the_losses_of_the_samples(function):
    p = np.random.default_rng(0).uniform(0.1, 0.9, (5, 3))
    t = np.eye(3)[[0, 1, 2, 0, 1]]
    if function is losses.ctc:
        p, t = np.broadcast_to(p[:, None], (5, 4, 3)).copy(), t.argmax(axis=1)[:, None]
    if function.__name__.startswith(("sparse", "categorical_generalized")):
        t = t.argmax(axis=1)
    got = function(t, p)
    assert got.shape == (() if function in (losses.dice, losses.tversky) else (5,))
    assert np.mean(got) == pytest.approx(function.loss().forward(t, p), rel=1e-12)
    assert type(losses.get(function)) is function.loss
    assert losses.get(function.__name__).__class__ is function.loss
    assert getattr(losses, function.__name__) is function


def test_takes_the_arguments_of_its_class():
    t, p = np.array([[1.0, 0.0]]), np.array([[0.5, -3.0]])
    got = losses.binary_crossentropy(t, p, from_logits=True)
    assert got[0] == losses.BinaryCrossentropy(True).forward(t, p)
    assert losses.huber([[0.0]], [[3.0]], delta=2.0) == [4.0]
    with pytest.raises(TypeError, match=r"Huber.*'dleta'"):
        losses.huber(t, p, dleta=2)


def test_functions_of_other_arguments_are_no_losses():
    with pytest.raises(ConfigurationError, match="must take y_true and y_pred"):
        losses.get(lambda p: 0.0)


@pytest.mark.parametrize(
    ("names", "cls"),
    [
        ("mape MAPE mean_absolute_percentage_error", "MeanAbsolutePercentageError"),
        ("msle MSLE mean_squared_logarithmic_error", "MeanSquaredLogarithmicError"),
        ("kld KLD kl_divergence KLDivergence", "KLDivergence"),
        ("log_cosh logcosh LogCosh", "LogCosh"),
        ("cosine_similarity CosineSimilarity", "CosineSimilarity"),
        ("hinge", "Hinge"),
        ("squared_hinge", "SquaredHinge"),
        ("categorical_hinge", "CategoricalHinge"),
        ("poisson", "Poisson"),
        ("binary_focal_crossentropy", "BinaryFocalCrossentropy"),
        ("categorical_focal_crossentropy", "CategoricalFocalCrossentropy"),
        ("dice", "Dice"),
        ("tversky", "Tversky"),
        ("quantile pinball", "Quantile"),
        ("gaussian_nll", "GaussianNLL"),
    ],
)
def test_names(names, cls):
    for name in names.split():
        assert type(losses.get(name)).__name__ == cls


def test_a_function_is_equal_to_what_its_name_stands_for():
    loss = pickle.loads(pickle.dumps(losses.get("mse")))
    assert loss == losses.mean_squared_error
    assert loss != losses.mean_absolute_error
    assert losses.Huber(2.0) != losses.huber == losses.Huber(name="mine")
    assert metrics.get("binary_accuracy") == metrics.binary_accuracy
    assert metrics.BinaryAccuracy(threshold=0.2) != metrics.binary_accuracy
