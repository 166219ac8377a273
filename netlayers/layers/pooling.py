"""Pooling: the largest or the mean entry of each window of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_choice
from netlayers.kernels.select import kernels
from netlayers.layers.spatial import WindowLayer, lower_case, per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class Pooling(WindowLayer):
    """Base class of the pooling layers with windows."""

    _window_name = "pool_size"

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner, rank = type(self).__name__, self._rank
        self.pool_size = per_axis(owner, "pool_size", pool_size, rank)
        self.strides = (
            self.pool_size if strides is None else per_axis(owner, "strides", strides, rank)
        )
        self.padding = check_choice(owner, "padding", lower_case(padding), ("valid", "same"))
        self._set_data_format(data_format)
        self.dilation_rate = (1,) * rank

    @property
    def _window(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.pool_size

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes or is smaller than a window."""
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the number of windows along each axis."""
        sizes, channels = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], self._counts(sizes), channels)


class MaxPooling(Pooling):
    """Base class of the layers that return the largest entry of each window."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, p, c] = max x[n, stride p + q, c]`` over the offsets q; padding does not count."""
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        y = self.buffer("y", (len(x), *windows.counts, x.shape[-1]), training)
        kernels.max_pool(x, windows, y)
        if training:
            self.cache.x, self.cache.y, self.cache.windows = x, y, windows
        return self._arranged_back("y first", y, training)

    def backward(self, dy: Array) -> Array:
        """``dx[n, stride p + q, c] = Σ dy[n, p, c]`` over the windows p that it is the maximum of.

        Of several equal entries of a window, the first gets the gradient.
        """
        x, y, windows = self.cache.x, self.cache.y, self.cache.windows
        shape = self._joined_shape(len(x), windows.counts, x.shape[-1])
        dy = self._arranged("dy", self.check_gradient(dy, shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", x.shape)
        kernels.max_pool_gradient(x, y, dy, windows, dx)
        return self._arranged_back("dx first", dx)


class AveragePooling(Pooling):
    """Base class of the layers that return the mean of each window."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[n, p, c]`` is the mean of ``x[n, stride p + q, c]`` over the offsets q.

        Padding does not count.
        """
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        y = self.buffer("y", (len(x), *windows.counts, x.shape[-1]), training)
        kernels.average_pool(x, windows, y)
        if training:
            self.cache.shape, self.cache.windows = x.shape, windows
        return self._arranged_back("y first", y, training)

    def backward(self, dy: Array) -> Array:
        """``dx[n, stride p + q, c] = Σ dy[n, p, c] / k`` over windows p of k entries."""
        windows, shape = self.cache.windows, self.cache.shape
        given = self._joined_shape(shape[0], windows.counts, shape[-1])
        dy = self._arranged("dy", self.check_gradient(dy, given))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        kernels.average_pool_gradient(dy, windows, dx)
        return self._arranged_back("dx first", dx)


@register("layer", "max_pooling1d", "max_pool1d")
class MaxPooling1D(MaxPooling):
    """Largest entry of each window of series, for each channel.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, new length, channels). A size n becomes
    ``(n - pool_size) // strides + 1`` with ``"valid"`` and ``⌈n / strides⌉`` with ``"same"``.

    Args:
        pool_size: length of a window.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        K. Yamaguchi et al., "A neural network for speaker-independent isolated word recognition"
        (1990); I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.MaxPooling1D(2)
        >>> layer.forward(np.array([[[1.0], [4.0], [9.0], [16.0]]])).ravel().tolist()
        [4.0, 16.0]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2, "strides": 1}, (2, 5, 2)),
            ({"pool_size": [3], "strides": 3, "padding": "same"}, (2, 7, 2)),
            ({"pool_size": 2, "data_format": "channels_first"}, (2, 3, 6)),
        ]


@register("layer", "max_pooling2d", "max_pool2d")
class MaxPooling2D(MaxPooling):
    """Largest entry of each window of images, for each channel.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, new height, new width, channels).
    A size n becomes ``(n - pool_size) // strides + 1`` with ``"valid"`` and ``⌈n / strides⌉`` with
    ``"same"``.

    Args:
        pool_size: height and width of a window, an integer for both.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        K. Yamaguchi et al., "A neural network for speaker-independent isolated word recognition"
        (1990); I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.MaxPooling2D(2).forward(np.zeros((8, 26, 26, 32))).shape
        (8, 13, 13, 32)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2}, (2, 4, 5, 2)),
            ({"pool_size": [2, 3], "strides": 1, "padding": "same"}, (2, 3, 4, 2)),
            (
                {"pool_size": (3, 2), "strides": (2, 1), "data_format": "channels_first"},
                (2, 2, 5, 4),
            ),
        ]


@register("layer", "max_pooling3d", "max_pool3d")
class MaxPooling3D(MaxPooling):
    """Largest entry of each window of volumes, for each channel.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` (batch, new depth, new height, new
    width, channels). A size n becomes ``(n - pool_size) // strides + 1`` with ``"valid"`` and
    ``⌈n / strides⌉`` with ``"same"``.

    Args:
        pool_size: the three sizes of a window, an integer for all.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        K. Yamaguchi et al., "A neural network for speaker-independent isolated word recognition"
        (1990); I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), section 9.3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.MaxPooling3D(2).forward(np.zeros((2, 8, 8, 8, 4))).shape
        (2, 4, 4, 4, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2}, (2, 2, 3, 2, 2)),
            (
                {
                    "pool_size": (2, 3, 1),
                    "strides": (1, 2, 1),
                    "padding": "same",
                    "data_format": "channels_first",
                },
                (2, 1, 2, 3, 2),
            ),
        ]


@register("layer", "average_pooling1d", "avg_pool1d")
class AveragePooling1D(AveragePooling):
    """Mean of each window of series, for each channel.

    Shapes: ``x`` (batch, length, channels), ``y`` (batch, new length, channels). A size n becomes
    ``(n - pool_size) // strides + 1`` with ``"valid"`` and ``⌈n / strides⌉`` with ``"same"``.

    Args:
        pool_size: length of a window.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998), section
        II.B, without the factor and the bias.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.AveragePooling1D(2)
        >>> layer.forward(np.array([[[1.0], [4.0], [9.0], [16.0]]])).ravel().tolist()
        [2.5, 12.5]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2, "strides": 1}, (2, 5, 2)),
            ({"pool_size": [3], "strides": 3, "padding": "same"}, (2, 7, 2)),
            ({"pool_size": 2, "data_format": "channels_first"}, (2, 3, 6)),
        ]


@register("layer", "average_pooling2d", "avg_pool2d")
class AveragePooling2D(AveragePooling):
    """Mean of each window of images, for each channel.

    Shapes: ``x`` (batch, height, width, channels), ``y`` (batch, new height, new width, channels).
    A size n becomes ``(n - pool_size) // strides + 1`` with ``"valid"`` and ``⌈n / strides⌉`` with
    ``"same"``.

    Args:
        pool_size: height and width of a window, an integer for both.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998), section
        II.B, without the factor and the bias.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AveragePooling2D(2).forward(np.zeros((8, 26, 26, 32))).shape
        (8, 13, 13, 32)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2}, (2, 4, 5, 2)),
            ({"pool_size": [2, 3], "strides": 1, "padding": "same"}, (2, 3, 4, 2)),
            (
                {"pool_size": (3, 2), "strides": (2, 1), "data_format": "channels_first"},
                (2, 2, 5, 4),
            ),
        ]


@register("layer", "average_pooling3d", "avg_pool3d")
class AveragePooling3D(AveragePooling):
    """Mean of each window of volumes, for each channel.

    Shapes: ``x`` (batch, depth, height, width, channels), ``y`` (batch, new depth, new height, new
    width, channels). A size n becomes ``(n - pool_size) // strides + 1`` with ``"valid"`` and
    ``⌈n / strides⌉`` with ``"same"``.

    Args:
        pool_size: the three sizes of a window, an integer for all.
        strides: distance between neighbouring windows; by default ``pool_size``: windows side by
            side.
        padding: ``"valid"`` for windows inside the input; ``"same"`` also for those that reach over
            its ends, where only the entries inside count.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the input has another number of axes, or is smaller than a window.

    Source:
        Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998), section
        II.B, without the factor and the bias.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.AveragePooling3D(2).forward(np.zeros((2, 8, 8, 8, 4))).shape
        (2, 4, 4, 4, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"pool_size": 2}, (2, 2, 3, 2, 2)),
            (
                {
                    "pool_size": (2, 3, 1),
                    "strides": (1, 2, 1),
                    "padding": "same",
                    "data_format": "channels_first",
                },
                (2, 1, 2, 3, 2),
            ),
        ]
