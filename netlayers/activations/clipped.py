"""Clipped linear activations: hard sigmoid, hard tanh, ReLU6, sparse sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array

_BOOL = np.dtype(bool)


class _ClippedLine(ActivationLayer):
    """``y = min(max(x / width + offset, low), high)``; subclasses set the four constants."""

    _width = 1.0
    _offset = 0.0
    _low = 0.0
    _high = 1.0

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = clip(x / width + offset, low, high)``."""
        x, y = self.start_forward(x, training, inplace)
        line = x
        if self._width != 1:
            line = np.divide(x, self._width, out=y)
        if self._offset:
            line = np.add(line, self._offset, out=y)
        return np.clip(line, self._low, self._high, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy / width`` where ``low < y < high``, else 0, also at the two kinks."""
        dy, dx = self.start_backward(dy)
        y, inside = self.cache.y, self.workspace("inside", dy.shape, _BOOL)
        np.greater(y, self._low, out=inside)
        inside &= np.less(y, self._high, out=self.workspace("below", dy.shape, _BOOL))
        np.multiply(dy, inside, out=dx)
        return dx if self._width == 1 else np.divide(dx, self._width, out=dx)


@register("layer", "hard_sigmoid")
class HardSigmoid(_ClippedLine):
    """Piecewise linear approximation of the sigmoid: ``y = min(max(x / 6 + 1/2, 0), 1)``.

    The derivative at the kinks, x = -3 and x = 3, is taken as 0.

    Source:
        A. Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.HardSigmoid()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.167, 0.583, 0.833]], dtype=float32)
    """

    _width, _offset = 6.0, 0.5


@register("layer", "hard_tanh")
class HardTanh(_ClippedLine):
    """Piecewise linear approximation of tanh: ``y = min(max(x, -1), 1)``.

    The derivative at the kinks, x = -1 and x = 1, is taken as 0.

    Source:
        R. Collobert et al., "Natural language processing (almost) from scratch", Journal of
        Machine Learning Research 12 (2011).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.HardTanh()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-1. ,  0.5,  1. ]], dtype=float32)
    """

    _low = -1.0


@register("layer", "relu6")
class ReLU6(_ClippedLine):
    """ReLU limited to 6: ``y = min(max(x, 0), 6)``.

    The derivative at the kinks, x = 0 and x = 6, is taken as 0.

    Source:
        A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.ReLU6()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0. , 0.5, 2. ]], dtype=float32)
    """

    _high = 6.0


@register("layer", "sparse_sigmoid")
class SparseSigmoid(_ClippedLine):
    """Sparsemax counterpart of the sigmoid: ``y = min(max((x + 1) / 2, 0), 1)``.

    The first component of ``sparsemax([x, 0])``, and the derivative of :class:`SparsePlus`.
    The derivative at the kinks, x = -1 and x = 1, is taken as 0.

    Source:
        A. Martins, R. Astudillo, "From softmax to sparsemax", ICML 2016; M. Blondel, A. Martins,
        V. Niculae, "Learning with Fenchel-Young losses", Journal of Machine Learning Research 21
        (2020).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SparseSigmoid()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.  , 0.75, 1.  ]], dtype=float32)
    """

    _width, _offset = 2.0, 0.5
