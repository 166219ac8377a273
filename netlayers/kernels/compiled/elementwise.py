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
from netlayers.kernels.threads import by_rows

if TYPE_CHECKING:
    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains a digest of their file: functions 1a90f78161dc.


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


# One thread reads and writes as fast as memory can; exp and tanh compute in several.


def relu(x: Array, y: Array) -> None:
    """See :meth:`Kernels.relu`."""
    if x is y:
        _relu(_flat(y))
    else:
        _relu_to(_flat(x), _flat(y))


def relu_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.relu_gradient`."""
    _relu_gradient(_flat(dy), _flat(y), _flat(dx))


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
