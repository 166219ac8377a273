"""Decisions that a compiled model takes once it knows its shapes."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

from netlayers import losses

if TYPE_CHECKING:
    from netlayers._typing import Shape


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
            stacklevel=5,
        )
