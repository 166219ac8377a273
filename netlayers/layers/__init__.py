"""Layers: what a ``Sequential`` is made of."""

from __future__ import annotations

from netlayers.activations.gated import GELU, Mish, SiLU
from netlayers.activations.rectifiers import ELU, SELU, LeakyReLU, Linear, ReLU
from netlayers.activations.rectifiers import Linear as Identity
from netlayers.activations.sigmoids import (
    Exponential,
    HardSigmoid,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
)
from netlayers.activations.softmaxes import LogSoftmax, Softmax
from netlayers.core.layer import Layer
from netlayers.layers.activation import Activation
from netlayers.layers.dense import Dense
from netlayers.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from netlayers.layers.input import Input
from netlayers.layers.reshaping import Flatten, Permute, RepeatVector, Rescaling, Reshape

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "AlphaDropout",
    "Dense",
    "Dropout",
    "Exponential",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "HardSigmoid",
    "Identity",
    "Input",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout1D",
    "Tanh",
]
