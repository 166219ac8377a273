"""Base classes of the normalization layers: axes, and learned scale and offset."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_flag, check_integer, check_number
from netlayers.core.building import building, set_shape, warn_of_unused
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.arranging import ArrangingLayer

if TYPE_CHECKING:
    from netlayers._typing import Identifier, Shape


def check_axes(owner: str, axis: Any) -> int | list[int]:
    """Return ``axis`` as an int or a list of ints.

    Raises:
        ConfigurationError: it is neither, or empty.
    """
    if isinstance(axis, (list, tuple)):
        if not axis:
            raise ConfigurationError(f"{owner}: axis must name at least one axis, got {axis!r}.")
        return [check_integer(owner, "each axis", a) for a in axis]
    return check_integer(owner, "axis", axis)


# Arguments of examples: those of gamma and beta.
AFFINE_EXAMPLE = {
    "beta_initializer": {"class_name": "Constant", "config": {"value": 0.5}},
    "gamma_initializer": {"class_name": "Constant", "config": {"value": 1.5}},
    "beta_regularizer": "l1",
    "gamma_regularizer": "l2",
    "beta_constraint": "non_neg",
    "gamma_constraint": "unit_norm",
}


class NormalizingLayer(ArrangingLayer):
    """Base class of the layers that normalize along axes.

    They compute on the input with the normalized axes last, so that each row or column of a matrix
    is normalized together. If the axes are already last (the usual case), this is the input itself;
    otherwise it is a copy, and the output is transposed back.
    """

    supports_masking = True
    axis: int | list[int]
    _takes_any_rank = True  # alone; _arrange_by(axis, shape) is all that depends on the rank

    def _arrange_by(self, axes: int | list[int], input_shape: Shape) -> tuple[int, ...]:
        """Store the axes that :meth:`_arranged` moves to the end; return their sizes.

        Raises:
            ShapeError: an axis does not exist, is the batch axis, has an unknown size, or is
                repeated.
        """
        ndim = len(input_shape)
        wanted = axes if isinstance(axes, list) else [axes]
        last = sorted({a % ndim for a in wanted if -ndim <= a < ndim})
        sizes = tuple(size for a in last if (size := input_shape[a]) is not None)
        if len(sizes) < len(wanted) or last[0] == 0:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): axis={axes} must name existing, "
                "different axes of known size, not the batch (axis 0), of an input of shape "
                f"{shown_shape(input_shape)}."
            )
        if 0 in sizes:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): there is nothing in an input of shape "
                f"{shown_shape(input_shape)} along axis={axes}, which is normalized."
            )
        self._last = last
        self._set_order([a for a in range(ndim) if a not in last] + last)
        return sizes

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the rank differs, or the size of an axis that is normalized.

        Alone, a layer takes another rank if its weights fit.
        """
        built = self.input_shape
        assert built is not None
        if len(shape) != len(built):
            if self._in_model or not self._takes_any_rank or not self._changed_rank(shape):
                super().check_input_shape(shape)
        elif any(shape[a] != built[a] for a in self._last):
            super().check_input_shape(shape)

    def _changed_rank(self, shape: Shape) -> bool:
        """Take inputs of another rank from now on; return False if the weights do not fit."""
        built, order, last = self.input_shape, self._order, self._last
        assert built is not None
        with building, suppress(ShapeError):
            if self._arrange_by(self.axis, shape) == tuple(built[a] for a in last):
                set_shape(self, shape)
                return True
        self._order, self._last = order, last
        return False


class AffineNormalization(NormalizingLayer):
    """Base class of the layers with ``y = gamma x̂ + beta`` for a normalized ``x̂``.

    Args:
        axis: see the subclass.
        epsilon: added to the variance; positive, because the variance of a constant feature is 0.
        center: whether to add ``beta``.
        scale: whether to multiply by ``gamma``.
        beta_initializer: fills ``beta``.
        gamma_initializer: fills ``gamma``.
        beta_regularizer: penalty on ``beta``.
        gamma_regularizer: penalty on ``gamma``.
        beta_constraint: constraint applied to ``beta`` after each update.
        gamma_constraint: constraint applied to ``gamma`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.axis = check_axes(owner, axis)
        self.epsilon = check_number(owner, "epsilon", epsilon, above=0)
        self.center = check_flag(owner, "center", center)
        self.scale = check_flag(owner, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _add_gamma_and_beta(self, shape: tuple[int, ...], beta: bool = True) -> None:
        """Declare ``gamma`` and ``beta`` as ``scale`` and ``center`` ask for.

        Args:
            shape: their shape.
            beta: whether there can be a ``beta``.
        """
        if self.scale:
            self.add_weight(
                "gamma",
                shape,
                self.gamma_initializer,
                self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        else:
            warn_of_unused(self, "gamma", "scale", "Ones")
        if self.center and beta:
            self.add_weight(
                "beta",
                shape,
                self.beta_initializer,
                self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        elif not self.center:
            warn_of_unused(self, "beta", "center", "Zeros")
