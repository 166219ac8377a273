"""Normalization per sample: layer, root mean square, and unit norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.kernels.moments import (
    mean_square,
    root_mean_square,
    standardize,
    standardize_backward,
    sums,
)
from netlayers.layers.normalizing import (
    AFFINE_EXAMPLE,
    AffineNormalization,
    NormalizingLayer,
    check_axes,
)
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


@register("layer")
class LayerNormalization(AffineNormalization):
    """Normalize each sample over its features: ``y = gamma (x - μ) / √(σ² + epsilon) + beta``.

    μ and σ² are the mean and the (biased) variance over the axes ``axis`` of one sample (and of one
    position, if ``axis`` does not include all axes). Training and inference are the same.

    Shapes: ``x`` and ``y`` any of two axes or more; ``gamma`` and ``beta`` the sizes of the axes.

    Args:
        axis: the axis to normalize over, or a list of axes.
        epsilon: added to the variance.
        center: whether to add ``beta``.
        scale: whether to multiply by ``gamma``.
        beta_initializer: fills ``beta``.
        gamma_initializer: fills ``gamma``.
        beta_regularizer: penalty on ``beta``.
        gamma_regularizer: penalty on ``gamma``.
        beta_constraint: constraint applied to ``beta`` after each update.
        gamma_constraint: constraint applied to ``gamma`` after each update.
        rms_scaling: compute ``y = gamma x / √(σ² + epsilon)``, without ``beta``. (Deprecated in
            Keras: for the root mean square use :class:`RMSNormalization`.)
        kwargs: ``name``, ``trainable``, ``dtype``.

    Where all values are equal, the output is ``beta``.

    Source:
        J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization" (2016), equations (3) and (4).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.LayerNormalization(epsilon=1e-9)
        >>> layer.forward(np.array([[1.0, 3.0], [-20.0, -40.0]])).tolist()
        [[-1.0, 1.0], [1.0, -1.0]]
    """

    def __init__(
        self,
        axis: int | list[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones",
        beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None,
        beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        self.rms_scaling = check_flag("LayerNormalization", "rms_scaling", rms_scaling)
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 5)),
            ({"axis": 1, "epsilon": 0.1, **AFFINE_EXAMPLE}, (2, 4, 3)),
            ({"axis": [-1, 1], "center": False, "gamma_regularizer": "l2"}, (2, 3, 2, 4)),
            ({"axis": [1, 2], "scale": False}, (3, 2, 4)),
            ({"rms_scaling": True}, (4, 5)),
            ({"rms_scaling": True, "scale": False, "axis": 1}, (2, 4, 3)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare ``gamma`` and ``beta`` in the shape of the axes, in their order in the input."""
        self._add_gamma_and_beta(self._arrange_by(self.axis, input_shape), not self.rms_scaling)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = gamma x̂ + beta`` with ``x̂ = (x - μ) / √(σ² + epsilon)``."""
        x = self.prepare(x)
        given = self._arranged("x", x, training)
        rows = _rows(given, len(self._last))
        y = self.buffer("y", given.shape, training)
        out = y.reshape(rows.shape)
        normal = self.buffer("normal", rows.shape) if training else out
        inverse = standardize(rows, normal, self.epsilon)
        scaled = normal
        if self.rms_scaling:
            scaled = np.multiply(rows, inverse, out=self.buffer("scaled", rows.shape, training))
        if self.scale:
            np.multiply(scaled, self.gamma.reshape(-1), out=out)
        elif scaled is not out:
            np.copyto(out, scaled)
        if self.center and not self.rms_scaling:
            np.add(out, self.beta.reshape(-1), out=out)
        if training:
            self.cache.shape, self.cache.inverse = x.shape, inverse
            self.cache.normal, self.cache.scaled = normal, scaled
        return self._arranged_back("output", y, training)

    def backward(self, dy: Array) -> Array:
        """Gradients, with ``dx̂ = gamma dy`` and means over the features of a sample.

        ``dbeta = Σ dy``, ``dgamma = Σ dy x̂`` over the samples,
        ``dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + epsilon)``.

        With ``rms_scaling`` and ``s = x / √(σ² + epsilon)``: ``dgamma = Σ dy s``,
        ``dx = (ds - x̂ mean(ds s)) / √(σ² + epsilon)``.
        """
        normal, inverse, scaled = self.cache.normal, self.cache.inverse, self.cache.scaled
        dy = self._arranged("dy", self.check_gradient(dy, self.cache.shape))
        rows = dy.reshape(normal.shape)
        if self.trainable:
            if self.center and not self.rms_scaling:
                self.d_beta.reshape(-1)[...] = sums(rows, 1, 0)
            if self.scale:
                self.d_gamma.reshape(-1)[...] = sums(rows, scaled, 0)
        if self.scale:
            rows = np.multiply(
                rows, self.gamma.reshape(-1), out=self.workspace("dn", rows.shape, self._dtype)
            )
        dx = self.workspace("dx", dy.shape, self._dtype)
        out = dx.reshape(rows.shape)
        if self.rms_scaling:
            mean = (sums(rows, scaled, 1) / rows.shape[1]).astype(self._dtype)[:, None]
            np.multiply(normal, mean, out=out)
            np.subtract(rows, out, out=out)
            np.multiply(out, inverse, out=out)
        else:
            standardize_backward(rows, normal, inverse, out)
        return self._arranged_back("input gradient", dx)


@register("layer")
class RMSNormalization(NormalizingLayer):
    """Divide each sample by its root mean square: ``y = scale x / √(mean(x²) + epsilon)``.

    The mean is taken over the axes ``axis``. Training and inference are the same.

    Shapes: ``x`` and ``y`` any of two axes or more; ``scale`` the sizes of the axes.

    Args:
        axis: the axis to normalize over, or a list of axes.
        epsilon: added to the mean of the squares.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization" (2019), equation (4).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.RMSNormalization(dtype="float64")
        >>> layer.forward(np.array([[1.0, -7.0]])).round(3).tolist()
        [[0.2, -1.4]]
    """

    def __init__(self, axis: int | list[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axes("RMSNormalization", axis)
        self.epsilon = check_number("RMSNormalization", "epsilon", epsilon, above=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 5)), ({"axis": [1, -1], "epsilon": 0.1}, (2, 3, 2, 4))]

    def build(self, input_shape: Shape) -> None:
        """Declare ``scale`` in the shape of the axes, in their order in the input."""
        self.add_weight("scale", self._arrange_by(self.axis, input_shape), "ones")

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = scale x̂`` with ``x̂ = x / √(mean(x²) + epsilon)``."""
        x = self.prepare(x)
        given = self._arranged("x", x, training)
        rows = _rows(given, len(self._last))
        y = self.buffer("y", given.shape, training)
        out = y.reshape(rows.shape)
        normal = self.buffer("normal", rows.shape) if training else out
        root = np.sqrt(mean_square(rows) + self.epsilon)
        huge = root == np.inf
        if huge.any():
            root[huge] = root_mean_square(rows[huge])
        inverse = (1 / root).astype(self._dtype)[:, None]
        np.multiply(rows, inverse, out=normal)
        np.multiply(normal, self.scale.reshape(-1), out=out)
        if training:
            self.cache.shape = x.shape
            self.cache.normal, self.cache.inverse = normal, inverse
        return self._arranged_back("output", y, training)

    def backward(self, dy: Array) -> Array:
        """Gradients, with ``dx̂ = scale dy`` and the mean over the features of a sample.

        ``dscale = Σ dy x̂`` over the samples,
        ``dx = (dx̂ - x̂ mean(dx̂ x̂)) / √(mean(x²) + epsilon)``.
        """
        normal, inverse = self.cache.normal, self.cache.inverse
        dy = self._arranged("dy", self.check_gradient(dy, self.cache.shape))
        rows = dy.reshape(normal.shape)
        if self.trainable:
            self.d_scale.reshape(-1)[...] = sums(rows, normal, 0)
        d_normal = self.workspace("dn", rows.shape, self._dtype)
        np.multiply(rows, self.scale.reshape(-1), out=d_normal)
        mean = (sums(d_normal, normal, 1) / rows.shape[1]).astype(self._dtype)[:, None]
        dx = self.workspace("dx", dy.shape, self._dtype)
        out = dx.reshape(rows.shape)
        np.multiply(normal, mean, out=out)
        np.subtract(d_normal, out, out=out)
        np.multiply(out, inverse, out=out)
        return self._arranged_back("input gradient", dx)


@register("layer")
class UnitNormalization(NormalizingLayer):
    """Divide each sample by its norm: ``y = x / ‖x‖``.

    ``‖x‖`` is the Euclidean norm over the axes ``axis``. Training and inference are the same. The
    output and the gradient of a zero sample are 0. (Keras divides by ``max(‖x‖, 10⁻¹²)``, whose
    slope of 10¹² at such a sample would ruin the layers below.)

    Shapes: ``x`` and ``y`` any of two axes or more. No weights.

    Args:
        axis: the axis to normalize over, or a list of axes.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        W. Liu, A. Rabinovich, A. Berg, "ParseNet: looking wider to see better", 2015, section 3.3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.UnitNormalization(dtype="float64")
        >>> layer.forward(np.array([[3.0, -4.0]])).round(3).tolist()
        [[0.6, -0.8]]
    """

    def __init__(self, axis: int | list[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axes("UnitNormalization", axis)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 5)), ({"axis": [1, 2]}, (2, 3, 2, 4))]

    def build(self, input_shape: Shape) -> None:
        """Declare nothing."""
        self._arrange_by(self.axis, input_shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x / ‖x‖``, and 0 where x is 0."""
        x = self.prepare(x)
        given = self._arranged("x", x, training)
        rows = _rows(given, len(self._last))
        y = self.buffer("y", given.shape, training)
        out = y.reshape(rows.shape)
        root, length = np.sqrt(mean_square(rows)), math.sqrt(rows.shape[1])
        odd = (root < _SHORT[self._dtype.itemsize]) | (root == np.inf)
        if odd.any():  # their squares have lost precision, or are infinite
            root[odd] = root_mean_square(rows[odd])
            root[root * length < 2 / np.finfo(self._dtype).max] = np.inf  # zeros, as good as
        inverse = (1 / root / length).astype(self._dtype)[:, None]
        np.multiply(rows, inverse, out=out)
        if training:
            self.cache.shape = x.shape
            self.cache.y, self.cache.inverse = out, inverse
        return self._arranged_back("output", y, training)

    def backward(self, dy: Array) -> Array:
        """``dx = (dy - y Σ dy y) / ‖x‖``, and 0 where x is 0."""
        y = self.cache.y
        dy = self._arranged("dy", self.check_gradient(dy, self.cache.shape))
        rows = dy.reshape(y.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        out = dx.reshape(y.shape)
        along = sums(rows, y, 1).astype(self._dtype)[:, None]
        np.multiply(y, along, out=out)
        np.subtract(rows, out, out=out)
        np.multiply(out, self.cache.inverse, out=out)
        return self._arranged_back("input gradient", dx)


# Smallest root mean squares at which a sum of squares has full precision, by itemsize.
_SHORT = {4: 1e-15, 8: 1e-145}


def _rows(x: Array, axes: int) -> Array:
    """View ``x`` as a matrix whose rows hold the last ``axes`` axes."""
    features = math.prod(x.shape[x.ndim - axes :])
    return x.reshape(math.prod(x.shape[: x.ndim - axes]), features)
