"""Which last activations a loss is said not to fit, for every loss of the package."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import diagnose_data
from tests.diagnostics.test_findings import last

LAST = ["linear", "relu", "tanh", "softsign", "sigmoid", "softmax", "softplus", "exponential"]
BINARY, ONE_HOT = nl.losses.BinaryCrossentropy, nl.losses.CategoricalCrossentropy
NOT = {
    "probabilities of one label": (BINARY(), set(LAST) - {"sigmoid"}),
    "probabilities of classes": (ONE_HOT(), set(LAST) - {"softmax"}),
    "logits of one label": (BINARY(from_logits=True), {"softmax", "sigmoid", "relu", "tanh"}),
    "logits of classes": (ONE_HOT(from_logits=True), {"softmax", "sigmoid", "relu", "tanh"}),
    "Huber": (nl.losses.Huber(), {"softmax"}),
    "MeanSquaredError": (nl.losses.MeanSquaredError(), {"softmax"}),
    "MeanAbsoluteError": (nl.losses.MeanAbsoluteError(), {"softmax"}),
    "LogCosh": (nl.losses.LogCosh(), {"softmax"}),
    "Poisson": (nl.losses.Poisson(), {"linear", "tanh", "softsign"}),
    "KLDivergence": (nl.losses.KLDivergence(), {"linear", "tanh", "softsign"}),
    "Hinge": (nl.losses.Hinge(), {"softmax", "sigmoid", "relu"}),
    "SquaredHinge": (nl.losses.SquaredHinge(), {"softmax", "sigmoid", "relu"}),
    "CosineSimilarity": (nl.losses.CosineSimilarity(), set()),
}


@pytest.mark.parametrize("name", NOT)
def test_what_does_not_fit(name):
    loss, wrong = NOT[name]
    y = np.array([[0.25], [0.75]])  # within the reach of every activation
    said = {
        activation
        for activation in LAST
        for found in diagnose_data.findings(last(activation, loss, y=y))
        if found.illness == "loss and activation"
    }
    assert said == wrong
