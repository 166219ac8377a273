"""Larger series, images and volumes: repeated or interpolated entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_integer
from netlayers.kernels.axes import INTERPOLATIONS, interpolation
from netlayers.layers.axis_products import AxisProducts
from netlayers.layers.spatial import per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


class UpSampling(AxisProducts):
    """Base class of the layers that make each spatial axis longer by an integer factor."""

    interpolation = "nearest"
    _factors: tuple[int, ...]

    def _new_sizes(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(
            None if n is None else n * k for n, k in zip(sizes, self._factors, strict=True)
        )

    def _matrix(self, axis: int, size: int, new: int) -> Array:
        return interpolation(size, new, self.interpolation, False, self._dtype)

    def _repeats(self, y: Array) -> tuple[Array, tuple[int, ...]]:
        """View y with an axis of the repeats after each spatial axis, and return these axes."""
        shape, axes = list(y.shape[: self._first_axis]), []
        for n, k in zip(y.shape[self._first_axis :], self._factors, strict=False):
            shape += [n // k, k]
            axes.append(len(shape) - 1)
        shape += y.shape[self._first_axis + self._rank :]
        return y.reshape(shape), tuple(axes)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, k p + q, c] = x[n, p, c]`` for all q < k, or ``y = M x`` along each axis."""
        if self.interpolation != "nearest":
            return super().forward(x, training)
        x = self.prepare(x)
        y = self.buffer("y", self.compute_output_shape(x.shape), training)  # type: ignore[arg-type]
        repeats, axes = self._repeats(y)
        repeats[...] = np.expand_dims(x, axes)
        if training:
            self.cache.shape = x.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = Σ dy[n, k p + q, c]`` over q < k, or ``dx = Mᵀ dy`` along each axis."""
        if self.interpolation != "nearest":
            return super().backward(dy)
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        return np.sum(*self._repeats(dy), out=dx)


@register("layer", "up_sampling1d")
class UpSampling1D(UpSampling):
    """Repeat each step of series.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, size length, channels).

    Args:
        size: number of repeats.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Zeiler et al., "Deconvolutional networks" (2010), section 2, for the pair of pooling and
        its inverse.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.UpSampling1D(2).forward(np.array([[[3.0], [4.0]]])).ravel().tolist()
        [3.0, 3.0, 4.0, 4.0]
    """

    _rank = 1

    def __init__(self, size: int = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = check_integer("UpSampling1D", "size", size, minimum=1)
        self._factors = (self.size,)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (2, 3, 2)), ({"size": 3, "data_format": "channels_first"}, (2, 3, 2))]


@register("layer", "up_sampling2d")
class UpSampling2D(UpSampling):
    """Repeat the rows and columns of images, or interpolate between them.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, size height, size width,
    channels).

    The centre of entry i of a longer axis lies at ``p = (i + 1/2) / size - 1/2`` of the input.
    There the other interpolations take a mean of the entries j, weighted with ``k(p - j)`` divided
    by the sum of these weights:

    - ``"bilinear"``: ``k(t) = max(0, 1 - |t|)``;
    - ``"bicubic"``: Keys's cubic with a = -1/2;
    - ``"lanczos3"``, ``"lanczos5"``: ``sinc(t) sinc(t / m)`` for ``|t| < m``, m = 3 or 5.

    Args:
        size: factors of height and width, an integer for both.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        interpolation: ``"nearest"``, which repeats, or one of those above.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions
        on Acoustics, Speech, and Signal Processing 29 (1981) 1153; C. Duchon, "Lanczos filtering
        in one and two dimensions", Journal of Applied Meteorology 18 (1979) 1016.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
        >>> nl.layers.UpSampling2D((1, 2), interpolation="bilinear").forward(x).ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = self._factors = per_axis("UpSampling2D", "size", size, 2)
        self._set_data_format(data_format)
        self.interpolation = check_choice(
            "UpSampling2D", "interpolation", interpolation, INTERPOLATIONS
        )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 2, 3, 2)),
            ({"size": [3, 1], "data_format": "channels_first"}, (2, 2, 2, 3)),
            ({"size": [2, 2], "interpolation": "bilinear"}, (2, 2, 3, 2)),
            (
                {"size": (2, 3), "interpolation": "bicubic", "data_format": "channels_first"},
                (2, 2, 3, 2),
            ),
            ({"size": [1, 3], "interpolation": "lanczos3"}, (2, 2, 4, 1)),
        ]


@register("layer", "up_sampling3d")
class UpSampling3D(UpSampling):
    """Repeat the entries of volumes along each axis.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` (batch, size depth, size height,
    size width, channels).

    Args:
        size: factors of the three axes, an integer for all.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Zeiler et al., "Deconvolutional networks" (2010), section 2, for the pair of pooling and
        its inverse.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.UpSampling3D((1, 2, 3)).forward(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 4, 8, 12, 2)
    """

    _rank = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = self._factors = per_axis("UpSampling3D", "size", size, 3)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 1, 2, 2, 2)),
            ({"size": [2, 1, 3], "data_format": "channels_first"}, (2, 2, 1, 2, 2)),
        ]
