"""Layers that multiply each spatial axis by a matrix: resizing and means of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.kernels.axes import multiply_axis
from netlayers.layers.spatial import SpatialLayer

if TYPE_CHECKING:
    from netlayers._typing import Array, Shape


class AxisProducts(SpatialLayer):
    """Base class of layers ``y = M x``, with a constant matrix for each spatial axis.

    A subclass defines ``_new_sizes`` and ``_matrix``.
    """

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes."""
        self._split_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the new sizes of the spatial axes."""
        sizes, channels = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], self._new_sizes(sizes), channels)

    def _new_sizes(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the sizes of the spatial axes of the output."""
        raise NotImplementedError

    def _matrix(self, axis: int, size: int, new: int) -> Array:
        """Return the matrix (new, size) for a spatial axis, counted from 0."""
        raise NotImplementedError

    def _matrices(self, sizes: tuple[int, ...]) -> list[tuple[int, Array]]:
        """Return the axes of the input whose size changes, and their matrices."""
        new: Any = self._new_sizes(sizes)
        return [
            (axis + self._first_axis, self._matrix(axis, *pair))
            for axis, pair in enumerate(zip(sizes, new, strict=True))
            if pair[0] != pair[1]
        ]

    def _resized(self, x: Array, training: bool) -> Array:
        """Return ``M x``, one axis after the other."""
        matrices = self._matrices(self._split_shape(x.shape)[0])  # type: ignore[arg-type]
        for axis, matrix in matrices:
            shape = (*x.shape[:axis], len(matrix), *x.shape[axis + 1 :])
            y = self.buffer(f"y {axis}", shape, training)
            multiply_axis(matrix, x, axis, y)
            x = y
        return x

    def _resized_gradient(self, dy: Array, sizes: tuple[int, ...]) -> Array:
        """Return ``Mᵀ dy``, one axis after the other."""
        for axis, matrix in reversed(self._matrices(sizes)):
            shape = (*dy.shape[:axis], matrix.shape[1], *dy.shape[axis + 1 :])
            dx = self.buffer(f"dx {axis}", shape)
            multiply_axis(matrix.T, dy, axis, dx)
            dy = dx
        return dy

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = M x`` along each spatial axis."""
        x = self.prepare(x)
        if training:
            self.cache.shape = x.shape
        return self._resized(x, training)

    def backward(self, dy: Array) -> Array:
        """``dx = Mᵀ dy`` along each spatial axis."""
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        return self._resized_gradient(dy, self._split_shape(shape)[0])  # type: ignore[arg-type]
