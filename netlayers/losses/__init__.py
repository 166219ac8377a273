"""Losses: how wrong a prediction is, and the gradient that training starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.errors import ConfigurationError
from netlayers.losses.base import Loss
from netlayers.losses.binary import BinaryCrossentropy
from netlayers.losses.crossentropy import (
    CategoricalCrossentropy,
    Crossentropy,
    SparseCategoricalCrossentropy,
)
from netlayers.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError
from netlayers.registry import resolve

if TYPE_CHECKING:
    from netlayers._typing import Identifier

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Crossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]


def get(identifier: Identifier) -> Loss:
    """Return a loss from a name, a configuration or an object with ``forward`` and ``backward``.

    Raises:
        ConfigurationError: the name is unknown, or a function (which has no gradient) was given.

    Example:
        >>> from netlayers import losses
        >>> losses.get("mse")
        MeanSquaredError()
    """
    if not isinstance(identifier, (str, type, dict)) and identifier is not None:
        if callable(getattr(identifier, "forward", None)) and callable(
            getattr(identifier, "backward", None)
        ):
            loss: Loss = identifier
            return loss
        if callable(identifier):
            raise ConfigurationError(
                f"loss: {identifier!r} is a function, and a function has no gradient. Pass an "
                "object with forward(y_true, y_pred, sample_weight=None) and backward()."
            )
    resolved: Loss = resolve("loss", identifier, Loss)
    return resolved
