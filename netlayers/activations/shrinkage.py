"""Activations that set small inputs to zero or nearly zero: shrinkages and the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.checks import check_number
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples

_BOOL = np.dtype(bool)


class _Shrinkage(ActivationLayer):
    """Base class of the shrinkages with a threshold.

    Args:
        threshold: inputs with ``|x| <= threshold`` become 0.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def __init__(self, threshold: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = check_number(type(self).__name__, "threshold", threshold, minimum=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"threshold": 0.25}, (2, 3, 4)), ({"threshold": 0.0}, (4, 3))]


@register("layer", "hard_shrink")
class HardShrink(_Shrinkage):
    """``y = x`` where ``|x| > threshold``, else 0.

    Args:
        threshold: inputs with ``|x| <= threshold`` become 0.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        D. Donoho, I. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81
        (1994): hard thresholding.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.HardShrink()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-2.,  0.,  2.]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x`` where ``|x| > threshold``, else 0."""
        x, y = self.start_forward(x, training, inplace)
        large = self.buffer("large", x.shape, training, _BOOL)
        below = self.buffer("below", x.shape, training, _BOOL)
        np.greater(x, self.threshold, out=large)
        np.less(x, -self.threshold, out=below)
        np.logical_or(large, below, out=large)
        return np.multiply(x, large, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``y ≠ 0``, else 0, also at the two discontinuities."""
        dy, dx = self.start_backward(dy)
        mask = self.workspace("mask", dy.shape, _BOOL)
        return np.multiply(dy, np.not_equal(self.cache.y, 0, out=mask), out=dx)


@register("layer", "soft_shrink")
class SoftShrink(_Shrinkage):
    """``y = sign(x) max(|x| - threshold, 0)``.

    Args:
        threshold: the amount by which inputs shrink towards 0.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        D. Donoho, "De-noising by soft-thresholding", IEEE Transactions on Information Theory 41
        (1995).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SoftShrink()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-1.5,  0. ,  1.5]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x - clip(x, -threshold, threshold)``."""
        x, y = self.start_forward(x, training, inplace)
        clipped = self.buffer("clipped", x.shape, training)
        np.clip(x, -self.threshold, self.threshold, out=clipped)
        return np.subtract(x, clipped, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``y ≠ 0``, else 0, also at the two kinks."""
        dy, dx = self.start_backward(dy)
        mask = self.workspace("mask", dy.shape, _BOOL)
        return np.multiply(dy, np.not_equal(self.cache.y, 0, out=mask), out=dx)


_ODD = range(21, 1, -2)  # 21, 19, ..., 3: as many as float64 needs for |x| < 2


@register("layer", "tanh_shrink")
class TanhShrink(ActivationLayer):
    """``y = x - tanh(x)``: about x³/3 near 0, and x ∓ 1 far from it.

    Source:
        PyTorch 2, ``torch.nn.Tanhshrink``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.TanhShrink()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-1.036,  0.038,  1.036]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x - t`` with ``t = tanh(x)``, and without that subtraction where it cancels."""
        x, y = self.start_forward(x, training, inplace)
        t = np.tanh(x, out=self.buffer("t", x.shape, training))
        if training:
            self.cache.t = t
        if type(x) is not np.ndarray:  # a complex step
            return np.subtract(x, t, out=y)
        scratch = [self.buffer(f"scratch{i}", x.shape, training) for i in range(2)]
        near = self.buffer("near", x.shape, training, _BOOL)
        np.less(np.abs(x, out=scratch[0]), 2, out=near)
        small = _small_difference(x, *scratch)
        np.subtract(x, t, out=y)
        np.copyto(y, small, where=near)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy t²``, as tanh' is ``1 - tanh²``."""
        dy, dx = self.start_backward(dy)
        np.multiply(self.cache.t, self.cache.t, out=dx)
        return np.multiply(dx, dy, out=dx)


def _small_difference(x: Array, square: Array, d: Array) -> Array:
    """Return ``x - tanh(x)`` for ``|x| < 2``, from the continued fraction of tanh.

    ``tanh(x) = x / (1 + x²/d)`` with ``d = 3 + x²/(5 + x²/(7 + ...))``, so that the difference is
    ``x (x²/d) / (1 + x²/d) = x / (d/x² + 1)``, without a subtraction.

    Args:
        x: any values; of others the result is meaningless.
        square: an array for x².
        d: an array for d and the result.

    Source:
        NIST Digital Library of Mathematical Functions, equation 4.39.1.
    """
    np.clip(x, -2, 2, out=square)
    np.multiply(square, square, out=square)
    d.fill(_ODD[0])
    for odd in _ODD[1:]:
        np.divide(square, d, out=d)
        np.add(d, odd, out=d)
    rest = np.divide(square, d, out=square)
    np.add(rest, 1, out=d)
    np.divide(rest, d, out=d)
    return np.multiply(x, d, out=d)


@register("layer", "threshold")
class Threshold(ActivationLayer):
    """``y = x`` where ``x > threshold``, else ``default_value``.

    Args:
        threshold: inputs up to this value are replaced.
        default_value: the replacement.
        kwargs: ``name``, ``trainable``, ``dtype``.

    NaNs are not replaced, so that they stay visible.

    Source:
        PyTorch 2, ``torch.nn.Threshold``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Threshold(1.0, -1.0)(np.array([[-2.0, 0.5, 2.0]]))
        array([[-1., -1.,  2.]], dtype=float32)
    """

    def __init__(self, threshold: float, default_value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = check_number("Threshold", "threshold", threshold)
        self.default_value = check_number("Threshold", "default_value", default_value)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"threshold": 0.25, "default_value": -2.0}, (4, 3)),
            ({"threshold": -0.5, "default_value": 0.0}, (2, 3, 4)),
        ]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x`` where ``x > threshold``, else ``default_value``."""
        x, y = self.start_forward(x, training, inplace)
        high = self.buffer("high", x.shape, training, _BOOL)
        np.greater(x, self.threshold, out=high)
        if training:
            self.cache.high = high
        # Products with masks take a fifth of the time of np.copyto(..., where=mask).
        np.maximum(x, self.threshold, out=y)  # -inf times 0 would be NaN
        y *= high
        if self.default_value:
            value = self.buffer("value", x.shape, training)
            np.logical_not(high, out=value)
            value *= self.default_value
            y += value
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``x > threshold``, else 0, also at the discontinuity."""
        dy, dx = self.start_backward(dy)
        return np.multiply(dy, self.cache.high, out=dx)
