"""Zeros around series, images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.layers.spatial import SpatialLayer, pairs_per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class ZeroPadding(SpatialLayer):
    """Base class of the layers that put zeros around their input."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pairs = pairs_per_axis(type(self).__name__, "padding", padding, self._rank)
        self.padding: Any = pairs[0] if self._rank == 1 else pairs
        self._pairs = pairs
        self._set_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes."""
        self._split_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with ``size + before + after`` entries along each axis."""
        sizes, channels = self._split_shape(input_shape)
        padded = [
            None if n is None else n + before + after
            for n, (before, after) in zip(sizes, self._pairs, strict=True)
        ]
        return self._joined_shape(input_shape[0], padded, channels)

    def _inside(self, shape: Shape) -> tuple[Any, ...]:
        """Return the index at which an input of this shape lies in the output."""
        sizes = self._split_shape(shape)[0]
        return self._at(
            slice(before, before + n)  # type: ignore[operator]
            for n, (before, _) in zip(sizes, self._pairs, strict=True)
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, p + before, c] = x[n, p, c]``, and zeros around."""
        x = self.prepare(x)
        y = self.buffer("y", self.compute_output_shape(x.shape), training)  # type: ignore[arg-type]
        y.fill(0)
        y[self._inside(x.shape)] = x
        if training:
            self.cache.shape = x.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = dy[n, p + before, c]``."""
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        dx[...] = dy[self._inside(shape)]
        return dx


@register("layer", "zero_padding1d")
class ZeroPadding1D(ZeroPadding):
    """Put zeros before and after series.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, before + length + after, channels).

    Args:
        padding: number of zeros: an integer for both ends, or (before, after).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.5.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.ZeroPadding1D((2, 1)).forward(np.array([[[3.0], [4.0]]])).ravel().tolist()
        [0.0, 0.0, 3.0, 4.0, 0.0]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 3, 2)),
            ({"padding": (0, 2), "data_format": "channels_first"}, (2, 2, 3)),
        ]


@register("layer", "zero_padding2d")
class ZeroPadding2D(ZeroPadding):
    """Put zeros around images.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, top + height + bottom, left +
    width + right, channels).

    Args:
        padding: number of zeros: an integer for all sides, (vertical, horizontal), or
            ((top, bottom), (left, right)).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.5.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.ZeroPadding2D(((1, 0), (0, 2)))
        >>> layer.forward(np.array([[[[7.0]]]]))[0, :, :, 0].tolist()
        [[0.0, 0.0, 0.0], [7.0, 0.0, 0.0]]
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 2, 3, 2)),
            ({"padding": [2, (0, 1)], "data_format": "channels_first"}, (2, 2, 2, 3)),
        ]


@register("layer", "zero_padding3d")
class ZeroPadding3D(ZeroPadding):
    """Put zeros around volumes.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` the same axes, each of the three in
    the middle longer by the two numbers of its pair.

    Args:
        padding: number of zeros: an integer for all sides, one for each axis, or for each axis a
            pair (before, after).
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.5.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.ZeroPadding3D((1, 0, (2, 3))).forward(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 6, 4, 9, 2)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 1, 2, 2, 2)),
            ({"padding": [1, 0, (0, 1)], "data_format": "channels_first"}, (2, 2, 1, 2, 2)),
        ]
