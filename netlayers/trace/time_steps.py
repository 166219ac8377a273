"""The time steps of a recurrent layer in a trace, by the equations of its cell.

A layer computes its steps in kernels that leave nothing behind but what ``backward`` needs. Here
they are computed again from the recorded input and weights, number by number, so that gates and
gradients can be shown; they agree with what the layer computed up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.several import listed
from netlayers.layers import GRUCell, LSTMCell, SimpleRNNCell
from netlayers.trace.records import TimeStep

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace

    Values = dict[str, Array]


class CellSteps:
    """Base class of the steps of a cell, forward and backward.

    Both methods take the values of one step by their names, and return those that they compute.
    ``h-`` and ``c-`` are the states before the step.

    Args:
        cell: the cell.
        weights: its weights, by name.
    """

    states: tuple[str, ...] = ("h",)

    def __init__(self, cell: Any, weights: Values) -> None:
        self.cell, self.units = cell, cell.units
        self.drop_h: Array | None = None
        self.w, self.u, self.b = weights["kernel"], weights["recurrent_kernel"], weights.get("bias")

    def forward(self, x: Array, state: Values) -> Values:
        """Return the values of a step from x and the states before it."""
        raise NotImplementedError

    def backward(self, v: Values, d: Values) -> Values:
        """Return the gradients of a step from its values and those of the states behind it."""
        raise NotImplementedError

    def _columns(self, a: Array) -> list[Array]:
        """Return the columns of each gate."""
        return [a[:, k : k + self.units] for k in range(0, a.shape[1], self.units)]


class SimpleRNNSteps(CellSteps):
    """``z = x W + h- U + b``, ``h = φ(z)``."""

    def forward(self, x: Array, state: Values) -> Values:
        """Return z and h."""
        h = state["h-"] if self.drop_h is None else state["h-"] * self.drop_h
        z = x @ self.w + h @ self.u + (0 if self.b is None else self.b)
        return {"z": z, "h": _applied(self.cell.activation, z)}

    def backward(self, v: Values, d: Values) -> Values:
        """``dz = dh φ'(z)``, ``dx = dz Wᵀ``, ``dh- = dz Uᵀ``."""
        dz = _through(self.cell.activation, v["z"], d["h"])
        dh = dz @ self.u.T
        return {"z": dz, "x": dz @ self.w.T, "h-": dh if self.drop_h is None else dh * self.drop_h}


class LSTMSteps(CellSteps):
    """``(z_i, z_f, z_g, z_o) = x W + h- U + b``, ``c = f c- + i g``, ``h = o φ(c)``."""

    states = ("h", "c")

    def forward(self, x: Array, state: Values) -> Values:
        """Return z, the gates, c, φ(c) and h."""
        z = x @ self.w + state["h-"] @ self.u + (0 if self.b is None else self.b)
        z_i, z_f, z_g, z_o = self._columns(z)
        i, f, o = (_applied(self.cell.recurrent_activation, z_k) for z_k in (z_i, z_f, z_o))
        g = _applied(self.cell.activation, z_g)
        c = f * state["c-"] + i * g
        a = _applied(self.cell.activation, c)
        return {"z": z, "i": i, "f": f, "g": g, "o": o, "c": c, "a": a, "h": o * a}

    def backward(self, v: Values, d: Values) -> Values:
        """``dc = dc + dh o φ'(c)``, ``di = dc g``, ``df = dc c-``, ``dg = dc i``, ``do = dh φ(c)``.

        dz of each gate by its slope; ``dx = dz Wᵀ``, ``dh- = dz Uᵀ``, ``dc- = dc f``.
        """
        gate, activation = self.cell.recurrent_activation, self.cell.activation
        dc = d["c"] + _through(activation, v["c"], d["h"] * v["o"])
        di, df, dg, do = dc * v["g"], dc * v["c-"], dc * v["i"], d["h"] * v["a"]
        z_i, z_f, z_g, z_o = self._columns(v["z"])
        through = ((gate, z_i, di), (gate, z_f, df), (activation, z_g, dg), (gate, z_o, do))
        dz = np.concatenate([_through(*each) for each in through], axis=1)
        gates = {"i": di, "f": df, "g": dg, "o": do}
        return {
            "c": dc, **gates, "z": dz, "x": dz @ self.w.T, "h-": dz @ self.u.T, "c-": dc * v["f"]
        }  # fmt: skip


class GRUSteps(CellSteps):
    """``p = x W + b``, ``q = h- U + b'``, ``h = z h- + (1 - z) g``.

    Without ``reset_after``, q has no columns for g, and ``s = (r h-) U_g`` takes the place of
    ``s = r q_g``.
    """

    def __init__(self, cell: Any, weights: Values) -> None:
        super().__init__(cell, weights)
        self.after = cell.reset_after
        first, second = (0, 0) if self.b is None else self.b if self.after else (self.b, 0)
        self.b_x, self.b_h = first, second
        self.u_gates, self.u_g = self.u[:, : 2 * self.units], self.u[:, 2 * self.units :]

    def forward(self, x: Array, state: Values) -> Values:
        """Return p, q, the gates z and r, s, the new value g, and h."""
        h = state["h-"]
        p = x @ self.w + self.b_x
        q = h @ (self.u if self.after else self.u_gates) + self.b_h
        (p_z, p_r, p_g), (q_z, q_r, *q_g) = self._columns(p), self._columns(q)
        z, r = (_applied(self.cell.recurrent_activation, a) for a in (p_z + q_z, p_r + q_r))
        s = r * q_g[0] if self.after else (r * h) @ self.u_g
        g = _applied(self.cell.activation, p_g + s)
        return {"p": p, "q": q, "z": z, "r": r, "s": s, "g": g, "h": z * h + (1 - z) * g}

    def backward(self, v: Values, d: Values) -> Values:
        """``dz = dh (h- - g)``, ``dg = dh (1 - z)``; p_g and s have the same gradient.

        ``dr = ds q_g``, ``dq_g = ds r``, or without ``reset_after`` ``dr = (ds U_gᵀ) h-``. Then
        ``dx = dp Wᵀ`` and ``dh- = dh z + dq Uᵀ``, plus ``(ds U_gᵀ) r`` without ``reset_after``.
        """
        gate, h = self.cell.recurrent_activation, v["h-"]
        (p_z, p_r, p_g), (q_z, q_r, *q_g) = self._columns(v["p"]), self._columns(v["q"])
        dz, dg = d["h"] * (h - v["g"]), d["h"] * (1 - v["z"])
        ds = _through(self.cell.activation, p_g + v["s"], dg)
        reset = None if self.after else ds @ self.u_g.T  # the gradient of r h-
        dr = ds * q_g[0] if reset is None else reset * h
        d_gates = [_through(gate, p_z + q_z, dz), _through(gate, p_r + q_r, dr)]
        dp = np.concatenate([*d_gates, ds], axis=1)
        if reset is None:
            dq = np.concatenate([*d_gates, ds * v["r"]], axis=1)
            dh = d["h"] * v["z"] + dq @ self.u.T
        else:
            dq = np.concatenate(d_gates, axis=1)
            dh = d["h"] * v["z"] + dq @ self.u_gates.T + reset * v["r"]
        gates = {"z": dz, "r": dr, "g": dg}
        return {**gates, "s": ds, "p": dp, "q": dq, "x": dp @ self.w.T, "h-": dh}


KINDS: dict[type, type[CellSteps]] = {
    SimpleRNNCell: SimpleRNNSteps,
    LSTMCell: LSTMSteps,
    GRUCell: GRUSteps,
}


def add_time_steps(records: list[LayerTrace]) -> None:
    """Compute the time steps of the recurrent layers whose cell has its equations here.

    Those with dropout have none: their weights meet other numbers than the recorded ones.
    """
    for r in records:
        known = r.kind == "recurrent" and type(r.layer.cell) in KINDS
        if known and not r.layer.cell.random:
            weights = {name: w.before for name, w in r.weights.items()}
            r.time_steps = unroll(r.layer, weights, r.x, r.dy, r.mask, r.states)


def unroll(
    layer: Any,
    weights: Values,
    x: Any,
    dy: Any,
    mask: Any = None,
    states: Any = (),
    drop_h: Array | None = None,
) -> list[TimeStep]:
    """Return the time steps of a layer in the order of their computation.

    Args:
        layer: a recurrent layer whose cell is one of :data:`KINDS`.
        weights: those of its cell, by name.
        x: what it was given: the series, or a tuple of the series and the initial states.
        dy: the gradient of what it returned, in the same form.
        mask: the mask of the series.
        states: the states that a stateful layer had before.
        drop_h: the dropout mask of the states of a SimpleRNN.
    """
    cell = KINDS[type(layer.cell)](layer.cell, weights)
    cell.drop_h = drop_h
    series, *given = listed(x)
    order = slice(None, None, -1) if layer.go_backwards else slice(None)
    series = series[:, order].swapaxes(0, 1)
    mask = mask[0] if isinstance(mask, tuple) else mask
    absent = [None] * len(series) if mask is None else ~np.asarray(mask, bool)[:, order].T
    first = given or states or [np.zeros((series.shape[1], cell.units), series.dtype)] * 2
    state = dict(zip((f"{name}-" for name in cell.states), first, strict=False))
    steps: list[TimeStep] = []
    for now, out in zip(series, absent, strict=True):
        values = {"x": now, **state, **cell.forward(now, state)}
        if out is not None and out.any():
            for name in cell.states:
                values[name] = np.where(out[:, None], values[f"{name}-"], values[name])
        steps.append(TimeStep(len(steps) + 1, values, absent=out))
        state = {f"{name}-": values[name] for name in cell.states}
    _add_gradients(layer, cell, steps, dy)
    return steps


def _add_gradients(layer: Any, cell: CellSteps, steps: list[TimeStep], dy: Any) -> None:
    """Run the steps backward."""
    dy, *given = listed(dy)
    if dy is None and all(d is None for d in given):
        return
    zero = np.zeros_like(steps[0].values["h"])
    behind = [zero if d is None else d for d in given or [None] * len(cell.states)]
    for step in reversed(steps):
        out = np.zeros((len(zero), 1), bool) if step.absent is None else step.absent[:, None]
        d = {f"{name}+": its for name, its in zip(cell.states, behind, strict=True)}
        if dy is not None and (layer.return_sequences or step is steps[-1]):
            d["y"] = dy[:, step.number - 1] if layer.return_sequences else dy
            if layer.zero_output_for_mask:
                d["y"] = np.where(out, 0, d["y"])
        d["h"] = d["h+"] + d.get("y", 0)
        total = {name: d[name if name == "h" else f"{name}+"] for name in cell.states}
        there = {name: np.where(out, 0, its) for name, its in total.items()}
        found = cell.backward(step.values, there)
        for name in cell.states:  # what passes by a step that is left out
            found[f"{name}-"] = np.where(out, total[name], found[f"{name}-"])
        step.gradients = {**d, **found}
        behind = [found[f"{name}-"] for name in cell.states]


def _applied(activation: Any, z: Array) -> Array:
    return np.array(activation.new_call().forward(z.copy(), False))


def _through(activation: Any, z: Array, dy: Array) -> Array:
    """Return dL/dz from the gradient of activation(z)."""
    call = activation.new_call()
    call.forward(z.copy(), True)
    return np.array(call.backward(np.ascontiguousarray(dy)))
