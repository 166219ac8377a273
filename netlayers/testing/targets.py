"""Random targets and predictions of the kinds that examples of losses and metrics name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.testing.contract import Example

PREDICTIONS = ("numbers", "shares", "positive")
TARGETS = (*PREDICTIONS, "column", "counts", "signs", "one-hot", "classes")


def axis_of(thing: Any) -> int:
    """Return the axis of the outputs."""
    axis = getattr(thing, "axis", -1)
    return axis if isinstance(axis, int) else -1


def draw(
    example: Example, thing: Any, shape: tuple[int, ...], dtype: str, same_size: bool = False
) -> tuple[Array, Array]:
    """Return random targets and predictions of the kinds that an example names.

    Args:
        example: its data are the kinds of targets and predictions and, where the arguments fix
            them, the sizes of the axes of a sample. A kind is a name, or a function of a generator
            and a shape.
        thing: the loss or metric.
        shape: of the predictions; but for the rows, those sizes take its place.
        dtype: of floats.
        same_size: keep the number of predictions, with more samples for fewer outputs.
    """
    kind_true, kind_pred, *outputs = example.data
    if outputs:
        size = math.prod(shape)
        shape = (*shape[:-1], *outputs) if len(outputs) == 1 else (shape[0], *outputs)
        if same_size:
            shape = (size // math.prod(shape[1:]), *shape[1:])
    rng = np.random.default_rng(11)
    axis = axis_of(thing)
    classes = rng.integers(0, shape[axis], np.delete(shape, axis))
    y_pred = _drawn(kind_pred, rng, shape, axis, classes).astype(dtype)
    y_true = _drawn(kind_true, rng, shape, axis, classes)
    if getattr(thing, "mask_nan", False) and not hasattr(thing, "losses"):
        y_true = np.where(rng.random(y_true.shape) < 0.3, np.nan, y_true)
    return (y_true if kind_true == "classes" else y_true.astype(dtype)), y_pred


def _drawn(kind: Any, rng: np.random.Generator, shape: Any, axis: int, classes: Array) -> Array:
    if callable(kind):
        return np.asarray(kind(rng, shape))
    if kind == "numbers":
        return rng.normal(size=shape)
    if kind == "shares":
        return rng.uniform(0.1, 0.9, shape)
    if kind == "positive":
        return rng.uniform(0.1, 3, shape)
    if kind == "column":
        return rng.normal(size=(*shape[:-1], 1))
    if kind == "counts":
        return rng.poisson(1.5, shape)
    if kind == "signs":
        return rng.choice([-1, 1], shape)
    if kind == "one-hot":
        return np.moveaxis(np.eye(shape[axis])[classes], -1, axis)
    if kind == "classes":
        return classes
    raise ConfigurationError(
        f"examples(): the kind of targets or predictions must be one of {', '.join(TARGETS)}, or a "
        f"function of a generator and a shape, got {kind!r}."
    )
