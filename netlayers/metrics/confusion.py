"""Metrics of binary decisions (counts, precision, recall), and the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.errors import DataError, ShapeError
from netlayers.metrics.base import Metric, broadcast_weights
from netlayers.metrics.targets import class_indices, is_sparse, labels, scores_and_thresholds
from netlayers.metrics.thresholds import check_thresholds
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike


def count_buckets(
    scores: Array, positive: Array, thresholds: Array, weight: Array | None, by_output: bool = False
) -> Array:
    """Count negatives and positives between consecutive thresholds.

    Args:
        scores: (batch, outputs).
        positive: boolean array of the same shape.
        thresholds: ascending.
        weight: weights of the scores, flat; ``None`` for 1, which makes the result integers.
        by_output: whether to count each output separately.

    Returns:
        (thresholds + 1, 2) or (outputs, thresholds + 1, 2): row b counts scores above b thresholds.
    """
    rows, columns = len(thresholds) + 1, scores.shape[-1] if by_output else 1
    bucket = np.searchsorted(thresholds, scores)
    bucket[np.isnan(scores)] = 0  # NaN is above no threshold
    if by_output:
        bucket += rows * np.arange(columns)
    bucket *= 2
    bucket += positive
    counts = np.bincount(bucket.reshape(-1), weight, minlength=2 * rows * columns)
    return counts.reshape((columns, rows, 2) if by_output else (rows, 2))


def confusion_counts(counts: Array) -> tuple[Array, Array, Array, Array]:
    """Return tp, fp, fn, tn at each threshold from :func:`count_buckets`, without cancellation."""
    above = counts[..., ::-1, :].cumsum(axis=-2)[..., ::-1, :][..., 1:, :]
    below = counts.cumsum(axis=-2)[..., :-1, :]
    return above[..., 1], above[..., 0], below[..., 1], below[..., 0]


def ratio(a: ArrayLike, b: ArrayLike) -> Array:
    """Return ``a / b``, and 0 where ``b`` is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)


class _Counts(Metric):
    """Base class of metrics that count outcomes at thresholds."""

    _counts: Array

    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        name: str | None,
        dtype: str | None,
        from_logits: bool,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        self.thresholds = check_thresholds(owner, thresholds)
        self.from_logits = check_flag(owner, "from_logits", from_logits)
        self.top_k = None if top_k is None else check_integer(owner, "top_k", top_k, minimum=1)
        self.class_id = (
            None if class_id is None else check_integer(owner, "class_id", class_id, minimum=0)
        )
        default = 0.5 if top_k is None else -np.inf
        cuts = np.atleast_1d(default if self.thresholds is None else self.thresholds)
        self._order = np.argsort(cuts, kind="stable")
        self._cuts = cuts[self._order]
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "one-hot", "shares"),
            ({"thresholds": [0.2, 0.58], "from_logits": True}, "one-hot", "numbers"),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the outputs of a batch with the weights of their samples."""
        if self.top_k is not None and np.ndim(y_pred) == 1 == np.ndim(y_true):
            y_true, y_pred = np.asarray(y_true)[None], np.asarray(y_pred)[None]  # of one sample
        positive, y_pred, exclusive = labels(self, y_true, y_pred)
        weight = None
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, y_pred.shape)
        scores, thresholds = scores_and_thresholds(y_pred, self._cuts, self.from_logits, exclusive)
        if self.top_k is not None:
            scores = _only_top(scores, self.top_k)
        if self.class_id is not None:
            self._check_class(y_pred.shape)
            at = slice(self.class_id, self.class_id + 1)
            if weight is not None:
                weight = weight.reshape(y_pred.shape)[..., at].reshape(-1)
            scores, positive = scores[..., at], positive[..., at]
        self._counts = self._counts + count_buckets(scores, positive, thresholds, weight)

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts = np.zeros((len(self._cuts) + 1, 2), np.int64)

    def result(self) -> float | Array:
        """Return a float, or an array of one value per threshold if ``thresholds`` is a list."""
        values = np.empty(len(self._cuts))
        values[self._order] = self._from_counts(*confusion_counts(self._counts))
        return values if isinstance(self.thresholds, list) else float(values[0])

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """Return the metric from the counts at each threshold."""
        raise NotImplementedError

    def _check_class(self, shape: tuple[int, ...]) -> None:
        assert self.class_id is not None
        if self.class_id >= shape[-1]:
            raise ShapeError(
                f"metric {self.name!r}: class_id={self.class_id}, but there are only {shape[-1]} "
                f"outputs (y_pred has the shape {shape})."
            )


def _only_top(scores: Array, k: int) -> Array:
    """Return the scores with NaN for all but the k largest per row; the first of ties are kept."""
    k = min(k, scores.shape[-1])
    top = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    kept = np.full(scores.shape, np.nan, np.result_type(scores.dtype, np.float32))
    np.put_along_axis(kept, top, np.take_along_axis(scores, top, axis=-1), axis=-1)
    return kept


@register("metric")
class TruePositives(_Counts):
    """Number, or total weight, of true positives.

    Shapes: see :class:`Precision`.

    Args:
        thresholds: outputs above it count as 1; a list gives an array of results. ``None``
            means 0.5.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`Precision`.
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(thresholds, name, dtype, from_logits)

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``tp``."""
        return tp


@register("metric")
class FalsePositives(TruePositives):
    """Number, or total weight, of false positives.

    Args: see :class:`TruePositives`.
    """

    direction = "min"

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``fp``."""
        return fp


@register("metric")
class TrueNegatives(TruePositives):
    """Number, or total weight, of true negatives.

    Args: see :class:`TruePositives`.
    """

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``tn``."""
        return tn


@register("metric")
class FalseNegatives(TruePositives):
    """Number, or total weight, of false negatives.

    Args: see :class:`TruePositives`.
    """

    direction = "min"

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``fn``."""
        return fn


@register("metric")
class Precision(_Counts):
    """Precision: ``tp / (tp + fp)``, the fraction of predicted positives that are true; else 0.

    Shapes: ``y_pred`` (batch, ..., outputs), or (batch,) for one output; ``y_true`` is 0
    or 1 per output or, for several outputs, class indices, (batch, ...) or (batch, ..., 1). The
    counts of all outputs are summed ("micro") unless ``class_id`` selects one.

    Args:
        thresholds: outputs above it count as 1; a list gives an array of results. ``None`` means
            0.5 or, with ``top_k``, no threshold.
        top_k: only the k largest outputs of a sample may count as 1 (the first of ties); arrays
            with one axis are then one sample.
        class_id: use only this output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: the outputs are logits: of a softmax if the targets are class indices, else of
            sigmoids. (Keras has no such argument here.)

    Source: C. Manning et al., "Introduction to information retrieval", 2008, section 8.3.

    Example:
        >>> import netlayers as nl
        >>> precision = nl.metrics.Precision()
        >>> precision([0, 1, 1, 1], [0.9, 0.2, 0.8, 0.7])  # doctest: +ELLIPSIS
        0.666...
    """

    direction = "max"

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(thresholds, name, dtype, from_logits, top_k, class_id)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            *_Counts.examples(),
            ({"top_k": 2}, "one-hot", "shares"),
            ({"thresholds": 0.6, "class_id": 1}, "one-hot", "shares"),
        ]

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``tp / (tp + fp)``."""
        return ratio(tp, tp + fp)


@register("metric")
class Recall(Precision):
    """Recall: ``tp / (tp + fn)``, the fraction of positives that are found; else 0.

    Args: see :class:`Precision`.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.Recall()([0, 1, 1, 0], [0.1, 0.4, 0.9, 0.2])
        0.5
    """

    def _from_counts(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """``tp / (tp + fn)``."""
        return ratio(tp, tp + fn)


@register("metric")
class ConfusionMatrix(Metric):
    """Confusion matrix: entry (i, j) counts samples of class i that are predicted as class j.

    The result is an array, (classes, classes). It is kept in logs and history, but not printed by
    ``fit`` and ``evaluate``. A single output has the classes 0 and 1.

    Shapes: ``y_pred`` (batch, ..., classes), or one output; ``y_true`` class indices, one-hot rows,
    or 0 and 1 for one output. Rows with several labels are an error.

    Args:
        normalize: ``"true"`` divides by the row sums, ``"pred"`` by the column sums, ``"all"`` by
            the total; ``None`` gives counts, which are integers without weights.
        threshold: for a single output, predictions above it are 1.
        from_logits: the outputs are logits; only relevant for a single output.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.ConfusionMatrix()([0, 0, 1], [0.1, 0.9, 0.8])
        array([[1, 1],
               [0, 1]])
    """

    _counts: Array | None

    def __init__(
        self,
        normalize: str | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        self.normalize = check_choice(owner, "normalize", normalize, (None, "true", "pred", "all"))
        self.threshold = check_number(owner, "threshold", threshold, minimum=0, maximum=1)
        self.from_logits = check_flag(owner, "from_logits", from_logits)
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({"normalize": "all"}, "one-hot", "shares"),
            ({"threshold": 0.25}, "one-hot", "shares", 1),
            ({"threshold": 0.25, "from_logits": True}, "one-hot", "numbers", 1),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the samples of a batch with their weights."""
        true, predicted, classes = self._classes(np.asarray(y_true), np.asarray(y_pred))
        weight = None
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, predicted.shape)
        cells = classes * true.reshape(-1) + predicted.reshape(-1)
        counts = np.bincount(cells, weight, minlength=classes * classes)
        counts = counts.reshape(classes, classes)
        if self._counts is not None and self._counts.shape != counts.shape:
            raise ShapeError(
                f"metric {self.name!r}: y_pred has {classes} classes, but previous batches had "
                f"{len(self._counts)}; call reset_state() in between."
            )
        self._counts = counts if self._counts is None else self._counts + counts

    def result(self) -> Array:
        """Return the matrix as a new array, (0, 0) if empty."""
        if self._counts is None:
            return np.zeros((0, 0), np.int64)
        if self.normalize is None:
            return self._counts.copy()
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        return ratio(self._counts, self._counts.sum(axis=axis, keepdims=True))

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts = None

    def _classes(self, y_true: Array, y_pred: Array) -> tuple[Array, Array, int]:
        if y_pred.ndim > 1 and y_pred.shape[-1] > 1:
            classes = y_pred.shape[-1]
            if is_sparse(y_true, y_pred):  # without a conversion to one-hot rows
                true = class_indices(self, y_true, classes)
            else:
                true = self._only_class(labels(self, y_true, y_pred)[0])
            return true, y_pred.argmax(axis=-1), classes
        positive, y_pred, _ = labels(self, y_true, y_pred)
        threshold = np.array([self.threshold])
        scores, threshold = scores_and_thresholds(
            y_pred, threshold, self.from_logits, exclusive=False
        )
        return positive.astype(np.intp), (scores > threshold)[..., 0].astype(np.intp), 2

    def _only_class(self, positive: Array) -> Array:
        """Return the index of the only true entry of each row, (batch, ...).

        Raises:
            DataError: a row has none, or several.
        """
        several = positive.sum(axis=-1) != 1
        if several.any():
            raise DataError(
                f"metric {self.name!r}: each row of y_true must have a single 1, its class, got "
                f"{positive[several][0].astype(int).tolist()}. For several labels per sample use "
                "'precision', 'recall' or 'f1_score'."
            )
        return positive.argmax(axis=-1)
