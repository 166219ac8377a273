"""Activations are right to the last digits everywhere, by decimal arithmetic of 250 digits."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

import netlayers as nl

SIZES = [sign * size * 10.0**k for k in range(-30, 2) for sign in (1, -1) for size in (1, 3, 6)]
ONE, SCALE, ALPHA = (
    Decimal(1),
    Decimal("1.0507009873554804934193349852946"),
    Decimal("1.6732632423543772848170429916717"),
)


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def tanh(x):
    y = 2 * sigmoid(2 * abs(x)) - 1
    return y if x >= 0 else -y


def softplus(x):
    return (1 + x.exp()).ln()


def elu(x):
    return x if x > 0 else x.exp() - 1


TRUE = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softplus": softplus,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * tanh(softplus(x)),
    "elu": elu,
    "celu": elu,
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * elu(x)),
    "log_sigmoid": lambda x: -softplus(-x),
    "tanh_shrink": lambda x: x - tanh(x),
    "softsign": lambda x: x / (1 + abs(x)),
    "exponential": lambda x: x.exp(),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TRUE)
def test_values_are_right_to_the_last_digits(name, dtype):
    x = np.array(SIZES, dtype)
    y = nl.layers.Activation(name, dtype=dtype)(x[:, None])[:, 0]
    limits = np.finfo(dtype)
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 250, 10**6, -(10**6)
        for given, got in zip(x.tolist(), y.tolist(), strict=True):
            expected = TRUE[name](Decimal(given))
            if abs(expected) < float(limits.tiny):
                assert abs(got) <= limits.tiny
            else:
                error = abs(Decimal(got) - expected) / abs(expected)
                assert error < 3 * float(limits.eps), (given, got, float(expected))


def test_tanh_shrink_in_its_own_memory():
    x = np.array([[-3.0, -0.2, 0.0, 1e-4, 0.7]], np.float32)
    shrink = nl.activations.get("tanh_shrink")
    expected = shrink.forward(x.copy())
    np.testing.assert_array_equal(shrink.forward(x, inplace=True), expected)
