"""Constraints on weights, applied after each update.

A constraint is applied in place, after the optimizer's rule, to trainable weights only. Initial
weights and those of ``set_weights`` stay unchanged until the first update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._serializers import serializers
from netlayers.checks import check_array, check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.registry import Configurable, must_define, register, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike, Identifier

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

_EPSILON = 1e-7  # added to a norm before a division, as in Keras


class Constraint(Configurable):
    """Base class. Subclasses implement :meth:`apply`; the base class itself changes nothing.

    A class written for Keras, whose ``__call__(w)`` returns the new weights, works too.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Halved(nl.constraints.Constraint):
        ...     def apply(self, w):
        ...         w *= 0.5
        >>> layer = nl.layers.Dense(2, kernel_initializer="ones", kernel_constraint=Halved())
        >>> layer.build((None, 1))
        >>> nl.optimizers.SGD(0.0).step(layer.parameters)
        True
        >>> layer.kernel
        array([[0.5, 0.5]], dtype=float32)
    """

    @must_define(unless="__call__")
    def apply(self, w: Array) -> None:
        """Apply the constraint to the weights ``w``, any shape, in place."""
        if type(self).__call__ is not Constraint.__call__:
            w[...] = self(w)

    def __call__(self, w: ArrayLike) -> Array:
        """Return a copy of the weights after :meth:`apply`, as Keras's constraints do."""
        owner = type(self).__name__
        w = check_array(owner, "w", w)
        w = np.array(w, w.dtype if w.dtype.kind == "f" else float)
        self.check_shape(f"{owner}: w", w.shape)
        self.apply(w)
        return w

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ConfigurationError if the constraint does not apply to weights of this shape.

        Args:
            shape: shape of the weights.
            owner: the layer and the weights, for the message.
        """


@register("constraint")
class NonNeg(Constraint):
    """Keep weights non-negative: ``w = max(w, 0)``.

    Source:
        C.-J. Lin, "Projected gradient methods for nonnegative matrix factorization", Neural
        Computation 19 (2007).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.constraints.NonNeg()(np.array([[3.0, 0.5], [-4.0, 1.0]]))
        array([[3. , 0.5],
               [0. , 1. ]])
    """

    def apply(self, w: Array) -> None:
        """``w = max(w, 0)``."""
        np.maximum(w, 0, out=w)


class _NormConstraint(Constraint):
    """Scale weights so that their norm over ``axis`` becomes :meth:`target` of it."""

    axis: int | list[int]

    def target(self, norms: Array) -> Array:
        """Return the norms after the update for ``norms``, those before it."""
        raise NotImplementedError

    def apply(self, w: Array) -> None:
        """``w = w target(n) / (n + 1e-7)`` for the norms ``n = √Σw²`` over the axes."""
        axes = list(range(w.ndim))
        reduced = _positive(self.axis, w.ndim)
        kept = [a for a in axes if a not in reduced]
        # Squares of float32 weights may overflow in float32; einsum allocates no array of squares.
        norms = np.sqrt(np.einsum(w, axes, w, axes, kept, dtype=np.float64))
        target = self.target(norms)
        # Weights that already satisfy the constraint get the factor 1: otherwise epsilon would
        # shrink them slightly in each update.
        factor = np.divide(target, norms + _EPSILON, out=np.ones_like(norms), where=target != norms)
        shape = [1 if a in reduced else size for a, size in enumerate(w.shape)]
        np.multiply(w, factor.astype(w.dtype).reshape(shape), out=w)

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ConfigurationError if weights of this shape lack one of the axes."""
        if any(not -len(shape) <= a < len(shape) for a in _listed(self.axis)):
            raise ConfigurationError(
                f"{owner} has the shape {shape}, which has no axis {self.axis} for "
                f"{type(self).__name__}; use an axis between {-len(shape)} and {len(shape) - 1}."
            )


@register("constraint")
class MaxNorm(_NormConstraint):
    """Limit norms to ``max_value``: ``w = w max_value / n`` where ``n > max_value``.

    Args:
        max_value: the largest allowed norm.
        axis: axis or axes over which norms are computed: 0 for the incoming weights of each unit
            of a Dense layer's ``kernel`` (features, units).

    Source:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
        JMLR 15 (2014), section 5.1. Keras divides by ``n + 1e-7`` also where the norm is
        within the limit; here such weights stay unchanged.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.constraints.MaxNorm(2)(np.array([[3.0, 0.0], [4.0, 1.0]])).round(3)
        array([[1.2, 0. ],
               [1.6, 1. ]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = check_number("MaxNorm", "max_value", max_value, minimum=0)
        self.axis = _checked_axis("MaxNorm", axis)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"max_value": 0.75}, {"max_value": 0.5, "axis": 1}]

    def target(self, norms: Array) -> Array:
        """``min(n, max_value)``."""
        return np.minimum(norms, self.max_value)


@register("constraint")
class UnitNorm(_NormConstraint):
    """Scale norms to 1: ``w = w / (n + 1e-7)``; a norm of zero stays zero.

    Args:
        axis: axis or axes over which norms are computed, as for :class:`MaxNorm`.

    Source:
        Keras 3, ``keras.constraints.UnitNorm``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.constraints.UnitNorm()(np.array([[3.0, 0.0], [4.0, 1.0]])).round(3)
        array([[0.6, 0. ],
               [0.8, 1. ]])
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _checked_axis("UnitNorm", axis)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"axis": [0, 1]}]

    def target(self, norms: Array) -> Array:
        """``1``."""
        return np.ones_like(norms)


@register("constraint")
class MinMaxNorm(_NormConstraint):
    """Pull norms into an interval: ``w = w (rate clip(n) + (1 - rate) n) / (n + 1e-7)``.

    Args:
        min_value: lower bound of the norm.
        max_value: upper bound of the norm.
        rate: fraction of the way to the interval that each update covers; 1 enforces it exactly.
        axis: axis or axes over which norms are computed, as for :class:`MaxNorm`.

    Source:
        Keras 3, ``keras.constraints.MinMaxNorm``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.constraints.MinMaxNorm(2, 3)(np.array([[3.0, 0.0], [4.0, 1.0]])).round(3)
        array([[1.8, 0. ],
               [2.4, 2. ]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = check_number("MinMaxNorm", "min_value", min_value, minimum=0)
        self.max_value = check_number("MinMaxNorm", "max_value", max_value, minimum=self.min_value)
        self.rate = check_number("MinMaxNorm", "rate", rate, minimum=0, maximum=1)
        self.axis = _checked_axis("MinMaxNorm", axis)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {},
            {"min_value": 0.5, "max_value": 0.75},
            {"min_value": 0.25, "max_value": 0.5, "rate": 0.75, "axis": [0, 1]},
        ]

    def target(self, norms: Array) -> Array:
        """``rate clip(n, min_value, max_value) + (1 - rate) n``."""
        clipped = np.clip(norms, self.min_value, self.max_value)
        pulled = self.rate * clipped + (1 - self.rate) * norms
        return np.where(clipped == norms, norms, pulled)


def _listed(axis: int | list[int]) -> list[int]:
    return [axis] if isinstance(axis, int) else axis


def _positive(axis: int | list[int], rank: int) -> list[int]:
    return [a % rank for a in _listed(axis)]


def _checked_axis(owner: str, axis: Any) -> int | list[int]:
    if isinstance(axis, (list, tuple)) and axis:
        return [check_integer(owner, "each axis", a) for a in axis]
    return check_integer(owner, "axis", axis)


# Aliases, as in Keras.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Identifier) -> Constraint | None:
    """Return a constraint from a name, a configuration or an object; ``None`` from ``None``.

    Args:
        identifier: a name such as ``"max_norm"``, a dict that :func:`serialize` returned, a
            :class:`Constraint`, or ``None``.
    """
    if identifier is None:
        return None
    constraint: Constraint = resolve("constraint", identifier, Constraint)
    return constraint


serialize, deserialize = serializers(get)
