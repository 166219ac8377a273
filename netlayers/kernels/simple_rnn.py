"""All steps of a simple recurrent layer; see ``recurrent.py`` for what all arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.exact import multiply
from netlayers.kernels.recurrent import (
    add_output,
    bias_gradient,
    blocks,
    hold,
    input_gradient,
    input_product,
    leave_out,
    reversed_steps,
    transposed,
    weight_gradients,
)

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.kernels.axes import New


def simple_rnn_forward(
    x: Array,
    w: Array,
    b: Array | None,
    u: Array,
    h: Array,
    absent: Array | None,
    new: New,
) -> None:
    """``h[t] = tanh(x[t] w + b + h[t-1] u)``: the first product is one for all steps."""
    input_product(x, w, b, h[1:])
    inner = new("inner", h[0].shape)
    for t in range(len(x)):
        multiply(h[t], u, inner)
        np.add(h[t + 1], inner, out=h[t + 1])
        np.tanh(h[t + 1], out=h[t + 1])
        if absent is not None:
            np.copyto(h[t + 1], h[t], where=absent[t])


def simple_rnn_backward(
    dy: Array | None,
    dh: Array,
    x: Array,
    w: Array,
    u: Array,
    h: Array,
    absent: Array | None,
    d_w: Array | None,
    d_u: Array | None,
    d_b: Array | None,
    dx: Array | None,
    new: New,
) -> None:
    """``dz[t] = (dy[t] + dh[t]) (1 - h[t]²)``, ``dh[t-1] = dz[t] uᵀ``, from the last step on."""
    u_t = transposed(u, new)
    dz, held = new("dz", h[1:].shape), new("held", dh.shape)
    for block in blocks(dz):
        np.multiply(h[1:][block], h[1:][block], out=dz[block])
        np.subtract(1, dz[block], out=dz[block])
        leave_out(absent, block, dz)
        for t in reversed_steps(block):
            add_output(dy, t - len(x), dh)
            if absent is not None:
                hold(dh, absent[t], held)
            np.multiply(dz[t], dh, out=dz[t])
            np.matmul(dz[t], u_t, out=dh)
            if absent is not None:
                np.add(dh, held, out=dh)
    weight_gradients(x, h, dz, dz, d_w, d_u)
    bias_gradient(dz, d_b)
    input_gradient(dz, w, dx)
