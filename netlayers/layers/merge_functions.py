"""The layers that combine several arrays, as functions of them: ``add([a, b])``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.layers.dot import Dot
from netlayers.layers.merge_layers import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Add(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Add`.
    """
    return Add(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Average(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Average`.
    """
    return Average(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return ``Concatenate(axis, **kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        axis: the axis along which they are joined.
        kwargs: arguments of :class:`Concatenate`.
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, normalize: bool = False, **kwargs: Any) -> Any:
    """Return ``Dot(axes, normalize, **kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        axes: as of :class:`Dot`.
        normalize: as of :class:`Dot`.
        kwargs: arguments of :class:`Dot`.
    """
    return Dot(axes, normalize, **kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Maximum(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Maximum`.
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Minimum(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Minimum`.
    """
    return Minimum(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Multiply(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Multiply`.
    """
    return Multiply(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return ``Subtract(**kwargs)(inputs)``.

    Args:
        inputs: arrays or symbolic values.
        kwargs: arguments of :class:`Subtract`.
    """
    return Subtract(**kwargs)(inputs)
