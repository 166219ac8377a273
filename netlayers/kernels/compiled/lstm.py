"""All steps of an LSTM in one call; for the arguments of the loops see ``recurrent.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import lstm as reference
from netlayers.kernels.compiled import recurrent
from netlayers.kernels.recurrent import gate_factors

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains a digest of their file: recurrent 50384c68b186.


def lstm_forward_share(
    start: int, stop: int, x: Array, w: Any, b: Array, u: Any, gates: Array, c: Array,
    tanh_c: Array, h: Array, absent: Array, factor: Array,
    offset: Array, places: Array, tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.lstm.lstm_forward`."""
    steps, count, features = x.shape
    units, columns, zero = h.shape[2], gates.shape[2], recurrent.entries(places)
    flat_c, flat_tanh = c.reshape(-1), tanh_c.reshape(-1)
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    for t in range(steps):
        low, high = recurrent.present(absent, t, start, stop)
        rows, at = high - low, t * count + low
        z = (recurrent.entries(gates), at * columns, columns)
        a = (recurrent.entries(x), at * features, features, 1, zero)
        recurrent.multiply(rows, columns, 1, features, a, w_x, (recurrent.entries(b), 0, 0), z)
        a = (recurrent.entries(h), at * units, units, 1, zero)
        recurrent.multiply(rows, columns, 1, units, a, w_h, z, z)
        for i in range(low, high):
            row, c_before, new_c = gates[t, i], c[t, i], c[t + 1, i]
            recurrent.squash(row, factor, offset)
            i_gate, f, g = row[:units], row[units : 2 * units], row[2 * units : 3 * units]
            for j in range(units):
                new_c[j] = f[j] * c_before[j] + i_gate[j] * g[j]
        recurrent.tanh(
            flat_c[(at + count) * units : (at + count + rows) * units],
            flat_tanh[at * units : (at + rows) * units],
        )
        for i in range(low, high):
            o, tanh, new_h = gates[t, i, 3 * units :], tanh_c[t, i], h[t + 1, i]
            for j in range(units):
                new_h[j] = o[j] * tanh[j]
        recurrent.repeat(h, absent, t, start, stop)
        recurrent.repeat(c, absent, t, start, stop)


def lstm_backward_share(
    start: int, stop: int, dy: Array, dh: Array, dc: Array, x: Array, w: Any, u: Any,
    gates: Array, c: Array, tanh_c: Array, h: Array, absent: Array, dx: Array,
    d_w: Array, d_u: Array, d_b: Array, dz: Array, through: Array, zeros: Array, places: Array,
    tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.lstm.lstm_backward`."""
    steps, count, features = x.shape
    slots, samples, columns = dz.shape
    begun = False
    units, one, slot, zero = dh.shape[1], c.dtype.type(1), 0, recurrent.entries(places[3])
    nothing, d_z = (recurrent.entries(zeros), 0, 0), recurrent.entries(dz)
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    for t in range(steps - 1, -1, -1):
        low, high = recurrent.present(absent, t, start, stop)
        recurrent.add_output(dy, t - steps + dy.shape[0], dh, start, stop)
        for i in range(start, stop):
            row = dz[slot, i - start]
            if absent.size and absent[t, i]:
                row[:] = 0
                continue
            _lstm_row(dh[i], dc[i], gates[t, i], c[t, i], tanh_c[t, i], row, one)
            recurrent.accumulate(row, d_b)
        a = (d_z, (slot * samples + low - start) * columns, columns, 1, zero)
        out = (recurrent.entries(through), (low - start) * units, units)
        recurrent.multiply(high - low, units, 1, columns, a, w_h, nothing, out)
        recurrent.pass_on(through, absent, t, start, low, high, dh)
        at = t * count + start
        if dx.size:
            a = (d_z, slot * samples * columns, columns, 1, zero)
            out = (recurrent.entries(dx), at * features, features)
            recurrent.multiply(samples, features, 1, columns, a, w_x, nothing, out)
        places[0, slot], places[1, slot], places[2, slot] = (
            at * units,
            at * features,
            slot * samples * columns,
        )
        slot += 1
        if slot == slots or t == 0:
            if d_u.size:
                recurrent.collect(
                    slot, h, places[0], dz, places[2], 0, columns, d_u, 0, tile, nothing, begun
                )
                recurrent.collect(
                    slot, x, places[1], dz, places[2], 0, columns, d_w, 0, tile, nothing, begun
                )
            slot, begun = 0, True


def _lstm_row(
    dh: Array, dc: Array, gates: Array, c_before: Array, tanh: Array, dz: Array, one: Any
) -> None:
    """Write dz of a sample; dc becomes that of the step dh 0."""
    units = dh.size
    i, f, g, o = (
        gates[:units],
        gates[units : 2 * units],
        gates[2 * units : 3 * units],
        gates[3 * units :],
    )
    d_i, d_f, d_g, d_o = (
        dz[:units],
        dz[units : 2 * units],
        dz[2 * units : 3 * units],
        dz[3 * units :],
    )
    for j in range(units):
        dc[j] += dh[j] * o[j] * (one - tanh[j] * tanh[j])
    for j in range(units):
        d_o[j] = dh[j] * tanh[j] * o[j] * (one - o[j])
    for j in range(units):
        d_i[j] = dc[j] * g[j] * i[j] * (one - i[j])
    for j in range(units):
        d_f[j] = dc[j] * c_before[j] * f[j] * (one - f[j])
    for j in range(units):
        d_g[j] = dc[j] * i[j] * (one - g[j] * g[j])
    for j in range(units):
        dc[j] *= f[j]
    dh[:] = 0


def lstm_forward(
    x: Array, w: Array, b: Array | None, u: Array, gates: Array, c: Array, tanh_c: Array,
    h: Array, absent: Array | None, new: Any,
) -> Callable[[], None] | None:  # fmt: skip
    """See :func:`netlayers.kernels.lstm.lstm_forward`."""
    if not recurrent.compiles(x):
        reference.lstm_forward(x, w, b, u, gates, c, tanh_c, h, absent, new)
        return None
    rows, tile = x.shape[0] * x.shape[1], recurrent.width_and_code(x.dtype)
    absent, b = recurrent.left_out(absent), recurrent.bias_of(b, w)
    factors = gate_factors(reference.GATES, len(u), u.dtype)
    w, u = recurrent.weights("w", w, rows), recurrent.weights("u", u, rows)

    def compute(share: slice) -> None:
        lstm_forward_share(
            share.start, share.stop, x, w, b, u, gates, c, tanh_c, h, absent, *factors,
            recurrent.PLACES, tile,
        )  # fmt: skip

    return recurrent.run_forward(compute, x, gates.size * h.shape[2])


def lstm_backward(
    dy: Array | None, dh: Array, dc: Array, x: Array, w: Array, u: Array, gates: Array, c: Array,
    tanh_c: Array, h: Array, absent: Array | None, d_w: Array | None,
    d_u: Array | None, d_b: Array | None, dx: Array | None, new: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.lstm.lstm_backward`."""
    if not recurrent.compiles(x):
        reference.lstm_backward(
            dy, dh, dc, x, w, u, gates, c, tanh_c, h, absent, d_w, d_u, d_b, dx, new
        )
        return
    outputs, there, dx = recurrent.given_to_backward(dy, absent, dx, x.dtype)
    w_x, w_h = recurrent.transposed("w", w), recurrent.transposed("u", u)

    def loop(share: slice, *memory: Any) -> None:
        lstm_backward_share(
            share.start, share.stop, outputs, dh, dc, x, w_x, w_h, gates, c, tanh_c, h, there,
            dx, *memory,
        )  # fmt: skip

    of_b = recurrent.run_backward(loop, x, w, u, gates.shape[2], d_w, d_u)
    if d_b is not None:
        np.copyto(d_b, of_b)


LOOPS: tuple[Any, ...] = (
    _lstm_row,
    lstm_forward_share,
    lstm_backward_share,
)
KERNELS: tuple[Any, ...] = (lstm_forward, lstm_backward)
