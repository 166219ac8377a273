"""The compiled kernels of activations and optimizers: one pass over memory each, on one thread.

A loop is called with arrays in C
order alone: their layout is part of their type, and a loop over neighbours becomes vector
instructions. Arithmetic is that of IEEE 754, with NaN and infinities as in NumPy; a product and the
sum that it goes into may be rounded once instead of twice ("contract"), which is the whole
difference from NumPy beside that of exp and log.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.compiled.functions import sigmoid_of, tanh_of

if TYPE_CHECKING:
    from netlayers._typing import Array

# numba keeps compiled code until its file changes, and does not look at the files of what it calls.
# Therefore this one says what it was compiled with: functions d35890799e9c.


# A loop from one array to another is no vector loop where both may be the same: these are in place.


def _sigmoid(y: Array) -> None:
    for i in range(y.size):
        y[i] = sigmoid_of(y[i])


def _tanh(y: Array) -> None:
    for i in range(y.size):
        y[i] = tanh_of(y[i])


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
    """All numbers in C order: a view of an array in that order, of another a copy to read from."""
    return x.reshape(-1)


def sigmoid(x: Array, y: Array) -> None:
    """See :meth:`Kernels.sigmoid`."""
    if x is not y:
        np.copyto(y, x)
    _sigmoid(_flat(y))


def tanh(x: Array, y: Array) -> None:
    """See :meth:`Kernels.tanh`."""
    if x is not y:
        np.copyto(y, x)
    _tanh(_flat(y))


def sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.sigmoid_gradient`."""
    _sigmoid_gradient(_flat(dy), _flat(y), _flat(dx))


def tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.tanh_gradient`."""
    _tanh_gradient(_flat(dy), _flat(y), _flat(dx))


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
    sigmoid,
    tanh,
    sigmoid_gradient,
    tanh_gradient,
    gradient_step,
    momentum_step,
    update_moments,
    adam,
)
