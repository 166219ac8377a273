"""Initializers: the values that weights start from.

Forward activations keep their variance from layer to layer when the variance of the weights is
about 1/fan_in, backward gradients when it is 1/fan_out; every scheme here picks a side of that
trade, and a factor for the activation. Too large, and gradients explode with depth; too small, and
they vanish.

An initializer fills an array that it is given, because weights are views into one flat vector.
It draws in float64 and rounds at the end, so float32 and float64 models start alike.
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
