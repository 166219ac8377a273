"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_number
from netlayers.errors import ShapeError
from netlayers.metrics.base import Metric, spread_weights
from netlayers.metrics.confusion import ratio
from netlayers.metrics.targets import labels, scores_and_cuts
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike


class _FScore(Metric):
    """``F = (1 + β²) tp / ((1 + β²) tp + β² fn + fp)`` for each output, and their average."""

    direction = "max"
    _counts: Array | None

    def __init__(
        self,
        average: str | None,
        beta: float,
        threshold: float | None,
        name: str | None,
        from_logits: bool,
    ) -> None:
        super().__init__(name)
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
        """Take in the outputs of a batch, with the weights of their samples."""
        positive, y_pred, exclusive = labels(self, y_true, y_pred)
        predicted = self._predicted(y_pred, exclusive)
        outputs = y_pred.shape[-1]
        codes = 2 * positive + predicted + 4 * np.arange(outputs)
        weight = None
        if sample_weight is not None:
            weight = spread_weights(self, sample_weight, y_pred.shape)
        counts = np.bincount(codes.reshape(-1), weight, minlength=4 * outputs).reshape(-1, 4)
        if self._counts is not None and self._counts.shape != counts.shape:
            raise ShapeError(
                f"metric {self.name!r}: y_pred has {outputs} outputs, before it had "
                f"{len(self._counts)}; call reset_state() between them."
            )
        self._counts = counts if self._counts is None else self._counts + counts

    def result(self) -> Any:
        """Return a float; with ``average=None`` an array with the score of each output."""
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
            return float(ratio(np.dot(scores, tp + fn), np.sum(tp + fn)))
        return float(scores.mean())

    def reset_state(self) -> None:
        """Forget everything."""
        self._counts = None

    def _predicted(self, y_pred: Array, exclusive: bool) -> Array:
        if self.threshold is None and y_pred.shape[-1] > 1:
            predicted = y_pred == y_pred.max(axis=-1, keepdims=True)
            if not self.from_logits:  # a row of zeros predicts nothing, as in Keras
                predicted &= np.abs(y_pred) > 1e-9
            return predicted
        cut = np.array([0.5 if self.threshold is None else self.threshold])
        scores, cut = scores_and_cuts(y_pred, cut, self.from_logits, exclusive)
        return np.greater(scores, cut)


@register("metric", "fbeta_score")
class FBetaScore(_FScore):
    """Weighted harmonic mean of precision and recall, for each output.

    ``F = (1 + β²) tp / ((1 + β²) tp + β² fn + fp)``, 0 where there is nothing to count. (Keras adds
    1e-7 to each denominator.)

    Shapes: ``y_pred`` (batch, ..., outputs), or (batch,) for one output; ``y_true`` 0 or 1 for each
    output, or, for several outputs, class numbers, (batch, ...) or (batch, ..., 1).

    Args:
        average: of the outputs' scores: ``None`` gives them all, in an array; ``"macro"`` their
            mean; ``"weighted"`` their mean weighted by the positives of each; ``"micro"`` the
            score of all outputs' counts together.
        beta: recall counts β times as much as precision.
        threshold: above it an output counts as 1. ``None``: the largest outputs of a sample do (all
            that are equal to it; none where it is 0), as in Keras; for one output, where that
            would say 1 to everything, 0.5.
        name: the key in logs and history.
        from_logits: the outputs are logits: of a softmax where the targets are class numbers, else
            of a sigmoid each.

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
        from_logits: bool = False,
    ) -> None:
        super().__init__(average, beta, threshold, name, from_logits)

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
        name: the key in logs and history.
        from_logits: see :class:`FBetaScore`.

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
        from_logits: bool = False,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, from_logits)
