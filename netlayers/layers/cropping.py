"""Cropping of series, images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.errors import ShapeError
from netlayers.layers.spatial import AXES, SpatialLayer, pairs_per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class Cropping(SpatialLayer):
    """Base class of the layers that leave out entries at the ends of each spatial axis."""

    def __init__(self, cropping: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pairs = pairs_per_axis(type(self).__name__, "cropping", cropping, self._rank)
        self.cropping: Any = pairs[0] if self._rank == 1 else pairs
        self._pairs = pairs
        self._set_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes, or nothing is left of one."""
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with ``size - before - after`` entries along each axis.

        Raises:
            ShapeError: nothing is left.
        """
        sizes, channels = self._split_shape(input_shape)
        left = []
        for axis, n, (before, after) in zip(AXES[self._rank], sizes, self._pairs, strict=True):
            if n is not None and n <= before + after:
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): {axis} {n} - {before} - {after} leaves "
                    "nothing. Use a smaller cropping or a larger input."
                )
            left.append(None if n is None else n - before - after)
        return self._joined_shape(input_shape[0], left, channels)

    def _inside(self, shape: Shape) -> tuple[Any, ...]:
        """Return the index of what is left of an input of this shape."""
        sizes = self._split_shape(shape)[0]
        return self._at(
            slice(before, n - after)  # type: ignore[operator]
            for n, (before, after) in zip(sizes, self._pairs, strict=True)
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, p, c] = x[n, p + before, c]``."""
        x = self.prepare(x)
        y = self.buffer("y", self.compute_output_shape(x.shape), training)  # type: ignore[arg-type]
        y[...] = x[self._inside(x.shape)]
        if training:
            self.cache.shape = x.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx[n, p + before, c] = dy[n, p, c]``, and zeros around."""
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        dx.fill(0)
        dx[self._inside(shape)] = dy
        return dx


@register("layer", "cropping1d")
class Cropping1D(Cropping):
    """Leave out the ends of series.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, length - before - after, channels).

    Args:
        cropping: number of entries: an integer for both ends, or (before, after).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: nothing is left.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Cropping1D((2, 1))
        >>> layer.forward(np.arange(5.0).reshape(1, 5, 1)).ravel().tolist()
        [2.0, 3.0]
    """

    _rank = 1

    def __init__(
        self, cropping: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 5, 2)),
            ({"cropping": [0, 2], "data_format": "channels_first"}, (2, 2, 5)),
        ]


@register("layer", "cropping2d")
class Cropping2D(Cropping):
    """Leave out the margins of images.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, height - top - bottom, width -
    left - right, channels).

    Args:
        cropping: number of entries: an integer for all sides, (vertical, horizontal), or
            ((top, bottom), (left, right)).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: nothing is left.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Cropping2D(((1, 0), (0, 2))).forward(np.zeros((1, 5, 6, 3))).shape
        (1, 4, 4, 3)
    """

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"cropping": 1}, (2, 4, 3, 2)),
            ({"cropping": [0, (0, 2)], "data_format": "channels_first"}, (2, 2, 3, 4)),
        ]


@register("layer", "cropping3d")
class Cropping3D(Cropping):
    """Leave out the margins of volumes.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` the same axes, each of the three in
    the middle shorter by the two numbers of its pair.

    Args:
        cropping: number of entries: an integer for all sides, one for each axis, or for each axis
            a pair (before, after).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: nothing is left.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Cropping3D((1, 0, (2, 1))).forward(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2, 4, 1, 2)
    """

    _rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 3, 3, 4, 2)),
            ({"cropping": [0, 1, (0, 2)], "data_format": "channels_first"}, (2, 2, 1, 3, 3)),
        ]
