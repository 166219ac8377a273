"""Regularizers: penalties on the size of weights, added to the loss.

The gradient of a penalty is added to the gradient of the loss before clipping, so the optimizer
follows the gradient of the reported loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers.checks import check_number
from netlayers.registry import Configurable, must_define, register, resolve

if TYPE_CHECKING:
    from netlayers._typing import Array, Identifier

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


class Regularizer(Configurable):
    """Base class. Subclasses implement ``__call__`` and :meth:`add_gradient`."""

    _reads: ClassVar[dict[str, tuple[int]]] = {"__call__": (0,), "add_gradient": (0,)}

    @must_define()
    def __call__(self, w: Array) -> float:
        """Return the penalty for the weights ``w``."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w)")

    @must_define()
    def add_gradient(self, w: Array, dw: Array, scratch: Array) -> None:
        """Add d(penalty)/dw to ``dw``, in place.

        Args:
            w: the weights, any shape; left unchanged.
            dw: the gradient to add to, same shape.
            scratch: temporary array of the same shape.
        """
        raise NotImplementedError(f"{type(self).__name__} must define add_gradient(w, dw, scratch)")


@register("regularizer", "l1_l2")
class L1L2(Regularizer):
    """``l1 Σ|w| + l2 Σw²``, without a factor 1/2, as in Keras.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = check_number(type(self).__name__, "l1", l1, minimum=0)
        self.l2 = check_number(type(self).__name__, "l2", l2, minimum=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"l1": 0.25, "l2": 0.5}]

    def __call__(self, w: Array) -> float:
        """Return ``l1 Σ|w| + l2 Σw²``, summed in float64."""
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * np.sum(np.abs(w), dtype=np.float64).item()
        if self.l2:
            penalty += self.l2 * np.einsum("i,i->", w.ravel(), w.ravel(), dtype=np.float64).item()
        return penalty

    def add_gradient(self, w: Array, dw: Array, scratch: Array) -> None:
        """``dw += l1 sign(w) + 2 l2 w``."""
        if self.l1:
            np.sign(w, out=scratch)
            scratch *= self.l1
            dw += scratch
        if self.l2:
            np.multiply(w, 2 * self.l2, out=scratch)
            dw += scratch


@register("regularizer")
class L1(L1L2):
    """``l1 Σ|w|``: drives small weights to exactly zero.

    Args:
        l1: the factor.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"l1": 0.25}]


@register("regularizer")
class L2(L1L2):
    """``l2 Σw²``: pulls every weight towards zero in proportion to its value.

    Args:
        l2: the factor.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"l2": 0.5}]


# Aliases, as in Keras.
l1, l2, l1_l2 = L1, L2, L1L2


def get(identifier: Identifier) -> Regularizer | None:
    """Return a regularizer from a name, a configuration or an object; ``None`` from ``None``."""
    if identifier is None:
        return None
    regularizer: Regularizer = resolve("regularizer", identifier, Regularizer)
    return regularizer
