"""Depthwise convolutions followed by a product over the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_integer
from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.select import kernels
from netlayers.kernels.windows import Windows
from netlayers.layers.dense import AffineLayer
from netlayers.layers.spatial import WindowLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


class SeparableConvolution(AffineLayer, WindowLayer):
    """Base class of the separable convolutions."""

    _takes_empty = False
    supports_masking = False

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        depthwise_initializer: Identifier = "glorot_uniform",
        pointwise_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        depthwise_regularizer: Identifier = None,
        pointwise_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        depthwise_constraint: Identifier = None,
        pointwise_constraint: Identifier = None,
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
        self.depth_multiplier = check_integer(
            owner, "depth_multiplier", depth_multiplier, minimum=1
        )
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    @property
    def _window(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.kernel_size

    def build(self, input_shape: Shape) -> None:
        """Declare ``depthwise_kernel``, ``pointwise_kernel`` and ``bias``."""
        channels = self._known_channels(input_shape)
        self._counts(self._split_shape(input_shape)[0])
        self.add_weight(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.add_weight(
            "pointwise_kernel",
            (*[1] * self._rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self._add_bias(self.filters)

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the number of windows along each axis, and ``filters``."""
        sizes, _ = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], self._counts(sizes), self.filters)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """``z = h V + b`` with ``h[n, p, c, m] = Σ x[n, stride p + dilation q, c] W[q, c, m]``."""
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        channels = x.shape[-1] * self.depth_multiplier
        h = self.buffer("h", (len(x), *windows.counts, channels), training)
        kernels.depthwise_convolve(x, self.depthwise_kernel, windows, h)
        z = self.buffer("z", (*h.shape[:-1], self.filters), training)
        kernels.convolve(h, self.pointwise_kernel, _single(windows), z, bias=self.bias)
        if training:
            self.cache.x, self.cache.windows, self.cache.h = x, windows, h
            self.cache.z_shape = self._joined_shape(len(x), windows.counts, self.filters)
        return self._arranged_back("z first", z, training)

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """``dV = Σ hᵀ dz``, ``db = Σ dz``, ``dh = dz Vᵀ``; then as in :class:`DepthwiseConv2D`."""
        x, windows, h = self.cache.x, self.cache.windows, self.cache.h
        dz = self._arranged("dz", self.check_gradient(dz, self.cache.z_shape))
        places = _single(windows)
        dh = self.buffer("dh", h.shape)
        kernels.convolve_input_gradient(dz, self.pointwise_kernel, places, dh)
        if self._trainable:
            kernels.convolve_kernel_gradient(h, dz, places, self.d_pointwise_kernel)
            kernels.depthwise_kernel_gradient(x, dh, windows, self.d_depthwise_kernel)
            if self.use_bias:
                channel_sums(dz, self.d_bias)
        if not input_gradient:
            return dz
        dx = self.buffer("dx", x.shape)
        kernels.depthwise_input_gradient(dh, self.depthwise_kernel, windows, dx)
        return self._arranged_back("dx first", dx)


def _single(windows: Windows) -> Windows:
    """Return windows of one entry on the output of others."""
    ones = (1,) * len(windows.counts)
    return Windows(windows.counts, ones, ones, ones, (0,) * len(ones), windows.counts)


@register("layer", "separable_conv1d")
class SeparableConv1D(SeparableConvolution):
    """Depthwise convolution of series, then a product over the channels.

    ``y = activation(h V + b)``, ``h[n, t, c, m] = Σ x[n, stride t + dilation q, c] W[q, c, m]``.

    Shapes: ``x`` (batch, length, channels), ``W`` = ``depthwise_kernel`` (kernel_size, channels,
    depth_multiplier), ``V`` = ``pointwise_kernel`` (1, channels * depth_multiplier, filters),
    ``b`` = ``bias`` (filters,), ``y`` (batch, new length, filters).

    Args:
        filters: number of output channels.
        kernel_size: length of the kernel.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` or ``"same"``, as in :class:`Conv1D`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        depth_multiplier: outputs of the depthwise part for each channel.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        depthwise_initializer: fills ``W``.
        pointwise_initializer: fills ``V``.
        bias_initializer: fills ``b``.
        depthwise_regularizer: penalty on ``W``.
        pointwise_regularizer: penalty on ``V``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        depthwise_constraint: constraint applied to ``W`` after each update.
        pointwise_constraint: constraint applied to ``V`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        F. Chollet, "Xception: Deep learning with depthwise separable convolutions" (2017), section
        1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SeparableConv1D(16, 3).forward(np.zeros((2, 10, 4))).shape
        (2, 8, 16)
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 3, "kernel_size": 3, "depth_multiplier": 2}, (2, 5, 2)),
            (
                {
                    "filters": 2,
                    "kernel_size": 2,
                    "strides": 2,
                    "padding": "same",
                    "use_bias": False,
                },
                (2, 5, 2),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": [2],
                    "dilation_rate": 2,
                    "data_format": "channels_first",
                },
                (2, 2, 5),
            ),
            (
                {
                    "filters": 3,
                    "kernel_size": 2,
                    "activation": "tanh",
                    "depthwise_initializer": "he_normal",
                    "pointwise_initializer": "he_normal",
                    "bias_initializer": "ones",
                    "depthwise_regularizer": "l2",
                    "pointwise_regularizer": "l1",
                    "bias_regularizer": "l1",
                    "depthwise_constraint": "unit_norm",
                    "pointwise_constraint": "non_neg",
                    "bias_constraint": "unit_norm",
                },
                (2, 4, 2),
            ),
        ]


@register("layer", "separable_conv2d")
class SeparableConv2D(SeparableConvolution):
    """Depthwise convolution of images, then a product over the channels.

    ``y = activation(h V + b)`` with ``h[n, p, c, m] = Σ x[n, stride p + dilation q, c] W[q, c, m]``
    and places p and q (row, column) in the output and in the kernel.

    Shapes: ``x`` (batch, height, width, channels), ``W`` = ``depthwise_kernel`` (*kernel_size,
    channels, depth_multiplier), ``V`` = ``pointwise_kernel`` (1, 1, channels * depth_multiplier,
    filters), ``b`` = ``bias`` (filters,), ``y`` (batch, new height, new width, filters).

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, an integer for both.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` or ``"same"``, as in :class:`Conv2D`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        depth_multiplier: outputs of the depthwise part for each channel.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        depthwise_initializer: fills ``W``.
        pointwise_initializer: fills ``V``.
        bias_initializer: fills ``b``.
        depthwise_regularizer: penalty on ``W``.
        pointwise_regularizer: penalty on ``V``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        depthwise_constraint: constraint applied to ``W`` after each update.
        pointwise_constraint: constraint applied to ``V`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        F. Chollet, "Xception: Deep learning with depthwise separable convolutions" (2017), section
        1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SeparableConv2D(16, 3, padding="same").forward(np.zeros((2, 9, 9, 4))).shape
        (2, 9, 9, 16)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"filters": 3, "kernel_size": 3, "depth_multiplier": 2}, (2, 4, 3, 2)),
            (
                {
                    "filters": 2,
                    "kernel_size": (2, 3),
                    "strides": (2, 1),
                    "padding": "same",
                    "use_bias": False,
                },
                (2, 3, 4, 2),
            ),
            (
                {
                    "filters": 2,
                    "kernel_size": 2,
                    "dilation_rate": (1, 2),
                    "data_format": "channels_first",
                },
                (2, 2, 3, 4),
            ),
            (
                {
                    "filters": 3,
                    "kernel_size": 2,
                    "activation": "tanh",
                    "depthwise_initializer": "he_normal",
                    "pointwise_initializer": "he_normal",
                    "bias_initializer": "ones",
                    "depthwise_regularizer": "l2",
                    "pointwise_regularizer": "l1",
                    "bias_regularizer": "l1",
                    "depthwise_constraint": "unit_norm",
                    "pointwise_constraint": "non_neg",
                    "bias_constraint": "unit_norm",
                },
                (2, 3, 2, 2),
            ),
        ]
