"""Compiled kernels of activations and optimizers: one pass over memory each.

Loops are called with C-contiguous arrays only: the layout is part of their type, and loops over
contiguous memory are vectorized. Arithmetic follows IEEE 754, with NaN and infinities as in NumPy.
Multiply-add may be fused ("contract"), which is the only difference from NumPy except for exp and
log.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.functions import sigmoid_of, tanh_of
from netlayers.kernels.compiled.workers import NOBODY, in_shares, share_count, task_of, together
from netlayers.kernels.reference import Kernels
from netlayers.kernels.threads import by_rows, has_own_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: functions 1a90f78161dc, workers 7288e169d825.


# To go through an entry of two or three arrays takes as long as this number of multiplications.
_PASS = 8
_sum_task: Any = None  # these are set by :func:`compiled_elementwise`
_relu_gradient_task: Any = None


# Loops between arrays that may alias are not vectorized, so these work in place.


def _sigmoid(y: Array) -> None:
    for i in range(y.size):
        y[i] = sigmoid_of(y[i])


def _tanh(y: Array) -> None:
    for i in range(y.size):
        y[i] = tanh_of(y[i])


def _sum(
    share: int,
    thread: int,
    count: int,
    x: Array | None,
    other: Array | None,
    lowest: float,
    y: Array,
) -> None:
    """``y = max(x + other, lowest)`` for a share; without x that of y, which is vectorized."""
    lowest, part = y.dtype.type(lowest), _part(share, count, y)
    left: Any = None if x is None else _part(share, count, x)
    right: Any = None if other is None else _part(share, count, other)
    for i in range(part.size):
        number = part[i] if x is None else left[i]
        if other is not None:  # left out if an argument is None
            number += right[i]
        part[i] = lowest if number <= lowest else number  # NaN stays NaN


def _relu_gradient(share: int, thread: int, count: int, dy: Array, y: Array, dx: Array) -> None:
    zero, one = dx.dtype.type(0), dx.dtype.type(1)
    dy, y, dx = _part(share, count, dy), _part(share, count, y), _part(share, count, dx)
    for i in range(dx.size):
        dx[i] = dy[i] * (one if y[i] > zero else zero)


def _part(share: int, count: int, x: Array) -> Array:
    """Return a share of a flat array, whose indices are seen not to be negative."""
    return x[x.size * share // count : x.size * (share + 1) // count]


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


def sum_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _sum_task(args), args)


def relu_gradient_in_shares(mail: Array, count: int, args: Any) -> int:
    """See :func:`netlayers.kernels.compiled.workers.together`."""
    return together(mail, count, _relu_gradient_task(args), args)


def pass_over(loop: Any, count: int, *args: Any) -> None:
    """Compute a pass over memory in shares, in the threads of the network around, if it has any.

    Where BLAS has them this thread is as fast: those of BLAS wait actively for the next product.
    Threads that sleep are woken also for a short pass: a network has many. After a pause, one pass
    over 65,536 numbers takes 18 in place of 9 µs, 20 over 131,072 take 0.20 in place of 0.28 ms.

    Args:
        loop: a compiled function, see :func:`in_shares`.
        count: number of shares, the first of its arguments.
        args: the others.
    """
    if has_own_threads():
        in_shares(loop, count, lambda _: (count, *args))
    else:
        loop(NOBODY, count, (count, *args))


def share_count_of(x: Array) -> int:
    """Return the number of shares of the rows for a pass over two or three arrays like x."""
    return share_count(len(x), _PASS * x.size)


def relu(x: Array, y: Array) -> None:
    """See :meth:`Kernels.relu`."""
    _add_up(x, None, 0.0, y)


def add(x: Array, other: Array, y: Array, rectify: bool = False) -> None:
    """See :meth:`Kernels.add`."""
    contiguous = x.flags.c_contiguous and other.flags.c_contiguous
    if y.dtype.kind == "c" or not contiguous or not y.size:  # of no entries, any view is contiguous
        Kernels.add(x, other, y, rectify)
    else:
        _add_up(x, _flat(other), 0.0 if rectify else -np.inf, y)


def _add_up(x: Array, other: Array | None, lowest: float, y: Array) -> None:
    source, y = None if x is y else _flat(x), _flat(y)
    pass_over(sum_in_shares, share_count_of(y), source, other, lowest, y)


def relu_gradient(dy: Array, y: Array, dx: Array) -> None:
    """See :meth:`Kernels.relu_gradient`."""
    dy, y, dx = _flat(dy), _flat(y), _flat(dx)
    pass_over(relu_gradient_in_shares, share_count_of(y), dy, y, dx)


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


def compiled_elementwise(compiled: Callable[..., Any]) -> None:
    """Compile what is computed in shares, after ``compiled_workers``."""
    module = globals()
    for loop in (_part, _sum, _relu_gradient):
        module[loop.__name__] = compiled(loop)
    module["_sum_task"], module["_relu_gradient_task"] = task_of(_sum), task_of(_relu_gradient)
    for task in (sum_in_shares, relu_gradient_in_shares):
        module[task.__name__] = compiled(task)


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
