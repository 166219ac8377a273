"""Consecutive Dense layers in one compiled call: forward and backward pass.

The mathematics is that of ``layers/dense.py`` and its activations, as tests verify. This saves
Python overhead between the products and passes over memory: a row of ``z`` is still in the L1 cache
when bias and activation are applied.

Only :func:`netlayers.kernels.select.use_kernels` imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.kernels.compiled import blas
from netlayers.kernels.compiled.functions import sigmoid_of, tanh_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: blas c05b75890bb2,
# functions 1a90f78161dc.

# Indices of the activations in netlayers.kernels.reference.STACKED.
_LINEAR, _RELU, _TANH, _SIGMOID = range(4)


def _activate(z: Array, b: Array, kind: int) -> None:
    """``z = f(z + b)``, row by row; without bias, ``b`` is empty."""
    zero = z.dtype.type(0)
    for i in range(z.shape[0]):
        for j in range(b.size):
            z[i, j] += b[j]
        if kind == _RELU:
            for j in range(z.shape[1]):
                z[i, j] = zero if z[i, j] <= zero else z[i, j]  # NaN stays NaN
        elif kind == _TANH:
            for j in range(z.shape[1]):
                z[i, j] = tanh_of(z[i, j])
        elif kind == _SIGMOID:
            for j in range(z.shape[1]):
                z[i, j] = sigmoid_of(z[i, j])


def _gradient(dy: Array, y: Array, dz: Array, kind: int) -> None:
    """``dz = dy f'(z)``, computed from ``y = f(z)``."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for i in range(y.shape[0]):
        if kind == _LINEAR:
            for j in range(y.shape[1]):
                dz[i, j] = dy[i, j]
        elif kind == _RELU:
            for j in range(y.shape[1]):
                dz[i, j] = dy[i, j] * (one if y[i, j] > zero else zero)  # a NaN in dy stays NaN
        elif kind == _TANH:
            for j in range(y.shape[1]):
                dz[i, j] = (one - y[i, j] * y[i, j]) * dy[i, j]
        elif kind == _SIGMOID:
            for j in range(y.shape[1]):
                dz[i, j] = (one - y[i, j]) * y[i, j] * dy[i, j]


def _add(a: Array, b: Array) -> None:
    """Compute ``a = a + b``."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] += b[i, j]


def stack_forward(values: Array, x: Array, memory: Array, y: Array, table: Array) -> None:
    """See :class:`netlayers.kernels.reference.Kernels`."""
    rows, top, h = x.shape[0], table.shape[0] - 1, x
    for i in range(top + 1):
        n, m, w, b, offset, kind, _, added = table[i]
        z = y
        if i < top:
            z = memory[rows * offset : rows * (offset + m)].reshape(rows, m)
        blas.multiply(x, values[w : w + n * m].reshape(n, m), z)
        _activate(z, values[b : b + m] if b else values[:0], kind)
        if added > 0:
            offset = table[added - 1, 4]
            h = memory[rows * offset : rows * (offset + m)].reshape(rows, m)
        if added >= 0:
            _add(z, h)
        x = z


def stack_backward(
    values: Array,
    gradients: Array,
    x: Array,
    memory: Array,
    y: Array,
    dy: Array,
    scratch: Array,
    ones: Array,
    dx: Array,
    table: Array,
    lowest: int,
) -> None:
    """See :class:`netlayers.kernels.reference.Kernels`."""
    rows, top, part = x.shape[0], table.shape[0] - 1, scratch.size // 3
    around, start = dy, -1  # the gradient that skips layers, and the first of these
    for i in range(top, lowest - 1, -1):
        n, m, w, b, offset, kind, trainable, added = table[i]
        if added >= 0:
            around, start = scratch[2 * part : 2 * part + rows * m].reshape(rows, m), added
            _gradient(dy, dy, around, _LINEAR)
        dz = dy
        if i < top or kind != _LINEAR:
            dz = scratch[: rows * m].reshape(rows, m)
            if i < top:
                y = memory[rows * offset : rows * (offset + m)].reshape(rows, m)
            _gradient(dy, y, dz, kind)
        if trainable:
            below = x
            if i > 0:
                offset = table[i - 1, 4]
                below = memory[rows * offset : rows * (offset + n)].reshape(rows, n)
            blas.multiply_at(below, dz, gradients[w : w + n * m].reshape(n, m))
            if b:
                blas.sum_rows(dz, ones, gradients[b : b + m])
        if i > lowest or dx.size:
            dy = dx
            if i > 0:
                dy = scratch[part : part + rows * n].reshape(rows, n)
            blas.multiply_bt(dz, values[w : w + n * m].reshape(n, m), dy)
            if i == start:
                _add(dy, around)


def compiled_stack(compiled: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return the two kernels by name; an empty dict if NumPy's BLAS is not found.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    if not blas.compiled_products(compiled):
        return {}
    module = globals()
    for helper in (_activate, _gradient, _add):
        module[helper.__name__] = compiled(helper)
    return {kernel.__name__: compiled(kernel) for kernel in (stack_forward, stack_backward)}
