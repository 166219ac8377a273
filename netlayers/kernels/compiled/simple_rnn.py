"""All steps of a simple recurrent layer in one call; the arguments stand in ``recurrent.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels import simple_rnn as reference
from netlayers.kernels.compiled import recurrent

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains a digest of their file: recurrent 50384c68b186.


def simple_rnn_forward_share(
    start: int, stop: int, x: Array, w: Any, b: Array, u: Any, h: Array, absent: Array,
    places: Array, tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.simple_rnn.simple_rnn_forward`."""
    steps, count, features = x.shape
    units, flat, zero = h.shape[2], h.reshape(-1), recurrent.entries(places)
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    for t in range(steps):
        low, high = recurrent.present(absent, t, start, stop)
        rows, at = high - low, t * count + low
        z = (recurrent.entries(h), (at + count) * units, units)
        a = (recurrent.entries(x), at * features, features, 1, zero)
        recurrent.multiply(rows, units, 1, features, a, w_x, (recurrent.entries(b), 0, 0), z)
        a = (recurrent.entries(h), at * units, units, 1, zero)
        recurrent.multiply(rows, units, 1, units, a, w_h, z, z)
        z_t = flat[(at + count) * units : (at + count + rows) * units]
        recurrent.tanh(z_t, z_t)
        recurrent.repeat(h, absent, t, start, stop)


def simple_rnn_backward_share(
    start: int, stop: int, dy: Array, dh: Array, x: Array, w: Any, u: Any, h: Array,
    absent: Array, dx: Array, d_w: Array, d_u: Array, d_b: Array,
    dz: Array, through: Array, zeros: Array, places: Array, tile: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.simple_rnn.simple_rnn_backward`."""
    steps, count, features = x.shape
    slots, samples, units = dz.shape
    begun = False
    one, slot, zero = h.dtype.type(1), 0, recurrent.entries(places[3])
    nothing, d_z = (recurrent.entries(zeros), 0, 0), recurrent.entries(dz)
    w_x = (recurrent.entries(w[0]), w[1], w[2], zero, w[3], tile)
    w_h = (recurrent.entries(u[0]), u[1], u[2], zero, u[3], tile)
    for t in range(steps - 1, -1, -1):
        low, high = recurrent.present(absent, t, start, stop)
        recurrent.add_output(dy, t - steps + dy.shape[0], dh, start, stop)
        for i in range(start, stop):
            row, d, y = dz[slot, i - start], dh[i], h[t + 1, i]
            if absent.size and absent[t, i]:
                row[:] = 0
                continue
            for j in range(units):
                row[j] = d[j] * (one - y[j] * y[j])
            d[:] = 0
            recurrent.accumulate(row, d_b)
        a = (d_z, (slot * samples + low - start) * units, units, 1, zero)
        out = (recurrent.entries(through), (low - start) * units, units)
        recurrent.multiply(high - low, units, 1, units, a, w_h, nothing, out)
        recurrent.pass_on(through, absent, t, start, low, high, dh)
        at = t * count + start
        if dx.size:
            a = (d_z, slot * samples * units, units, 1, zero)
            out = (recurrent.entries(dx), at * features, features)
            recurrent.multiply(samples, features, 1, units, a, w_x, nothing, out)
        places[0, slot], places[1, slot], places[2, slot] = (
            at * units,
            at * features,
            slot * samples * units,
        )
        slot += 1
        if slot == slots or t == 0:
            if d_u.size:
                recurrent.collect(
                    slot, h, places[0], dz, places[2], 0, units, d_u, 0, tile, nothing, begun
                )
                recurrent.collect(
                    slot, x, places[1], dz, places[2], 0, units, d_w, 0, tile, nothing, begun
                )
            slot, begun = 0, True


def simple_rnn_forward(
    x: Array, w: Array, b: Array | None, u: Array, h: Array, absent: Array | None,
    new: Any,
) -> Callable[[], None] | None:  # fmt: skip
    """See :func:`netlayers.kernels.simple_rnn.simple_rnn_forward`."""
    if not recurrent.compiles(x):
        reference.simple_rnn_forward(x, w, b, u, h, absent, new)
        return None
    rows, tile = x.shape[0] * x.shape[1], recurrent.width_and_code(x.dtype)
    absent, b = recurrent.left_out(absent), recurrent.bias_of(b, w)
    w, u = recurrent.weights("w", w, rows), recurrent.weights("u", u, rows)

    def compute(share: slice) -> None:
        simple_rnn_forward_share(
            share.start, share.stop, x, w, b, u, h, absent, recurrent.PLACES, tile,
        )  # fmt: skip

    return recurrent.run_forward(compute, x, h.size * h.shape[2])


def simple_rnn_backward(
    dy: Array | None, dh: Array, x: Array, w: Array, u: Array, h: Array, absent: Array | None,
    d_w: Array | None, d_u: Array | None, d_b: Array | None, dx: Array | None, new: Any,
) -> None:  # fmt: skip
    """See :func:`netlayers.kernels.simple_rnn.simple_rnn_backward`."""
    if not recurrent.compiles(x):
        reference.simple_rnn_backward(dy, dh, x, w, u, h, absent, d_w, d_u, d_b, dx, new)
        return
    outputs, there, dx = recurrent.given_to_backward(dy, absent, dx, x.dtype)
    w_x, w_h = recurrent.transposed("w", w), recurrent.transposed("u", u)

    def loop(share: slice, *memory: Any) -> None:
        simple_rnn_backward_share(
            share.start, share.stop, outputs, dh, x, w_x, w_h, h, there, dx, *memory,
        )  # fmt: skip

    of_b = recurrent.run_backward(loop, x, w, u, len(u), d_w, d_u)
    if d_b is not None:
        np.copyto(d_b, of_b)


LOOPS: tuple[Any, ...] = (
    simple_rnn_forward_share,
    simple_rnn_backward_share,
)
KERNELS: tuple[Any, ...] = (simple_rnn_forward, simple_rnn_backward)
