"""The circle loss, of the similarities of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.losses.base import Loss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype

_INTEGER = np.dtype(np.intp)


@register("loss")
class Circle(Loss):
    """Draw embeddings of one label together, and those of different labels apart.

    With distances ``d = max(1 - y_i y_j, 0)`` of unit vectors, γ = ``gamma`` and m = ``margin``,
    ``l_i = log(1 + Σ exp(γ (d² - m²)) Σ exp(γ max(1 + m - d, 0) (1 - m - d)))``: the first sum runs
    over samples j of the label of i, the second one over the others. A sample without one of these
    has the loss 0 and does not count in the mean.

    Each loss depends on the whole batch (``is_quotient`` is false): the value for an epoch is the
    mean over the batches, and gradients cannot be accumulated.

    Shapes: ``y_true`` (batch, ...) or (batch, ..., 1) integer labels, ``y_pred`` (batch, ...,
    outputs) unit vectors, such as those of :class:`netlayers.layers.UnitNormalization`.

    Args:
        gamma: scale of the exponents, > 0.
        margin: relaxation m of the optimum.
        remove_diagonal: leave out j = i.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        Y. Sun et al., "Circle loss: a unified perspective of pair similarity optimization", CVPR
        2020, equations 4 to 6, with distances in place of similarities. As in Keras, the gradient
        is that of the whole formula: the factors are differentiated too.

    Example:
        >>> import netlayers as nl
        >>> y = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
        >>> round(nl.losses.Circle(gamma=2).forward([0, 0, 1], y), 4)
        0.915
    """

    is_quotient = False

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.gamma = check_number("Circle", "gamma", gamma, above=0)
        self.margin = check_number("Circle", "margin", margin)
        self.remove_diagonal = check_flag("Circle", "remove_diagonal", remove_diagonal)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({"gamma": 2.0}, _some_labels, _some_directions, 128),
            ({"gamma": 0.5, "margin": 0.1}, _some_labels, _some_directions, 128),
            ({"remove_diagonal": False, "gamma": 1.0}, _some_labels, _some_directions, 128),
        ]

    def target_dtype(self, dtype: Dtype) -> Dtype:
        """Return the dtype of the targets, an integer dtype."""
        return _INTEGER

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns, 1: the label."""
        return 1

    def forward(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the loss of a batch; see :meth:`Loss.forward`."""
        return super().forward(y_true, y_pred, 1.0 if sample_weight is None else sample_weight)

    def _effective_weights(
        self, losses: Array, sample_weight: ArrayLike | None
    ) -> tuple[Array | None, int]:
        """Return the weights, 0 for samples that cannot be compared, and the number of others."""
        weight, _ = super()._effective_weights(losses, sample_weight)
        compared = self.cache.compared.reshape(losses.shape)
        return weight * compared, int(np.count_nonzero(compared))

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = log(1 + exp(P + N))`` with the log-sum-exps P and N of the two sums."""
        y = self.buffer("y", y_pred)
        np.copyto(y, y_pred)
        labels, y = y_true.reshape(-1), y.reshape(-1, y.shape[-1])
        losses = self._losses(labels, y, labels, y, self.remove_diagonal)
        return losses.reshape(y_pred.shape[:-1])

    def backward_samples(self, dl: float | Array) -> Array:
        """``dy_i = -Σ_j (D_ij + D_ji) y_j`` with D, the gradient with respect to the distances.

        The exponents have the derivatives 2 γ d and -2 γ (1 - d).
        """
        d, share, y = self.cache.d, self.cache.share, self.cache.y
        d_d = np.multiply(d, 2 * self.gamma, out=self._scratch("d_d", d))
        np.subtract(d_d, 2 * self.gamma, out=d_d, where=self.cache.negative)
        np.multiply(d_d, share, out=d_d)
        np.multiply(d_d, dl if isinstance(dl, float) else dl.reshape(-1, 1), out=d_d)
        d_d[self.cache.flat] = 0
        dy = self.buffer("dy", y)
        both = np.add(d_d, d_d.T, out=self._scratch("exponent", d))
        np.dot(both, y, out=dy)
        return np.negative(dy, out=dy)

    def _losses(
        self, labels: Array, y: Array, others: Array, y_others: Array, remove_diagonal: bool
    ) -> Array:
        """Return the loss of each sample among others; cache what its gradient needs."""
        n, m = (len(labels), len(others)), self.margin
        d = self.workspace("d", n, y.dtype)
        np.subtract(1, np.dot(y, y_others.T, out=d), out=d)
        negative = np.not_equal(labels[:, None], others, out=self._mask("negative", n))
        positive = np.logical_not(negative, out=self._mask("positive", n))
        if remove_diagonal:
            np.fill_diagonal(positive, False)
        # No gradient where max() has taken 0.
        flat = np.less(d, 0, out=self._mask("flat", n))
        np.maximum(d, 0, out=d)
        far = np.greater(d, 1 + m, out=self._mask("far", n))
        np.logical_or(flat, np.logical_and(far, negative, out=far), out=flat)
        exponent, share = self._scratch("exponent", d), self._scratch("share", d)
        share.fill(0)  # also where i is not compared with itself
        pairs = []
        np.subtract(np.multiply(d, d, out=exponent), m * m, out=exponent)
        pairs.append(self._log_sum(exponent, positive, share))
        np.maximum(np.subtract(1 + m, d, out=exponent), 0, out=exponent)
        np.multiply(exponent, np.subtract(1 - m, d, out=self._scratch("d_d", d)), out=exponent)
        pairs.append(self._log_sum(exponent, negative, share))
        total = pairs[0] + pairs[1]
        self.cache.compared = total > -np.inf
        losses = np.logaddexp(0, total)
        with np.errstate(under="ignore"):
            np.multiply(share, np.exp(total - losses)[:, None], out=share)
        self.cache.y, self.cache.d, self.cache.share = y, d, share
        self.cache.negative, self.cache.flat = negative, flat
        return losses

    def _log_sum(self, exponent: Array, among: Array, share: Array) -> Array:
        """Return ``log Σ exp(γ exponent)`` of each row; write the shares of its terms."""
        np.multiply(exponent, self.gamma, out=exponent)
        outside = np.logical_not(among, out=self._mask("outside", (len(among), len(among[0]))))
        largest = np.max(exponent, axis=1, where=among, initial=-np.inf, keepdims=True)
        largest[np.isneginf(largest)] = 0
        np.subtract(exponent, largest, out=exponent)
        with np.errstate(under="ignore", over="ignore", divide="ignore"):
            np.exp(exponent, out=exponent)
            np.copyto(exponent, 0, where=outside)  # there it may be infinite
            total = exponent.sum(axis=1, keepdims=True)
            np.divide(exponent, np.where(total == 0, 1, total), out=share, where=among)
            return (np.log(total) + largest)[:, 0]

    def _scratch(self, name: str, like: Array) -> Array:
        return self.workspace(name, like.shape, like.dtype)

    def _mask(self, name: str, shape: tuple[int, int]) -> Array:
        return self.workspace(name, shape, np.dtype(bool))


def circle(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ref_labels: ArrayLike | None = None,
    ref_embeddings: ArrayLike | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Array:
    """Return the loss of each sample, (batch,); see :class:`Circle`.

    Args:
        y_true: labels, (batch,).
        y_pred: unit vectors, (batch, outputs).
        ref_labels: labels of the samples to compare with; by default ``y_true``.
        ref_embeddings: their unit vectors; by default ``y_pred``.
        remove_diagonal: leave out the comparison of sample i with reference i.
        gamma: see :class:`Circle`.
        margin: see :class:`Circle`.
    """
    labels, y = np.asarray(y_true).reshape(-1), np.asarray(y_pred)
    others = labels if ref_labels is None else np.asarray(ref_labels).reshape(-1)
    y_others = y if ref_embeddings is None else np.asarray(ref_embeddings)
    return Circle(gamma, margin)._losses(labels, y, others, y_others, remove_diagonal)


def _some_labels(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return labels for examples: each sample has one of its label, and one of another."""
    return rng.permutation(np.arange(np.prod(shape[:-1])) % 2).reshape(shape[:-1])


def _some_directions(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return vectors for examples, a little shorter than 1: at d = 0 the loss has a kink."""
    y = rng.normal(size=shape)
    return 0.9 * y / np.linalg.norm(y, axis=-1, keepdims=True)
