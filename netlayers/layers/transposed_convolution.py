"""Transposed convolutions: the input gradient of a convolution as a forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_integer
from netlayers.errors import ConfigurationError
from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.select import kernels
from netlayers.kernels.windows import Windows
from netlayers.layers.convolution import CONVOLUTION_EXAMPLE
from netlayers.layers.dense import AffineLayer
from netlayers.layers.spatial import SpatialLayer, per_axis
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


class TransposedConvolution(AffineLayer, SpatialLayer):
    """Base class of the transposed convolutions."""

    supports_masking = False
    _takes_empty = False

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self._set_kernel(kernel_size, strides, padding, data_format, dilation_rate)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = per_axis(owner, "output_padding", output_padding, self._rank, 0)
            if any(o >= s for o, s in zip(self.output_padding, self.strides, strict=True)):
                raise ConfigurationError(
                    f"{owner}: output_padding must be less than strides={self.strides} along each "
                    f"axis, got {self.output_padding}."
                )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape: Shape) -> None:
        """Declare ``kernel`` (*kernel_size, filters, channels) and ``bias`` (filters,)."""
        channels = self._known_channels(input_shape)
        self._add_kernel("kernel", (*self.kernel_size, self.filters, channels))
        self._add_bias(self.filters)

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the new sizes, and ``filters``."""
        sizes, _ = self._split_shape(input_shape)
        new = [None if n is None else self._size_and_cut(i, n)[0] for i, n in enumerate(sizes)]
        return self._joined_shape(input_shape[0], new, self.filters)

    def _size_and_cut(self, i: int, n: int) -> tuple[int, int]:
        """Return the new size along an axis, and how many places are cut off before it."""
        s, reach = self.strides[i], (self.kernel_size[i] - 1) * self.dilation_rate[i]
        more = None if self.output_padding is None else self.output_padding[i]
        if self.padding == "valid":
            more = max(s - reach - 1, 0) if more is None else more
            return (n - 1) * s + reach + 1 + more, 0
        odd = (reach + 1) % 2
        size = n * s if more is None else (n - 1) * s + odd + more
        total = size - (n - 1) * s + reach - 1  # zeros around the spread input, as Keras counts
        return size, max(0, reach - (total + 1) // 2)

    def _windows(self, counts: tuple[int, ...]) -> Windows:
        """Return the windows on the output in which the entries of the input are spread."""
        found = [self._size_and_cut(i, n) for i, n in enumerate(counts)]
        sizes, before = zip(*found, strict=True)
        return Windows(sizes, self.kernel_size, self.strides, self.dilation_rate, before, counts)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """``z[n, stride p + dilation q] = b + Σ x[n, p] W[q]ᵀ``, over p and q that lead there."""
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        z = self.buffer("z", (len(x), *windows.sizes, self.filters), training)
        kernels.convolve_input_gradient(x, self.kernel, windows, z)
        if self.use_bias:
            z += self.bias
        if training:
            self.cache.x, self.cache.windows = x, windows
            self.cache.z_shape = self._joined_shape(len(x), windows.sizes, self.filters)
        return self._arranged_back("z first", z, training)

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """Gradients, with sums over the samples n, the entries p of the input and the offsets q.

        ``dW[q] = Σ dz[n, stride p + dilation q]ᵀ x[n, p]``, ``db = Σ dz``,
        ``dx[n, p] = Σ dz[n, stride p + dilation q] W[q]``: a convolution of dz.
        """
        x, windows = self.cache.x, self.cache.windows
        dz = self._arranged("dz", self.check_gradient(dz, self.cache.z_shape))
        if self._trainable:
            kernels.convolve_kernel_gradient(dz, x, windows, self.d_kernel)
            if self.use_bias:
                channel_sums(dz, self.d_bias)
        if not input_gradient:
            return dz
        dx = self.buffer("dx", x.shape)
        kernels.convolve(dz, self.kernel, windows, dx)
        return self._arranged_back("dx first", dx)


@register("layer", "conv1d_transpose")
class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution of series: each entry of the input is spread over the kernel.

    ``y[n, stride t + dilation q] = activation(b + Σ x[n, t] W[q]ᵀ)``.

    Shapes: ``x`` (batch, length, channels), ``W`` = ``kernel`` (kernel_size, filters, channels),
    ``b`` = ``bias`` (filters,), ``y`` (batch, new length, filters).

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: distance between the places that neighbouring entries of the input are spread
            around, an integer or one for each axis.
        padding: ``"valid"`` for all places that are reached; ``"same"`` for the size of the input
            times the stride.
        output_padding: places added after each axis, less than the stride; ``None`` for the sizes
            below.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
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

    With ``e = (kernel_size - 1) dilation_rate + 1``, a size n becomes ``(n - 1) stride + max(e,
    stride)`` with ``"valid"`` and ``n stride`` with ``"same"``; with ``output_padding``, ``(n - 1)
    stride + e + output_padding`` and ``(n - 1) stride + e mod 2 + output_padding``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter
        4.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
        >>> layer.forward(np.array([[[1.0], [5.0]]])).ravel().tolist()
        [1.0, 1.0, 5.0, 5.0]
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 3, "kernel_size": 3}, (2, 4, 2)),
            ({"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (2, 4, 3)),
            (
                {"filters": 2, "kernel_size": 3, "strides": 3, "output_padding": 1},
                (2, 3, 2),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": 2,
                    "dilation_rate": 2,
                    "data_format": "channels_first",
                    "use_bias": False,
                },
                (2, 3, 4),
            ),
            (CONVOLUTION_EXAMPLE, (2, 3, 2)),
        ]


@register("layer", "conv2d_transpose")
class Conv2DTranspose(TransposedConvolution):
    """Transposed convolution of images: each pixel of the input is spread over the kernel.

    ``y[n, stride p + dilation q] = activation(b + Σ x[n, p] W[q]ᵀ)``, with places p and q (row,
    column) in the input and in the kernel.

    Shapes: ``x`` (batch, height, width, channels), ``W`` = ``kernel`` (*kernel_size, filters,
    channels), ``b`` = ``bias`` (filters,), ``y`` (batch, new height, new width, filters).

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, an integer for both.
        strides: distance between the places that neighbouring entries of the input are spread
            around, an integer or one for each axis.
        padding: ``"valid"`` for all places that are reached; ``"same"`` for the size of the input
            times the stride.
        output_padding: places added after each axis, less than the stride; ``None`` for the sizes
            below.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
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

    With ``e = (kernel_size - 1) dilation_rate + 1``, a size n becomes ``(n - 1) stride + max(e,
    stride)`` with ``"valid"`` and ``n stride`` with ``"same"``; with ``output_padding``, ``(n - 1)
    stride + e + output_padding`` and ``(n - 1) stride + e mod 2 + output_padding``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter
        4.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Conv2DTranspose(8, 3, strides=2, padding="same")
        >>> layer.forward(np.zeros((2, 7, 7, 16))).shape
        (2, 14, 14, 8)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 2, "kernel_size": 3}, (2, 3, 2, 2)),
            (
                {"filters": 3, "kernel_size": (2, 3), "strides": (2, 1), "padding": "same"},
                (2, 2, 3, 2),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": 3,
                    "strides": 2,
                    "padding": "same",
                    "output_padding": (0, 1),
                },
                (2, 2, 3, 3),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": 2,
                    "dilation_rate": [1, 2],
                    "data_format": "channels_first",
                    "use_bias": False,
                },
                (2, 3, 2, 3),
            ),
            (CONVOLUTION_EXAMPLE, (2, 2, 3, 2)),
        ]


@register("layer", "conv3d_transpose")
class Conv3DTranspose(TransposedConvolution):
    """Transposed convolution of volumes: each entry of the input is spread over the kernel.

    ``y[n, stride p + dilation q] = activation(b + Σ x[n, p] W[q]ᵀ)``, with places p and q in three
    axes.

    Shapes: ``x`` (batch, depth, height, width, channels), ``W`` = ``kernel`` (*kernel_size,
    filters, channels), ``b`` = ``bias`` (filters,), ``y`` (batch, new depth, new height, new width,
    filters).

    Args:
        filters: number of output channels.
        kernel_size: the three sizes of the kernel, an integer for all.
        strides: distance between the places that neighbouring entries of the input are spread
            around, an integer or one for each axis.
        padding: ``"valid"`` for all places that are reached; ``"same"`` for the size of the input
            times the stride.
        output_padding: places added after each axis, less than the stride; ``None`` for the sizes
            below.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
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

    With ``e = (kernel_size - 1) dilation_rate + 1``, a size n becomes ``(n - 1) stride + max(e,
    stride)`` with ``"valid"`` and ``n stride`` with ``"same"``; with ``output_padding``, ``(n - 1)
    stride + e + output_padding`` and ``(n - 1) stride + e mod 2 + output_padding``.

    Source:
        V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter
        4.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Conv3DTranspose(4, 2, strides=2).forward(np.zeros((1, 3, 3, 3, 2))).shape
        (1, 6, 6, 6, 4)
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 2, "kernel_size": 2}, (2, 2, 1, 2, 2)),
            (
                {
                    "filters": 2,
                    "kernel_size": (1, 2, 3),
                    "strides": (1, 2, 2),
                    "padding": "same",
                    "output_padding": (0, 1, 0),
                    "data_format": "channels_first",
                },
                (1, 2, 2, 2, 2),
            ),
            (
                {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False},
                (1, 2, 1, 2, 2),
            ),
            (CONVOLUTION_EXAMPLE, (2, 1, 2, 2, 1)),
        ]
