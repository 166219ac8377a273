"""Regularizers: penalties on the size of weights, added to the loss.

The gradient of a penalty is added to the gradient of the loss before clipping, so the optimizer
follows the gradient of the reported loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers._serializers import serializers
from netlayers.checks import check_array, check_choice, check_number
from netlayers.errors import ShapeError
from netlayers.registry import Configurable, must_define, register, resolve

if TYPE_CHECKING:
    from netlayers._typing import Array, Identifier

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


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

    Source:
        H. Zou, T. Hastie, "Regularization and variable selection via the elastic net", Journal of
        the Royal Statistical Society B 67 (2005), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.regularizers.L1L2(0.5, 0.5)(np.array([[3.0, -4.0]]))
        16.0
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
        if not isinstance(w, np.ndarray) or w.dtype.kind not in "fc":
            w = check_array(type(self).__name__, "w", w)
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

    Source:
        R. Tibshirani, "Regression shrinkage and selection via the lasso", Journal of the Royal
        Statistical Society B 58 (1996).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.regularizers.L1(0.5)(np.array([[3.0, -4.0]]))
        3.5
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

    Source:
        A. Krogh, J. Hertz, "A simple weight decay can improve generalization", NIPS 1991.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.regularizers.L2(0.5)(np.array([[3.0, -4.0]]))
        12.5
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"l2": 0.5}]


@register("regularizer")
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean of ``|v_i v_j|`` over pairs of directions: makes them orthogonal.

    Shapes: the weights are a matrix, and v_i its rows (or columns) divided by their norms; a zero
    vector stays zero.

    Args:
        factor: the factor.
        mode: ``"rows"`` or ``"columns"``. For the kernel of a Dense layer, (features, units), the
            columns are the weights of the units.

    Raises:
        ShapeError: at the first penalty, if the weights are not a matrix.

    Source:
        Keras 3, ``keras.regularizers.OrthogonalRegularizer``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.regularizers.OrthogonalRegularizer(factor=1.0)(np.array([[1.0, 0.0], [3.0, 4.0]]))
        0.6
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = check_number(type(self).__name__, "factor", factor, minimum=0)
        self.mode = check_choice(type(self).__name__, "mode", mode, ("rows", "columns"))

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"factor": 0.5}, {"factor": 0.25, "mode": "columns"}]

    def __call__(self, w: Array) -> float:
        """Return ``factor Σ_{i≠j} |v_i v_j| / (n (n - 1))``, summed in float64."""
        v, _ = self._directions(w)
        products = np.abs(v @ v.T)
        np.fill_diagonal(products, 0)
        return self.factor * float(products.sum()) / max(1, len(v) * (len(v) - 1))

    def add_gradient(self, w: Array, dw: Array, scratch: Array) -> None:
        """``dw_i += (g_i - v_i (v_i g_i)) / |w_i|``, ``g_i = c Σ_{j≠i} sign(v_i v_j) v_j``.

        ``c = 2 factor / (n (n - 1))``.
        """
        v, norms = self._directions(w)
        signs = np.sign(v @ v.T)
        np.fill_diagonal(signs, 0)
        g = signs @ v
        g *= 2 * self.factor / max(1, len(v) * (len(v) - 1))
        g -= v * np.vecdot(v, g)[:, None]
        g /= norms
        dw += g if self.mode == "rows" else g.T

    def _directions(self, w: Array) -> tuple[Array, Array]:
        """Return the unit vectors as rows, in float64, and their norms (1 for a zero vector)."""
        if w.ndim != 2:
            raise ShapeError(
                f"OrthogonalRegularizer: the weights must be a matrix, got the shape {w.shape}."
            )
        v = np.array(w if self.mode == "rows" else w.T, np.float64)
        norms = np.sqrt(np.vecdot(v, v))[:, None]
        norms[norms == 0] = 1
        return np.divide(v, norms, out=v), norms


# Aliases, as in Keras.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Identifier) -> Regularizer | None:
    """Return a regularizer from a name, a configuration or an object; ``None`` from ``None``.

    Args:
        identifier: a name such as ``"l2"``, a dict that :func:`serialize` returned, a
            :class:`Regularizer`, or ``None``.
    """
    if identifier is None:
        return None
    regularizer: Regularizer = resolve("regularizer", identifier, Regularizer)
    return regularizer


serialize, deserialize = serializers(get)
