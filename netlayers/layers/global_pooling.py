"""Global pooling: the largest or the mean entry of each channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_mask
from netlayers.checks import check_flag
from netlayers.kernels.threads import run, shares_of_rows
from netlayers.layers.spatial import SpatialLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class GlobalPooling(SpatialLayer):
    """Base class of the layers that reduce the spatial axes.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._set_data_format(data_format)
        self.keepdims = check_flag(type(self).__name__, "keepdims", keepdims)

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes, or an empty one."""
        self._refuse_empty(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, channels), or with ``keepdims`` a 1 for each spatial axis."""
        sizes, channels = self._split_shape(input_shape)
        if self.keepdims:
            return self._joined_shape(input_shape[0], (1,) * len(sizes), channels)
        return (input_shape[0], channels)

    def _places(self, x: Array) -> Array:
        """View x as (batch, places, channels), or with the channels first in that order."""
        if self._order is None:
            return x.reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])
        return x.reshape(len(x), x.shape[1], math.prod(x.shape[2:]))

    @property
    def _axis(self) -> int:
        """The axis of the places in :meth:`_places`."""
        return 1 if self._order is None else 2


class GlobalMaxPooling(GlobalPooling):
    """Base class of the layers that return the largest entry of each channel."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, c] = max x[n, p, c]`` over the places p."""
        x = self.prepare(x)
        places = self._places(x)
        y = self.buffer("y", (len(x), *np.delete(places.shape[1:], self._axis - 1)), training)
        np.max(places, axis=self._axis, out=y)
        if training:
            self.cache.x, self.cache.y = x, y
        return y.reshape(self.compute_output_shape(x.shape))  # type: ignore[arg-type]

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = dy[n, c]`` at the first place p of the maximum, 0 elsewhere."""
        x, y = self.cache.x, self.cache.y
        dy = self.check_gradient(dy, self.compute_output_shape(x.shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", x.shape)
        dx.fill(0)
        # Sample by sample, as NumPy copies what it searches along another axis than the last.
        along = self._axis - 1
        for its, target, given in zip(
            self._places(x), self._places(dx), dy.reshape(y.shape), strict=True
        ):
            first = np.expand_dims(its.argmax(axis=along), along)
            np.put_along_axis(target, first, np.expand_dims(given, along), along)
        return dx


class GlobalAveragePooling(GlobalPooling):
    """Base class of the layers that return the mean of each channel."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, c] = Σ x[n, p, c] / places``."""
        x = self.prepare(x)
        places = self._places(x)
        y = self.buffer("y", (len(x), *np.delete(places.shape[1:], self._axis - 1)), training)
        axis = self._axis
        run(lambda part: np.mean(places[part], axis, out=y[part]), shares_of_rows(places))
        if training:
            self.cache.shape = x.shape
        return y.reshape(self.compute_output_shape(x.shape))  # type: ignore[arg-type]

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = dy[n, c] / places``."""
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        places = self._places(dx)
        given = np.expand_dims(dy.reshape(len(dx), places.shape[3 - self._axis]), self._axis)
        count = places.shape[self._axis]
        run(lambda part: np.divide(given[part], count, out=places[part]), shares_of_rows(places))
        return dx


@register("layer", "global_max_pooling1d", "global_max_pool1d")
class GlobalMaxPooling1D(GlobalMaxPooling):
    """Largest entry of each channel of series.

    Shapes: ``x`` (batch, length, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalMaxPooling1D().forward(np.zeros((8, 20, 32))).shape
        (8, 32)
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 4, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 4, 3)),
        ]


@register("layer", "global_max_pooling2d", "global_max_pool2d")
class GlobalMaxPooling2D(GlobalMaxPooling):
    """Largest entry of each channel of images.

    Shapes: ``x`` (batch, height, width, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalMaxPooling2D().forward(np.zeros((8, 7, 7, 32))).shape
        (8, 32)
    """

    _rank = 2

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 3, 4, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 3, 4, 3)),
        ]


@register("layer", "global_max_pooling3d", "global_max_pool3d")
class GlobalMaxPooling3D(GlobalMaxPooling):
    """Largest entry of each channel of volumes.

    Shapes: ``x`` (batch, depth, height, width, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalMaxPooling3D().forward(np.zeros((8, 4, 4, 4, 32))).shape
        (8, 32)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 2, 3, 2, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 2, 3, 2, 3)),
        ]


@register("layer", "global_average_pooling1d", "global_avg_pool1d")
class GlobalAveragePooling1D(GlobalAveragePooling):
    """Mean of each channel of series, over the steps that are not masked.

    Shapes: ``x`` (batch, length, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalAveragePooling1D().forward(np.zeros((8, 20, 32))).shape
        (8, 32)
    """

    _rank = 1
    takes_mask = True

    @property
    def _time_axis(self) -> int:
        return self._axis

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 4, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 4, 3)),
        ]

    def __call__(
        self, inputs: Any, *more: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Return :meth:`forward`; an array by position is the mask. See :meth:`Layer.__call__`."""
        if len(more) == 1 and np.ndim(more[0]) == 2 and mask is None:
            mask, more = more[0], ()
        return super().__call__(inputs, *more, training=training, mask=mask)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        """``y[n, c] = Σ x[n, p, c] / steps`` over the steps p that ``mask`` keeps.

        Args:
            x: the input.
            training: cache what :meth:`backward` needs.
            mask: booleans (batch, length), or ``None`` for all; without a step, y is 0.
        """
        if training:
            self.cache.shares = None
        if mask is None:
            return super().forward(x, training)
        x = self.prepare(x)
        kept = np.expand_dims(as_mask(self.owner, mask), 3 - self._axis)
        counts = np.maximum(kept.sum(axis=self._axis), 1).astype(self._dtype)
        y = self.buffer("y", (len(x), x.shape[3 - self._axis]), training)
        np.sum(x, axis=self._axis, where=kept, out=y)
        np.divide(y, counts, out=y)
        if training:
            self.cache.shape = x.shape
            self.cache.shares = kept / np.expand_dims(counts, self._axis)
        return y.reshape(self.compute_output_shape(x.shape))  # type: ignore[arg-type]

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = dy[n, c] / steps`` for the steps p that are kept, 0 for others."""
        shares = self.cache.shares
        if shares is None:
            return super().backward(dy)
        shape = self.cache.shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        given = np.expand_dims(dy.reshape(len(dy), shape[3 - self._axis]), self._axis)
        return np.multiply(given, shares, out=self.buffer("dx", shape))


@register("layer", "global_average_pooling2d", "global_avg_pool2d")
class GlobalAveragePooling2D(GlobalAveragePooling):
    """Mean of each channel of images.

    Shapes: ``x`` (batch, height, width, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalAveragePooling2D().forward(np.zeros((8, 7, 7, 32))).shape
        (8, 32)
    """

    _rank = 2

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 3, 4, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 3, 4, 3)),
        ]


@register("layer", "global_average_pooling3d", "global_avg_pool3d")
class GlobalAveragePooling3D(GlobalAveragePooling):
    """Mean of each channel of volumes.

    Shapes: ``x`` (batch, depth, height, width, channels); ``y`` (batch, channels), or with
    ``keepdims`` a 1 for each spatial axis.

    Args:
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        keepdims: keep the spatial axes, with the size 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        M. Lin, Q. Chen, S. Yan, "Network in network" (2014), section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GlobalAveragePooling3D().forward(np.zeros((8, 4, 4, 4, 32))).shape
        (8, 32)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (2, 2, 3, 2, 3)),
            ({"keepdims": True, "data_format": "channels_first"}, (2, 2, 3, 2, 3)),
        ]
