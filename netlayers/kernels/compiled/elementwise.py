"""Compiled kernels of activations and optimizers: one pass over memory each.

Loops are called with C-contiguous arrays only: the layout is part of their type, and loops over
contiguous memory are vectorized. Arithmetic follows IEEE 754, with NaN and infinities as in NumPy.
Multiply-add may be fused ("contract"), which is the only difference from NumPy except for exp and
log.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.compiled.functions import sigmoid_of, tanh_of
from netlayers.kernels.reference import Kernels
from netlayers.kernels.threads import by_rows, run, shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains a digest of their file: functions 1a90f78161dc.


# To go through an entry of two or three arrays takes as long as this number of multiplications.
_PASS = 8


# Loops between arrays that may alias are not vectorized, so these work in place.


def _sigmoid(y: Array) -> None:
    for i in range(y.size):
        y[i] = sigmoid_of(y[i])


def _tanh(y: Array) -> None:
    for i in range(y.size):
        y[i] = tanh_of(y[i])


def _relu(y: Array) -> None:
    zero = y.dtype.type(0)
    for i in range(y.size):
        y[i] = zero if y[i] <= zero else y[i]  # NaN stays NaN


def _relu_to(x: Array, y: Array) -> None:
    zero = y.dtype.type(0)
    for i in range(y.size):
        y[i] = zero if x[i] <= zero else x[i]


def _add(x: Array, other: Array, lowest: float, y: Array) -> None:
    lowest = y.dtype.type(lowest)
    for i in range(y.size):
        number = x[i] + other[i]
        y[i] = lowest if number <= lowest else number


def _relu_gradient(dy: Array, y: Array, dx: Array) -> None:
    zero, one = dx.dtype.type(0), dx.dtype.type(1)
    for i in range(dx.size):
        dx[i] = dy[i] * (one if y[i] > zero else zero)


def _sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
    one = dx.dtype.type(1)
    for i in range(dx.size):
        dx[i] = (one - y[i]) * y[i] * dy[i]


def _tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
    one = dx.dtype.type(1)
    for i in range(dx.size):
        dx[i] = (one - y[i] * y[i]) * dy[i]


def _gradient_step(w: Array, g: Array, lr: float) -> None:
    lr = w.dtype.type(lr)
    for i in range(w.size):
        w[i] -= lr * g[i]


def _momentum_step(w: Array, g: Array, m: Array, lr: float, momentum: float) -> None:
    lr, momentum = w.dtype.type(lr), w.dtype.type(momentum)
    for i in range(w.size):
        m[i] = momentum * m[i] - lr * g[i]
        w[i] += m[i]


def _update_moments(g: Array, m: Array, v: Array, beta_1: float, beta_2: float) -> None:
    beta_1, beta_2 = g.dtype.type(beta_1), g.dtype.type(beta_2)
    for i in range(g.size):
        m[i] = beta_1 * m[i] + g[i]
        v[i] = beta_2 * v[i] + g[i] * g[i]


def _adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    beta_1: float,
    beta_2: float,
    alpha: float,
    epsilon: float,
) -> None:
    beta_1, beta_2 = g.dtype.type(beta_1), g.dtype.type(beta_2)
    alpha, epsilon = w.dtype.type(alpha), w.dtype.type(epsilon)
    for i in range(w.size):
        m[i] = beta_1 * m[i] + g[i]
        v[i] = beta_2 * v[i] + g[i] * g[i]
        w[i] -= alpha * (m[i] / (math.sqrt(v[i]) + epsilon))


def _flat(x: Array) -> Array:
    """Return a flat array: a view of a C-contiguous array, else a copy for reading."""
    return x.reshape(-1)


def sigmoid(x: Array, y: Array) -> None:
    """See :meth:`Kernels.sigmoid`."""
    if x is not y:
        np.copyto(y, x)
    by_rows(_sigmoid, _flat(y))


def tanh(x: Array, y: Array) -> None:
    """See :meth:`Kernels.tanh`."""
    if x is not y:
        np.copyto(y, x)
    by_rows(_tanh, _flat(y))


def _in_shares(function: Callable[..., None], *arrays: Array) -> None:
    """Call ``function(*parts)`` for parts of flat arrays, each in one pass over memory."""
    size = arrays[0].size
    run(lambda part: function(*(x[part] for x in arrays)), shares(size, _PASS * size))


def relu(x: Array, y: Array) -> None:
    """See :meth:`Kernels.relu`."""
    if x is y:
        _in_shares(_relu, _flat(y))
    else:
        _in_shares(_relu_to, _flat(x), _flat(y))


def add(x: Array, other: Array, y: Array, rectify: bool = False) -> None:
    """See :meth:`Kernels.add`."""
    if y.dtype.kind == "c" or not (x.flags.c_contiguous and other.flags.c_contiguous):
        Kernels.add(x, other, y, rectify)
        return
    lowest = 0.0 if rectify else -np.inf
    _in_shares(lambda x, other, y: _add(x, other, lowest, y), _flat(x), _flat(other), _flat(y))


def relu_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.relu_gradient`."""
    _in_shares(_relu_gradient, _flat(dy), _flat(y), _flat(dx))


def sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.sigmoid_gradient`."""
    by_rows(_sigmoid_gradient, _flat(dy), _flat(y), _flat(dx))


def tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.tanh_gradient`."""
    by_rows(_tanh_gradient, _flat(dy), _flat(y), _flat(dx))


def gradient_step(w: Array, g: Array, lr: float, scratch: Array) -> None:
    """See :meth:`Kernels.gradient_step`."""
    _gradient_step(w, g, lr)


def momentum_step(w: Array, g: Array, m: Array, lr: float, momentum: float, scratch: Array) -> None:
    """See :meth:`Kernels.momentum_step`."""
    _momentum_step(w, g, m, lr, momentum)


def update_moments(
    g: Array, m: Array, v: Array, beta_1: float, beta_2: float, scratch: Array
) -> None:
    """See :meth:`Kernels.update_moments`."""
    _update_moments(g, m, v, beta_1, beta_2)


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
    """See :meth:`Kernels.adam`."""
    _adam(w, g, m, v, beta_1, beta_2, alpha, epsilon)


LOOPS = (
    _relu,
    _relu_to,
    _add,
    _relu_gradient,
    _sigmoid,
    _tanh,
    _sigmoid_gradient,
    _tanh_gradient,
    _gradient_step,
    _momentum_step,
    _update_moments,
    _adam,
)
KERNELS = (
    relu,
    add,
    relu_gradient,
    sigmoid,
    tanh,
    sigmoid_gradient,
    tanh_gradient,
    gradient_step,
    momentum_step,
    update_moments,
    adam,
)
