"""Layers: what a ``Sequential`` is made of."""

from __future__ import annotations

from netlayers.activations.gated import GELU, Mish, SiLU
from netlayers.activations.rectifiers import ELU, SELU, LeakyReLU, Linear, ReLU
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
from netlayers.layers.batch_normalization import BatchNormalization
from netlayers.layers.dense import Dense
from netlayers.layers.group_normalization import GroupNormalization
from netlayers.layers.input import Input
from netlayers.layers.layer_normalization import (
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from netlayers.layers.normalization import Normalization

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Exponential",
    "GroupNormalization",
    "HardSigmoid",
    "Input",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Normalization",
    "RMSNormalization",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "UnitNormalization",
]
