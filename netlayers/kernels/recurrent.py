"""All steps of recurrent layers, from the first to the last, and backward.

Arrays have the time first: T steps, N samples, F features, H units. The gates of a step are
computed by a single tanh, since ``sigmoid(z) = (1 + tanh(z / 2)) / 2``: the columns of the weights
that lead to sigmoid gates are halved before, which is exact.

Backward, what does not depend on the gradient of the step behind is computed for a block of steps
at once, the slopes of the gates: the loop over the steps only multiplies by them.

Arguments that all functions have:

- ``x`` (T, N, F), ``w`` (F, columns), ``u`` (H, columns), ``b`` (columns,) or ``None``: input and
  weights, with the columns of the gates one after the other.
- ``h`` (T + 1, N, H): the states; the first is given, the others are written.
- ``absent`` (T, N, 1): where a step is left out; ``None`` if nowhere. Such a step repeats the state
  and passes on its gradient.
- ``dy`` (k, N, H): gradient of the last k outputs, or ``None``; ``dh`` (N, H): that of the last
  state, which becomes that of the first.
- ``d_w``, ``d_u``, ``d_b``, ``dx``: where gradients are written, or ``None``.
- ``new``: returns memory to work in, for a name and a shape.

Compiled, the functions that go forward return one that does it again for other values in the same
arrays, see ``compiled/recurrent.py``; these return ``None``.

Source:
    Equations: see ``netlayers.layers.lstm`` and ``netlayers.layers.gru``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.exact import multiply
from netlayers.kernels.memory import constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Dtype
    from netlayers.kernels.axes import New

_BLOCK = 1 << 16  # entries of the steps of a block


@functools.lru_cache(maxsize=64)
def gate_factors(sigmoids: tuple[bool, ...], units: int, dtype: Dtype) -> tuple[Array, Array]:
    """Return what turns tanh into the gates: ``factor tanh(factor z) + offset``, by column.

    Args:
        sigmoids: whether each gate is a sigmoid.
        units: H.
        dtype: that of the result.
    """
    factor, offset = np.ones(len(sigmoids) * units, dtype), np.zeros(len(sigmoids) * units, dtype)
    for gate in np.flatnonzero(sigmoids):
        factor[gate * units : (gate + 1) * units] = 0.5
        offset[gate * units : (gate + 1) * units] = 0.5
    factor.flags.writeable = offset.flags.writeable = False
    return factor, offset


def columns(a: Array, gates: int) -> list[Array]:
    """Return views of the columns of each gate."""
    units = a.shape[-1] // gates
    return [a[..., k * units : (k + 1) * units] for k in range(gates)]


def rows_of(a: Array) -> Array:
    """View an array as rows of its last axis."""
    return a.reshape(-1, a.shape[-1])


def scaled(factor: Array, *weights: Array | None, new: New) -> list[Any]:
    """Return the weights with scaled columns; ``None`` stays."""
    return [
        w if w is None else np.multiply(w, factor, out=new(f"scaled {k}", w.shape))
        for k, w in enumerate(weights)
    ]


def are_few(x: Array, u: Array) -> bool:
    """Return whether it is faster to scale the logits of all steps than the weights.

    The factors are 1 and 1/2, so that the bits are the same.
    """
    return 16 * x.shape[0] * x.shape[1] < x.shape[2] + len(u)


def transposed(u: Array, new: New) -> Array:
    """Return a copy of uᵀ, with which small products are faster."""
    out = new("transposed", u.shape[::-1])
    np.copyto(out, u.T)
    return out


def blocks(dz: Array) -> Iterator[slice]:
    """Yield slices of the steps, the last first, that fit into the cache of the processor."""
    size = max(1, _BLOCK * len(dz) // max(1, dz.size))
    for stop in range(len(dz), 0, -size):
        yield slice(max(0, stop - size), stop)


def reversed_steps(block: slice) -> range:
    """Return the steps of a block, the last first."""
    return range(block.stop - 1, block.start - 1, -1)


def input_product(x: Array, w: Array, b: Array | None, out: Array) -> None:
    """``out = x w + b`` for all steps."""
    multiply(rows_of(x), w, rows_of(out))
    if b is not None:
        np.add(out, b, out=out)


def add_output(dy: Array | None, t: int, dh: Array) -> None:
    """Add the gradient of the output of a step, counted from behind, if there is one."""
    if dy is not None and -t <= len(dy):
        np.add(dh, dy[t], out=dh)


def leave_out(absent: Array | None, block: slice, *slopes: Array) -> None:
    """Set slopes to 0 in the steps that are left out."""
    for slope in slopes if absent is not None else ():
        np.copyto(slope[block], 0, where=absent[block])  # type: ignore[index]


def hold(d: Array, absent: Array, held: Array) -> None:
    """Copy the rows of a gradient whose step is left out to ``held``; 0 elsewhere."""
    held[...] = 0
    np.copyto(held, d, where=absent)


def weight_gradients(
    x: Array, h: Array, dz: Array, dz_h: Array, d_w: Array | None, d_u: Array | None
) -> None:
    """``dW = Σ xᵀ dz``, ``dU = Σ h[t-1]ᵀ dz``, sums over the steps, each as one product."""
    if d_w is not None:
        np.matmul(rows_of(x).T, rows_of(dz), out=d_w)
    if d_u is not None:
        np.matmul(rows_of(h[:-1]).T, rows_of(dz_h), out=d_u)


def bias_gradient(dz: Array, d_b: Array | None) -> None:
    """``db = Σ dz``, as a product with ones."""
    if d_b is not None:
        constant(1, (len(rows_of(dz)),), dz.dtype).dot(rows_of(dz), out=d_b)


def input_gradient(dz: Array, w: Array, dx: Array | None) -> None:
    """``dx = dz wᵀ``."""
    if dx is not None:
        np.matmul(rows_of(dz), w.T, out=rows_of(dx))
