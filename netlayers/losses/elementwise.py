"""Base class of losses that are means over outputs: unknown targets, and weights of outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.checks import check_flag
from netlayers.kernels.exact import row_dots
from netlayers.kernels.rows import row_means
from netlayers.losses.base import Loss
from netlayers.losses.given import as_weights, check_output_weights
from netlayers.registry import constructor_arguments

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype


class ElementwiseLoss(Loss):
    """Base class of losses ``l = Σ e / k`` of terms e, one for each of the k outputs of a sample.

    Such a loss may leave out single targets that are not known, and weigh single outputs: with
    weights w in the shape of the targets, ``l = Σ w e / k``.

    Subclasses return the losses of the samples by :meth:`mean_outputs`, which applies the weights;
    :meth:`backward_samples` knows nothing of them: its result is multiplied by them.

    Args:
        reduction: see :class:`Loss`. A weight of an output counts as 1 / k of one of a sample:
            Σ w in ``"mean_with_sample_weight"`` is the sum of the weights by k.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: targets that are NaN are unknown: they contribute nothing to value and gradient,
            nor to the denominator: n is the number of known targets by k. So without weights the
            loss is the mean of e over all known targets, and 0 if none is known. ``False``: the
            trainer refuses NaN.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> loss = nl.losses.MeanSquaredError(mask_nan=True)
        >>> loss.forward([[1.0, np.nan], [2.0, 2.0]], [[2.0, 5.0], [2.0, 4.0]])  # (1 + 0 + 4) / 3
        1.6666666666666667
        >>> loss.backward()
        array([[0.6666667, 0.       ],
               [0.       , 1.3333334]], dtype=float32)
        >>> nl.losses.MeanSquaredError().forward([[1.0, 2.0]], [[2.0, 5.0]], [[1.0, 0.5]])
        2.75
    """

    weighs_outputs = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.mask_nan = check_flag(type(self).__name__, "mask_nan", mask_nan)

    @classmethod
    def examples(cls) -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        masks = "mask_nan" in constructor_arguments(cls)
        return [*Loss.examples(), *([({"mask_nan": True}, "numbers", "numbers")] if masks else [])]

    def mean_outputs(self, e: Array, factor: Array | None = None) -> Array:
        """Return ``Σ w e / k`` of each sample, or ``Σ w e factor / k``; without weights, w is 1.

        Args:
            e: (batch, ..., k). It is overwritten by w e unless there is a ``factor``.
            factor: an array of the same shape.
        """
        w = self.cache.weights
        if factor is None:
            return row_means(e if w is None else np.multiply(e, w, out=e))
        if w is not None:
            e = np.multiply(e, w, out=self.buffer("weighted", e))
        return row_dots(e, factor) / e.shape[-1]

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, with 1 for those that are unknown; see :meth:`Loss.targets`.

        1 is a target that every loss takes, as a number, a count, a label or a probability.
        """
        t = super().targets(y_true, shape, dtype)
        if not self.mask_nan:
            return t
        unknown = np.isnan(t, out=self.workspace("unknown", t.shape, np.dtype(bool)))
        self.cache.unknown = unknown if unknown.any() else None
        if self.cache.unknown is None:
            return t
        known = self.buffer("known", t)
        np.copyto(known, t)
        np.putmask(known, unknown, 1)  # five times as fast as copyto with where
        return known

    def _prepare_weights(
        self, sample_weight: ArrayLike | None, y_true: Array, y_pred: Array
    ) -> ArrayLike | None:
        """Return weights of samples, or leave weights of outputs, 0 for unknown ones, in the cache.

        ``cache.count`` is the number of samples, the known part of a sample counted as that.
        """
        unknown = self.cache.unknown if self.mask_nan else None
        owner, shape, dtype = f"loss {self.name!r}", y_true.shape, y_pred.dtype
        by_output = False
        if sample_weight is not None:
            given = as_float(owner, "sample_weight", sample_weight, dtype)
            if given.ndim == len(shape):
                if self.moves_axis and self.cache.moved:
                    given = np.moveaxis(given, self.axis, -1)  # type: ignore[attr-defined]
                by_output = given.shape[-1] != 1
            sample_weight = given
        self._by_output = by_output or unknown is not None
        if not self._by_output:
            return sample_weight
        weight = self.workspace("weights", shape, dtype)
        weight.fill(1)
        if by_output:
            np.copyto(weight, check_output_weights(owner, given, shape))
        elif sample_weight is not None:
            np.copyto(weight, as_weights(owner, given, shape[:-1], dtype)[..., None])
        count = weight.size
        if unknown is not None:
            np.putmask(weight, unknown, 0)
            count -= int(np.count_nonzero(unknown))
        self.cache.count = count / weight.shape[-1]
        self.cache.weights = weight
        return None

    def _weigh_gradient(self, dy: Array) -> Array:
        """Return ``w dy``; a target may have several predictions, such as mean and variance."""
        weight = self.cache.weights
        out = self.workspace("dy weighted", dy.shape, dy.dtype)
        by_target = (*weight.shape[:-1], -1, weight.shape[-1])
        np.multiply(dy.reshape(by_target), weight[..., None, :], out=out.reshape(by_target))
        return out
