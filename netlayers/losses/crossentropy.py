"""Cross-entropies from probabilities or, numerically stable, from logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array, check_finite
from netlayers.checks import check_flag, check_integer, check_number
from netlayers.errors import DataError, ShapeError
from netlayers.kernels.exact import row_dots
from netlayers.kernels.rows import flat_indices, row_sums
from netlayers.kernels.select import kernels
from netlayers.losses.axis import AxisLoss, OneHotTargets
from netlayers.losses.base import EPSILON, Loss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype

_INTEGER = np.dtype(np.intp)


class Crossentropy(AxisLoss):
    """Base class of cross-entropies.

    Args:
        from_logits: whether y_pred are logits rather than probabilities.
        axis: axis of the classes.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        label_smoothing: share of each target that is spread over all classes, in [0, 1].

    Attributes:
        probabilities: softmax or sigmoid of the logits of the last :meth:`forward`.
    """

    _takes_probabilities = True

    link = "softmax"
    target_kind = "one-hot"

    def __init__(
        self,
        from_logits: bool,
        axis: int,
        reduction: str | None,
        name: str | None,
        dtype: str | None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(axis, reduction, name, dtype)
        owner = type(self).__name__
        self.from_logits: bool = check_flag(owner, "from_logits", from_logits)
        self.label_smoothing = check_number(
            owner, "label_smoothing", label_smoothing, minimum=0, maximum=1
        )

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "shares", "shares"),
            ({"label_smoothing": 0.2}, "one-hot", "shares"),
            ({"from_logits": True}, "one-hot", "numbers"),
            ({"from_logits": True, "label_smoothing": 0.2}, "shares", "numbers"),
            ({"axis": 1}, "one-hot", "shares"),
            ({"axis": 1, "from_logits": True}, "shares", "numbers"),
        ]

    @property
    def probabilities(self) -> Array:
        """The probabilities of the last :meth:`forward`, (batch, ..., outputs)."""
        p: Array = self.cache.p
        return p

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """Dispatch to the formula for logits or for probabilities."""
        if self.label_smoothing:
            y_true = self._smooth(y_true)
        if self.from_logits:
            return self._forward_logits(y_true, y_pred)
        return self._forward_probabilities(y_true, y_pred)

    def backward_samples(self, dl: float | Array) -> Array:
        """Dispatch to the formula for logits or for probabilities."""
        if self.from_logits:
            return self._backward_logits(dl)
        return self._backward_probabilities(dl)

    def _smooth(self, t: Array) -> Array:
        """``t (1 - s) + s / classes``."""
        smooth = np.multiply(t, 1 - self.label_smoothing, out=self.buffer("smooth", t))
        classes = t.shape[-1] if self.link == "softmax" else 2
        return np.add(smooth, self.label_smoothing / classes, out=smooth)

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """Return the losses for logits ``z``."""
        raise NotImplementedError

    def _backward_logits(self, dl: float | Array) -> Array:
        """Return ``dz``."""
        raise NotImplementedError

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """Return the losses for probabilities ``p``."""
        raise NotImplementedError

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """Return ``dp``."""
        raise NotImplementedError

    def _softmax(self, z: Array) -> tuple[Array, Array, Array]:
        """Return ``z - max z``, ``log Σ exp(z - max z)`` and the softmax ``p``, which is cached."""
        shifted, p = self.buffer("shifted", z), self.buffer("p", z)
        lse = kernels.softmax(z, shifted, p)
        self.cache.p = p
        return shifted, lse, p

    def _normalize(self, p: Array) -> tuple[Array, Array]:
        """Return ``q = p / Σ p`` and ``c``, q clipped away from 0 and 1; cache both.

        Rows that are all zero stay zero.
        """
        q, c = self.buffer("q", p), self.buffer("clipped", p)
        total = row_sums(p)[..., None]
        total[total == 0] = 1
        np.divide(p, total, out=q)
        np.clip(q, EPSILON, 1 - EPSILON, out=c)
        self.cache.total, self.cache.q, self.cache.c, self.cache.p = total, q, c, p
        return q, c


@register("loss")
class CategoricalCrossentropy(OneHotTargets, Crossentropy):
    """``l = -Σ t log p`` for classes given as one-hot rows or probabilities.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., classes).

    Args:
        from_logits: the predictions are logits ``z``, and ``p = softmax(z)``. Otherwise they are
            probabilities, divided by their sum and clipped to [1e-7, 1 - 1e-7] as in Keras.
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / classes``.
        axis: axis of the classes.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        Label smoothing: C. Szegedy et al., "Rethinking the Inception architecture for computer
        vision", CVPR 2016, section 7.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.CategoricalCrossentropy()(y, p)), 4)
        0.367
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name, dtype, label_smoothing)

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """``l = (Σ t) log Σ exp(z) - Σ t z``, with a stable log-sum-exp."""
        p, mass = self.buffer("p", z), self.workspace("mass", z.shape[:-1], z.dtype)
        self.cache.t, self.cache.p, self.cache.mass = t, p, mass
        return kernels.crossentropy(z, t, p, mass)

    def _backward_logits(self, dl: float | Array) -> Array:
        """``dz = dl (p Σ t - t)``."""
        p = self.cache.p
        dz = self.buffer("dy", p)
        kernels.crossentropy_gradient(p, self.cache.t, self.cache.mass, dl, dz)
        return dz

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """``l = -Σ t log c`` with ``c = clip(q)`` and ``q = p / Σ p``."""
        _, c = self._normalize(p)
        self.cache.t = t
        return -row_dots(t, np.log(c, out=self.buffer("dy", p)))

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """``dq = -dl t / c`` where not clipped, then ``dp = (dq - Σ dq q) / Σ p``."""
        q, c, t = self.cache.q, self.cache.c, self.cache.t
        dq = np.divide(t, c, out=self.buffer("dy", q))
        np.multiply(dq, self._unclipped(q, c), out=dq)
        np.multiply(dq, -dl, out=dq)
        np.subtract(dq, np.vecdot(dq, q)[..., None], out=dq)
        return np.divide(dq, self.cache.total, out=dq)


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


@register("loss")
class SparseCategoricalCrossentropy(ClassTargets, Crossentropy):
    """``l = -log p[t]`` for classes given as integers.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1), ``y_pred`` (batch, ..., classes).

    Args:
        from_logits: the predictions are logits ``z``, and ``p = softmax(z)``. Otherwise they are
            probabilities, divided by their sum and clipped to [1e-7, 1 - 1e-7] as in Keras.
        ignore_class: samples of this class (may be -1) are excluded, from the mean too.
        reduction: see :class:`Loss`.
        axis: axis of the classes.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        C. Bishop, "Pattern recognition and machine learning", 2006, eq. 4.108.

    Example:
        >>> import netlayers as nl
        >>> y, p = [1, 0], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.SparseCategoricalCrossentropy()(y, p)), 4)
        0.367
    """

    target_kind = "indices"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(from_logits, axis, reduction, name, dtype)
        if ignore_class is not None:
            ignore_class = check_integer(type(self).__name__, "ignore_class", ignore_class)
        self.ignore_class = ignore_class

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "classes", "shares"),
            ({"from_logits": True}, "classes", "numbers"),
            ({"ignore_class": 0}, "classes", "shares"),
            ({"from_logits": True, "ignore_class": 0}, "classes", "numbers"),
            ({"axis": 1}, "classes", "shares"),
            ({"axis": 1, "from_logits": True, "ignore_class": 0}, "classes", "numbers"),
        ]

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """``l = log Σ exp(z) - z[t]``."""
        self.cache.t = t if self.ignore_class is None else self._replace_ignored(t)
        p = self.cache.p = self.buffer("p", z)
        return kernels.sparse_crossentropy(z, t, p)

    def _backward_logits(self, dl: float | Array) -> Array:
        """``dz = dl (p - onehot(t))``."""
        p = self.cache.p
        dz = self.buffer("dy", p)
        kernels.sparse_crossentropy_gradient(p, self.cache.t, dl, dz)
        return dz

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """``l = -log c[t]`` with ``c = clip(q)`` and ``q = p / Σ p``."""
        _, c = self._normalize(p)
        at = self.cache.at = flat_indices(self._replace_ignored(t), p.shape[-1])
        return -np.log(c.reshape(-1).take(at)).reshape(t.shape)

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """``dq[t] = -dl / c[t]`` where not clipped, then ``dp = (dq - Σ dq q) / Σ p``."""
        q, at = self.cache.q, self.cache.at
        qt, ct = q.reshape(-1).take(at), self.cache.c.reshape(-1).take(at)
        dq = -(dl if isinstance(dl, float) else dl.reshape(-1)) / ct * (qt == ct)
        dp = self.buffer("dy", q)
        dp[...] = -(dq * qt).reshape(*q.shape[:-1], 1)
        dp.reshape(-1)[at] += dq
        return np.divide(dp, self.cache.total, out=dp)

    def _replace_ignored(self, t: Array) -> Array:
        """Return the classes with 0 for ignored ones; cache the mask of those."""
        if self.ignore_class is None:
            return t
        ignored = self.cache.ignored = t == self.ignore_class
        return np.where(ignored, 0, t)

    def _effective_weights(
        self, losses: Array, sample_weight: ArrayLike | None
    ) -> tuple[Array | None, int]:
        """Return the weights, 0 for ignored samples, and the number of samples not ignored."""
        weight, count = super()._effective_weights(losses, sample_weight)
        if self.ignore_class is None or not (ignored := self.cache.ignored).any():
            return weight, count
        valid = (~ignored).astype(losses.dtype)
        if weight is not None:
            valid *= weight
        return valid, count - int(np.count_nonzero(ignored))
