"""Activations and their derivatives in arithmetic of any precision, by mpmath."""

from mpmath import mp, mpf

SCALE = mpf("1.0507009873554804934193349852946")
ALPHA = mpf("1.6732632423543772848170429916717")


def logistic(x):
    return 1 / (1 + mp.exp(-x))


def normal_cdf(x):
    if abs(x) > 100:  # beyond every exponent of a float
        return mpf(x > 0)
    return mp.erfc(-x / mp.sqrt(2)) / 2


def normal_density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def sech_squared(x):
    return 1 / mp.cosh(x) ** 2


def gelu_inner(x):
    return mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)


def gelu_approximate(x):
    return x * logistic(2 * gelu_inner(x))


def gelu_approximate_slope(x):
    gate = logistic(2 * gelu_inner(x))
    rest = logistic(-2 * gelu_inner(x))
    inner = mp.sqrt(2 / mp.pi) * (1 + 3 * mpf("0.044715") * x**2)
    return gate + x * 2 * gate * rest * inner


def mish_slope(x):
    s = softplus(x)
    return mp.tanh(s) + x * sech_squared(s) * logistic(x)


def clip(x, low, high):
    return min(max(x, mpf(low)), mpf(high))


def inside(x, low, high, slope):
    return mpf(slope) if low < x < high else mpf(0)


def squareplus(x):
    root = mp.sqrt(x * x + 4)
    return (root + x) / 2 if x > 0 else 2 / (root - x)


def tanh_shrink(x):
    return x**3 / 3 if abs(x) < mpf("1e-20") else x - mp.tanh(x)


def hard_silu(x):
    return x * clip(x / 6 + mpf(1) / 2, 0, 1)


def hard_silu_slope(x):
    if x <= -3:
        return mpf(0)
    return mpf(1) if x >= 3 else x / 3 + mpf(1) / 2


def sparse_plus(x):
    return mpf(0) if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4


# name: arguments, value, derivative
TABLE = {
    "linear": ({}, lambda x: x, lambda x: mpf(1)),
    "relu": ({}, lambda x: max(x, mpf(0)), lambda x: mpf(x > 0)),
    "relu (slope)": (
        {"negative_slope": 0.25, "threshold": 0.5, "max_value": 8.0},
        lambda x: min(x, mpf(8)) if x > 0.5 else (x - 0.5) / 4,
        lambda x: mpf(0) if x >= 8 else mpf(1) if x > 0.5 else mpf("0.25"),
    ),
    "leaky_relu": (
        {"negative_slope": 0.25},
        lambda x: x if x > 0 else x / 4,
        lambda x: mpf(1) if x > 0 else mpf("0.25"),
    ),
    "elu": (
        {},
        lambda x: x if x > 0 else mp.expm1(x),
        lambda x: mpf(1) if x > 0 else mp.exp(x),
    ),
    "selu": (
        {},
        lambda x: SCALE * (x if x > 0 else ALPHA * mp.expm1(x)),
        lambda x: SCALE * (mpf(1) if x > 0 else ALPHA * mp.exp(x)),
    ),
    "celu": (
        {"alpha": 0.5},
        lambda x: x if x > 0 else mp.expm1(2 * x) / 2,
        lambda x: mpf(1) if x > 0 else mp.exp(2 * x),
    ),
    "sigmoid": ({}, logistic, lambda x: logistic(x) * logistic(-x)),
    "tanh": ({}, mp.tanh, sech_squared),
    "softsign": ({}, lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
    "exponential": ({}, mp.exp, mp.exp),
    "softplus": ({}, softplus, logistic),
    "log_sigmoid": ({}, lambda x: -softplus(-x), lambda x: logistic(-x)),
    "squareplus": ({}, squareplus, lambda x: squareplus(x) / mp.sqrt(x * x + 4)),
    "squareplus (b=0)": (
        {"b": 0.0},
        lambda x: max(x, mpf(0)),
        lambda x: mpf(x > 0),
    ),
    "sparse_plus": ({}, sparse_plus, lambda x: clip((x + 1) / 2, 0, 1)),
    "gelu": ({}, lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * normal_density(x)),
    "gelu (approximate)": ({"approximate": True}, gelu_approximate, gelu_approximate_slope),
    "silu": (
        {},
        lambda x: x * logistic(x),
        lambda x: logistic(x) + x * logistic(x) * logistic(-x),
    ),
    "hard_silu": ({}, hard_silu, hard_silu_slope),
    "mish": ({}, lambda x: x * mp.tanh(softplus(x)), mish_slope),
    "hard_sigmoid": (
        {},
        lambda x: clip(x / 6 + mpf(1) / 2, 0, 1),
        lambda x: inside(x, -3, 3, mpf(1) / 6),
    ),
    "hard_tanh": ({}, lambda x: clip(x, -1, 1), lambda x: inside(x, -1, 1, 1)),
    "relu6": ({}, lambda x: clip(x, 0, 6), lambda x: inside(x, 0, 6, 1)),
    "sparse_sigmoid": (
        {},
        lambda x: clip((x + 1) / 2, 0, 1),
        lambda x: inside(x, -1, 1, mpf(1) / 2),
    ),
    "hard_shrink": (
        {},
        lambda x: x if abs(x) > 0.5 else mpf(0),
        lambda x: mpf(abs(x) > 0.5),
    ),
    "soft_shrink": (
        {},
        lambda x: mp.sign(x) * max(abs(x) - mpf(1) / 2, mpf(0)),
        lambda x: mpf(abs(x) > 0.5),
    ),
    "tanh_shrink": ({}, tanh_shrink, lambda x: mp.tanh(x) ** 2),
    "threshold": (
        {"threshold": 0.25, "default_value": -2.0},
        lambda x: x if x > 0.25 else mpf(-2),
        lambda x: mpf(x > 0.25),
    ),
}
