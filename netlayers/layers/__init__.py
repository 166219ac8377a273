"""Layers: what a ``Sequential`` is made of."""

from __future__ import annotations

from netlayers.activations.clipped import HardSigmoid, HardTanh, ReLU6, SparseSigmoid
from netlayers.activations.gated import GELU, GLU, HardSiLU, Mish, SiLU
from netlayers.activations.rectifiers import CELU, ELU, SELU, LeakyReLU, Linear, ReLU
from netlayers.activations.shrinkage import HardShrink, SoftShrink, TanhShrink, Threshold
from netlayers.activations.sigmoids import Exponential, Sigmoid, Softsign, Tanh
from netlayers.activations.softmaxes import LogSoftmax, Softmax, Sparsemax
from netlayers.activations.softpluses import LogSigmoid, Softplus, SparsePlus, Squareplus
from netlayers.core.layer import Layer
from netlayers.layers.activation import Activation
from netlayers.layers.dense import Dense
from netlayers.layers.input import Input
from netlayers.layers.prelu import PReLU

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Activation",
    "Dense",
    "Exponential",
    "HardShrink",
    "HardSiLU",
    "HardSigmoid",
    "HardTanh",
    "Input",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "SoftShrink",
    "Softmax",
    "Softplus",
    "Softsign",
    "SparsePlus",
    "SparseSigmoid",
    "Sparsemax",
    "Squareplus",
    "Tanh",
    "TanhShrink",
    "Threshold",
]
