"""The dot product of two arrays as a layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_integer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.merge_layers import MergeLayer
from netlayers.layers.merging import Merge
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Examples, Shape

_SMALL = 1e-12  # of the sum of squares that a vector is divided by the root of


@register("layer")
class Dot(MergeLayer):
    """``y = Σ_k x_1[..., k, ...] x_2[..., k, ...]``: dot products along an axis of each input.

    Shapes: the two axes have the same length. The output has the remaining axes of the first input,
    then those of the second; (batch, 1) if there are none.

    Args:
        axes: the axis of both, or a pair of axes; not 0, the batch.
        normalize: divide each vector by its length first, which gives the cosine of the angle. With
            ``n = √max(Σ_k x_k², 10⁻¹²)``, ``dx = (dz - z Σ_k z_k dz_k) / n`` for ``z = x / n``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        C. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section
        6.3.1 (the cosine).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> a, b = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
        >>> nl.layers.Dot(axes=1)([a, b])
        array([[24.]], dtype=float32)
        >>> nl.layers.Dot(axes=1, normalize=True, dtype="float64")([a, b])
        array([[0.96]])
    """

    _inputs = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        pair = axes if isinstance(axes, (tuple, list)) else (axes, axes)
        if len(pair) != 2:
            raise ConfigurationError(f"Dot: axes must be an integer or two, got {axes!r}.")
        self._axes = [check_integer("Dot", "axes", axis) for axis in pair]
        self.axes = axes if isinstance(axes, int) else tuple(self._axes)
        self.normalize = check_flag("Dot", "normalize", normalize)
        super().__init__(**kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"axes": 1}, ((4, 3), (4, 3))),
            ({"axes": (2, 1), "normalize": True}, ((2, 4, 3), (2, 3, 5))),
            ({"axes": [-1, -1]}, ((2, 4, 3), (2, 3))),
        ]

    def _new_merge(self) -> Merge:
        return _Products(self, self._axes, self.normalize)

    def _combined(self, shapes: Sequence[Shape]) -> Shape:
        rests: list[int | None] = []
        sizes = []
        for shape, axis in zip(shapes, self._axes, strict=True):
            if not -len(shape) < axis < len(shape) or axis == 0:
                raise ShapeError(
                    f"{self.owner} (Dot): axes={self.axes} names no axis of features of an input "
                    f"of shape {shown_shape(shape)} (the first is the batch)."
                )
            place = axis % len(shape)
            sizes.append(shape[place])
            rests += [*shape[1:place], *shape[place + 1 :]]
        if len(set(sizes) - {None}) > 1:
            raise ShapeError(
                f"{self.owner} (Dot): axes={self.axes} have {sizes[0]} and {sizes[1]} entries in "
                f"inputs of the shapes {' and '.join(map(shown_shape, shapes))}; they must agree."
            )
        return (shapes[0][0], *(rests or [1]))

    def forward(self, x: Any, training: bool = False) -> Array:
        """``y = Σ_k x_1 x_2`` along the axes."""
        return self._merge.forward(self.prepare(x), training)

    def backward(self, dy: Array) -> Any:
        """``dx_1 = Σ dy x_2``, ``dx_2 = Σ dy x_1``, over the axes of the other input."""
        return self._merge.backward(dy)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return ``None``: the axes of the output are others than those of the inputs."""
        return None


class _Products(Merge):
    """All dot products of the vectors of two arrays, as one matrix product for each sample."""

    def __init__(self, container: Any, axes: list[int], normalize: bool) -> None:
        super().__init__(container)
        self.axes, self.normalize = axes, normalize

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``Y = Z_1 Z_2ᵀ`` with a vector in each row."""
        rows = [self._rows(x, axis) for x, axis in zip(xs, self.axes, strict=True)]
        lengths = [self._lengths(z) for z in rows] if self.normalize else None
        if lengths is not None:
            rows = [z / n for z, n in zip(rows, lengths, strict=True)]
        y = rows[0] @ rows[1].swapaxes(1, 2)
        if training:
            self.container.cache.rows, self.container.cache.lengths = rows, lengths
        rest = [n for x, a in zip(xs, self.axes, strict=True) for n in _without(x.shape, a)]
        return y.reshape(len(y), *(rest or [1]))

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dZ_1 = dY Z_2``, ``dZ_2 = dYᵀ Z_1``."""
        cache = self.container.cache
        first, second = cache.rows
        dy = dy.reshape(len(dy), first.shape[1], second.shape[1])
        found = []
        for i, d in enumerate((dy @ second, dy.swapaxes(1, 2) @ first)):
            if cache.lengths is not None:
                z, n = cache.rows[i], cache.lengths[i]
                along = np.where(n > np.sqrt(_SMALL), np.sum(z * d, axis=2, keepdims=True), 0)
                d = (d - z * along) / n
            x, axis = xs[i], self.axes[i]
            shape = (len(x), *_without(x.shape, axis), x.shape[axis])
            found.append(np.moveaxis(d.reshape(shape), -1, axis))
        return tuple(found)

    @staticmethod
    def _rows(x: Array, axis: int) -> Array:
        rows = math.prod(_without(x.shape, axis))
        return np.moveaxis(x, axis, -1).reshape(len(x), rows, x.shape[axis])

    @staticmethod
    def _lengths(z: Array) -> Array:
        squares = np.sum(z * z, axis=2, keepdims=True)
        lengths: Array = np.sqrt(np.maximum(squares, z.dtype.type(_SMALL)))
        return lengths


def _without(shape: tuple[int, ...], axis: int) -> list[int]:
    """Return the sizes of all axes but the batch and one other."""
    return [n for i, n in enumerate(shape) if i not in (0, axis % len(shape))]
