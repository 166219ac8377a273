"""Convolutions over one, two or three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_integer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.select import kernels
from netlayers.layers.dense import AffineLayer
from netlayers.layers.spatial import WindowLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


# Arguments of examples: an activation, and those of kernel and bias.
CONVOLUTION_EXAMPLE = {
    "filters": 3,
    "kernel_size": 2,
    "activation": "tanh",
    "kernel_initializer": "he_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": "l1",
    "kernel_constraint": "unit_norm",
    "bias_constraint": "unit_norm",
}


class Convolution(AffineLayer, WindowLayer):
    """Base class of the convolutions; the number of spatial axes is that of a subclass."""

    _takes_empty = False
    supports_masking = False
    _paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            bias_initializer,
            bias_regularizer,
            activity_regularizer,
            bias_constraint,
            **kwargs,
        )
        owner = type(self).__name__
        self.filters = check_integer(owner, "filters", filters, minimum=1)
        self._set_kernel(kernel_size, strides, padding, data_format, dilation_rate, self._paddings)
        self.groups = check_integer(owner, "groups", groups, minimum=1)
        if self.filters % self.groups:
            raise ConfigurationError(
                f"{owner}: filters must be a multiple of groups={self.groups}, got {self.filters}."
            )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    @property
    def _window(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.kernel_size

    def build(self, input_shape: Shape) -> None:
        """Declare ``kernel`` (*kernel_size, channels / groups, filters) and ``bias`` (filters,)."""
        channels = self._known_channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): the number of channels must be a multiple "
                f"of groups={self.groups}, got {channels} in {shown_shape(input_shape)}."
            )
        self._counts(self._split_shape(input_shape)[0])
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self._add_kernel("kernel", shape)
        self._add_bias(self.filters)

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the number of windows along each axis, and ``filters``."""
        sizes, _ = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], self._counts(sizes), self.filters)

    def _forward(self, x: Array, training: bool, rectify: bool) -> Array:
        """Return y, or ``max(y, 0)`` for a rectifier that follows; see ``Rectified``."""
        z = self._forward_logits(x, training, rectify)
        return self.activation.forward(z, training, inplace=True)

    def _forward_logits(self, x: Array, training: bool = False, rectify: bool = False) -> Array:
        """``z[n, p] = b + Σ x[n, stride p + dilation q] W[q]``, the sum over the offsets q.

        Each term is the product of the channels at one place with a matrix; padding is 0.
        """
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        z = self.buffer("z", (len(x), *windows.counts, self.filters), training)
        inside = rectify and kernels.stack_forward is not None  # compiled
        kernels.convolve(x, self.kernel, windows, z, self.groups, self.bias, inside)
        if rectify and not inside:
            kernels.relu(z, z)
        if training:
            self.cache.x, self.cache.windows = x, windows
            self.cache.rectified, self.cache.kept = rectify, z if rectify else None
            self.cache.z_shape = self._joined_shape(len(x), windows.counts, self.filters)
        return self._arranged_back("z first", z, training)

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """Gradients, with sums over the samples n, windows p and offsets q that lead to a place.

        ``dW[q] = Σ x[n, stride p + dilation q]ᵀ dz[n, p]``, ``db = Σ dz[n, p]``,
        ``dx[n, stride p + dilation q] = Σ dz[n, p] W[q]ᵀ``.

        After a rectified z, dz is 0 where z is 0.
        """
        x, windows, kept = self.cache.x, self.cache.windows, self.cache.kept
        dz = self._arranged("dz", self.check_gradient(dz, self.cache.z_shape))
        if kept is not None:
            dy, dz = dz, self.buffer("dx kept", kept.shape)
            kernels.relu_gradient(dy, kept, dz)
        if self._trainable:
            kernels.convolve_kernel_gradient(x, dz, windows, self.d_kernel, self.groups)
            if self.use_bias:
                channel_sums(dz, self.d_bias)
        if not input_gradient:
            return dz
        dx = self.buffer("dx", x.shape)
        kernels.convolve_input_gradient(dz, self.kernel, windows, dx, self.groups)
        return self._arranged_back("dx first", dx)


@register("layer", "conv1d")
class Conv1D(Convolution):
    """Convolution of series: ``y[n, t] = activation(b + Σ x[n, stride t + dilation q] W[q])``.

    Shapes: ``x`` (batch, length, channels), ``W`` = ``kernel`` (kernel_size, channels / groups,
    filters), ``b`` = ``bias`` (filters,), ``y`` (batch, new length, filters).

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` for windows inside the input; ``"same"`` adds zeros on both sides, so
            that the output has the size of the input divided by the stride, rounded up;
            ``"causal"`` adds them before the input only, so that no output sees later entries.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        groups: channels and filters are cut into so many parts; each part of the filters sees its
            part of the channels.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        kernel_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    A size n becomes ``(n - e) // stride + 1`` with ``"valid"`` and ``⌈n / stride⌉`` otherwise,
    where ``e = (kernel_size - 1) dilation_rate + 1``.

    Raises:
        ShapeError: the input has another number of axes, is smaller than the kernel, or its
            channels are no multiple of ``groups``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
        relationships 1 to 6 for the sizes, 8 to 14 for the gradient as a transposed convolution;
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), equations 9.7 to 9.13.

    Example:
        Differences of neighbouring entries.

        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Conv1D(1, 2, use_bias=False)
        >>> layer.build((None, 4, 1))
        >>> layer.set_weights([np.array([-1.0, 1.0]).reshape(2, 1, 1)])
        >>> layer.forward(np.array([[[1.0], [4.0], [9.0], [16.0]]])).ravel().tolist()
        [3.0, 5.0, 7.0]
    """

    _rank = 1
    _paddings = ("valid", "same", "causal")

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 3, "kernel_size": 3}, (2, 6, 2)),
            (
                {"filters": 2, "kernel_size": [3], "padding": "causal", "dilation_rate": 2},
                (2, 7, 5),
            ),
            (
                {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "groups": 2},
                (2, 8, 4),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": 2,
                    "data_format": "channels_first",
                    "use_bias": False,
                },
                (2, 3, 5),
            ),
            (CONVOLUTION_EXAMPLE, (2, 4, 2)),
        ]


@register("layer", "conv2d")
class Conv2D(Convolution):
    """Convolution of images: ``y[n, p] = activation(b + Σ x[n, stride p + dilation q] W[q])``.

    p and q are places (row, column), in the output and in the kernel.

    Shapes: ``x`` (batch, height, width, channels), ``W`` = ``kernel`` (*kernel_size, channels /
    groups, filters), ``b`` = ``bias`` (filters,), ``y`` (batch, new height, new width, filters).

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, an integer for both.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` for windows inside the input; ``"same"`` adds zeros on both sides, so
            that the output has the size of the input divided by the stride, rounded up.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        groups: channels and filters are cut into so many parts; each part of the filters sees its
            part of the channels.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        kernel_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    A size n becomes ``(n - e) // stride + 1`` with ``"valid"`` and ``⌈n / stride⌉`` otherwise,
    where ``e = (kernel_size - 1) dilation_rate + 1``.

    Raises:
        ShapeError: the input has another number of axes, is smaller than the kernel, or its
            channels are no multiple of ``groups``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
        relationships 1 to 6 for the sizes, 8 to 14 for the gradient as a transposed convolution;
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), equations 9.7 to 9.13.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Conv2D(8, 3, activation="relu")
        >>> layer.forward(np.zeros((2, 28, 28, 1)), training=True).shape
        (2, 26, 26, 8)
        >>> layer.backward(np.zeros((2, 26, 26, 8))).shape, layer.d_kernel.shape
        ((2, 28, 28, 1), (3, 3, 1, 8))
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 2, "kernel_size": 3}, (2, 5, 4, 2)),
            (
                {"filters": 3, "kernel_size": (2, 3), "strides": (2, 1), "padding": "same"},
                (2, 5, 4, 6),
            ),
            ({"filters": 4, "kernel_size": 2, "dilation_rate": [1, 2], "groups": 2}, (2, 4, 5, 4)),
            (
                {"filters": 2, "kernel_size": 3, "data_format": "channels_first", "strides": 2},
                (2, 3, 5, 5),
            ),
            ({"filters": 3, "kernel_size": 1, "use_bias": False}, (2, 2, 3, 2)),
            (CONVOLUTION_EXAMPLE, (2, 3, 4, 2)),
        ]


@register("layer", "conv3d")
class Conv3D(Convolution):
    """Convolution of volumes: ``y[n, p] = activation(b + Σ x[n, stride p + dilation q] W[q])``.

    p and q are places in three axes, in the output and in the kernel.

    Shapes: ``x`` (batch, depth, height, width, channels), ``W`` = ``kernel`` (*kernel_size,
    channels / groups, filters), ``b`` = ``bias`` (filters,), ``y`` (batch, new depth, new height,
    new width, filters).

    Args:
        filters: number of output channels.
        kernel_size: the three sizes of the kernel, an integer for all.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` for windows inside the input; ``"same"`` adds zeros on both sides, so
            that the output has the size of the input divided by the stride, rounded up.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        groups: channels and filters are cut into so many parts; each part of the filters sees its
            part of the channels.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        kernel_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        kernel_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kernel_constraint: constraint applied to ``W`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    A size n becomes ``(n - e) // stride + 1`` with ``"valid"`` and ``⌈n / stride⌉`` otherwise,
    where ``e = (kernel_size - 1) dilation_rate + 1``.

    Raises:
        ShapeError: the input has another number of axes, is smaller than the kernel, or its
            channels are no multiple of ``groups``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
        relationships 1 to 6 for the sizes, 8 to 14 for the gradient as a transposed convolution;
        I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning" (2016), equations 9.7 to 9.13.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Conv3D(4, 3, padding="same").forward(np.zeros((1, 8, 8, 8, 2))).shape
        (1, 8, 8, 8, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 2, "kernel_size": 2}, (2, 3, 2, 3, 2)),
            (
                {"filters": 2, "kernel_size": (2, 1, 3), "strides": (2, 1, 2), "padding": "same"},
                (2, 3, 2, 4, 2),
            ),
            (
                {
                    "filters": 4,
                    "kernel_size": 2,
                    "dilation_rate": (2, 1, 1),
                    "groups": 2,
                    "data_format": "channels_first",
                },
                (2, 2, 3, 2, 3),
            ),
            ({"filters": 1, "kernel_size": 1, "use_bias": False}, (2, 1, 2, 1, 3)),
            (CONVOLUTION_EXAMPLE, (2, 2, 2, 3, 1)),
        ]
