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
from netlayers.layers.activity import ActivityRegularization
from netlayers.layers.dense import Dense
from netlayers.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from netlayers.layers.input import Input
from netlayers.layers.parallel import Parallel
from netlayers.layers.reshaping import Flatten, Permute, RepeatVector, Rescaling, Reshape
from netlayers.layers.residual import Residual

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "ActivityRegularization",
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
    "Parallel",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Residual",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpatialDropout1D",
    "Tanh",
]
