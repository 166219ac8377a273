"""netlayers: neural networks on NumPy, every gradient written out by hand.

>>> import numpy as np, netlayers as nl
>>> x = np.random.default_rng(0).normal(size=(256, 4))
>>> y = (x.sum(axis=1) > 0).astype(int)
>>> model = nl.Sequential([nl.layers.Dense(16, activation="relu"), nl.layers.Dense(2)], seed=0)
>>> model.compile(optimizer="adam", metrics=["accuracy"],
...               loss=nl.losses.SparseCategoricalCrossentropy(from_logits=True))
>>> history = model.fit(x, y, epochs=30, verbose=0)
>>> history.history["accuracy"][-1] > 0.9
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from netlayers import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    diagnostics,
    distribution,
    errors,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from netlayers._version import __version__ as __version__
from netlayers.arrays.spec import InputSpec
from netlayers.constraints import Constraint
from netlayers.diagnostics.lr_finder import LearningRateCurve, find_learning_rate
from netlayers.diagnostics.replay import Replay, replay_snapshot
from netlayers.gradient_check import GradientReport, check_gradients
from netlayers.initializers import Initializer
from netlayers.kernels.select import kernels_in_use, use_kernels
from netlayers.layers import Input, Layer
from netlayers.losses import Loss
from netlayers.metrics import Metric
from netlayers.models import Functional, Model, Sequential
from netlayers.optimizers import Optimizer
from netlayers.registry import register
from netlayers.regularizers import Regularizer
from netlayers.saving import load_model

__all__ = [
    "Constraint",
    "Functional",
    "GradientReport",
    "Initializer",
    "Input",
    "InputSpec",
    "Layer",
    "LearningRateCurve",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Replay",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "check_gradients",
    "config",
    "constraints",
    "datasets",
    "diagnostics",
    "distribution",
    "errors",
    "find_learning_rate",
    "initializers",
    "kernels_in_use",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "register",
    "regularizers",
    "replay_snapshot",
    "saving",
    "use_kernels",
    "utils",
]

if not TYPE_CHECKING:  # a type checker would take every name for one of the module

    def __getattr__(name):
        """Load a module whose names have moved."""
        if name in ("checking", "inspection", "rates", "replaying"):
            return import_module(f"netlayers.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
