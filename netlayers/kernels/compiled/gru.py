"""All steps of gated recurrent units in one call; the arguments stand in ``recurrent.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import gru as reference
from netlayers.kernels.compiled import recurrent
from netlayers.kernels.compiled.functions import tanh_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: recurrent 50384c68b186, functions 1a90f78161dc.


def gru_forward_share(
    start: int, stop: int, x: Array, w: Any, b: Array, u: Any, u_g: Any, b_h: Array,
    reset_after: bool, gates: Array, inner: Array, h: Array, absent: Array,
    places: Array, tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.gru.gru_forward`."""
    steps, count, features = x.shape
    units, columns, zero, half = (
        h.shape[2],
        gates.shape[2],
        recurrent.entries(places),
        h.dtype.type(0.5),
    )
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    w_g = (recurrent.entries(u_g[0]), u_g[1], u_g[2], zero, u_g[3], tile)
    for t in range(steps):
        low, high = recurrent.present(absent, t, start, stop)
        rows, at = high - low, t * count + low
        z = (recurrent.entries(gates), at * columns, columns)
        a = (recurrent.entries(x), at * features, features, 1, zero)
        recurrent.multiply(rows, columns, 1, features, a, w_x, (recurrent.entries(b), 0, 0), z)
        a, out = (
            (recurrent.entries(h), at * units, units, 1, zero),
            (recurrent.entries(inner), at * units, units),
        )
        recurrent.multiply(rows, 2 * units, 1, units, a, w_h, z, z)
        if reset_after:
            b_g = (recurrent.entries(b_h), 2 * units, 0)
            recurrent.multiply(rows, units, 1, units, a, w_g, b_g, out)
        for i in range(low, high):
            row, product, h_before = gates[t, i], inner[t, i], h[t, i]
            z_and_r, r, g = row[: 2 * units], row[units : 2 * units], row[2 * units :]
            if reset_after:
                for j in range(2 * units):
                    z_and_r[j] += b_h[j]
            for j in range(2 * units):
                z_and_r[j] = half * tanh_of(half * z_and_r[j]) + half
            if reset_after:
                for j in range(units):
                    g[j] += r[j] * product[j]
            else:
                for j in range(units):
                    product[j] = r[j] * h_before[j]
        if not reset_after:
            a = (recurrent.entries(inner), at * units, units, 1, zero)
            z = (recurrent.entries(gates), at * columns + 2 * units, columns)
            recurrent.multiply(rows, units, 1, units, a, w_g, z, z)
        for i in range(low, high):
            z_gate, g, h_before, new_h = (
                gates[t, i, :units],
                gates[t, i, 2 * units :],
                h[t, i],
                h[t + 1, i],
            )
            recurrent.tanh(g, g)
            for j in range(units):
                new_h[j] = g[j] + z_gate[j] * (h_before[j] - g[j])
        recurrent.repeat(h, absent, t, start, stop)


def gru_backward_share(
    start: int, stop: int, dy: Array, dh: Array, x: Array, w: Any, w_g: Any, u: Any, u_g: Any,
    reset_after: bool, gates: Array, inner: Array, h: Array, absent: Array,
    dx: Array, d_w: Array, d_u: Array, d_b: Array, dz: Array, through: Array,
    zeros: Array, places: Array, tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.gru.gru_backward`.

    The columns of dz are z, r, and g; with ``reset_after`` z, r, g of the product with u, and g.
    """
    steps, count, features = x.shape
    slots, samples, columns = dz.shape
    begun = False
    units, one, slot, zero = dh.shape[1], h.dtype.type(1), 0, recurrent.entries(places[3])
    two, at_g = 2 * units, columns - units
    nothing, d_z = (recurrent.entries(zeros), 0, 0), recurrent.entries(dz)
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_xg = (recurrent.entries(w_g[0]), w_g[1], w_g[2], zero, w_g[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    w_hg = (recurrent.entries(u_g[0]), u_g[1], u_g[2], zero, u_g[3], tile)
    for t in range(steps - 1, -1, -1):
        low, high = recurrent.present(absent, t, start, stop)
        recurrent.add_output(dy, t - steps + dy.shape[0], dh, start, stop)
        for i in range(start, stop):
            row = dz[slot, i - start]
            if absent.size and absent[t, i]:
                row[:] = 0
            else:
                _gru_row(dh[i], gates[t, i], h[t, i], row[:units], row[at_g:], one)
                if reset_after:
                    _reset_row(
                        row[at_g:], gates[t, i], inner[t, i], row[units:two], row[two:at_g], one
                    )
        begin = (slot * samples + low - start) * columns
        out = (recurrent.entries(through), (low - start) * units, units)
        a = (d_z, begin + two, columns, 1, zero)
        recurrent.multiply(high - low, units, 1, units, a, w_hg, nothing, out)
        if not reset_after:
            for i in range(low, high):
                row, d = dz[slot, i - start], through[i - start]
                if not (absent.size and absent[t, i]):
                    _reset_row(d, gates[t, i], h[t, i], row[units:two], d, one)
        a = (d_z, begin, columns, 1, zero)
        recurrent.multiply(high - low, units, 1, two, a, w_h, out, out)
        recurrent.pass_on(through, absent, t, start, low, high, dh)
        for i in range(samples):
            recurrent.accumulate(dz[slot, i], d_b)
        at = t * count + start
        if dx.size:
            out = (recurrent.entries(dx), at * features, features)
            a = (d_z, slot * samples * columns, columns, 1, zero)
            recurrent.multiply(samples, features, 1, two, a, w_x, nothing, out)
            a = (d_z, slot * samples * columns + at_g, columns, 1, zero)
            recurrent.multiply(samples, features, 1, units, a, w_xg, out, out)
        places[0, slot], places[1, slot], places[2, slot] = (
            at * units,
            at * features,
            slot * samples * columns,
        )
        slot += 1
        if slot == slots or t == 0:
            if d_u.size:
                at_h = inner if not reset_after else h
                recurrent.collect(
                    slot, h, places[0], dz, places[2], 0, two, d_u, 0, tile, nothing, begun
                )
                recurrent.collect(
                    slot,
                    at_h,
                    places[0],
                    dz,
                    places[2],
                    two,
                    units,
                    d_u,
                    two,
                    tile,
                    nothing,
                    begun,
                )
                recurrent.collect(
                    slot, x, places[1], dz, places[2], 0, two, d_w, 0, tile, nothing, begun
                )
                recurrent.collect(
                    slot, x, places[1], dz, places[2], at_g, units, d_w, two, tile, nothing, begun
                )
            slot, begun = 0, True


def _gru_row(dh: Array, gates: Array, h_before: Array, d_z: Array, d_g: Array, one: Any) -> None:
    """Write dz of z and g; dh becomes its direct part of the step before."""
    units = dh.size
    z, g = gates[:units], gates[2 * units :]
    for j in range(units):
        d_z[j] = dh[j] * (h_before[j] - g[j]) * z[j] * (one - z[j])
    for j in range(units):
        d_g[j] = dh[j] * (one - z[j]) * (one - g[j] * g[j])
    for j in range(units):
        dh[j] *= z[j]


def _reset_row(d: Array, gates: Array, other: Array, d_r: Array, d_other: Array, one: Any) -> None:
    """Write dz of r, and ``d_other = d r``, for the gradient d of ``r other``."""
    units = d.size
    r = gates[units : 2 * units]
    for j in range(units):
        d_r[j] = d[j] * other[j] * r[j] * (one - r[j])
    for j in range(units):
        d_other[j] = d[j] * r[j]


def gru_forward(
    x: Array, w: Array, b: Array | None, u: Array, b_h: Array | None, gates: Array, inner: Array,
    h: Array, absent: Array | None, new: Any,
) -> Callable[[], None] | None:  # fmt: skip
    """See :func:`netlayers.kernels.gru.gru_forward`."""
    if not recurrent.compiles(x):
        reference.gru_forward(x, w, b, u, b_h, gates, inner, h, absent, new)
        return None
    rows, units, tile = x.shape[0] * x.shape[1], len(u), recurrent.width_and_code(x.dtype)
    absent, b = recurrent.left_out(absent), recurrent.bias_of(b, w)
    w = recurrent.weights("w", w, rows)
    u_zr, u_g = (
        recurrent.weights("u", u, rows, 0, 2 * units),
        recurrent.weights("u g", u, rows, 2 * units),
    )
    after, b_h = b_h is not None, recurrent.given(b_h, (0,), x.dtype)

    def compute(share: slice) -> None:
        gru_forward_share(
            share.start, share.stop, x, w, b, u_zr, u_g, b_h, after, gates, inner, h, absent,
            recurrent.PLACES, tile,
        )  # fmt: skip

    return recurrent.run_forward(compute, x, gates.size * units)


def gru_backward(
    dy: Array | None, dh: Array, x: Array, w: Array, u: Array, gates: Array, inner: Array,
    h: Array, absent: Array | None, reset_after: bool,
    d_w: Array | None, d_u: Array | None, d_b: Array | None, d_b_h: Array | None,
    dx: Array | None, new: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.gru.gru_backward`."""
    if not recurrent.compiles(x):
        reference.gru_backward(
            dy, dh, x, w, u, gates, inner, h, absent, reset_after, d_w, d_u, d_b,
            d_b_h, dx, new,
        )  # fmt: skip
        return
    outputs, there, dx = recurrent.given_to_backward(dy, absent, dx, x.dtype)
    two = 2 * len(u)
    w_x, w_g = recurrent.transposed("w", w, 0, two), recurrent.transposed("w g", w, two)
    u_zr, u_g = recurrent.transposed("u", u, 0, two), recurrent.transposed("u g", u, two)

    def loop(share: slice, *memory: Any) -> None:
        gru_backward_share(
            share.start, share.stop, outputs, dh, x, w_x, w_g, u_zr, u_g, reset_after, gates, inner,
            h, there, dx, *memory,
        )  # fmt: skip

    of_b = recurrent.run_backward(loop, x, w, u, (4 if reset_after else 3) * len(u), d_w, d_u)
    if d_b_h is not None:
        np.copyto(d_b_h, of_b[: d_b_h.size])
    if d_b is not None:
        np.copyto(d_b[:two], of_b[:two])
        np.copyto(d_b[two:], of_b[-len(u) :])


LOOPS: tuple[Any, ...] = (
    _gru_row,
    _reset_row,
    gru_forward_share,
    gru_backward_share,
)
KERNELS: tuple[Any, ...] = (gru_forward, gru_backward)
