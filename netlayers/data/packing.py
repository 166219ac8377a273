"""Inputs, targets and weights as one value."""

from __future__ import annotations

from typing import Any

from netlayers.errors import DataError


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return the arguments of ``fit`` as one value: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``.

    A single ``x`` that is a list or tuple becomes ``(x,)``.

    Args:
        x: inputs.
        y: targets.
        sample_weight: weights of the samples.

    Example:
        >>> import netlayers as nl
        >>> nl.utils.pack_x_y_sample_weight([1], [2])
        ([1], [2])
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` of a batch, ``None`` for what it does not have.

    Args:
        data: ``x``, or a tuple or list of one to three.

    Raises:
        DataError: there are more than three.

    Example:
        >>> import netlayers as nl
        >>> nl.utils.unpack_x_y_sample_weight(([1], [2]))
        ([1], [2], None)
    """
    parts = tuple(data) if isinstance(data, (list, tuple)) else (data,)
    if not 1 <= len(parts) <= 3:
        raise DataError(
            f"unpack_x_y_sample_weight: data must be x, (x,), (x, y) or (x, y, sample_weight), got "
            f"{len(parts)} parts."
        )
    return (*parts, None, None)[:3]
