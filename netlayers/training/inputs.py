"""A user's data, checked against a model, before anything is learned from them."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.arrays import in_order
from netlayers.core.sparse import is_sparse, refuse_sparse
from netlayers.data.arrays import column
from netlayers.data.batch import Batch
from netlayers.data.checks import checked_input_or_csr, checked_rows
from netlayers.data.classes import class_weights
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.input import Input
from netlayers.losses.base import check_weights

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from netlayers._typing import Array, Dtype
    from netlayers.data.arrays import AnyColumn


def build_for(model: Any, x: Any) -> None:
    """Build the model for the shape of ``x``, if it is not built.

    Raises:
        DataError: ``x`` is sparse, and the first layer can not take that.
    """
    if is_sparse(x):
        for layer in model.layers:
            refuse_sparse(layer)
            if not isinstance(layer, Input):  # which hands on what it is given
                break
    if not model.built:
        model.build((None, *x.shape[1:]))


def input_of(model: Any, owner: str, x: Any) -> Any:
    """Check inputs without targets, and build the model for them; return them.

    Raises:
        DataError, ShapeError: they are no numbers, or do not fit the model.
    """
    if _is_ready(x, model):
        return x
    x = checked_input_or_csr(owner, x, model._dtype)
    build_for(model, x)
    return x


def _is_ready(x: Any, model: Any) -> bool:
    """Whether x is an array as the model computes with it, of finite numbers: a quick look.

    What is not ready goes through the checks, which make it so or say what is wrong. They pass
    everything that this does, and more: finite numbers whose sum of squares overflows, for one.
    """
    return (
        type(x) is np.ndarray
        and x.dtype is model._dtype
        and x.shape[1:] == model._row
        and len(x) > 0
        and x.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
    )


def _are_ready(y: Any, x: Array) -> bool:
    """Whether targets are ready too, beside such inputs."""
    return (
        type(y) is np.ndarray
        and y.ndim > 0
        and len(y) == len(x)
        and y.flags.c_contiguous
        and (y.dtype.kind in "iub" or (y.dtype is x.dtype and math.isfinite(np.vdot(y, y))))
    )


def undone_on_error(model: Any) -> AbstractContextManager[None]:
    """Leave the model as it was, not built if it was not, if the data turn out to be wrong."""
    if model._steps is not None:  # the model is in use: data change nothing of it
        return _UNCHANGED
    return _Undoing(model)


_UNCHANGED = nullcontext()


class _Undoing:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._built, self._steps = model.built, model._steps

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            return
        self._model._steps = self._steps
        # Once the optimizer has its state beside these weights, they stay.
        begun = getattr(self._model.optimizer, "_parameters", None) is not None
        if not self._built and not begun:
            self._model.forget()


def columns_of(
    model: Any, owner: str, x: Any, y: Any, sample_weight: Any = None
) -> list[AnyColumn | None]:
    """Check a whole data set; return x, y and weights, ready to be cut into batches.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    x, y, weight = _arrays(model, owner, x, y, sample_weight)
    target_dtype = check_against(model, owner, x, y, weight)
    weights = None if weight is None else column(weight, model._dtype)
    return [column(x, model._dtype), column(y, target_dtype), weights]


def batch_of(
    model: Any, owner: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
) -> Batch:
    """Check one batch; the loss checks its targets itself.

    Raises:
        DataError, ShapeError, ConfigurationError: see :func:`columns_of`.
    """
    if class_weight is not None and sample_weight is not None:
        raise ConfigurationError(
            f"{owner}: class_weight and sample_weight can not be given together; multiply them "
            "into one sample_weight."
        )
    if sample_weight is None and class_weight is None and _is_ready(x, model) and _are_ready(y, x):
        return Batch(x, y, None, len(x))
    x, y, weight = _arrays(model, owner, x, y, sample_weight)
    if class_weight is not None:
        weight = class_weights(owner, class_weight, y)
    return Batch(x, in_order(y), None if weight is None else in_order(weight), x.shape[0])


def check_against(model: Any, owner: str, x: Any, y: Array, weight: Array | None) -> Dtype:
    """Check x, y and weights against the model and its loss; return the dtype for y.

    Raises:
        DataError, ShapeError: what is wrong, where, and what to do.
    """
    if weight is not None:
        check_weights(owner, weight)
        if weight.ndim > 1 and weight.shape[1:] not in ((1,), y.shape[1:]):
            raise ShapeError(
                f"{owner}: sample_weight has the shape {weight.shape}, expected ({len(y)},)."
            )
    model.check_input_shape(x.shape)
    loss: Any = model.make_steps(y.shape).loss
    if hasattr(loss, "check_targets"):
        assert model.output_shape is not None
        loss.check_targets(y, model.output_shape)
    if hasattr(loss, "target_dtype"):
        target_dtype: Dtype = loss.target_dtype(model._dtype)
        return target_dtype
    # A loss that knows nothing of netlayers gets integers as integers.
    return model._dtype if y.dtype.kind == "f" else y.dtype


def _arrays(
    model: Any, owner: str, x: Any, y: Any, sample_weight: Any
) -> tuple[Any, Array, Array | None]:
    if y is None:
        raise ConfigurationError(f"{owner}: y is missing; give one target for each row of x.")
    x = checked_input_or_csr(owner, x, model._dtype)
    others = checked_rows(owner, x, model._dtype, y=y, sample_weight=sample_weight)
    build_for(model, x)
    return x, others["y"], others.get("sample_weight")
