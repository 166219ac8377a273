"""F-scores: weighted harmonic means of precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_number
from netlayers.errors import ShapeError
from netlayers.kernels.exact import inner
from netlayers.metrics.base import Metric, broadcast_weights
from netlayers.metrics.confusion import ratio
from netlayers.metrics.targets import labels, scores_and_thresholds
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike


class _FScore(Metric):
    """``F = (1 + β²) tp / ((1 + β²) tp + β² fn + fp)`` per output, and their average."""

    direction = "max"
    _counts: Array | None

    def __init__(
        self,
        average: str | None,
        beta: float,
        threshold: float | None,
        name: str | None,
        dtype: str | None,
        from_logits: bool,
    ) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        choices = (None, "micro", "macro", "weighted")
        self.average = check_choice(owner, "average", average, choices)
        self.beta = check_number(owner, "beta", beta, above=0)
        if threshold is not None:
            threshold = check_number(owner, "threshold", threshold, above=0, maximum=1)
        self.threshold = threshold
        self.from_logits = check_flag(owner, "from_logits", from_logits)
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "one-hot", "shares"),
            ({"average": "weighted", "threshold": 0.55}, "one-hot", "shares"),
            ({"average": "macro", "threshold": 0.25, "from_logits": True}, "one-hot", "numbers"),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the outputs of a batch with the weights of their samples."""
        positive, y_pred, exclusive = labels(self, y_true, y_pred)
        predicted = self._predicted(y_pred, exclusive)
        outputs = y_pred.shape[-1]
        codes = 2 * positive + predicted + 4 * np.arange(outputs)
        weight = None
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, y_pred.shape)
        counts = np.bincount(codes.reshape(-1), weight, minlength=4 * outputs).reshape(-1, 4)
        if self._counts is not None and self._counts.shape != counts.shape:
            raise ShapeError(
                f"metric {self.name!r}: y_pred has {outputs} outputs, but previous batches had "
                f"{len(self._counts)}; call reset_state() in between."
            )
        self._counts = counts if self._counts is None else self._counts + counts

    def result(self) -> float | Array:
        """Return a float or, with ``average=None``, an array of one score per output."""
        if self._counts is None:
            return np.zeros(0) if self.average is None else 0.0
        _, fp, fn, tp = self._counts.T
        if self.average == "micro":
            fp, fn, tp = fp.sum(), fn.sum(), tp.sum()
        square = self.beta**2
        scores = ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float(ratio(inner(scores, tp + fn), np.sum(tp + fn)))
        return float(scores.mean())

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts = None

    def _predicted(self, y_pred: Array, exclusive: bool) -> Array:
        if self.threshold is None and y_pred.shape[-1] > 1:
            predicted = y_pred == y_pred.max(axis=-1, keepdims=True)
            if not self.from_logits:  # a row of zeros predicts nothing, as in Keras
                predicted &= np.abs(y_pred) > 1e-9
            return predicted
        threshold = np.array([0.5 if self.threshold is None else self.threshold])
        scores, threshold = scores_and_thresholds(y_pred, threshold, self.from_logits, exclusive)
        return np.greater(scores, threshold)


@register("metric", "fbeta_score")
class FBetaScore(_FScore):
    """Weighted harmonic mean of precision and recall, per output.

    ``F = (1 + β²) tp / ((1 + β²) tp + β² fn + fp)``, and 0 if the denominator is 0. (Keras adds
    1e-7 to each denominator.)

    Shapes: ``y_pred`` (batch, ..., outputs), or (batch,) for one output; ``y_true`` is 0
    or 1 per output or, for several outputs, class indices, (batch, ...) or (batch, ..., 1).

    Args:
        average: averaging over outputs: ``None`` returns an array of all scores; ``"macro"`` is
            their mean; ``"weighted"`` their mean weighted by the number of positives; ``"micro"``
            the score of the summed counts.
        beta: weight of recall relative to precision.
        threshold: outputs above it count as 1. With ``None``, the largest outputs of a sample do
            (including ties, but none if it is 0), as in Keras; for a single output, 0.5 is used.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: the outputs are logits: of a softmax if the targets are class indices, else of
            sigmoids.

    Source:
        C. J. van Rijsbergen, "Information retrieval", 2nd ed., Butterworths 1979, chapter 7.

    Example:
        >>> import netlayers as nl
        >>> f2 = nl.metrics.FBetaScore(average="macro", beta=2.0)
        >>> f2([0, 1, 2], [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
        1.0
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(average, beta, threshold, name, dtype, from_logits)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [*_FScore.examples(), ({"beta": 2.0}, "one-hot", "shares")]


@register("metric")
class F1Score(_FScore):
    """Harmonic mean of precision and recall: :class:`FBetaScore` with ``β = 1``.

    Args:
        average: ``None``, ``"micro"``, ``"macro"`` or ``"weighted"``: see :class:`FBetaScore`.
        threshold: see :class:`FBetaScore`.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        from_logits: see :class:`FBetaScore`.

    Source:
        C. J. van Rijsbergen, "Information retrieval", 2nd ed., Butterworths 1979, chapter 7.

    Example:
        >>> import netlayers as nl
        >>> f1 = nl.metrics.F1Score(average="micro")
        >>> f1([0, 1, 1, 1], [0.9, 0.2, 0.8, 0.7])  # doctest: +ELLIPSIS
        0.666...
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: str | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype, from_logits)
