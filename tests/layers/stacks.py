"""Networks of neighbouring Dense layers, compiled kernels for a file, and calls of kernels."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.hooks import observed
from netlayers.kernels.select import kernels

Dense = nl.layers.Dense


def one_by_one(model):
    """Let the layers of a model be computed one by one."""
    return observed(model, lambda layer, method, given, run: run())


def model_of(*layers, dtype="float32", inputs=5):
    model = nl.Sequential(list(layers), seed=0, dtype=dtype)
    model.build((None, inputs))
    for layer in model.layers:
        if getattr(layer, "use_bias", False):
            layer.bias[...] = np.linspace(-0.5, 0.5, layer.units)
    return model


def arrays(model, x, dy, logits=False, **options):
    """Return the output, the gradient of the input and those of the weights."""
    model.parameters.gradients[...] = np.nan
    forward = model._forward_logits if logits else model.forward
    y = forward(x, training=True).copy()
    dx = (model._backward_logits if logits else model.backward)(dy, **options)
    gradients = model.parameters.gradients.copy()
    inference = forward(x)
    return [y, None if dx is None else np.array(dx), gradients, inference]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        if a is None or b is None:
            assert a is b
        else:
            np.testing.assert_array_equal(a, b)


@pytest.fixture(autouse=True, scope="module")
def compiled():
    before = nl.kernels_in_use()
    nl.use_kernels("numba")
    yield
    nl.use_kernels(before)


def called(monkeypatch, *names):
    """Return a list to which each call of these kernels will add its name."""
    made = []
    for name in names:
        kernel = getattr(kernels, name)

        def call(*args, name=name, kernel=kernel):
            made.append(name)
            kernel(*args)

        monkeypatch.setitem(vars(kernels), name, call)
    return made
