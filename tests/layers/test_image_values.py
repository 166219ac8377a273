"""Outputs and gradients of layers on images, equal to those of Keras and PyTorch."""

import numpy as np
import pytest

import netlayers as nl
from tests.layers.values.images import CASES, FILE, draw, name_of

VALUES = np.load(FILE)


ANSWERS = [
    pytest.param(source, case, id=f"{source}-{name_of(case)}")
    for source in ("keras", "torch")
    for case in CASES
    if f"{source}/{name_of(case)}/0" in VALUES.files
]


def answers(source, case):
    """Return output, dL/dx and the gradients of the weights."""
    name = f"{source}/{name_of(case)}"
    return [VALUES[key] for key in VALUES.files if key.rpartition("/")[0] == name]


def ours(case, data_format="channels_last"):
    """Return output, dL/dx and the gradients of the weights."""
    name, arguments, shape = case
    first = data_format == "channels_first"
    layer = getattr(nl.layers, name)(**arguments, data_format=data_format, dtype="float64")
    layer.build((shape[0], shape[-1], *shape[1:-1]) if first else shape)
    shapes = [p.shape for p in layer.declared_parameters]
    x, *weights = draw([shape, *shapes], 1)
    layer._bind_alone()
    layer.set_weights(weights)
    y = layer.forward(np.moveaxis(x, -1, 1).copy() if first else x, training=True)
    swap = first and y.ndim == x.ndim
    (dy,) = draw([np.moveaxis(y, 1, -1).shape if swap else y.shape], 2)
    dx = layer.backward(np.moveaxis(dy, -1, 1).copy() if swap else dy)
    if first:
        dx = np.moveaxis(dx, 1, -1)
    gradients = [p.gradient for p in layer.declared_parameters]
    return [np.moveaxis(y, 1, -1) if swap else y, dx, *gradients]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("source", "case"), ANSWERS)
def test_values_and_gradients(source, case, data_format):
    float32 = case[0].startswith("GlobalAverage")  # Keras takes this mean in float32
    tolerance = 1e-6 if float32 else 1e-11
    for found, answer in zip(ours(case, data_format), answers(source, case), strict=True):
        np.testing.assert_allclose(found, answer, rtol=tolerance, atol=tolerance / 10)
