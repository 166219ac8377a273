"""What messages advise about inputs with one axis fits the situation."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ShapeError


def model(features=None):
    first = [] if features is None else [nl.layers.Input((features,))]
    made = nl.Sequential([*first, nl.layers.Dense(1)], seed=0)
    made.compile("sgd", "mse")
    return made


def message(call):
    with pytest.raises(ShapeError) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize("features", [None, 1])
def test_a_series_with_targets_becomes_samples_of_one_feature(features):
    series = np.arange(20.0)
    text = message(lambda: model(features).fit(series, series, verbose=0))
    assert text.endswith("Add an axis: x[:, None] for samples of one feature.")
    model(features).fit(series[:, None], series, verbose=0)


@pytest.mark.parametrize("features", [None, 1])
def test_without_targets_it_may_be_a_single_sample(features):
    text = message(lambda: model(features).predict(np.arange(20.0)))
    assert text.endswith("x[:, None] for samples of one feature, x[None, :] for a single sample.")


def test_as_many_values_as_features_are_a_single_sample():
    text = message(lambda: model(4).predict(np.arange(4.0)))
    assert text.endswith(", x[None, :] for a single sample.")


def test_another_number_of_values_becomes_windows():
    series = np.arange(20.0)
    for call in (
        lambda: model(4).predict(series),
        lambda: model(4).fit(series, series, verbose=0),
    ):
        text = message(call)
        assert text.endswith("of a series are np.lib.stride_tricks.sliding_window_view(x, 4).")
    windows = np.lib.stride_tricks.sliding_window_view(series, 4)
    assert model(4).predict(windows).shape == (17, 1)
