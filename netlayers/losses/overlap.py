"""Overlap losses (Dice, Tversky): one value for many samples or pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer, check_number
from netlayers.errors import ShapeError
from netlayers.losses.base import EPSILON, Loss
from netlayers.losses.given import as_weights, check_range
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike, Dtype


class _Overlap(Loss):
    """``l = 1 - n I / D`` with ``D = a I + b T + c P + 1e-7`` and three sums over ``axis``.

    ``I = Σ t p``, ``T = Σ t`` and ``P = Σ p``; subclasses define the :attr:`_coefficients`.

    If the batch is among the axes, the loss is not a mean over samples: ``is_quotient`` is false,
    see :class:`Loss`.
    """

    _takes_probabilities = True

    def __init__(
        self,
        reduction: str | None,
        name: str | None,
        dtype: str | None,
        axis: int | Sequence[int] | None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        owner = type(self).__name__
        self.axis: int | tuple[int, ...] | None = None
        if isinstance(axis, (list, tuple)):
            self.axis = tuple(check_integer(owner, "each axis", a) for a in axis)
        elif axis is not None:
            self.axis = check_integer(owner, "axis", axis)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        axes: list[dict[str, Any]] = [
            {},
            {"axis": 1},
            {"axis": [0]},
            {"axis": [0, -1]},
            {"axis": -1},
        ]
        return [(arguments, "shares", "shares") for arguments in axes]

    def forward(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the loss of a batch; see :meth:`Loss.forward`."""
        self.cache.weight = None
        return super().forward(y_true, y_pred, sample_weight)

    @property
    def is_quotient(self) -> bool:  # type: ignore[override]
        """Whether the loss is a sum over samples: the batch axis is not reduced by the loss itself.

        A negative axis is resolved by the first :meth:`forward`.
        """
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        return 0 not in self.cache.__dict__.get("axes", axes) and self.axis is not None

    @property
    def no_quotient(self) -> str:
        """Reason why the loss is not a quotient, and what to do."""
        return (
            f"axis={self.axis} includes the batch. With axis=(1, ...) there is one loss per sample"
        )

    @property
    def _coefficients(self) -> tuple[float, float, float, float]:
        """The coefficients n, a, b and c."""
        raise NotImplementedError

    def _axes(self, ndim: int) -> tuple[int, ...]:
        """Return the summed axes as non-negative numbers.

        Raises:
            ShapeError: predictions of ``ndim`` axes lack one of them.
        """
        if self.axis is None:
            return tuple(range(ndim))
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if not given or any(not -ndim <= a < ndim for a in given):
            raise ShapeError(
                f"loss {self.name!r}: axis={self.axis} is invalid for predictions with {ndim} axes."
            )
        return tuple(sorted({a % ndim for a in given}))

    def _prepare_weights(
        self, sample_weight: ArrayLike | None, y_true: Array, y_pred: Array
    ) -> ArrayLike | None:
        """Use the weights as factors in the sums if these include the batch."""
        assert sample_weight is not None
        if 0 not in self._axes(y_pred.ndim):
            return sample_weight
        self.cache.weight = as_weights(
            f"loss {self.name!r}", sample_weight, y_pred.shape[:-1], y_pred.dtype
        )[..., None]
        return None

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = 1 - n I / D``."""
        n, a, b, c = self._coefficients
        self.cache.axes = self._axes(y_pred.ndim)
        weight, scratch = self.cache.weight, self.buffer("scratch", y_pred)

        def total(values: Array) -> Array:
            if weight is not None:
                values = np.multiply(values, weight, out=scratch)
            return np.add.reduce(values, axis=self.cache.axes, dtype=np.float64, keepdims=True)

        overlap = total(np.multiply(y_true, y_pred, out=scratch))
        denominator = b * total(y_true)
        denominator += c * total(y_pred)
        denominator += a * overlap + EPSILON
        self.cache.t, self.cache.overlap, self.cache.denominator = y_true, overlap, denominator
        return np.squeeze(1 - n * overlap / denominator, axis=self.cache.axes)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dp = -dl n (t D - I (a t + c)) / D²``, times the sample weight in the sums."""
        n, a, _, c = self._coefficients
        t, overlap, denominator = self.cache.t, self.cache.overlap, self.cache.denominator
        ratio = overlap / denominator
        slope = dl * (n / denominator)
        by_target, shift = slope * (a * ratio - 1), slope * (c * ratio)
        dp = np.multiply(t, by_target.astype(t.dtype), out=self.buffer("scratch", t))
        np.add(dp, shift.astype(t.dtype), out=dp)
        return dp if self.cache.weight is None else np.multiply(dp, self.cache.weight, out=dp)

    def _broadcastable(self, scale: Array) -> Array:
        """Return dL/dl reshaped to broadcast to y_pred."""
        return np.expand_dims(scale, self.cache.axes)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, in the shape of the predictions."""
        t = super().targets(y_true, shape, dtype)
        check_range(f"loss {self.name!r}", t, 0, 1, "within [0, 1]")
        return t


@register("loss")
class Dice(_Overlap):
    """``l = 1 - 2 Σ t p / (Σ t + Σ p + 1e-7)``, with sums over ``axis``.

    By default there is one loss per batch; ``axis=(1, 2, ...)`` gives one per sample.

    Shapes: ``y_true`` (in [0, 1]) and ``y_pred`` (batch, ...).

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        axis: axes of the predictions to sum over; ``None`` for all. If the batch is among them,
            sample weights are factors in the sums: a sample of weight 2 counts as two samples. (In
            Keras they are factors of the loss.) The loss is then not a quotient of sums over
            samples (``is_quotient`` is false): its value for an epoch is the mean over the batches,
            weighted by their number of rows, so it depends on ``batch_size``, and gradients cannot
            be accumulated.

    Source:
        F. Milletari, N. Navab and S.-A. Ahmadi, "V-Net", 3DV 2016; here, as in Keras, without
        squares in the denominator.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.Dice()(y, p)), 4)
        0.3
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, axis)

    @property
    def _coefficients(self) -> tuple[float, float, float, float]:
        """The coefficients n, a, b and c of ``2 I / (T + P)``."""
        return 2.0, 0.0, 1.0, 1.0


@register("loss")
class Tversky(_Overlap):
    """``l = 1 - I / (I + alpha Σ t (1 - p) + beta Σ (1 - t) p + 1e-7)`` with ``I = Σ t p``.

    As in Keras, ``alpha`` weights false negatives and ``beta`` false positives. In the paper (and
    in the text of Keras's documentation) it is the other way round.

    Shapes: ``y_true`` (in [0, 1]) and ``y_pred`` (batch, ...).

    Args:
        alpha: weight of false negatives, >= 0.
        beta: weight of false positives, >= 0.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        axis: axes of the predictions to sum over; see :class:`Dice`.

    Source:
        S. Salehi, D. Erdogmus and A. Gholipour, "Tversky loss function for image segmentation using
        3D fully convolutional deep networks", MLMI 2017, equation 4.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.Tversky()(y, p)), 4)
        0.3
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, axis)
        self.alpha = check_number("Tversky", "alpha", alpha, minimum=0)
        self.beta = check_number("Tversky", "beta", beta, minimum=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        factors = {"alpha": 0.3, "beta": 0.9}
        return [({**axes, **factors}, *kinds) for axes, *kinds in _Overlap.examples()]

    @property
    def _coefficients(self) -> tuple[float, float, float, float]:
        """The coefficients n, a, b and c of ``I / (I + alpha (T - I) + beta (P - I))``."""
        return 1.0, 1 - self.alpha - self.beta, self.alpha, self.beta
