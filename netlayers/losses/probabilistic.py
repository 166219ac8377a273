"""Losses that compare distributions: Poisson and Kullback-Leibler divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import DataError
from netlayers.kernels.exact import row_dots
from netlayers.losses.axis import OneHotTargets
from netlayers.losses.base import EPSILON, Loss
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.losses.given import check_range
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


@register("loss")
class Poisson(ElementwiseLoss):
    """``l = Σ (p - t log(p + 1e-7)) / k`` for counts ``t`` with expected value ``p``.

    The negative log-likelihood of a Poisson distribution without the constant ``log t!``.
    Predictions must not be negative: use a softplus or exponential output.

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        P. McCullagh and J. Nelder, "Generalized linear models", 2nd edition (1989), section 6.2.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.Poisson()(y, p)), 4)
        0.6835
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "counts", "positive"), ({"mask_nan": True}, "counts", "positive")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ (p - t log q) / k`` with ``q = p + 1e-7``."""
        check_non_negative(self, y_pred, "expected counts")
        q = np.add(y_pred, EPSILON, out=self.buffer("q", y_pred))
        self.cache.q, self.cache.t = q, y_true
        l = np.log(q, out=self.buffer("scratch", q))  # noqa: E741
        np.multiply(l, y_true, out=l)
        return self.mean_outputs(np.subtract(y_pred, l, out=l))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl (1 - t / q) / k``."""
        q = self.cache.q
        dp = np.divide(self.cache.t, q, out=self.buffer("scratch", q))
        np.subtract(1, dp, out=dp)
        return np.multiply(dp, dl * (1 / q.shape[-1]), out=dp)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., outputs)."""
        t = super().targets(y_true, shape, dtype)
        check_range(f"loss {self.name!r}", t, 0, None, "non-negative counts")
        return t


@register("loss", "kld", "KLD")
class KLDivergence(OneHotTargets):
    """``l = Σ t log(t / p)``: the Kullback-Leibler divergence of ``p`` from ``t``.

    Both are clipped to [1e-7, 1] as in Keras.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., classes).

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        S. Kullback and R. Leibler, "On information and sufficiency", Annals of Mathematical
        Statistics 22 (1951).

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.KLDivergence()(y, p)), 4)
        0.367
    """

    _takes_probabilities = True

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, "shares", "shares")]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ t log(t / c)`` with ``c = clip(p)`` and ``t`` clipped likewise."""
        t = np.clip(y_true, EPSILON, 1, out=self.buffer("t", y_pred))
        c = np.clip(y_pred, EPSILON, 1, out=self.buffer("c", y_pred))
        self.cache.p, self.cache.c, self.cache.t = y_pred, c, t
        log_ratio = np.divide(t, c, out=self.buffer("scratch", c))
        np.log(log_ratio, out=log_ratio)
        return row_dots(t, log_ratio)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = -dl t / c`` where not clipped, else 0."""
        c = self.cache.c
        dp = np.divide(self.cache.t, c, out=self.buffer("scratch", c))
        np.multiply(dp, self._unclipped(self.cache.p, c), out=dp)
        return np.multiply(dp, -dl, out=dp)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., classes)."""
        t = super().targets(y_true, shape, dtype)
        check_range(
            f"loss {self.name!r}",
            t,
            0,
            1,
            "probabilities, within [0, 1]",
            "Divide counts by their sum.",
        )
        return t


def check_non_negative(
    loss: Loss,
    y_pred: Array,
    meaning: str,
    hint: str = "Use activation='softplus' or 'exponential' in the last layer.",
) -> None:
    """Raise a DataError if a prediction is negative; NaN passes."""
    if y_pred.min() < 0:
        raise DataError(
            f"loss {loss.name!r}: y_pred holds {meaning}, which must not be negative, got "
            f"{y_pred.min():g}. {hint}"
        )
