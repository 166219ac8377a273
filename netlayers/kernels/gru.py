"""All steps of gated recurrent units; see ``recurrent.py`` for what all arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import multiply
from netlayers.kernels.memory import constant
from netlayers.kernels.recurrent import (
    add_output,
    are_few,
    bias_gradient,
    blocks,
    columns,
    gate_factors,
    input_gradient,
    input_product,
    leave_out,
    reversed_steps,
    rows_of,
    scaled,
    transposed,
    weight_gradients,
)

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.axes import New

# Which gates are sigmoids.
GATES = (True, True, False)


def gru_forward(
    x: Array,
    w: Array,
    b: Array | None,
    u: Array,
    b_h: Array | None,
    gates: Array,
    inner: Array,
    h: Array,
    absent: Array | None,
    new: New,
) -> None:
    """``h[t] = z h[t-1] + (1 - z) g`` with ``g = tanh(x w_g + b + inner')`` and sigmoids z and r.

    ``inner' = r (h u_g + b_g)``, or ``(r h) u_g`` where ``b_h`` is ``None``: the bias of the
    products with u, (3 H,), of which ``b_g`` is the part of g. Others are added to those of b.

    z, r and g are written to ``gates`` (T, N, 3 H), and ``h u_g + b_g`` or ``r h`` to ``inner`` (T,
    N, H).
    """
    units, b_g = len(u), None
    if b is not None and b_h is not None:
        b, b_g = b.copy(), b_h[2 * units :]
        b[: 2 * units] += b_h[: 2 * units]
    few = are_few(x, u)
    if not few:
        factor, _ = gate_factors(GATES, units, u.dtype)
        w, u, b = scaled(factor, w, u, b, new=new)
    input_product(x, w, b, gates)
    z_gate, r, g = columns(gates, 3)
    first = u if b_g is not None else np.ascontiguousarray(u[:, : 2 * units])
    product, added = new("product", (x.shape[1], first.shape[1])), new("added", h[0].shape)
    half = constant(0.5, (), u.dtype)
    for t in range(len(x)):
        multiply(h[t], first, product)
        z_and_r = gates[t, :, : 2 * units]
        np.add(z_and_r, product[:, : 2 * units], out=z_and_r)
        if few:
            np.multiply(z_and_r, half, out=z_and_r)
        np.tanh(z_and_r, out=z_and_r)
        np.multiply(z_and_r, half, out=z_and_r)
        np.add(z_and_r, half, out=z_and_r)
        if b_g is not None:
            np.add(product[:, 2 * units :], b_g, out=inner[t])
            np.multiply(r[t], inner[t], out=added)
        else:
            np.multiply(r[t], h[t], out=inner[t])
            multiply(inner[t], u[:, 2 * units :], added)
        np.add(g[t], added, out=g[t])
        np.tanh(g[t], out=g[t])
        np.subtract(h[t], g[t], out=h[t + 1])
        np.multiply(h[t + 1], z_gate[t], out=h[t + 1])
        np.add(h[t + 1], g[t], out=h[t + 1])
        if absent is not None:
            np.copyto(h[t + 1], h[t], where=absent[t])


def gru_backward(
    dy: Array | None,
    dh: Array,
    x: Array,
    w: Array,
    u: Array,
    gates: Array,
    inner: Array,
    h: Array,
    absent: Array | None,
    reset_after: bool,
    d_w: Array | None,
    d_u: Array | None,
    d_b: Array | None,
    d_b_h: Array | None,
    dx: Array | None,
    new: New,
) -> None:
    """Compute all gradients, from the last step on, with dh of h[t] and the slopes of the gates.

    ``dz = dh (h[t-1] - g)``, ``dg = dh (1 - z)``, ``dr = dg inner``; the gradient of the products
    with u is that, but ``dg r`` for g. Without ``reset_after``, ``d(r h) = dg u_gᵀ`` and ``dr = d(r
    h) h``. ``dh[t-1]`` is ``dh z`` and what comes through the products.

    ``reset_after`` says whether ``b_h`` was given; the gradient of a bias of the products with u is
    written to ``d_b_h`` (3 H,).
    """
    units = len(u)
    u_t = transposed(u, new)
    dz_h = new("dz h", gates.shape)  # gradient of the products with u
    dz = new("dz", gates.shape) if reset_after else dz_h
    kept_z = columns(gates, 3)[0]
    if absent is not None:  # dh[t-1] = dh[t] there
        kept_z = new("kept z", inner.shape)
        np.copyto(kept_z, columns(gates, 3)[0])
        np.copyto(kept_z, 1, where=absent)
    gates_of_dz = dz_h.reshape(*gates.shape[:2], 3, units)
    _, d_r, d_g = columns(dz, 3)
    r = columns(gates, 3)[1]
    through, d_reset = new("through", dh.shape), new("d reset", dh.shape)
    for block in blocks(dz):
        others = inner if reset_after else h[:-1]
        _gru_slopes(gates[block], h[:-1][block], others[block], dz[block])
        if reset_after:
            _gru_slopes_after(gates[block], dz[block], dz_h[block])
        leave_out(absent, block, dz, dz_h)
        for t in reversed_steps(block):
            add_output(dy, t - len(x), dh)
            if reset_after:
                np.multiply(gates_of_dz[t], dh[:, None], out=gates_of_dz[t])
                np.multiply(d_g[t], dh, out=d_g[t])
                np.matmul(dz_h[t], u_t, out=through)
            else:
                np.multiply(gates_of_dz[t, :, ::2], dh[:, None], out=gates_of_dz[t, :, ::2])
                np.matmul(d_g[t], u_t[2 * units :], out=d_reset)
                np.multiply(d_r[t], d_reset, out=d_r[t])
                np.matmul(dz[t, :, : 2 * units], u_t[: 2 * units], out=through)
                np.multiply(d_reset, r[t], out=d_reset)
                np.add(through, d_reset, out=through)
            np.multiply(dh, kept_z[t], out=dh)
            np.add(dh, through, out=dh)
        if reset_after:
            np.copyto(dz[block][..., : 2 * units], dz_h[block][..., : 2 * units])
    weight_gradients(x, h, dz, dz_h, d_w, d_u)
    if d_u is not None and not reset_after:
        part = new("d u", (units, units))
        np.matmul(rows_of(inner).T, rows_of(d_g), out=part)
        np.copyto(d_u[:, 2 * units :], part)
    bias_gradient(dz, d_b)
    bias_gradient(dz_h, d_b_h)
    input_gradient(dz, w, dx)


def _gru_slopes(gates: Array, h_before: Array, other: Array, dz: Array) -> None:
    """Write dz per dh of z and g, and per d(r other) of r."""
    z, r, g = columns(gates, 3)
    d_z, d_r, d_g = columns(dz, 3)
    np.subtract(1, gates, out=dz)
    np.multiply(g, g, out=d_r)
    np.subtract(1, d_r, out=d_r)
    np.multiply(d_z, d_r, out=d_g)  # (1 - z) (1 - g²)
    np.multiply(d_z, z, out=d_z)
    np.subtract(h_before, g, out=d_r)
    np.multiply(d_z, d_r, out=d_z)
    np.subtract(1, r, out=d_r)
    np.multiply(d_r, r, out=d_r)
    np.multiply(d_r, other, out=d_r)


def _gru_slopes_after(gates: Array, dz: Array, dz_h: Array) -> None:
    """Turn the slope of r into that per dh, and write ``dz_h``, with ``dg r`` for g."""
    d_r, d_g = columns(dz, 3)[1:]
    np.multiply(d_r, d_g, out=d_r)
    np.copyto(dz_h, dz)
    np.multiply(d_g, columns(gates, 3)[1], out=columns(dz_h, 3)[2])
