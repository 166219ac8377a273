"""One step of recurrent layers, without its matrix products.

The gates of a step are computed by a single tanh, since ``sigmoid(z) = (1 + tanh(z / 2)) / 2``:
the columns of the weights that lead to sigmoid gates are halved before, which is exact. N is the
number of samples, H that of units.

Source:
    Equations: see ``netlayers.layers.lstm`` and ``netlayers.layers.gru``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype


@functools.lru_cache(maxsize=64)
def _lstm_rows(units: int, dtype: Dtype) -> tuple[Array, Array]:
    """Return what turns tanh into the gates: ``factor tanh + offset``, a number for each column."""
    factor, offset = np.ones(4 * units, dtype), np.zeros(4 * units, dtype)
    for gate in (0, 1, 3):
        factor[gate * units : (gate + 1) * units] = 0.5
        offset[gate * units : (gate + 1) * units] = 0.5
    factor.flags.writeable = offset.flags.writeable = False
    return factor, offset


def lstm_step(z: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """``c = f c_before + i g``, ``h = o tanh(c)``; z becomes the gates i, f, g, o.

    Args:
        z: (N, 4 H), in which the columns of i, f and o are half of the gates' inputs.
        c_before: (N, H), the cell state before.
        c: (N, H), where the new cell state is written.
        tanh_c: (N, H), where its tanh is written.
        h: (N, H), where the output is written.
    """
    units = h.shape[1]
    factor, offset = _lstm_rows(units, h.dtype)
    np.tanh(z, out=z)
    np.multiply(z, factor, out=z)
    np.add(z, offset, out=z)
    i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
    np.multiply(i, g, out=h)
    np.multiply(f, c_before, out=c)
    np.add(c, h, out=c)
    np.tanh(c, out=tanh_c)
    np.multiply(o, tanh_c, out=h)


def lstm_step_gradient(
    dh: Array, dc: Array, gates: Array, c_before: Array, tanh_c: Array, dz: Array
) -> None:
    """Write dL/dz, for the inputs of the gates; dc becomes that of ``c_before``.

    With ``dc + dh o (1 - tanh²(c))`` as dc: ``di = dc g``, ``df = dc c_before``, ``dg = dc i``,
    ``do = dh tanh(c)``, each times the slope of its gate, and ``dc_before = dc f``. dh is changed.

    Args:
        dh: (N, H), dL/dh.
        dc: (N, H), dL/dc of the steps behind.
        gates: (N, 4 H), of :func:`lstm_step`.
        c_before: (N, H).
        tanh_c: (N, H).
        dz: (N, 4 H), where the result is written.
    """
    units = dh.shape[1]
    i, f, g, o = (gates[:, k * units : (k + 1) * units] for k in range(4))
    di, df, dg, do = (dz[:, k * units : (k + 1) * units] for k in range(4))
    # The slopes: s (1 - s) = s - s² for a sigmoid s, and 1 - g².
    np.multiply(gates, gates, out=dz)
    np.subtract(gates, dz, out=dz)
    np.multiply(g, g, out=dg)
    np.subtract(1, dg, out=dg)
    np.multiply(do, dh, out=do)
    np.multiply(do, tanh_c, out=do)
    np.multiply(dh, o, out=dh)
    np.add(dc, dh, out=dc)
    np.multiply(dh, tanh_c, out=dh)
    np.multiply(dh, tanh_c, out=dh)
    np.subtract(dc, dh, out=dc)  # dc + dh o - dh o tanh²(c)
    for slope, other in ((di, g), (df, c_before), (dg, i)):
        np.multiply(slope, dc, out=slope)
        np.multiply(slope, other, out=slope)
    np.multiply(dc, f, out=dc)


def gru_gates(z: Array, product: Array) -> None:
    """Turn the first 2 H columns of z into the gates z and r.

    Args:
        z: (N, 3 H), half of the part of the gates' inputs that comes from x.
        product: (N, 2 H or more), half of the part that comes from h.
    """
    gates = z[:, : 2 * (z.shape[1] // 3)]
    np.add(gates, product[:, : gates.shape[1]], out=gates)
    np.tanh(gates, out=gates)
    np.multiply(gates, 0.5, out=gates)
    np.add(gates, 0.5, out=gates)


def gru_step(z: Array, inner: Array, h_before: Array, h: Array) -> None:
    """``h = z h_before + (1 - z) g`` with ``g = tanh(z_g + inner)``, which replaces z_g.

    Args:
        z: (N, 3 H): the gates z and r, and z_g, the part of the input of g that comes from x.
        inner: (N, H), the other part.
        h_before: (N, H).
        h: (N, H), where the result is written.
    """
    units = h.shape[1]
    g = z[:, 2 * units :]
    np.add(g, inner, out=g)
    np.tanh(g, out=g)
    np.subtract(h_before, g, out=h)
    np.multiply(h, z[:, :units], out=h)
    np.add(h, g, out=h)


def gru_step_gradient(dh: Array, gates: Array, h_before: Array, dz: Array) -> None:
    """Write the parts of dL/dz for z and g; dh becomes the direct part of dL/dh_before.

    ``dz = dh (h_before - g) z (1 - z)``, ``dg = dh (1 - z) (1 - g²)``, ``dh z``.

    Args:
        dh: (N, H), dL/dh.
        gates: (N, 3 H): z, r and g.
        h_before: (N, H).
        dz: (N, 3 H); the columns of r are used as scratch memory.
    """
    units = dh.shape[1]
    z, g = gates[:, :units], gates[:, 2 * units :]
    d_z, through, d_g = dz[:, :units], dz[:, units : 2 * units], dz[:, 2 * units :]
    np.multiply(dh, z, out=through)
    np.subtract(dh, through, out=d_g)  # dh (1 - z)
    np.subtract(h_before, g, out=d_z)
    np.multiply(d_z, d_g, out=d_z)
    np.multiply(d_z, z, out=d_z)
    np.copyto(dh, through)
    np.multiply(g, g, out=through)
    np.subtract(1, through, out=through)
    np.multiply(d_g, through, out=d_g)


def reset_gradient(dr: Array, r: Array, other: Array, out: Array) -> None:
    """``out = dr other r (1 - r)``, for a gate r that multiplies ``other``.

    Args:
        dr: (N, H), the gradient of the product.
        r: (N, H).
        other: (N, H).
        out: (N, H), none of the others.
    """
    np.subtract(1, r, out=out)
    np.multiply(out, r, out=out)
    np.multiply(out, other, out=out)
    np.multiply(out, dr, out=out)
