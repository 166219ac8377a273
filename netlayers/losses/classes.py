"""Base class of losses whose targets are class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array, check_finite
from netlayers.errors import DataError, ShapeError
from netlayers.kernels.select import kernels
from netlayers.losses.base import Loss

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype

_INTEGER = np.dtype(np.intp)


class ClassTargets(Loss):
    """Base class of losses whose targets are class indices, (batch, ...) or (batch, ..., 1)."""

    target_kind = "indices"

    def target_dtype(self, dtype: Dtype) -> Dtype:
        """Return the dtype of the targets, an integer dtype."""
        return _INTEGER

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns, 1: the class index."""
        return 1

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the classes as checked integers, (batch, ...)."""
        fits = type(y_true) is np.ndarray and y_true.dtype is _INTEGER
        if fits and y_true.shape == shape[:-1]:
            original = t = y_true
        else:
            original, t = self._as_integers(y_true, shape)
        if t.size and not kernels.all_below(t, shape[-1]):
            self._check_classes(original, t, shape[-1])
        return t

    def _as_integers(self, y_true: Any, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Return the classes, (batch, ...), as given and as integers."""
        owner = f"loss {self.name!r}"
        given = as_array(owner, "y_true", y_true)
        if given.shape != shape[:-1]:
            given = self._class_axis(given, shape)
        if given.dtype.kind != "f":
            return given, given.astype(np.intp, copy=False)
        check_finite(owner, "y_true", given)
        fractions = given != np.trunc(given)
        if fractions.any():
            raise DataError(
                f"{owner}: y_true must be class indices, integers from 0 to {shape[-1] - 1}, "
                f"got {given[fractions].flat[0]}. For other targets use a regression loss."
            )
        with np.errstate(invalid="ignore"):  # 1e300 overflows to a negative integer
            return given, given.astype(np.intp)

    def _check_classes(self, original: Array, t: Array, classes: int) -> None:
        wrong = (t < 0) | (t >= classes)
        if self.ignore_class is not None:
            wrong &= t != self.ignore_class
        if wrong.any():
            raise DataError(
                f"loss {self.name!r}: y_true must be class indices from 0 to {classes - 1}, as the "
                f"model has {classes} outputs, got {original[wrong].flat[0]} in row "
                f"{int(np.argwhere(wrong)[0, 0])}. Number the classes from 0, or give the last "
                "layer one output per class."
            )

    def _class_axis(self, t: Array, shape: tuple[int, ...]) -> Array:
        if t.shape == (*shape[:-1], 1):
            return t[..., 0]
        hint = "There must be one class index per sample."
        if t.ndim == len(shape) and t.shape == shape:
            hint = (
                "These look like one-hot rows: use CategoricalCrossentropy, or class indices, "
                "y.argmax(axis=-1)."
            )
        raise ShapeError(
            f"loss {self.name!r}: y_true has the shape {t.shape}, the predictions have {shape}. "
            f"{hint}"
        )
