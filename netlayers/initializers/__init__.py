"""Initializers: initial values of weights.

Activations keep their variance from layer to layer if the variance of the weights is about
1/fan_in, gradients if it is about 1/fan_out; each scheme chooses one of these, or a compromise, and
a factor for the activation. If the variance is too large, gradients explode with depth; if it is
too small, they vanish.

An initializer fills a given array, because weights are views into one flat vector. It draws in
float64 and rounds at the end, so float32 and float64 models have the same initial weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.initializers.base import (
    Constant,
    Identity,
    Initializer,
    Ones,
    RandomInitializer,
    Zeros,
)
from netlayers.initializers.distributions import RandomNormal, RandomUniform, TruncatedNormal
from netlayers.initializers.orthogonal import Orthogonal
from netlayers.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)
from netlayers.registry import resolve

if TYPE_CHECKING:
    from netlayers._typing import Identifier

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
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]


def get(identifier: Identifier) -> Initializer:
    """Return an initializer from a name, a configuration or an initializer.

    Example:
        >>> from netlayers import initializers
        >>> initializers.get("he_normal")
        HeNormal()
    """
    initializer: Initializer = resolve("initializer", identifier, Initializer)
    return initializer
