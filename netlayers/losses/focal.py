"""Focal cross-entropies, which down-weight well-classified samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.errors import ShapeError
from netlayers.kernels.exact import row_dots
from netlayers.losses.binary import BinaryCrossentropy
from netlayers.losses.crossentropy import CategoricalCrossentropy
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array


def _smallest(m: Array, gamma: float) -> float:
    """Return the smallest divisor m for which ``γ / m`` is finite."""
    return 4 * max(1.0, gamma) * float(np.finfo(m.dtype).tiny)


@register("loss")
class BinaryFocalCrossentropy(BinaryCrossentropy):
    """``l = Σ a m^γ b / k`` over the k outputs of a sample.

    ``b`` is the binary cross-entropy of an output, ``m = t (1 - p) + (1 - t) p`` its distance from
    the target, and ``a`` is 1 or, with ``apply_class_balancing``, ``t α + (1 - t) (1 - α)``.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., outputs); (batch,) for one output.

    Args:
        apply_class_balancing: weight class 1 by ``alpha`` and class 0 by ``1 - alpha``.
        alpha: weight of class 1, in [0, 1].
        gamma: focusing exponent, >= 0; 0 gives the cross-entropy.
        from_logits: the predictions are logits ``z``, and ``p = sigmoid(z)``, computed without
            clipping (Keras clips here too). Otherwise they are probabilities, clipped to
            [1e-7, 1 - 1e-7] in ``b``.
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / 2``.
        axis: axis of the outputs.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.
        mask_nan: leave targets that are NaN out; see :class:`ElementwiseLoss`.

    Source:
        T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017, equations 4 and 5.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.BinaryFocalCrossentropy()(y, p)), 4)
        0.0453
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        mask_nan: bool = False,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype, mask_nan)
        owner = type(self).__name__
        self.apply_class_balancing = check_flag(
            owner, "apply_class_balancing", apply_class_balancing
        )
        self.alpha = check_number(owner, "alpha", alpha, minimum=0, maximum=1)
        self.gamma = check_number(owner, "gamma", gamma, minimum=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            *BinaryCrossentropy.examples(),
            ({"gamma": 3.0, "alpha": 0.7, "apply_class_balancing": True}, "one-hot", "shares"),
            *(
                ({"gamma": gamma, "apply_class_balancing": True, "from_logits": logits}, true, pred)
                for gamma in (0.0, 0.5, 3.0)
                for logits, pred in ((False, "shares"), (True, "numbers"))
                for true in ("one-hot", "shares")
            ),
        ]

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """``b = max(z, 0) - z t + log(1 + e)`` with ``e = exp(-|z|)``; ``p = sigmoid(z)``.

        ``p`` and ``1 - p`` are ``1 / (1 + e)`` and ``e / (1 + e)`` or vice versa, so that the
        smaller one keeps full relative precision.
        """
        p, q, b = self.buffer("p", z), self.buffer("other", z), self.buffer("l", z)
        e, scratch = self.buffer("e", z), self.buffer("dy", z)
        np.abs(z, out=e)
        np.exp(np.negative(e, out=e), out=e)
        # max(z, 0) - z t first: otherwise a small logarithm would be lost to rounding.
        np.subtract(np.maximum(z, 0, out=b), np.multiply(z, t, out=scratch), out=b)
        np.add(b, np.log1p(e, out=scratch), out=b)
        large, small = np.add(e, 1, out=scratch), e
        np.divide(1, large, out=large)
        np.multiply(e, large, out=small)
        positive = np.greater(z, 0, out=self.workspace("positive", z.shape, np.dtype(bool)))
        np.copyto(p, small)
        np.copyto(p, large, where=positive)
        np.copyto(q, large)
        np.copyto(q, small, where=positive)
        self.cache.p, self.cache.q, self.cache.t = p, q, t
        return self._weighted(t, p, q, b)

    def _backward_logits(self, dl: float | Array) -> Array:
        """``dz = dl a m^γ (γ (1 - 2 t) p (1 - p) b / m + (1 - t) p - t (1 - p)) / k``."""
        p, q, t = self.cache.p, self.cache.q, self.cache.t
        dz = self._distance_term(np.multiply(p, q, out=self.buffer("dy", p)))
        scratch = self.buffer("e", p)
        # (1 - t) p - t (1 - p) equals p - t, without cancellation for a small p or 1 - p.
        np.subtract(1, t, out=scratch)
        np.add(dz, np.multiply(scratch, p, out=scratch), out=dz)
        np.subtract(dz, np.multiply(t, q, out=scratch), out=dz)
        np.multiply(dz, self.cache.factor, out=dz)
        return np.multiply(dz, dl * (1 / p.shape[-1]), out=dz)

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """``b = -(t log c + (1 - t) log(1 - c))`` with ``c = clip(p)``; ``m`` is not clipped."""
        b = self._log_likelihoods(t, p)
        np.negative(b, out=b)
        q = np.subtract(1, p, out=self.buffer("other", p))
        self.cache.q = q
        return self._weighted(t, p, q, b)

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """``dp = dl a m^γ (γ (1 - 2 t) b / m + db) / k``, with the cross-entropy's ``db``."""
        p, c, t = self.cache.p, self.cache.c, self.cache.t
        dp = self.buffer("dy", p)
        dp.fill(1)
        dp = self._distance_term(dp)
        db, scratch = np.subtract(c, t, out=self.buffer("e", p)), self.buffer("smaller", p)
        np.divide(db, np.multiply(c, np.subtract(1, c, out=scratch), out=scratch), out=db)
        np.multiply(db, self._unclipped(p, c), out=db)
        np.add(dp, db, out=dp)
        np.multiply(dp, self.cache.factor, out=dp)
        return np.multiply(dp, dl * (1 / p.shape[-1]), out=dp)

    def _weighted(self, t: Array, p: Array, q: Array, b: Array) -> Array:
        """Return ``Σ a m^γ b / k`` with ``m = t q + (1 - t) p``; cache ``m`` and ``a m^γ``."""
        m, factor, scratch = self.buffer("m", p), self.buffer("factor", p), self.buffer("dy", p)
        np.subtract(1, t, out=scratch)
        np.multiply(scratch, p, out=scratch)
        np.add(np.multiply(t, q, out=m), scratch, out=m)
        # Negative only if p is not a probability; its power would be NaN.
        np.maximum(m, 0, out=m)
        with np.errstate(under="ignore"):
            np.power(m, self.gamma, out=factor)
        if self.apply_class_balancing:
            np.multiply(t, 2 * self.alpha - 1, out=scratch)  # t α + (1 - t) (1 - α)
            np.multiply(factor, np.add(scratch, 1 - self.alpha, out=scratch), out=factor)
        self.cache.b, self.cache.m, self.cache.factor = b, m, factor
        return self.mean_outputs(np.multiply(factor, b, out=scratch))

    def _distance_term(self, slope: Array) -> Array:
        """Return ``γ (1 - 2 t) b / m slope``, which is d(m^γ)/dp b / m^γ times dp, in ``slope``.

        The huge b of a huge logit comes last, when its slope has become 0.
        """
        b, m, scratch = self.cache.b, self.cache.m, self.buffer("e", self.cache.m)
        # Where m is 0, so is m^γ, and any finite value is correct here.
        np.divide(slope, np.maximum(m, _smallest(m, self.gamma), out=scratch), out=slope)
        np.multiply(slope, self.gamma, out=slope)
        factor = np.multiply(self.cache.t, -2, out=scratch)
        np.multiply(slope, np.add(factor, 1, out=factor), out=slope)
        return np.multiply(slope, b, out=slope)


@register("loss")
class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """``l = -Σ α (1 - p)^γ t log p`` for classes given as one-hot rows or probabilities.

    Shapes: ``y_true`` and ``y_pred`` (batch, ..., classes).

    Args:
        alpha: weight of all classes, or a list of one weight per class; >= 0.
        gamma: focusing exponent, >= 0; 0 gives the cross-entropy times ``alpha``.
        from_logits: the predictions are logits ``z``, and ``p = softmax(z)``, computed without
            clipping (Keras clips here too). Otherwise they are probabilities, divided by their sum
            and clipped to [1e-7, 1 - 1e-7].
        label_smoothing: in [0, 1]: targets become ``t (1 - s) + s / classes``.
        axis: axis of the classes.
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`.

    Source:
        T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017, equations 4 and 5.

    Example:
        >>> import netlayers as nl
        >>> y, p = [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.6, 0.4]]
        >>> round(float(nl.losses.CategoricalFocalCrossentropy()(y, p)), 4)
        0.0113
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        owner = type(self).__name__
        self.alpha: float | list[float]
        if isinstance(alpha, (list, tuple, np.ndarray)) and np.ndim(alpha) == 1:
            self.alpha = [check_number(owner, "each alpha", a, minimum=0) for a in alpha]
        else:
            self.alpha = check_number(owner, "alpha", alpha, minimum=0)
        self.gamma = check_number(owner, "gamma", gamma, minimum=0)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            *CategoricalCrossentropy.examples(),
            *(
                ({"gamma": gamma, "alpha": 0.7, "from_logits": logits}, true, pred)
                for gamma in (0.0, 0.5, 3.0)
                for logits, pred in ((False, "shares"), (True, "numbers"))
                for true in ("one-hot", "shares")
            ),
            ({"alpha": [0.2, 0.5, 0.9], "from_logits": True}, "shares", "numbers", 3),
            ({"alpha": [0.2, 0.5, 0.9]}, "shares", "shares", 3),
        ]

    def _forward_logits(self, t: Array, z: Array) -> Array:
        """``l = -Σ w u`` with ``u = log p``, ``w = α t m^γ`` and ``m = 1 - p = 1 - exp(u)``."""
        shifted, lse, _ = self._softmax(z)
        u = np.subtract(shifted, lse[..., None], out=shifted)
        np.maximum(u, np.finfo(u.dtype).min, out=u)  # -inf times a target of 0 would be NaN
        m = np.expm1(u, out=self.buffer("m", z))
        return self._weighted(t, u, np.negative(m, out=m))

    def _backward_logits(self, dl: float | Array) -> Array:
        """``du = dl w (γ p u / m - 1)``, then ``dz = du - p Σ du``."""
        p, w, u = self.cache.p, self.cache.w, self.cache.u
        dz = self._distance_term(p)
        np.subtract(dz, 1, out=dz)
        np.multiply(dz, w, out=dz)
        total = np.add.reduce(dz, axis=-1, keepdims=True)
        np.subtract(dz, np.multiply(p, total, out=self.buffer("scratch", u)), out=dz)
        return np.multiply(dz, dl, out=dz)

    def _forward_probabilities(self, t: Array, p: Array) -> Array:
        """``l = -Σ w u`` with ``u = log c``, ``w = α t (1 - c)^γ``, ``c = clip(p / Σ p)``."""
        _, c = self._normalize(p)
        u = np.log(c, out=self.buffer("shifted", p))
        return self._weighted(t, u, np.subtract(1, c, out=self.buffer("m", p)))

    def _backward_probabilities(self, dl: float | Array) -> Array:
        """``dq = dl w (γ u / m - 1 / c)`` where not clipped; ``dp = (dq - Σ dq q) / Σ p``."""
        q, c, w = self.cache.q, self.cache.c, self.cache.w
        dq = self._distance_term(1)
        np.subtract(dq, np.divide(1, c, out=self.buffer("scratch", q)), out=dq)
        np.multiply(dq, w, out=dq)
        np.multiply(dq, self._unclipped(q, c), out=dq)
        np.multiply(dq, dl, out=dq)
        np.subtract(dq, np.vecdot(dq, q)[..., None], out=dq)
        return np.divide(dq, self.cache.total, out=dq)

    def _weighted(self, t: Array, u: Array, m: Array) -> Array:
        """Return ``-Σ w u`` with ``w = α t m^γ``; cache u, m and w."""
        w = self.buffer("w", u)
        with np.errstate(under="ignore"):
            np.power(m, self.gamma, out=w)
        np.multiply(w, t, out=w)
        np.multiply(w, self._alpha(u.shape, w), out=w)
        self.cache.u, self.cache.m, self.cache.w = u, m, w
        return -row_dots(w, u)

    def _distance_term(self, slope: float | Array) -> Array:
        """Return ``γ slope u / m``; where m is 0, so is w, and any finite value is correct."""
        m = self.cache.m
        safe_m = np.maximum(m, _smallest(m, self.gamma), out=self.buffer("scratch", m))
        term = np.divide(slope, safe_m, out=self.buffer("dy", m))
        np.multiply(term, self.gamma, out=term)
        return np.multiply(term, self.cache.u, out=term)  # may be huge where the slope is 0

    def _alpha(self, shape: tuple[int, ...], like: Array) -> float | Array:
        if isinstance(self.alpha, float):
            return self.alpha
        if len(self.alpha) != shape[-1]:
            raise ShapeError(
                f"loss {self.name!r}: alpha has {len(self.alpha)} entries, but there are "
                f"{shape[-1]} classes. Give one per class, or one number for all."
            )
        return np.array(self.alpha, like.dtype)
