"""Decisions that a compiled model takes once it knows its shapes."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

from netlayers import losses
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, NotCompiledError
from netlayers.registry import EXECUTION_ARGUMENTS
from netlayers.training.step import Steps

if TYPE_CHECKING:
    from netlayers._typing import Identifier, Shape


# Those of EXECUTION_ARGUMENTS that Keras's compile has.
_OPTIONS = {"auto_scale_loss", "jit_compile", "run_eagerly", "steps_per_execution"}


def check_options(owner: str, options: dict[str, Any]) -> None:
    """Raise a TypeError for an option that is not one of Keras's on execution."""
    unknown = options.keys() - (_OPTIONS & EXECUTION_ARGUMENTS.keys())
    if unknown:
        raise TypeError(f"{owner}: compile() has no argument {', '.join(sorted(unknown))}.")


def chosen_loss(owner: str, loss: Identifier) -> Any:
    """Return the loss that ``compile`` was given; ``"crossentropy"`` waits for the shapes.

    Raises:
        ConfigurationError: there is none, or its value is no single number.
    """
    if loss is None:
        raise ConfigurationError(f"{owner}: compile() needs a loss, for instance loss='mse'.")
    if isinstance(loss, str) and loss.lower() in ("ce", "crossentropy"):
        return loss
    chosen = losses.get(loss)
    if getattr(chosen, "reduction", "sum") in ("none", None):
        raise ConfigurationError(
            f"{owner}: the loss has reduction={chosen.reduction!r}, which gives an array; "
            "training minimizes one number. Use 'sum_over_batch_size' or 'sum'."
        )
    return chosen


def steps_for(model: Any, target_shape: Shape) -> Steps:
    """Return what trains a compiled and built model on a batch.

    Raises:
        NotCompiledError: the model is not compiled.
        ConfigurationError: it has several outputs.
    """
    if model.optimizer is None or model.loss is None:
        raise NotCompiledError(
            f"{model.owner} is not compiled: call compile(optimizer, loss) first."
        )
    if model._output_count > 1:
        raise ConfigurationError(
            f"{model.owner}: it has {model._output_count} outputs, of the shapes "
            f"{shown_shape(model.output_shape)}, and a loss takes one. Put a layer behind them "
            "that makes one output of them."
        )
    loss = model.loss
    if isinstance(loss, str):
        loss = crossentropy_by_shape(target_shape, model.output_shape)
    warn_of_single_softmax(model.output_shape, loss, model.activation)
    fused = fused_loss(loss, model.activation)
    steps = Steps(model, model.optimizer, fused or loss, model._metrics, fused is not None)
    steps.resolve_metrics(target_shape)
    return steps


def crossentropy_by_shape(target_shape: Shape, output_shape: Shape) -> losses.Loss:
    """Choose what ``"crossentropy"`` means, as Keras does: by the shapes."""
    if output_shape[-1] == 1:
        return losses.BinaryCrossentropy()
    if len(target_shape) == len(output_shape) and target_shape[-1] == output_shape[-1]:
        return losses.CategoricalCrossentropy()
    return losses.SparseCategoricalCrossentropy()


def fused_loss(loss: Any, activation: Any) -> Any:
    """Return the loss on logits that stands for activation and loss together, or ``None``."""
    if not isinstance(loss, losses.Crossentropy) or loss.from_logits:
        return None
    if type(activation).__name__.lower() != loss.link or loss.axis != -1:
        return None
    if getattr(activation, "axis", -1) != -1:
        return None
    fused = copy.deepcopy(loss)
    fused.from_logits = True
    return fused


def warn_of_single_softmax(output_shape: Shape, loss: Any, activation: Any) -> None:
    """Warn of a softmax that can only be 1."""
    softmax = type(activation).__name__ == "Softmax" or getattr(loss, "link", "") == "softmax"
    if softmax and output_shape[-1] == 1:
        warnings.warn(
            "A softmax over one output is always 1, so nothing can be learned. For two classes use "
            "one output with activation='sigmoid' and loss='binary_crossentropy', or two outputs.",
            stacklevel=6,
        )
