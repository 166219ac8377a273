"""Losses for probabilistic regression: quantiles, or a mean and a variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.losses.probabilistic import check_non_negative
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Shape


def _means_and_variances(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return predictions for examples."""
    return np.concatenate([rng.normal(size=shape), rng.uniform(0.1, 3, shape)], axis=-1)


@register("loss", "pinball")
class Quantile(ElementwiseLoss):
    """``l = Σ max(q d, (q - 1) d) / k`` with ``d = t - p``, minimized by the q-quantile.

    Shapes:
        With one ``quantile``: ``y_true`` and ``y_pred`` (batch, ..., outputs); each output predicts
        the quantile of its own target. With a list of k: ``y_pred`` (batch, ..., k) holds the k
        quantiles of the single target ``y_true``, (batch, ..., 1) or (batch, ...).

    Args:
        quantile: a number between 0 and 1, or a list of one per output.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46 (1978).

    Example:
        >>> import netlayers as nl
        >>> loss = nl.losses.Quantile([0.1, 0.5, 0.9])
        >>> round(loss.forward([1.0], [[0.0, 1.0, 3.0]]), 6)  # (0.1 * 1 + 0 + 0.1 * 2) / 3
        0.1
    """

    def __init__(
        self,
        quantile: float | Sequence[float] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(reduction, name, dtype, mask_nan)
        self.quantile: float | list[float]
        if isinstance(quantile, (list, tuple, np.ndarray)) and np.ndim(quantile) == 1:
            if not len(quantile):
                raise ConfigurationError("Quantile: quantile must not be an empty list.")
            self.quantile = [
                check_number("Quantile", "each quantile", q, above=0, below=1) for q in quantile
            ]
        else:
            self.quantile = check_number("Quantile", "quantile", quantile, above=0, below=1)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "numbers", "numbers"),
            ({"quantile": 0.2, "mask_nan": True}, "numbers", "numbers"),
            ({"quantile": [0.1, 0.5, 0.7]}, "column", "numbers", 3),
            ({"quantile": [0.1, 0.7], "mask_nan": True}, "column", "numbers", 2),
        ]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ max(q d, (q - 1) d) / k`` with ``d = t - p``."""
        q = np.array(self.quantile, y_pred.dtype)
        d = self.cache.d = np.subtract(y_true, y_pred, out=self.buffer("d", y_pred))
        below = np.multiply(d, q - 1, out=self.buffer("below", d))
        l = np.multiply(d, q, out=self.buffer("scratch", d))  # noqa: E741
        return self.mean_outputs(np.maximum(l, below, out=l))

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = dl (1/2 - q - sign(d) / 2) / k``: -q if d > 0, 1 - q if d < 0, else the mean."""
        d = self.cache.d
        dp = np.sign(d, out=self.buffer("scratch", d))
        np.multiply(dp, -0.5, out=dp)
        np.add(dp, 0.5 - np.array(self.quantile, d.dtype), out=dp)
        return np.multiply(dp, dl * (1 / d.shape[-1]), out=dp)

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns, 1 for a list of quantiles."""
        if isinstance(self.quantile, float):
            return outputs
        if outputs != len(self.quantile):
            raise ShapeError(
                f"loss {self.name!r}: there must be one output for each of the "
                f"{len(self.quantile)} quantiles, got {outputs} outputs."
            )
        return 1

    def _shape_hint(self, got: tuple[int, ...], shape: Shape) -> str:
        if isinstance(self.quantile, list):
            return "All quantiles belong to one target: y_true must be (batch, 1) or (batch,)."
        return super()._shape_hint(got, shape)


@register("loss", "gaussian_negative_log_likelihood")
class GaussianNLL(ElementwiseLoss):
    """``l = Σ (log v + (t - μ)² / v) / (2 k)``: normal targets with mean ``μ`` and variance ``v``.

    The first k of the 2 k outputs are the means, the last k the variances. The network must produce
    positive variances, for instance with a softplus; a negative one is an error. Variances are
    clipped to at least ``epsilon``; the gradient with respect to a clipped variance is 0. (PyTorch
    passes a gradient through the clipping.)

    Shapes: ``y_pred`` (batch, ..., 2 k), ``y_true`` (batch, ..., k), for k = 1 also (batch, ...).

    Args:
        full: add the constant ``log(2 π) / 2`` of the likelihood.
        epsilon: lower bound of the variance, positive.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        D. Nix and A. Weigend, "Estimating the mean and variance of the target probability
        distribution", ICNN 1994, equation 5; the arguments are those of PyTorch's GaussianNLLLoss.

    Example:
        >>> import netlayers as nl
        >>> round(float(nl.losses.GaussianNLL()([[1.0]], [[1.5, 2.0]])), 4)
        0.4091
    """

    def __init__(
        self,
        full: bool = False,
        epsilon: float = 1e-6,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(reduction, name, dtype, mask_nan)
        self.full = check_flag("GaussianNLL", "full", full)
        self.epsilon = check_number("GaussianNLL", "epsilon", epsilon, above=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, "numbers", _means_and_variances),
            ({"full": True}, "numbers", _means_and_variances),
            ({"full": True, "mask_nan": True}, "numbers", _means_and_variances),
            ({"epsilon": 0.5}, "numbers", _means_and_variances),
        ]

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = Σ (log v + d r) / (2 k)`` with ``d = μ - t``, ``r = d / v``, ``v`` clipped."""
        mean, variance = np.split(y_pred, 2, axis=-1)
        hint = (
            "Use Parallel([Dense(k), Dense(k, activation='softplus')]) as the last layer, which "
            "makes the variances positive."
        )
        check_non_negative(self, variance, "variances in its second half", hint)
        v = np.maximum(variance, self.epsilon, out=self.buffer("v", mean))
        d = np.subtract(mean, y_true, out=self.buffer("d", mean))
        r = np.divide(d, v, out=self.buffer("r", mean))
        self.cache.variance, self.cache.v, self.cache.r = variance, v, r
        l = np.log(v, out=self.buffer("scratch", mean))  # noqa: E741
        np.add(l, np.multiply(d, r, out=d), out=l)
        if self.full:
            np.add(l, math.log(2 * math.pi), out=l)
        return 0.5 * self.mean_outputs(l)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dμ = dl r / k`` and ``dv = dl (1 / v - r²) / (2 k)`` where not clipped, else 0."""
        v, r = self.cache.v, self.cache.r
        k = v.shape[-1]
        dp = self.workspace("dp", (*v.shape[:-1], 2 * k), v.dtype)
        d_mean, d_variance = dp[..., :k], dp[..., k:]
        np.multiply(r, dl * (1 / k), out=d_mean)
        np.divide(1, v, out=d_variance)
        square = np.multiply(r, r, out=self.buffer("scratch", v))
        np.subtract(d_variance, square, out=d_variance)
        clipped = self._unclipped(self.cache.variance, v)
        np.copyto(d_variance, 0, where=np.logical_not(clipped, out=clipped))  # even if infinite
        np.multiply(d_variance, dl * (0.5 / k), out=d_variance)
        return dp

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns, half the number of outputs."""
        if outputs % 2:
            raise ShapeError(
                f"loss {self.name!r}: needs one mean and one variance per target, hence an even "
                f"number of outputs, got {outputs}."
            )
        return outputs // 2

    def _shape_hint(self, got: tuple[int, ...], shape: Shape) -> str:
        return "Half of the outputs are means and half are variances: give one target per pair."
