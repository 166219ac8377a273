"""Convolutions of each channel by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_integer
from netlayers.kernels.convolution import channel_sums
from netlayers.kernels.select import kernels
from netlayers.layers.dense import AffineLayer
from netlayers.layers.spatial import WindowLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


class DepthwiseConvolution(AffineLayer, WindowLayer):
    """Base class of the depthwise convolutions."""

    _takes_empty = False
    supports_masking = False

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Identifier = None,
        use_bias: bool = True,
        depthwise_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros",
        depthwise_regularizer: Identifier = None,
        bias_regularizer: Identifier = None,
        activity_regularizer: None = None,
        depthwise_constraint: Identifier = None,
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
        self._set_kernel(kernel_size, strides, padding, data_format, dilation_rate)
        self.depth_multiplier = check_integer(
            owner, "depth_multiplier", depth_multiplier, minimum=1
        )
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    @property
    def _window(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.kernel_size

    def build(self, input_shape: Shape) -> None:
        """Declare ``kernel`` (*kernel_size, channels, depth_multiplier) and ``bias``."""
        channels = self._known_channels(input_shape)
        self._counts(self._split_shape(input_shape)[0])
        self.add_weight(
            "kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self._add_bias(channels * self.depth_multiplier)

    def _logits_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the number of windows along each axis, and the new channels."""
        sizes, channels = self._split_shape(input_shape)
        more = None if channels is None else channels * self.depth_multiplier
        return self._joined_shape(input_shape[0], self._counts(sizes), more)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """``z[n, p, c, m] = b[c, m] + Σ x[n, stride p + dilation q, c] W[q, c, m]``."""
        x = self._arranged("x", self.prepare(x), training)
        windows = self._windows(x.shape[1:-1])
        channels = x.shape[-1] * self.depth_multiplier
        z = self.buffer("z", (len(x), *windows.counts, channels), training)
        kernels.depthwise_convolve(x, self.kernel, windows, z)
        if self.use_bias:
            z += self.bias
        if training:
            self.cache.x, self.cache.windows = x, windows
            self.cache.z_shape = self._joined_shape(len(x), windows.counts, channels)
        return self._arranged_back("z first", z, training)

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Array:
        """Gradients, with sums over samples n, windows p, offsets q and multiples m.

        ``dW[q, c, m] = Σ x[n, stride p + dilation q, c] dz[n, p, c, m]``, ``db = Σ dz[n, p]``,
        ``dx[n, stride p + dilation q, c] = Σ dz[n, p, c, m] W[q, c, m]``.
        """
        x, windows = self.cache.x, self.cache.windows
        dz = self._arranged("dz", self.check_gradient(dz, self.cache.z_shape))
        if self._trainable:
            kernels.depthwise_kernel_gradient(x, dz, windows, self.d_kernel)
            if self.use_bias:
                channel_sums(dz, self.d_bias)
        if not input_gradient:
            return dz
        dx = self.buffer("dx", x.shape)
        kernels.depthwise_input_gradient(dz, self.kernel, windows, dx)
        return self._arranged_back("dx first", dx)


@register("layer", "depthwise_conv1d")
class DepthwiseConv1D(DepthwiseConvolution):
    """Convolution of each channel of a series by itself.

    ``y[n, t, c, m] = activation(b[c, m] + Σ x[n, stride t + dilation q, c] W[q, c, m])``.

    Shapes: ``x`` (batch, length, channels), ``W`` = ``kernel`` (kernel_size, channels,
    depth_multiplier), ``b`` = ``bias`` (channels * depth_multiplier,), ``y`` (batch, new length,
    channels * depth_multiplier).

    Args:
        kernel_size: length of the kernel.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` or ``"same"``, as in :class:`Conv1D`.
        depth_multiplier: outputs for each channel.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        depthwise_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        depthwise_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        depthwise_constraint: constraint applied to ``W`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        L. Sifre, "Rigid-motion scattering for image classification" (2014), section 6.2;
        A. Howard et al., "MobileNets" (2017), equation 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.DepthwiseConv1D(3).forward(np.zeros((2, 10, 4))).shape
        (2, 8, 4)
    """

    _rank = 1

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"kernel_size": 3, "depth_multiplier": 2}, (2, 5, 3)),
            ({"kernel_size": [2], "strides": 2, "padding": "same", "use_bias": False}, (2, 5, 2)),
            ({"kernel_size": 2, "dilation_rate": 2, "data_format": "channels_first"}, (2, 2, 5)),
            (
                {
                    "kernel_size": 2,
                    "activation": "tanh",
                    "depthwise_initializer": "he_normal",
                    "bias_initializer": "ones",
                    "depthwise_regularizer": "l2",
                    "bias_regularizer": "l1",
                    "depthwise_constraint": "unit_norm",
                    "bias_constraint": "unit_norm",
                },
                (2, 4, 2),
            ),
        ]


@register("layer", "depthwise_conv2d")
class DepthwiseConv2D(DepthwiseConvolution):
    """Convolution of each channel of an image by itself.

    ``y[n, p, c, m] = activation(b[c, m] + Σ x[n, stride p + dilation q, c] W[q, c, m])``, with
    places p and q (row, column) in the output and in the kernel.

    Shapes: ``x`` (batch, height, width, channels), ``W`` = ``kernel`` (*kernel_size, channels,
    depth_multiplier), ``b`` = ``bias`` (channels * depth_multiplier,), ``y`` (batch, new height,
    new width, channels * depth_multiplier).

    Args:
        kernel_size: height and width of the kernel, an integer for both.
        strides: distance between neighbouring windows, an integer or one for each axis.
        padding: ``"valid"`` or ``"same"``, as in :class:`Conv2D`.
        depth_multiplier: outputs for each channel.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dilation_rate: distance between neighbouring entries of the kernel, an integer or one for
            each axis.
        activation: as in :class:`Dense`.
        use_bias: whether to add ``b``.
        depthwise_initializer: fills ``W``.
        bias_initializer: fills ``b``.
        depthwise_regularizer: penalty on ``W``.
        bias_regularizer: penalty on ``b``.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        depthwise_constraint: constraint applied to ``W`` after each update.
        bias_constraint: constraint applied to ``b`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        L. Sifre, "Rigid-motion scattering for image classification" (2014), section 6.2;
        A. Howard et al., "MobileNets" (2017), equation 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.DepthwiseConv2D(3, depth_multiplier=2).forward(np.zeros((2, 9, 9, 4))).shape
        (2, 7, 7, 8)
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"kernel_size": 3, "depth_multiplier": 2}, (2, 4, 3, 2)),
            (
                {"kernel_size": (2, 3), "strides": (2, 1), "padding": "same", "use_bias": False},
                (2, 3, 4, 2),
            ),
            (
                {"kernel_size": 2, "dilation_rate": (1, 2), "data_format": "channels_first"},
                (2, 2, 3, 4),
            ),
            (
                {
                    "kernel_size": 2,
                    "activation": "tanh",
                    "depthwise_initializer": "he_normal",
                    "bias_initializer": "ones",
                    "depthwise_regularizer": "l2",
                    "bias_regularizer": "l1",
                    "depthwise_constraint": "unit_norm",
                    "bias_constraint": "unit_norm",
                },
                (2, 3, 2, 2),
            ),
        ]
