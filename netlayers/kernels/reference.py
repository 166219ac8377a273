"""NumPy implementation of the kernels, the costly operations other than matrix products.

Layers, losses and optimizers call them as in ``kernels.tanh(x, y)``, with the ``kernels`` of
``select.py``. This module defines what each computes; ``compiled/`` contains compiled versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.convolution import (
    convolve,
    convolve_input_gradient,
    convolve_kernel_gradient,
)
from netlayers.kernels.depthwise import (
    depthwise_convolve,
    depthwise_input_gradient,
    depthwise_kernel_gradient,
)
from netlayers.kernels.exact import EXACT, row_dots
from netlayers.kernels.gru import gru_backward, gru_forward
from netlayers.kernels.lstm import lstm_backward, lstm_forward
from netlayers.kernels.memory import constant, row_of_ones, row_starts
from netlayers.kernels.moments import column_moments
from netlayers.kernels.normalization import (
    batch_gradient,
    column_sums,
    move_average,
    scale_and_shift,
)
from netlayers.kernels.pooling import (
    average_pool,
    average_pool_gradient,
    max_pool,
    max_pool_gradient,
)
from netlayers.kernels.rows import row_means, row_sums, sums_by_index, wide_rows
from netlayers.kernels.simple_rnn import simple_rnn_backward, simple_rnn_forward
from netlayers.kernels.threads import by_rows, scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Activations that a compiled stack of Dense layers supports, identified by their index.
STACKED = ("Linear", "ReLU", "Tanh", "Sigmoid")

_FLOAT64, _BOOL = np.dtype(np.float64), np.dtype(bool)
# The lowest finite number, by itemsize; complex numbers have none.
_LOWEST = {n: constant(np.finfo(f"f{n}").min, (), np.dtype(f"f{n}")) for n in (4, 8)}
_SMALL = 4096  # entries of a small array
_FEW = 1 << 15  # entries of an array
_LONG = 64  # entries of a row that need no others beside them


class Kernels:
    """The selected kernels. Output arrays must be C-contiguous.

    Attributes:
        name: name of the set of kernels.
        stack_forward: ``stack_forward(values, x, memory, y, table)`` computes consecutive Dense
            layers. Each row of ``table`` describes a layer: inputs n, units m, offsets of W and b
            in ``values`` (that of b is 0 without bias), the number of units of previous layers,
            which gives the offset of its output in ``memory``, the index of its activation in
            ``STACKED``, whether it is trainable, and which layer's input is added to its output,
            -1 for none. The last output is written to ``y``. ``None`` in NumPy: see ``Dense``.
        stack_backward: ``stack_backward(values, gradients, x, memory, y, dy, scratch, ones, dx,
            table, lowest)`` writes dL/dvalues, down to the layer ``lowest``, and dL/dx unless
            ``dx`` is empty. ``scratch`` holds three outputs of the widest layer, ``ones`` a one
            per row.
    """

    name = "numpy"
    stack_forward: Callable[..., None] | None = None
    stack_backward: Callable[..., None] | None = None

    convolve = staticmethod(convolve)
    convolve_kernel_gradient = staticmethod(convolve_kernel_gradient)
    convolve_input_gradient = staticmethod(convolve_input_gradient)
    depthwise_convolve = staticmethod(depthwise_convolve)
    depthwise_kernel_gradient = staticmethod(depthwise_kernel_gradient)
    depthwise_input_gradient = staticmethod(depthwise_input_gradient)
    max_pool = staticmethod(max_pool)
    max_pool_gradient = staticmethod(max_pool_gradient)
    average_pool = staticmethod(average_pool)
    average_pool_gradient = staticmethod(average_pool_gradient)
    column_moments = staticmethod(column_moments)
    column_sums = staticmethod(column_sums)
    scale_and_shift = staticmethod(scale_and_shift)
    batch_gradient = staticmethod(batch_gradient)
    move_average = staticmethod(move_average)
    simple_rnn_forward = staticmethod(simple_rnn_forward)
    simple_rnn_backward = staticmethod(simple_rnn_backward)
    lstm_forward = staticmethod(lstm_forward)
    lstm_backward = staticmethod(lstm_backward)
    gru_forward = staticmethod(gru_forward)
    gru_backward = staticmethod(gru_backward)

    @staticmethod
    def prepared_convolve(*arguments: Any) -> Callable[[Array, Array], None] | None:
        """Return a function of arrays like ``x`` and ``out`` that is ``convolve``, or ``None``."""
        return None

    @staticmethod
    def prepared_max_pool(x: Array, windows: Any) -> Callable[[Array, Array], None] | None:
        """Return a function of arrays like ``x`` and ``out`` that is ``max_pool``, or ``None``."""
        return None

    @staticmethod
    def sigmoid(x: Array, y: Array) -> None:
        """``y = 1 / (1 + exp(-x))``; ``y`` may be ``x``.

        For very negative x, exp(-x) overflows to infinity and the quotient is 0, as it should be.
        """
        by_rows(_sigmoid, x, y)

    @staticmethod
    def tanh(x: Array, y: Array) -> None:
        """``y = tanh x``; ``y`` may be ``x``."""
        by_rows(np.tanh, x, y)

    @staticmethod
    def sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy y (1 - y)``."""
        by_rows(_sigmoid_gradient, dy, y, dx)

    @staticmethod
    def tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy (1 - y²)``."""
        by_rows(_tanh_gradient, dy, y, dx)

    @staticmethod
    def softmax(z: Array, shifted: Array, p: Array) -> Array:
        """``shifted = z - max z``, ``p = exp(shifted) / Σ``; return ``log Σ exp(shifted)``."""
        _shift(z, shifted)
        return _softmax(shifted, p)

    @staticmethod
    def relu(x: Array, y: Array) -> None:
        """``y = max(x, 0)``; ``y`` may be ``x``."""
        if x.size <= _FEW and x.shape[-1] >= _LONG:
            np.maximum(x, constant(0, x.shape[-1:], x.dtype), out=y)
            return
        by_rows(
            lambda x, y: np.maximum(x, constant(0, x.shape[1:], x.dtype), out=y),
            *wide_rows(x, y),
        )

    @staticmethod
    def add(x: Array, other: Array, y: Array, rectify: bool = False) -> None:
        """``y = x + other``, or the larger of that and 0; ``y`` may be one of them."""

        def compute(x: Array, other: Array, y: Array) -> None:
            np.add(x, other, out=y)
            if rectify:
                np.maximum(y, constant(0, y.shape[1:], y.dtype), out=y)

        by_rows(compute, *wide_rows(x, other, y))

    @staticmethod
    def relu_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy`` where ``y > 0``, else 0."""
        by_rows(lambda dy, y, dx: np.multiply(dy, _positive(y), out=dx), dy, y, dx)

    @staticmethod
    def apply_mask(x: Array, mask: Array, factor: float, y: Array) -> None:
        """``y = factor x`` where ``mask`` is true, else 0; ``y`` may be ``x``."""
        np.multiply(x, mask, out=y)
        np.multiply(y, factor, out=y)

    @staticmethod
    def gradient_step(w: Array, g: Array, lr: float, scratch: Array) -> None:
        """``w = w - lr g``."""
        np.add(w, np.multiply(g, -lr, out=scratch), out=w)

    @staticmethod
    def momentum_step(
        w: Array, g: Array, m: Array, lr: float, momentum: float, scratch: Array
    ) -> None:
        """``m = momentum m - lr g``, then ``w = w + m``."""
        np.multiply(g, -lr, out=scratch)
        np.multiply(m, constant(momentum, (), m.dtype), out=m)
        np.add(m, scratch, out=m)
        np.add(w, m, out=w)

    @staticmethod
    def update_moments(
        g: Array, m: Array, v: Array, beta_1: float, beta_2: float, scratch: Array
    ) -> None:
        """``m = beta_1 m + g``, ``v = beta_2 v + g²``."""
        np.multiply(m, constant(beta_1, (), m.dtype), out=m)
        np.add(m, g, out=m)
        np.multiply(v, constant(beta_2, (), v.dtype), out=v)
        np.add(v, np.multiply(g, g, out=scratch), out=v)

    @staticmethod
    def adaptive_step(
        w: Array, m: Array, v: Array, alpha: float, epsilon: float, scratch: Array
    ) -> None:
        """``w = w - alpha m / (√v + epsilon)``."""
        np.sqrt(v, out=scratch)
        np.add(scratch, constant(epsilon, (), scratch.dtype), out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, alpha, out=scratch)
        np.subtract(w, scratch, out=w)

    @staticmethod
    def adam(
        w: Array,
        g: Array,
        m: Array,
        v: Array,
        beta_1: float,
        beta_2: float,
        alpha: float,
        epsilon: float,
        scratch: Array,
    ) -> None:
        """:meth:`update_moments`, then :meth:`adaptive_step`: the whole update of Adam."""
        Kernels.update_moments(g, m, v, beta_1, beta_2, scratch)
        Kernels.adaptive_step(w, m, v, alpha, epsilon, scratch)

    # Losses and norms ------------------------------------------------------------------------

    @staticmethod
    def sums_by_index(index: Array, values: Array) -> tuple[Array, Array]:
        """Return the different indices and the sums of their values; see ``rows.py``."""
        return sums_by_index(index, values)

    @staticmethod
    def total(x: Array) -> float:
        """Return the sum of all entries, accumulated in float64."""
        if type(x) is np.ndarray and x.size <= _SMALL:
            # A product with ones takes 20 to 33 % less time than add.reduce.
            return float(constant(1, (x.size,), _FLOAT64).dot(x.ravel()))
        total: float = np.add.reduce(x, axis=None, dtype=_FLOAT64).item()
        return total

    @staticmethod
    def sum_of_squares(x: Array) -> float:
        """Return ``Σ x²`` of a flat array in its dtype; it may overflow to infinity."""
        return float(np.vdot(x, x))  # unlike dot, it does not warn about overflow

    @staticmethod
    def all_below(t: Array, n: int) -> bool:
        """Return whether ``0 <= t < n`` for all integers of the non-empty array ``t``."""
        # As unsigned integers, negative values are huge, so one comparison suffices. argmax takes
        # a fourth of the time of max.
        unsigned = t.view(np.uintp)
        return bool(unsigned.item(unsigned.argmax()) < n)

    @staticmethod
    def all_within(x: Array, low: float, high: float) -> bool:
        """Return whether ``low <= x <= high`` for all entries of ``x``; false for NaN."""
        if not x.flags.c_contiguous:  # argmin would copy x
            return bool(x.min() >= low and x.max() <= high)
        # argmin takes a fourth of the time of min.
        return bool(x.flat[x.argmin()] >= low and x.flat[x.argmax()] <= high)

    @staticmethod
    def squared_error(p: Array, t: Array, d: Array) -> Array:
        """``d = p - t``; return ``Σ d² / k`` over the k entries of each row."""
        np.subtract(p, t, out=d)
        squares = row_dots(d, d) if EXACT else np.vecdot(d, d)
        return np.divide(squares, constant(d.shape[-1], (), d.dtype), out=squares)

    @staticmethod
    def scale(x: Array, c: float | Array, y: Array) -> None:
        """``y = c x`` for a scalar c, or an array that broadcasts to x."""
        np.multiply(x, _factor(c, x), out=y)

    @staticmethod
    def scaled_difference(p: Array, t: Array, c: float | Array, y: Array) -> None:
        """``y = c (p - t)`` for a scalar c, or an array that broadcasts to p."""
        np.subtract(p, t, out=y)
        np.multiply(y, _factor(c, y), out=y)

    @staticmethod
    def binary_crossentropy(z: Array, t: Array, p: Array, l: Array, scratch: Array) -> Array:  # noqa: E741
        """``p = sigmoid(z)``; return ``Σ l / k``, ``l = max(z, 0) - z t + log(1 + exp(-|z|))``."""
        zero, one = _factor(0, z), _factor(1, z)
        # The first two terms cancel where t is 1; only then is a small third one added.
        linear = np.subtract(np.maximum(z, zero, out=p), np.multiply(z, t, out=l), out=p)
        e = np.exp(np.negative(np.abs(z, out=scratch), out=scratch), out=scratch)
        np.add(np.log1p(e, out=l), linear, out=l)
        # exp(min(z, 0)) / (1 + exp(-|z|)) does not overflow.
        np.exp(np.minimum(z, zero, out=p), out=p)
        np.divide(p, np.add(e, one, out=scratch), out=p)
        return row_means(l)

    @staticmethod
    def crossentropy(z: Array, t: Array, p: Array, mass: Array) -> Array:
        """``p = softmax(z)``, ``mass = Σ t``; return ``mass log Σ exp(s) - Σ t s`` per row.

        Here ``s = z - max z``.
        """
        _shift(z, p)
        lowest = _LOWEST.get(p.dtype.itemsize)
        if lowest is not None:
            np.maximum(p, lowest, out=p)  # -inf times a target of 0 would be NaN
        target_score = row_dots(t, p) if EXACT else np.vecdot(t, p)
        mass[...] = row_sums(t)
        lse = _softmax(p, p)
        return np.subtract(np.multiply(mass, lse, out=lse), target_score, out=lse)

    @staticmethod
    def crossentropy_gradient(
        p: Array, t: Array, mass: Array, dl: float | Array, dz: Array
    ) -> None:
        """``dz = dl (mass p - t)``; ``dl`` is a scalar or (..., 1), one per row."""
        np.multiply(p, mass[..., None], out=dz)
        np.subtract(dz, t, out=dz)
        np.multiply(dz, _factor(dl, dz), out=dz)

    @staticmethod
    def sparse_crossentropy(z: Array, t: Array, p: Array) -> Array:
        """``p = softmax(z)``; return ``log Σ exp(z - max z) - (z - max z)[t]`` per row."""
        _shift(z, p)
        target_score = p.ravel().take(row_starts(t.size, p.shape[-1]) + t.ravel())
        return _softmax(p, p) - target_score.reshape(t.shape)

    @staticmethod
    def sparse_crossentropy_gradient(p: Array, t: Array, dl: float | Array, dz: Array) -> None:
        """``dz = dl (p - onehot(t))``; ``dl`` is a scalar or (..., 1), one per row."""
        if isinstance(dl, float):
            dl = constant(dl, (), p.dtype)
        np.multiply(p, dl, out=dz)
        at = row_starts(t.size, p.shape[-1]) + t.ravel()
        dz.reshape(-1)[at] -= dl.reshape(-1) if dl.ndim else dl


def _factor(c: float | Array, x: Array) -> Array:
    """Return a scalar as an array of the dtype of ``x``, which halves NumPy's time.

    For values that are the same in each step: the arrays are cached.
    """
    return constant(c, (), x.dtype) if isinstance(c, (int, float)) else np.asarray(c)


def _sigmoid(x: Array, y: Array) -> None:
    one = constant(1, (), x.dtype)  # NumPy takes 0.4 µs to convert a Python number
    np.negative(x, out=y)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    np.add(y, one, out=y)
    np.divide(one, y, out=y)


def _sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
    np.subtract(constant(1, (), y.dtype), y, out=dx)
    np.multiply(dx, y, out=dx)
    np.multiply(dx, dy, out=dx)


def _tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
    np.multiply(y, y, out=dx)
    np.subtract(constant(1, (), y.dtype), dx, out=dx)
    np.multiply(dx, dy, out=dx)


def _positive(y: Array) -> Array:
    return np.greater(y, 0, out=scratch("mask", y.shape, _BOOL))


def _shift(z: Array, shifted: Array) -> None:
    """``shifted = z - max z`` of each row."""
    if not z.flags.c_contiguous:
        np.copyto(shifted, z)
        z = shifted
    # argmax is faster than max.
    at = z.argmax(axis=-1).ravel()
    largest = z.reshape(-1).take(row_starts(at.size, z.shape[-1]) + at)
    np.subtract(z, largest.reshape(*z.shape[:-1], 1), out=shifted)


def _softmax(shifted: Array, p: Array) -> Array:
    """``p = exp(shifted) / Σ``; return ``log Σ exp(shifted)``. ``p`` may be ``shifted``."""
    np.exp(shifted, out=p)
    ones = row_of_ones(p.shape[-1], p.dtype) if p.ndim == 2 else None
    total = row_sums(p) if ones is None or EXACT else p.dot(ones)
    np.divide(p, total[..., None], out=p)
    return np.log(total)
