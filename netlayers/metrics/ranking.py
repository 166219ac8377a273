"""Areas under ROC and precision-recall curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_list, check_number
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.exact import inner
from netlayers.metrics.base import Metric, broadcast_weights
from netlayers.metrics.confusion import confusion_counts, count_buckets, ratio
from netlayers.metrics.targets import labels, log_softmax, scores_and_thresholds
from netlayers.metrics.thresholds import check_num_thresholds, check_thresholds
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike

_MARGIN = 1e-7  # as in Keras: distance of the outermost thresholds from 0 and 1


@register("metric")
class AUC(Metric):
    """Area under the ROC curve or the precision-recall curve.

    By default the area is exact: for ``"ROC"`` the trapezoidal area, which is the probability that
    a positive scores higher than a negative (ties count half); for ``"PR"`` the average precision,
    ``Σ (R_i - R_{i-1}) P_i``. These are scikit-learn's ``roc_auc_score`` and
    ``average_precision_score``. The exact area stores every score: 5 bytes each in float32 (9 in
    float64), and 8 more with weights. Computing it sorts them, so it is not in the logs of single
    batches. With ``num_thresholds`` (Keras's default is 200) or ``thresholds``, it is Keras's
    approximation, which needs 16 bytes per threshold.

    The result is NaN, without a warning, if there are no positives or, for ``"ROC"``, no negatives.
    The exact area is also NaN if a score is NaN.

    Shapes: ``y_pred`` (batch, ..., outputs), or (batch,) for one output; ``y_true`` is 0 or 1 per
    output or, for several outputs, class indices (one class against the rest).

    Args:
        num_thresholds: number of evenly spaced thresholds of the approximation; ``None`` for the
            exact area.
        curve: ``"ROC"``, ``"PR"``, or ``"PRGAIN"``: precision gain ``1 - fp P / (tp N)`` over
            recall gain ``1 - fn P / (tp N)``, both at least 0, with P positives and N negatives.
        summation_method: ``"interpolation"``, or the lower (``"minoring"``) or upper
            (``"majoring"``) Riemann sum. With thresholds, interpolation is trapezoidal for
            ``"ROC"``; for ``"PR"`` it interpolates true and false positives linearly, not the
            precision.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        thresholds: thresholds of the approximation, in [0, 1], instead of ``num_thresholds``. 0 and
            1 are added; the attributes ``thresholds`` and ``num_thresholds`` include them.
        multi_label: average the areas of the outputs (excluding NaN); otherwise all outputs form
            one set of scores.
        num_labels: number of outputs, checked with ``multi_label``.
        label_weights: weights of the outputs: in the mean with ``multi_label``, else of the scores.
        from_logits: the outputs are logits: of a softmax if the targets are class indices, else of
            sigmoids.

    Source:
        J. Hanley and B. McNeil, "The meaning and use of the area under a ROC curve", Radiology 143
        (1982); J. Davis and M. Goadrich, "The relationship between precision-recall and ROC
        curves", ICML 2006, section 4 (interpolation); P. Flach and M. Kull, "Precision-recall-gain
        curves: PR analysis done right", NIPS 2015.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.AUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """

    direction = "max"
    arguments_without_effect = ("num_labels",)  # only compared with the outputs
    _counts: Array | None

    def __init__(
        self,
        num_thresholds: int | None = None,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        if num_thresholds is not None:
            hint = " Use None for the exact area."
            num_thresholds = check_num_thresholds("AUC", num_thresholds, 2, hint)
        self.num_thresholds = num_thresholds
        self.curve = check_choice("AUC", "curve", curve, ("ROC", "PR", "PRGAIN"))
        self.summation_method = check_choice(
            "AUC", "summation_method", summation_method, ("interpolation", "minoring", "majoring")
        )
        self.thresholds = check_thresholds("AUC", thresholds)
        self.multi_label = check_flag("AUC", "multi_label", multi_label)
        if num_labels is not None:
            num_labels = check_integer("AUC", "num_labels", num_labels, minimum=1)
            if not multi_label:
                raise ConfigurationError("AUC: num_labels requires multi_label=True.")
        self.num_labels = num_labels
        if label_weights is not None:
            label_weights = [
                check_number("AUC", "each of label_weights", w, minimum=0)
                for w in check_list("AUC", "label_weights", label_weights, "numbers")
            ]
            if not label_weights:
                raise ConfigurationError(
                    "AUC: label_weights must hold a number for each label, got []."
                )
            if num_labels not in (None, len(label_weights)):
                raise ConfigurationError(
                    f"AUC: label_weights has {len(label_weights)} numbers, expected num_labels="
                    f"{num_labels}."
                )
        self.label_weights = label_weights
        self.from_logits = check_flag("AUC", "from_logits", from_logits)
        self._cuts: Array | None = None
        if num_thresholds is not None or thresholds is not None:
            inside = np.linspace(0, 1, num_thresholds or 2)[1:-1]
            if self.thresholds is not None:
                inside = np.sort(np.atleast_1d(self.thresholds))
                inside = inside[(inside > 0) & (inside < 1)]
                self.thresholds = [0.0, *inside.tolist(), 1.0]
                self.num_thresholds = len(self.thresholds)
            self._cuts = np.concatenate([[-_MARGIN], inside, [1 + _MARGIN]])
        self.each_batch = self._cuts is not None
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        labels = {"multi_label": True, "num_labels": 3, "label_weights": [1.0, 2.0, 0.5]}
        return [
            ({}, "one-hot", "shares"),
            ({"num_thresholds": 5, "curve": "PR"}, "one-hot", "shares"),
            ({"curve": "PRGAIN"}, "one-hot", "shares"),
            ({"num_thresholds": 5, "summation_method": "minoring"}, "one-hot", "shares"),
            ({"thresholds": [0.55, 0.2], "from_logits": True}, "one-hot", "numbers"),
            ({"num_thresholds": 5, **labels}, "one-hot", "shares"),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the scores of a batch with the weights of their samples."""
        positive, y_pred, exclusive = labels(self, y_true, y_pred)
        outputs = y_pred.shape[-1]
        self._check_outputs(outputs)
        weight = None
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, y_pred.shape)
        if self.label_weights is not None and not self.multi_label:
            ones = np.ones(y_pred.size) if weight is None else weight
            weight = (ones.reshape(-1, outputs) * self.label_weights).reshape(-1)
        if self._cuts is not None:
            scores, thresholds = scores_and_thresholds(
                y_pred, self._cuts, self.from_logits, exclusive
            )
            counts = count_buckets(scores, positive, thresholds, weight, self.multi_label)
            self._counts = counts if self._counts is None else self._counts + counts
            return
        if self.from_logits and exclusive:
            y_pred = log_softmax(
                y_pred
            )  # same order as the softmax; a sigmoid keeps the order of z
        columns = outputs if self.multi_label else 1
        if weight is not None:
            weight = weight.reshape(-1, columns)
        # Copy: the caller overwrites y_pred in the next step.
        scores = np.array(y_pred, order="C").reshape(-1, columns)
        self._chunks.append((scores, positive.reshape(-1, columns), weight))

    def result(self) -> float:
        """Return the area."""
        areas = np.array(self._exact())
        if self._counts is not None:
            areas = np.atleast_1d(self._approximate(*confusion_counts(self._counts)))
        valid = ~np.isnan(areas)
        weights = np.ones(len(areas))
        if self.multi_label and self.label_weights is not None and len(areas):
            weights = np.array(self.label_weights)
        total = weights[valid].sum()
        return float(inner(areas[valid], weights[valid]) / total) if total else float("nan")

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts = None
        self._chunks: list[tuple[Array, Array, Array | None]] = []

    def get_state(self) -> dict[str, Any]:
        """Return all scores, concatenated, or the counts."""
        self._concatenate()
        return {"_counts": self._counts, "_chunks": self._chunks}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned.

        Raises:
            ValueError: it is not the state of such a metric.
        """
        counts, chunks = state["_counts"], state["_chunks"]
        rows = None if self._cuts is None else (len(self._cuts) + 1, 2)
        columns = int(self.multi_label)
        good = counts is None or (rows is not None and np.shape(counts)[columns:] == rows)
        for scores, positive, weight in chunks:
            shapes = {np.shape(array) for array in (scores, positive, weight) if array is not None}
            good = good and len(shapes) == 1 and np.ndim(scores) == 2
            good = good and (self.multi_label or np.shape(scores)[1] == 1)
        if not good:
            raise ValueError(f"metric {self.name!r}: not scores of samples, nor counts of them")
        super().set_state(state)

    def _check_outputs(self, outputs: int) -> None:
        expected = self.num_labels
        if expected is None and self.label_weights is not None:
            expected = len(self.label_weights)
        if expected is None and self._chunks and self.multi_label:
            expected = self._chunks[0][0].shape[1]
        if expected is None and self._counts is not None and self.multi_label:
            expected = len(self._counts)
        if expected is not None and outputs != expected:
            given = next((name for name in ("num_labels", "label_weights") if vars(self)[name]), "")
            raise ShapeError(
                f"metric {self.name!r}: y_pred has {outputs} outputs, expected {expected}"
                f"{', as in ' * bool(given)}{given}."
            )

    def _exact(self) -> list[float]:
        self._concatenate()
        return [
            self._area(scores[:, i], positive[:, i], None if weight is None else weight[:, i])
            for scores, positive, weight in self._chunks
            for i in range(scores.shape[1])
        ]

    def _concatenate(self) -> None:
        """Concatenate the scores of all batches."""
        if len(self._chunks) < 2:
            return
        scores = np.concatenate([s for s, _, _ in self._chunks])
        positive = np.concatenate([p for _, p, _ in self._chunks])
        weight = None
        if any(w is not None for _, _, w in self._chunks):
            weight = np.concatenate(
                [np.ones(s.shape) if w is None else w for s, _, w in self._chunks]
            )
        self._chunks = [(scores, positive, weight)]

    def _area(self, scores: Array, positive: Array, weight: Array | None) -> float:
        if np.isnan(scores).any():
            return float("nan")
        if weight is not None:
            nonzero = weight > 0
            scores, positive, weight = scores[nonzero], positive[nonzero], weight[nonzero]
        if not len(scores):
            return float("nan")
        order = np.argsort(scores)[::-1]
        scores, positive = scores[order], positive[order]
        # Thresholds lie between distinct scores only.
        ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
        if weight is None:  # integers: the result does not depend on the order
            tp = np.cumsum(positive, dtype=np.int64)[ends]
            fp = ends + 1 - tp
        else:
            weight = weight[order]
            tp = np.cumsum(np.where(positive, weight, 0))[ends]
            fp = np.cumsum(np.where(positive, 0, weight))[ends]
        if tp[-1] == 0 or (self.curve != "PR" and fp[-1] == 0):
            return float("nan")
        if self.curve == "PRGAIN":
            x, y = _gains(np.append(0, tp), np.append(0, fp))
            return float(inner(np.diff(x), self._height_sums(y)) / 2)
        if self.curve == "ROC":
            x, y = np.append(0, fp), np.append(0, tp)
            return float(
                inner(np.diff(x), self._height_sums(y)) / (2 * float(fp[-1]) * float(tp[-1]))
            )
        precision = tp / (tp + fp)
        steps = np.diff(tp, prepend=0)
        if self.summation_method == "interpolation":
            return float(inner(steps, precision) / tp[-1])
        heights = self._height_sums(np.append(precision[0], precision))
        return float(inner(steps, heights) / (2 * tp[-1]))

    def _height_sums(self, y: Array) -> Array:
        """Return twice the height of each segment of a curve, (..., points)."""
        a, b = y[..., 1:], y[..., :-1]
        if self.summation_method == "interpolation":
            return a + b
        return 2 * (np.minimum(a, b) if self.summation_method == "minoring" else np.maximum(a, b))

    def _approximate(self, tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        """Return the areas from counts at ascending thresholds, along the last axis."""
        positives, negatives = tp + fn, fp + tn
        if self.curve == "PR" and self.summation_method == "interpolation":
            # With tp and fp linear between two thresholds, tp = a + s p for p = tp + fp, and the
            # precision tp / p integrated over tp is s (Δtp + a log(p' / p)).
            p, dtp = tp + fp, tp[..., :-1] - tp[..., 1:]
            slope = ratio(dtp, p[..., :-1] - p[..., 1:])
            a = tp[..., 1:] - slope * p[..., 1:]
            quotient = ratio(p[..., :-1], p[..., 1:])
            log = np.log(quotient, out=np.zeros_like(quotient), where=quotient > 0)
            area = ratio(slope * (dtp + a * log), positives[..., 1:]).sum(axis=-1)
        else:
            x, y = ratio(tp, positives), ratio(tp, tp + fp)
            if self.curve == "ROC":
                x, y = ratio(fp, negatives), x
            elif self.curve == "PRGAIN":
                x, y = (gain[..., ::-1] for gain in _gains(tp[..., ::-1], fp[..., ::-1]))
            area = np.sum((x[..., :-1] - x[..., 1:]) * self._height_sums(y), axis=-1) / 2
        undefined = positives[..., 0] == 0
        if self.curve != "PR":
            undefined = undefined | (negatives[..., 0] == 0)
        return np.where(undefined, np.nan, area)


def _gains(tp: Array, fp: Array) -> tuple[Array, Array]:
    """Return recall gain and precision gain, at least 0, at descending thresholds.

    The last threshold has all positives P and all negatives N.
    """
    positives, negatives = tp[..., -1:].astype(float), fp[..., -1:].astype(float)
    scale = ratio(positives, negatives)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = 1 - scale * (positives - tp) / tp
        precision = np.where((tp == 0) & (fp == 0), 1.0, 1 - scale * fp / tp)
    return np.fmax(recall, 0), np.fmax(precision, 0)
