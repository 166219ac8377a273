"""The dtype of a loss, and that of a metric."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)
Y, CLASSES = RNG.normal(size=(6, 3)).astype(np.float32), RNG.integers(0, 3, 6)


def test_a_loss_computes_in_its_own_dtype_and_returns_the_gradient_in_that_of_the_predictions():
    y, p = np.zeros((1, 1), np.float32), np.full((1, 1), 1e30, np.float32)
    with np.errstate(over="ignore"):
        assert nl.losses.MeanSquaredError().forward(y, p) == np.inf
    wide = nl.losses.MeanSquaredError(dtype="float64")
    assert wide.forward(y, p) == pytest.approx(1e60)
    assert wide.backward().dtype == np.float32
    narrow = nl.losses.MeanSquaredError(dtype="float32")
    assert narrow.forward(np.zeros((1, 1)), np.full((1, 1), 1 / 3)) == np.float32(1 / 3) ** 2
    assert narrow.backward().dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (nl.losses.SparseCategoricalCrossentropy, "softmax"),  # computed from the logits
        (nl.losses.Huber, None),
    ],
)
def test_a_model_trains_with_a_loss_of_another_dtype(dtype, loss, activation):
    y = Y if activation is None else CLASSES
    weights = []
    for own in (None, "float32", "float64"):
        model = nl.Sequential([nl.layers.Dense(3, activation)], seed=0, dtype=dtype)
        model.compile("sgd", loss(dtype=own))
        model.fit(X, y, epochs=2, verbose=0)
        weights.append(model.parameters.values)
        assert model.parameters.values.dtype == dtype
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-5)
    np.testing.assert_allclose(weights[2], weights[0], rtol=1e-5)


def test_a_metric_computes_in_float64_whatever_its_dtype():
    for dtype in (None, "float32", "float64", "int32"):
        metric = nl.metrics.MeanSquaredError(dtype=dtype)
        assert metric.dtype == dtype
        assert metric([[0.0]], np.full((1, 1), 1e30, np.float32)) == pytest.approx(1e60)
        assert metric.get_config() == {"name": "mean_squared_error", "dtype": dtype}


def test_other_dtypes_are_refused():
    with pytest.raises(ConfigurationError, match="Huber: dtype must be 'float32' or 'float64'"):
        nl.losses.Huber(dtype="float16")
    with pytest.raises(ConfigurationError, match="AUC: dtype must be"):
        nl.metrics.AUC(dtype="float23")


def test_dtype_stands_behind_the_name_as_in_keras():
    assert nl.losses.MeanSquaredError("sum", "mine", "float64").dtype == "float64"
    assert nl.metrics.BinaryAccuracy("mine", "float64", 0.25).threshold == 0.25
    assert nl.losses.Dice("sum", "mine", 1, "float64").axis == 1
