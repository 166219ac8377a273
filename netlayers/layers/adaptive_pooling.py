"""Adaptive pooling: windows for an output of a given size, whatever the size of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.kernels.axes import adaptive_windows, max_axis, max_axis_gradient, window_means
from netlayers.layers.axis_products import AxisProducts
from netlayers.layers.spatial import LARGEST_SIZE, per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class AdaptivePooling(AxisProducts):
    """Base class of the adaptive pooling layers.

    Window i of an axis reaches from ``⌊i n / output_size⌋`` to ``⌈(i + 1) n / output_size⌉``.
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = per_axis(
            type(self).__name__, "output_size", output_size, self._rank, maximum=LARGEST_SIZE
        )
        self._set_data_format(data_format)

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes, or an empty one."""
        self._refuse_empty(input_shape)

    def _new_sizes(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.output_size


class AdaptiveAveragePooling(AdaptivePooling):
    """Base class of the layers that return the mean of each window.

    The mean over a window is the mean over its rows of the means over its columns: a matrix for
    each axis.
    """

    def _matrix(self, axis: int, size: int, new: int) -> Array:
        return window_means(size, new, self._dtype)


class AdaptiveMaxPooling(AdaptivePooling):
    """Base class of the layers that return the largest entry of each window."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, i, c] = max x[n, p, c]`` over the places p of window i, axis by axis."""
        x = self.prepare(x)
        steps = []
        # The last axis first: of equal entries, the gradient goes to the first in reading order.
        for axis in reversed(range(self._rank)):
            at, new = axis + self._first_axis, self.output_size[axis]
            windows = adaptive_windows(x.shape[at], new)
            y = self.buffer(f"y {axis}", (*x.shape[:at], new, *x.shape[at + 1 :]), training)
            max_axis(x, at, windows, y)
            steps.append((x, y, at, windows))
            x = y
        if training:
            self.cache.steps = steps
        return x

    def backward(self, dy: Array) -> Array:
        """``dx[n, p, c] = Σ dy[n, i, c]`` over the windows i that p is the maximum of.

        Of several equal entries of a window, the first gets the gradient.
        """
        steps = self.cache.steps
        dy = self.check_gradient(dy, steps[-1][1].shape)
        for x, y, axis, windows in reversed(steps):
            dx = self.buffer(f"dx {axis}", x.shape)
            max_axis_gradient(x, y, dy, axis, windows, dx, self.buffer)
            dy = dx
        return dy


@register("layer", "adaptive_average_pooling1d")
class AdaptiveAveragePooling1D(AdaptiveAveragePooling):
    """Mean of each window of series, with as many windows as asked for.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, output_size, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: length of the output.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.AdaptiveAveragePooling1D(2)
        >>> layer.forward(np.array([[[1.0], [4.0], [9.0], [16.0]]])).ravel().tolist()
        [2.5, 12.5]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 5, 2)),
            ({"output_size": [4], "data_format": "channels_first"}, (2, 2, 3)),
        ]


@register("layer", "adaptive_average_pooling2d")
class AdaptiveAveragePooling2D(AdaptiveAveragePooling):
    """Mean of each window of images, with as many windows as asked for.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, new height, new width, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: height and width, an integer for both.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AdaptiveAveragePooling2D(7).forward(np.zeros((8, 20, 30, 32))).shape
        (8, 7, 7, 32)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 3, 4, 2)),
            ({"output_size": [3, 2], "data_format": "channels_first"}, (2, 2, 4, 5)),
        ]


@register("layer", "adaptive_average_pooling3d")
class AdaptiveAveragePooling3D(AdaptiveAveragePooling):
    """Mean of each window of volumes, with as many windows as asked for.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` (batch, new depth, new height, new
    width, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: the three sizes, an integer for all.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AdaptiveAveragePooling3D((1, 2, 2)).forward(np.zeros((2, 8, 8, 8, 4))).shape
        (2, 1, 2, 2, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 3, 2, 2, 2)),
            ({"output_size": [1, 2, 1], "data_format": "channels_first"}, (2, 2, 2, 3, 2)),
        ]


@register("layer", "adaptive_max_pooling1d")
class AdaptiveMaxPooling1D(AdaptiveMaxPooling):
    """Largest entry of each window of series, with as many windows as asked for.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, output_size, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: length of the output.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.AdaptiveMaxPooling1D(2)
        >>> layer.forward(np.array([[[1.0], [4.0], [9.0], [16.0]]])).ravel().tolist()
        [4.0, 16.0]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 5, 2)),
            ({"output_size": [4], "data_format": "channels_first"}, (2, 2, 3)),
        ]


@register("layer", "adaptive_max_pooling2d")
class AdaptiveMaxPooling2D(AdaptiveMaxPooling):
    """Largest entry of each window of images, with as many windows as asked for.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, new height, new width, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: height and width, an integer for both.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AdaptiveMaxPooling2D(7).forward(np.zeros((8, 20, 30, 32))).shape
        (8, 7, 7, 32)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 3, 4, 2)),
            ({"output_size": [3, 2], "data_format": "channels_first"}, (2, 2, 4, 5)),
        ]


@register("layer", "adaptive_max_pooling3d")
class AdaptiveMaxPooling3D(AdaptiveMaxPooling):
    """Largest entry of each window of volumes, with as many windows as asked for.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` (batch, new depth, new height, new
    width, channels).

    Window i of an axis of n entries holds the entries from ``⌊i n / output_size⌋`` up to, but
    without, ``⌈(i + 1) n / output_size⌉``.

    Args:
        output_size: the three sizes, an integer for all.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or an empty one.

    Source:
        K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual
        recognition" (2014), section 2.2, with these bounds in appendix A.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AdaptiveMaxPooling3D((1, 2, 2)).forward(np.zeros((2, 8, 8, 8, 4))).shape
        (2, 1, 2, 2, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"output_size": 2}, (2, 3, 2, 2, 2)),
            ({"output_size": [1, 2, 1], "data_format": "channels_first"}, (2, 2, 2, 3, 2)),
        ]
