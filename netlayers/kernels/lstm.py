"""All steps of an LSTM; see ``recurrent.py`` for what all arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import multiply
from netlayers.kernels.recurrent import (
    add_output,
    are_few,
    bias_gradient,
    blocks,
    columns,
    gate_factors,
    hold,
    input_gradient,
    input_product,
    leave_out,
    reversed_steps,
    scaled,
    transposed,
    weight_gradients,
)

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.axes import New

# Which gates are sigmoids.
GATES = (True, True, False, True)


def lstm_forward(
    x: Array,
    w: Array,
    b: Array | None,
    u: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    h: Array,
    absent: Array | None,
    new: New,
) -> None:
    """``c[t] = f c[t-1] + i g``, ``h[t] = o tanh(c[t])``, with gates of ``x[t] w + h[t-1] u + b``.

    The gates i, f, g, o are written to ``gates`` (T, N, 4 H). Of the cell states ``c`` (T + 1, N,
    H) the first is given, the others are written, and their tanh to ``tanh_c`` (T, N, H).
    """
    factor, offset = gate_factors(GATES, len(u), u.dtype)
    few = are_few(x, u)
    if not few:
        w, u, b = scaled(factor, w, u, b, new=new)
    input_product(x, w, b, gates)
    i, f, g, o = columns(gates, 4)
    inner = new("inner", gates[0].shape)
    for t, z in enumerate(gates):
        multiply(h[t], u, inner)
        np.add(z, inner, out=z)
        if few:
            np.multiply(z, factor, out=z)
        np.tanh(z, out=z)
        np.multiply(z, factor, out=z)
        np.add(z, offset, out=z)
        new_c, new_h = c[t + 1], h[t + 1]
        np.multiply(i[t], g[t], out=new_h)
        np.multiply(f[t], c[t], out=new_c)
        np.add(new_c, new_h, out=new_c)
        np.tanh(new_c, out=tanh_c[t])
        np.multiply(o[t], tanh_c[t], out=new_h)
        if absent is not None:
            np.copyto(new_h, h[t], where=absent[t])
            np.copyto(new_c, c[t], where=absent[t])


def lstm_backward(
    dy: Array | None,
    dh: Array,
    dc: Array,
    x: Array,
    w: Array,
    u: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    h: Array,
    absent: Array | None,
    d_w: Array | None,
    d_u: Array | None,
    d_b: Array | None,
    dx: Array | None,
    new: New,
) -> None:
    """Compute all gradients, from the last step on, with dh and dc of h[t] and c[t].

    ``dc = dc + dh o (1 - tanh²(c))``; ``di = dc g``, ``df = dc c[t-1]``, ``dg = dc i``, ``do = dh
    tanh(c)``, each times the slope of its gate, are the parts of dz; ``dc[t-1] = dc f`` and
    ``dh[t-1] = dz uᵀ``.

    ``dc`` (N, H) is given for the last cell state, and becomes that of the first.
    """
    dz, slope_c = new("dz", gates.shape), new("slope c", c[:-1].shape)
    u_t = transposed(u, new)
    held, kept_f = new("held", dh.shape), columns(gates, 4)[1]
    if absent is not None:  # dc[t-1] = dc[t] there
        kept_f = new("kept f", tanh_c.shape)
        np.copyto(kept_f, columns(gates, 4)[1])
        np.copyto(kept_f, 1, where=absent)
    to_c, to_o = dz.reshape(*dz.shape[:2], 4, dz.shape[2] // 4)[:, :, :3], columns(dz, 4)[3]
    for block in blocks(dz):
        _lstm_slopes(gates[block], c[block], tanh_c[block], dz[block], slope_c[block])
        leave_out(absent, block, dz, slope_c)
        for t in reversed_steps(block):
            add_output(dy, t - len(x), dh)
            if absent is not None:
                hold(dh, absent[t], held)
            np.multiply(to_o[t], dh, out=to_o[t])
            np.multiply(dh, slope_c[t], out=dh)
            np.add(dc, dh, out=dc)
            np.multiply(to_c[t], dc[:, None], out=to_c[t])
            np.multiply(dc, kept_f[t], out=dc)
            np.matmul(dz[t], u_t, out=dh)
            if absent is not None:
                np.add(dh, held, out=dh)
    weight_gradients(x, h, dz, dz, d_w, d_u)
    bias_gradient(dz, d_b)
    input_gradient(dz, w, dx)


def _lstm_slopes(gates: Array, c_before: Array, tanh_c: Array, dz: Array, slope_c: Array) -> None:
    """Write dz per dc (of i, f, g) and per dh (of o), and ``slope_c = o (1 - tanh²(c))``."""
    i, _, g, o = columns(gates, 4)
    d_i, d_f, d_g, d_o = columns(dz, 4)
    np.multiply(gates, gates, out=dz)
    np.subtract(gates, dz, out=dz)  # s (1 - s) = s - s²
    np.multiply(g, g, out=d_g)
    np.subtract(1, d_g, out=d_g)
    for slope, other in ((d_i, g), (d_f, c_before), (d_g, i), (d_o, tanh_c)):
        np.multiply(slope, other, out=slope)
    np.multiply(tanh_c, tanh_c, out=slope_c)
    np.subtract(1, slope_c, out=slope_c)
    np.multiply(slope_c, o, out=slope_c)
