"""A user's data, checked against a model, before anything is learned from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.arrays import in_order
from netlayers.data.arrays import Column, checked_input, checked_rows, class_weights
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.losses.base import check_weights

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.models.model import Model


def build_for(model: Model, x: Array) -> None:
    """Build the model for the shape of ``x``, if it is not built."""
    if not model.built:
        model.build((None, *x.shape[1:]))


class undone_on_error:
    """Leave the model as it was, not built if it was not, if the data turn out to be wrong."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._built, self._steps = model.built, model._steps

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            self._model._steps = self._steps
            if not self._built:
                self._model.forget()


def columns_of(
    model: Model,
    owner: str,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> list[Column | None]:
    """Check a whole data set; return x, y and weights, ready to be cut into batches.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    x, y, weight = _arrays(model, owner, x, y, sample_weight, class_weight)
    model.check_input_shape(x.shape)
    loss: Any = model.make_steps(y.shape).loss
    if hasattr(loss, "check_targets"):
        assert model.output_shape is not None
        loss.check_targets(y, model.output_shape)
    if hasattr(loss, "target_dtype"):
        target_dtype = loss.target_dtype(model._dtype)
    else:  # a loss that knows nothing of netlayers gets integers as integers
        target_dtype = model._dtype if y.dtype.kind == "f" else y.dtype
    if weight is None:
        return [Column(x, model._dtype), Column(y, target_dtype), None]
    check_weights(owner, weight)
    if weight.ndim > 1 and weight.shape[1:] not in ((1,), y.shape[1:]):
        raise ShapeError(
            f"{owner}: sample_weight has the shape {weight.shape}, expected ({len(x)},)."
        )
    return [Column(x, model._dtype), Column(y, target_dtype), Column(weight, model._dtype)]


def batch_of(
    model: Model, owner: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
) -> tuple[Array, Array, Array | None]:
    """Check one batch; the loss checks its targets itself.

    Raises:
        DataError, ShapeError, ConfigurationError: see :func:`columns_of`.
    """
    if class_weight is not None and sample_weight is not None:
        raise ConfigurationError(
            f"{owner}: class_weight and sample_weight can not be given together."
        )
    x, y, weight = _arrays(model, owner, x, y, sample_weight, class_weight)
    return x, in_order(y), None if weight is None else in_order(weight)


def _arrays(
    model: Model, owner: str, x: Any, y: Any, sample_weight: Any, class_weight: Any
) -> tuple[Array, Array, Array | None]:
    if y is None:
        raise ConfigurationError(f"{owner}: y is missing; give one target for each row of x.")
    x = checked_input(owner, x, model._dtype)
    others = checked_rows(owner, x, model._dtype, y=y, sample_weight=sample_weight)
    build_for(model, x)
    y, weight = others["y"], others.get("sample_weight")
    if class_weight is not None:
        weight = class_weights(owner, class_weight, y)
    return x, y, weight
