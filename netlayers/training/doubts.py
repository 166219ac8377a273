"""Warnings at the start of ``fit``: of models and arguments that cannot do what they seem to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.layers import Normalization
from netlayers.optimizers.schedules import OneCycle

if TYPE_CHECKING:
    from netlayers.data.batch import Data
    from netlayers.training.compilation import CompilableModel


def warn_of_model(owner: str, model: CompilableModel) -> None:
    """Warn about a model that cannot learn, and about layers that only pass their input on."""
    if not model._has_trainable_weights:
        warn(
            f"{owner}: {model.owner} has no trainable weights, so nothing can be "
            "learned; summary() says which of its layers have weights."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, Normalization) and not layer.has_moments:
            warn(
                f"{owner}: {layer.owner} (Normalization) has no mean and variance yet, so it "
                "changes nothing; call its adapt(data) before."
            )


def warn_of_schedule(owner: str, model: CompilableModel, data: Data, epochs: int) -> None:
    """Warn about a run with more updates than its one-cycle schedule."""
    optimizer = model.optimizer
    assert optimizer is not None
    schedule = optimizer._learning_rate
    if not isinstance(schedule, OneCycle) or data.steps is None:
        return
    accumulated = optimizer.gradient_accumulation_steps or 1
    updates = optimizer.iterations + data.steps * epochs // accumulated
    if updates > schedule.total_steps:
        warn(
            f"{owner}: OneCycle has total_steps={schedule.total_steps}, but the run ends with "
            f"update {updates}; in those beyond, the learning rate stays at its lowest."
        )


def warn_of_data(owner: str, model: CompilableModel, y: Any, weight: Any) -> None:
    """Warn about a data set of which the loss leaves everything out."""
    if weight is not None and not np.any(weight):
        warn(f"{owner}: sample_weight is 0 for all rows, so nothing is learned from them.")
    if not isinstance(y, np.ndarray):
        return
    ignored = getattr(model.loss, "ignore_class", None)
    if ignored is not None and np.all(y == ignored):
        warn(f"{owner}: all y are {ignored}, the ignore_class of the loss: nothing is learned.")
    if getattr(model.loss, "mask_nan", None) and np.isnan(y).all():
        warn(f"{owner}: all y are NaN, which mask_nan=True leaves out: nothing is learned.")
