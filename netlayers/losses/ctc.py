"""Connectionist temporal classification: labels for a series, without knowing at which steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.errors import DataError, ShapeError
from netlayers.losses.base import Loss
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype

_INTEGER, _FLOAT64 = np.dtype(np.intp), np.dtype(np.float64)
BLANK = 0  # the class that stands for no label


@register("loss")
class CTC(Loss):
    """``l = -log p(labels)``: the probability of all series of classes that reduce to the labels.

    A series of classes reduces to labels if equal neighbours are merged and the blank, class 0, is
    left out: ``a a - a b b`` gives ``a a b``. So the network need not be told at which step each
    label belongs. Classes are numbered from 0, labels from 1.

    With the mask of a series, its steps are those that the mask keeps, from the first on.

    Shapes: ``y_true`` (batch, labels), integers, with 0 behind the end of shorter ones; ``y_pred``
    (batch, steps, classes), logits; one loss per sample, (batch,).

    Args:
        reduction: see :class:`Loss`.
        name: name of the loss.
        dtype: see :class:`Loss`; the sums are computed in float64.

    Source:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification:
        labelling unsegmented sequence data with recurrent neural networks", ICML 2006: equations
        (5) to (8) for α, (9) to (11) for β, (14) and (16) for the gradient; in the log domain.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> loss = nl.losses.CTC()
        >>> logits = np.log([[[0.6, 0.4], [0.6, 0.4]]])  # blank and label 1, two steps
        >>> round(float(np.exp(-loss.forward([[1]], logits))), 4)  # 1 -, - 1 and 1 1
        0.64
        >>> loss.backward().round(4).tolist()
        [[[0.225, -0.225], [0.225, -0.225]]]
    """

    from_logits = True
    takes_lengths = True  # a mask says how many steps a series has: see training/masks.py

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, _some_labels, "numbers", 6, 4)]

    # Targets and weights ---------------------------------------------------------------------

    def target_dtype(self, dtype: Dtype) -> Dtype:
        """Return the dtype of the targets, an integer dtype."""
        return _INTEGER

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the labels (batch, labels) as integers.

        Raises:
            ShapeError: ``y_true`` is not (batch, labels), ``y_pred`` not (batch, steps, classes).
            DataError: they are not integers from 0 to the last class, or one is behind a 0.
        """
        owner = f"loss {self.name!r}"
        y = np.asarray(y_true)
        if len(shape) != 3 or y.ndim != 2 or len(y) != shape[0]:
            raise ShapeError(
                f"{owner}: y_true must have the shape (batch, labels) and y_pred (batch, steps, "
                f"classes), got {y.shape} and {tuple(shape)}."
            )
        if y.dtype.kind not in "iub":
            y = as_float(owner, "y_true", y, _FLOAT64)
        labels = y.astype(_INTEGER)
        if (labels != y).any() or labels.min(initial=0) < 0 or labels.max(initial=0) >= shape[-1]:
            raise DataError(
                f"{owner}: y_true must be integers from 1 to {shape[-1] - 1}, the last of "
                f"{shape[-1]} classes, and 0 behind the last label, got values from {y.min()} to "
                f"{y.max()}."
            )
        if ((labels[:, 1:] != BLANK) & (labels[:, :-1] == BLANK)).any():
            raise DataError(
                f"{owner}: y_true has a label behind a 0, which is the blank and stands for no "
                "label: number the labels from 1, and fill shorter rows with 0 at their end."
            )
        return labels

    def _prepare_weights(
        self, sample_weight: ArrayLike | None, y_true: Array, y_pred: Array
    ) -> ArrayLike | None:
        """Return the weights of the samples; those of steps, 0 behind the last, give its length."""
        self.cache.lengths = None
        weight = np.asarray(sample_weight)
        if weight.shape != y_pred.shape[:2]:
            return sample_weight
        there = weight != 0
        first = weight[:, 0]
        if (there[:, 1:] & ~there[:, :-1]).any() or (there & (weight != first[:, None])).any():
            raise DataError(
                f"loss {self.name!r}: weights of steps must be those of the sample, and 0 behind "
                "its last step: the loss is that of a whole series. A mask must keep the first "
                "steps of each series."
            )
        lengths = there.sum(axis=1)
        self.cache.lengths = np.where(lengths == 0, weight.shape[1], lengths)
        return first

    def _broadcastable(self, scale: Array) -> Array:
        return scale[:, None, None]

    # The loss --------------------------------------------------------------------------------

    def forward(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the loss of a batch; see :meth:`Loss.forward`."""
        self.cache.lengths = None
        return super().forward(y_true, y_pred, sample_weight)

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """``l = -log(α[T](2L) + α[T](2L + 1))``.

        The labels get a blank between them, in front and behind. With y[t] the probability of the
        s-th of these at step t, ``α[t](s) = (α[t-1](s) + α[t-1](s-1) + α[t-1](s-2)) y[t]``, without
        the last term where s is a blank or equal to s - 2: no label may be passed over.
        """
        count, steps, _ = y_pred.shape
        rows, lengths = np.arange(count), self.cache.lengths
        lengths = np.full(count, steps) if lengths is None else lengths
        log_p, rest = self._scratch("log p", y_pred.shape), self._scratch("rest", y_pred.shape)
        np.copyto(log_p, y_pred)
        sums = self._scratch("sums", (count, steps, 1))
        np.subtract(log_p, np.max(log_p, axis=2, keepdims=True, out=sums), out=log_p)
        np.sum(np.exp(log_p, out=rest), axis=2, keepdims=True, out=sums)
        np.subtract(log_p, np.log(sums, out=sums), out=log_p)
        symbols = self.workspace("symbols", (count, 2 * y_true.shape[1] + 1), _INTEGER)
        symbols.fill(BLANK)
        symbols[:, 1::2] = y_true
        log_y = self._scratch("log y", (steps, *symbols.shape))
        places = self.workspace("places", symbols.shape, _INTEGER)  # in log_p, of the first step
        np.add(symbols, (rows * log_p[0].size)[:, None], out=places)
        for t in range(steps):
            np.take(log_p.reshape(-1), places, out=log_y[t], mode="clip")
            np.add(places, log_p.shape[2], out=places)
        passing = self._scratch("passing", symbols.shape)
        passing.fill(-np.inf)
        passing[:, 2:][(symbols[:, 2:] != BLANK) & (symbols[:, 2:] != symbols[:, :-2])] = 0
        ends = 2 * (y_true != BLANK).sum(axis=1)
        alpha, passed = self._scratch("alpha", log_y.shape), self._scratch("passed", symbols.shape)
        alpha[0] = -np.inf
        alpha[0, :, :2] = log_y[0, :, :2]
        for t in range(1, steps):
            now, before = alpha[t], alpha[t - 1]
            np.copyto(now, before)
            np.logaddexp(now[:, 1:], before[:, :-1], out=now[:, 1:])
            np.add(before[:, :-2], passing[:, 2:], out=passed[:, 2:])
            np.logaddexp(now[:, 2:], passed[:, 2:], out=now[:, 2:])
            np.add(now, log_y[t], out=now)
        one_before = alpha[lengths - 1, rows, np.maximum(ends - 1, 0)]
        one_before[ends == 0] = -np.inf
        log_total = np.logaddexp(alpha[lengths - 1, rows, ends], one_before)
        self._check_room(y_true, lengths, log_total)
        self.cache.symbols, self.cache.ends, self.cache.lengths = symbols, ends, lengths
        self.cache.log_p, self.cache.log_y, self.cache.passing = log_p, log_y, passing
        self.cache.alpha, self.cache.log_total, self.cache.dtype = alpha, log_total, y_pred.dtype
        return -log_total.astype(y_pred.dtype)

    def backward_samples(self, dl: float | Array) -> Array:
        """``dz = dl (p - Σ α(s) β(s) / p(labels))``, the sum over the s that are class k.

        ``β[t](s) = β[t+1](s) y[t+1](s) + β[t+1](s+1) y[t+1](s+1) + β[t+1](s+2) y[t+1](s+2)`` is the
        probability of the rest of the labels behind step t, ``α(s) β(s) / p(labels)`` that of being
        at s in step t, given the labels.
        """
        cache = self.cache
        symbols, lengths, alpha = cache.symbols, cache.lengths, cache.alpha
        steps, count, _ = alpha.shape
        rows = np.arange(count)
        beta, behind, passed = (
            self._scratch(name, symbols.shape) for name in ("beta", "behind", "passed")
        )
        beta.fill(-np.inf)
        d = np.exp(cache.log_p, out=self._scratch("rest", cache.log_p.shape))
        for t in range(steps - 1, -1, -1):
            if t < steps - 1:
                np.add(beta, cache.log_y[t + 1], out=behind)
                np.copyto(beta, behind)
                np.logaddexp(beta[:, :-1], behind[:, 1:], out=beta[:, :-1])
                np.add(behind[:, 2:], cache.passing[:, 2:], out=passed[:, 2:])
                np.logaddexp(beta[:, :-2], passed[:, 2:], out=beta[:, :-2])
            (last,) = np.nonzero(t == lengths - 1)
            if last.size:  # series that end here: all labels are behind them
                beta[last] = -np.inf
                beta[last, cache.ends[last]] = 0
                beta[last, np.maximum(cache.ends[last] - 1, 0)] = 0
            share = np.add(alpha[t], beta, out=behind)
            np.exp(np.subtract(share, cache.log_total[:, None], out=share), out=share)
            d[:, t, BLANK] -= share[:, ::2].sum(axis=1)
            for k in range(1, share.shape[1], 2):  # a class may be there several times
                d[rows, t, symbols[:, k]] -= share[:, k]
        d[np.arange(steps) >= lengths[:, None]] = 0
        dz = self.workspace("dz", d.shape, cache.dtype)
        return np.multiply(d, dl, out=dz, casting="same_kind")

    def _scratch(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return memory for the sums, which are computed in float64."""
        return self.workspace(name, shape, _FLOAT64)

    def _check_room(self, labels: Array, lengths: Array, log_total: Array) -> None:
        """Raise a DataError if labels do not fit into the steps."""
        short = np.flatnonzero(np.isneginf(log_total))
        if short.size:
            row = int(short[0])
            found = labels[row][labels[row] != BLANK]
            twins = int((found[1:] == found[:-1]).sum())
            raise DataError(
                f"loss {self.name!r}: the {len(found)} labels of sample {row} do not fit into its "
                f"{lengths[row]} steps: it needs {len(found) + twins}, one for each label and a "
                "blank between equal ones. Use longer series, or leave the sample out."
            )


def _some_labels(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return labels for examples: up to 3 of them, with equal neighbours among them."""
    labels = rng.integers(1, shape[-1], (shape[0], 3))
    labels[0] = 1
    labels[-1, 1:] = BLANK
    return labels
