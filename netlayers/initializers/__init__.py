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

import numpy as np

from netlayers._serializers import serializers
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
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]


# Aliases, as in Keras.
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros


def get(identifier: Identifier) -> Initializer | None:
    """Return an initializer from a name, a configuration, an array or an initializer.

    ``None`` from ``None``. An array stands for :class:`Constant` values.

    Args:
        identifier: a name such as ``"he_normal"``, a dict that :func:`serialize` returned, an
            array, or an :class:`Initializer`.

    Example:
        >>> from netlayers import initializers
        >>> initializers.get("he_normal")
        HeNormal()
    """
    if identifier is None:
        return None
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    initializer: Initializer = resolve("initializer", identifier, Initializer)
    return initializer


serialize, deserialize = serializers(get)
