"""Losses of logits and of small errors are right to the last digits, by decimal arithmetic."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from netlayers import losses

SIZES = [sign * size * 10.0**k for k in range(-15, 2) for sign in (1, -1) for size in (1, 1.7, 5)]


def softplus(z):
    return (1 + z.exp()).ln()


def binary(z, t):
    return t * softplus(-z) + (1 - t) * softplus(z)


def log_cosh(d, _):
    return ((d.exp() + (-d).exp()) / 2).ln()


CASES = {
    "binary crossentropy": (
        lambda: losses.BinaryCrossentropy(from_logits=True),
        binary,
        (0, 1, 0.25),
    ),
    "log cosh": (losses.LogCosh, log_cosh, (0,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_values_are_right_to_the_last_digits(name, dtype):
    make, true, targets = CASES[name]
    p = np.array(SIZES, dtype)[:, None]
    limits = np.finfo(dtype)
    with localcontext() as context:
        context.prec = 100
        for t in targets:
            each = type(make())(**{**make().get_config(), "reduction": None})
            got = each.forward(np.full_like(p, t), p)
            for given, loss in zip(p[:, 0].tolist(), got.tolist(), strict=True):
                expected = true(Decimal(given), Decimal(t))
                if expected < float(limits.tiny):
                    assert loss <= limits.tiny
                else:
                    error = abs(Decimal(loss) - expected) / expected
                    assert error < 4 * float(limits.eps), (given, t, loss, float(expected))
