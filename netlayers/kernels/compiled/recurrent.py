"""All steps of recurrent layers in one call, forward and backward, each thread with its samples.

The samples do not depend on each other, so that a thread goes through all steps with its share of
them and waits for no other. What a step writes is in the cache when the next one reads it: the
products with the weights are sums in registers (``tile.py``) that start from what is there, the
bias or the product before, and a few steps' parts of the gradients of the weights are added as soon
as they are known. The mathematics is that of NumPy's functions of the same names, as tests verify.

The loops of ``simple_rnn.py``, ``lstm.py`` and ``gru.py`` take:

- ``start`` and ``stop``, the first sample of a share and that behind the last;
- arrays as in ``netlayers/kernels/recurrent.py``, without entries for ``None``; ``absent`` (T, N);
- weights as (panels, start, step, panel), see :func:`_multiply`, and a ``tile``: its width, and the
  address of the code of :func:`_multiply`;
- backward, what :func:`run_backward` gives: ``dz`` (slots, samples, columns) for a few steps;
  ``through`` (samples, H); ``zeros``; ``places`` (4, slots), which say where states, inputs and dz
  of the slots begin, and are 0 in the last row.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.compiled.calls import address_of, call, pointer_to
from netlayers.kernels.compiled.functions import tanh_of
from netlayers.kernels.compiled.tile import VECTORS, declared, registers
from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.threads import equal_shares, run, scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: functions 1a90f78161dc, tile 88552b7ace22,
# calls d18ddf1be818.

# The place of the only term of a product, see ``tile.py``.
PLACES = np.zeros(1, np.int64)
# Set by :func:`compiled_recurrent`: functions of ``tile.py``, the rows of a tile, and the function
# that calls the code of :func:`_multiply`.
entries: Any = None
multiply: Any = None
_tile: Any = None
_ROWS = 0
# Rows of dz, at least, whose products with what came before are added to gradients together.
_TERMS = 128
# A product of at least so many rows is worth a copy of the weights in the order of its tiles.
_MANY = 48


# Products ------------------------------------------------------------------------------------


def _multiply(
    rows: int, columns: int, terms: int, steps: int, a: Any, b: Any, first: Any, out: Any
) -> None:
    """``out = first + Σ a b``, the sum over terms and steps, as in ``tile.py``.

    b is (pointer, start, step, places, panel, tile): tiles have ``tile[0]`` columns, the first at
    ``start``, and those of the next tile are ``panel`` entries behind. The loops call
    ``multiply``, which calls the code at the address ``tile[1]``.
    """
    if rows == 0:
        return
    if rows == 1 and terms == 1 and b[4] == b[5][0]:  # rows of b lie in one piece
        multiply_row(columns, steps, a, b, first, out)
        return
    height, width = -(-rows // -(-rows // _ROWS)), b[5][0]
    for c in range(0, columns, width):
        above = (b[0], b[1] + c // width * b[4], b[2], b[3])
        wide = min(width, columns - c)
        for r in range(0, rows, height):
            left = (a[0], a[1] + r * a[2], a[2], a[3], a[4])
            begin = (first[0], first[1] + r * first[2] + c, first[2])
            target = (out[0], out[1] + r * out[2] + c, out[2])
            _tile(min(height, rows - r), wide, terms, steps, left, above, begin, target)


def multiply_row(columns: int, steps: int, a: Any, b: Any, first: Any, out: Any) -> None:
    """As :func:`_multiply` for one row and one term, in the same order: ``out += a[k] b[k]``.

    It reads rows of b from end to end, four at a time. Tiles would read a short piece of every row;
    with 512 columns all of these fall into the same few places of the cache.
    """
    x, at, step = a[0], a[1] + a[4][0], a[3]
    w, start, row = b[0], b[1] + b[3][0], b[2]
    y, begin = out[0], out[1]
    for j in range(columns):
        y[begin + j] = first[0][first[1] + j]
    whole = steps - steps % 4
    for k in range(0, whole, 4):
        at_k, w_0 = at + k * step, start + k * row
        w_1, w_2, w_3 = w_0 + row, w_0 + 2 * row, w_0 + 3 * row
        x_0, x_1, x_2, x_3 = x[at_k], x[at_k + step], x[at_k + 2 * step], x[at_k + 3 * step]
        for j in range(columns):
            total = y[begin + j] + x_0 * w[w_0 + j]
            total += x_1 * w[w_1 + j]
            total += x_2 * w[w_2 + j]
            y[begin + j] = total + x_3 * w[w_3 + j]
    for k in range(whole, steps):
        x_0, w_0 = x[at + k * step], start + k * row
        for j in range(columns):
            y[begin + j] += x_0 * w[w_0 + j]


def pack(w: Array, start: int, packed: Array) -> None:
    """Copy columns of w from ``start`` on, panel by panel: (panels, terms, width)."""
    width = packed.shape[2]
    for p in range(packed.shape[0]):
        begin = start + p * width
        wide = min(width, w.shape[1] - begin)
        for k in range(packed.shape[1]):
            for j in range(wide):
                packed[p, k, j] = w[k, begin + j]


def pack_transposed(w: Array, start: int, packed: Array) -> None:
    """Copy columns of wᵀ, panel by panel, with the columns of w from ``start`` on as terms."""
    width = packed.shape[2]
    for p in range(packed.shape[0]):
        for j in range(min(width, w.shape[0] - p * width)):
            for k in range(packed.shape[1]):
                packed[p, k, j] = w[p * width + j, start + k]


# What all loops share ------------------------------------------------------------------------


def present(absent: Array, t: int, start: int, stop: int) -> Any:
    """Return the part of the samples outside of which all are left out in step t."""
    if absent.size:
        while start < stop and absent[t, start]:
            start += 1
        while stop > start and absent[t, stop - 1]:
            stop -= 1
    return start, stop


def repeat(state: Array, absent: Array, t: int, start: int, stop: int) -> None:
    """Repeat the states of samples that are left out."""
    for i in range(start, stop if absent.size else start):
        if absent[t, i]:
            for j in range(state.shape[2]):
                state[t + 1, i, j] = state[t, i, j]


def squash(z: Array, factor: Array, offset: Array) -> None:
    """``z = factor tanh(factor z) + offset``."""
    for j in range(z.size):
        z[j] = factor[j] * tanh_of(factor[j] * z[j]) + offset[j]


def tanh(x: Array, y: Array) -> None:
    """Write the tanh of a vector, which may be y."""
    for j in range(y.size):
        y[j] = tanh_of(x[j])


def add_output(dy: Array, t: int, dh: Array, start: int, stop: int) -> None:
    """Add the gradient of an output; for t < 0 there is none."""
    for i in range(start, stop if t >= 0 else start):
        for j in range(dh.shape[1]):
            dh[i, j] += dy[t, i, j]


def pass_on(
    through: Array, absent: Array, t: int, start: int, low: int, high: int, dh: Array
) -> None:
    """Add the gradient that comes through the product with u to that of the state."""
    for i in range(low, high):
        if absent.size and absent[t, i]:
            continue
        for j in range(dh.shape[1]):
            dh[i, j] += through[i - start, j]


def accumulate(row: Array, d_b: Array) -> None:
    """Add dz of a sample to the gradient of the bias."""
    for j in range(d_b.size):
        d_b[j] += row[j]


def collect(
    terms: int, a: Array, a_places: Array, dz: Array, places: Array, column: int, columns: int,
    d_weights: Array, at: int, tile: Any, nothing: Any, begun: bool,
) -> None:  # fmt: skip
    """Add ``Σ aᵀ dz`` over steps and samples to the columns of a gradient from ``at`` on.

    Unless it has begun, to ``nothing``.
    """
    rows = d_weights.shape[0]
    left = (entries(a), 0, 1, rows, entries(a_places))
    above = (entries(dz), column, dz.shape[2], entries(places), tile[0], tile)
    out = (entries(d_weights), at, d_weights.shape[1])
    multiply(rows, columns, terms, dz.shape[1], left, above, out if begun else nothing, out)


def compiles(x: Array) -> bool:
    """Return whether the loops can compute this: real numbers, and no exact products."""
    return x.dtype.kind == "f" and not (EXACT and is_exact())


@functools.cache
def width_and_code(dtype: Any) -> tuple[int, int]:
    """Return the columns of a tile, and the address of the code of :func:`_multiply`."""
    width = VECTORS * registers().size // dtype.itemsize
    return width, address_of(_multiply, _types(pointer_to(dtype)))


def _types(pointer: Any) -> tuple[Any, ...]:
    """Return the types of the arguments of :func:`_multiply`, for pointers to entries."""
    types: Any = importlib.import_module("numba").types
    n, places = types.int64, types.CPointer(types.int64)
    a = types.Tuple((pointer, n, n, n, places))
    b = types.Tuple((pointer, n, n, places, n, types.UniTuple(n, 2)))
    matrix = types.Tuple((pointer, n, n))
    return n, n, n, n, a, b, matrix, matrix


def _caller() -> Any:
    """Return ``multiply`` for the loops."""
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def multiply(
        context: Any, rows: Any, columns: Any, terms: Any, steps: Any,
        a: Any, b: Any, first: Any, out: Any,
    ) -> Any:  # fmt: skip
        args = _types(a[0])

        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            code = builder.extract_value(builder.extract_value(given[5], 5), 1)
            call(context, builder, code, args, given)
            return context.get_dummy_value()

        return types.void(*args), write

    return multiply


def weights(name: str, w: Array, rows: int, start: int = 0, stop: int | None = None) -> Any:
    """Return columns of w, for so many rows, as ``multiply`` takes them; in named memory."""
    stop, width = w.shape[1] if stop is None else stop, width_and_code(w.dtype)[0]
    if rows < _MANY:
        return w.reshape(-1), start, w.shape[1], width
    panels = scratch(f"recurrent {name}", (-(-(stop - start) // width), len(w), width), w.dtype)
    pack(w, start, panels)
    return panels.reshape(-1), 0, width, len(w) * width


def transposed(name: str, w: Array, start: int = 0, stop: int | None = None) -> Any:
    """Return wᵀ with columns of w as terms, as ``multiply`` takes it; in named memory."""
    stop, width = w.shape[1] if stop is None else stop, width_and_code(w.dtype)[0]
    panels = scratch(f"recurrent {name}", (-(-len(w) // width), stop - start, width), w.dtype)
    pack_transposed(w, start, panels)
    return panels.reshape(-1), 0, width, (stop - start) * width


def given(a: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array, or one of no entries."""
    return np.empty(shape, dtype) if a is None else a


def left_out(absent: Array | None) -> Array:
    """Return booleans (T, N), or none."""
    if absent is None:
        return np.empty((0, 0), bool)
    return np.ascontiguousarray(absent[..., 0])


def run_forward(compute: Callable[[slice], None], x: Array, work: int) -> Callable[[], None] | None:
    """Run ``compute(share)`` for all shares of the samples.

    Returns:
        A function that computes the same arrays again, from what the given ones then contain:
        without the preparation, which takes as long as a step of one sample. ``None`` if that takes
        more than one call, or a copy of the weights.
    """
    shares = equal_shares(x.shape[1], work)
    run(compute, shares)
    if len(shares) > 1 or x.shape[0] * x.shape[1] >= _MANY:
        return None
    return functools.partial(compute, shares[0])


def run_backward(
    loop: Any, x: Array, w: Array, u: Array, columns: int, d_w: Array | None, d_u: Array | None
) -> Array:
    """Run ``loop(share, *memory)`` for all shares; return the sums of the columns of dz.

    The gradients of w and u are written unless they are ``None``.
    """
    learns = d_w is not None
    sizes = np.cumsum([columns, w.size * learns, u.size * learns])
    shares = equal_shares(x.shape[1], 2 * x[..., 0].size * columns * len(u))
    sums = scratch("recurrent sums", (len(shares), sizes[-1]), x.dtype)

    def parts(row: Array) -> tuple[Array, Array, Array]:
        of_w, of_u = row[sizes[0] : sizes[1]], row[sizes[1] :]
        if not learns:
            return of_w.reshape(0, 0), of_u.reshape(0, 0), row
        return of_w.reshape(w.shape), of_u.reshape(u.shape), row[: sizes[0]]

    def compute(share: slice) -> None:
        samples, row = share.stop - share.start, sums[shares.index(share)]
        slots = min(len(x), -(-_TERMS // max(1, samples)))
        places = scratch("recurrent places", (4, slots), np.dtype(np.int64))
        dz = scratch("recurrent dz", (slots, samples, columns), x.dtype)
        through = scratch("recurrent through", (samples, len(u)), x.dtype)
        zeros = np.zeros(max(len(w), len(u), columns), x.dtype)
        d_w_row, d_u_row, d_b_row = parts(row)
        d_b_row.fill(0)
        places.fill(0)
        loop(share, d_w_row, d_u_row, d_b_row, dz, through, zeros, places, width_and_code(x.dtype))

    run(compute, shares)
    found = [parts(row) for row in sums]
    if d_w is not None and d_u is not None:
        for i, (of_w, of_u, _) in enumerate(found):
            np.add(d_w if i else 0, of_w, out=d_w)
            np.add(d_u if i else 0, of_u, out=d_u)
    return np.add.reduce([of_b for _, _, of_b in found])


def given_to_backward(
    dy: Array | None, absent: Array | None, dx: Array | None, dtype: Any
) -> tuple[Array, Array, Array]:
    """Return what may be ``None`` as arrays."""
    return (
        given(dy, (0, 0, 0), dtype),
        left_out(absent),
        given(dx, (0, 0, 0), dtype),
    )


def bias_of(b: Array | None, w: Array) -> Array:
    """Return the bias, or zeros."""
    return np.zeros(w.shape[1], w.dtype) if b is None else b


def compiled_recurrent(compiled: Callable[..., Any]) -> None:
    """Compile what all loops share.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    module = globals()
    module["entries"], module["_tile"], *_ = declared()
    module["_ROWS"], module["multiply"] = registers().rows, _caller()
    for loop in LOOPS:
        module[loop.__name__] = compiled(loop)


LOOPS: tuple[Any, ...] = (
    multiply_row,
    _multiply,
    pack,
    pack_transposed,
    present,
    repeat,
    squash,
    tanh,
    add_output,
    pass_on,
    accumulate,
    collect,
)
