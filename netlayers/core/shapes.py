"""Shapes, as messages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlayers._typing import Shape


def shown_shape(shape: Shape) -> str:
    """``(None, 784)`` as ``(batch, 784)``."""
    return "(" + ", ".join(["batch", *(str(size or "any") for size in shape[1:])]) + ")"


def shape_hint(expected: Shape, shape: Shape) -> str:
    """Return what to do about an input of ``shape`` where ``expected`` was expected."""
    if len(shape) == 1 and len(expected) == 2:
        return "Add an axis: x[:, None] for samples of one feature, x[None, :] for a single sample."
    if len(shape) < len(expected):
        return "For a single sample, add the batch axis: x[None, ...]."
    if len(shape) > len(expected):
        return f"Reshape it: x.reshape(len(x), {', '.join(str(s or -1) for s in expected[1:])})."
    return "Change the data, or the input shape of the model."
