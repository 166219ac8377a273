"""Initializers: the values that weights start from.

Forward activations keep their variance from layer to layer when the variance of the weights is
about 1/fan_in, backward gradients when it is 1/fan_out; every scheme here picks a side of that
trade, and a factor for the activation. Too large, and gradients explode with depth; too small, and
they vanish.

An initializer fills an array that it is given, because weights are views into one flat vector.
It draws in float64 and rounds at the end, so float32 and float64 models start alike.
"""

from __future__ import annotations

from netlayers.initializers.base import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    VarianceScaling,
    Zeros,
    get,
)
from netlayers.initializers.base import RandomInitializer as RandomInitializer
from netlayers.initializers.distributions import (
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]
