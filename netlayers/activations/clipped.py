"""Straight lines cut off on both sides: hard sigmoid, hard tanh, ReLU6, sparse sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array

_BOOL = np.dtype(bool)


class _ClippedLine(ActivationLayer):
    """``y = min(max(x / width + middle, low), high)``; a subclass sets the four numbers."""

    _width = 1.0
    _middle = 0.0
    _low = 0.0
    _high = 1.0

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = clip(x / width + middle, low, high)``."""
        x, y = self.start_forward(x, training, inplace)
        line = x
        if self._width != 1:
            line = np.divide(x, self._width, out=y)
        if self._middle:
            line = np.add(line, self._middle, out=y)
        return np.clip(line, self._low, self._high, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy / width`` where ``low < y < high``, else 0, also on the two corners."""
        dy, dx = self.start_backward(dy)
        y, inside = self.cache.y, self.workspace("inside", dy.shape, _BOOL)
        np.greater(y, self._low, out=inside)
        inside &= np.less(y, self._high, out=self.workspace("below", dy.shape, _BOOL))
        np.multiply(dy, inside, out=dx)
        return dx if self._width == 1 else np.divide(dx, self._width, out=dx)


@register("layer", "hard_sigmoid")
class HardSigmoid(_ClippedLine):
    """A straight line for a sigmoid: ``y = min(max(x / 6 + 1/2, 0), 1)``.

    The slope on the corners, x = -3 and x = 3, is taken as 0.
    """

    _width, _middle = 6.0, 0.5


@register("layer", "hard_tanh")
class HardTanh(_ClippedLine):
    """A straight line for a tanh: ``y = min(max(x, -1), 1)``.

    The slope on the corners, x = -1 and x = 1, is taken as 0.

    Source:
        R. Collobert et al., "Natural language processing (almost) from scratch", Journal of
        Machine Learning Research 12 (2011).
    """

    _low = -1.0


@register("layer", "relu6")
class ReLU6(_ClippedLine):
    """A ReLU that ends at 6: ``y = min(max(x, 0), 6)``.

    The slope on the corners, x = 0 and x = 6, is taken as 0.

    Source:
        A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """

    _high = 6.0


@register("layer", "sparse_sigmoid")
class SparseSigmoid(_ClippedLine):
    """The sparsemax of two values, as a sigmoid is their softmax: ``min(max((x + 1) / 2, 0), 1)``.

    It is the first component of ``sparsemax([x, 0])``, and the derivative of :class:`SparsePlus`.
    The slope on the corners, x = -1 and x = 1, is taken as 0.

    Source:
        A. Martins, R. Astudillo, "From softmax to sparsemax", ICML 2016; M. Blondel, A. Martins,
        V. Niculae, "Learning with Fenchel-Young losses", Journal of Machine Learning Research 21
        (2020).
    """

    _width, _middle = 2.0, 0.5
