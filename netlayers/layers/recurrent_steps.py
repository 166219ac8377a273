"""The loop over the time steps of a recurrent layer, and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.memory import constant

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.calls import Call


def run_steps(
    layer: Any, x: Array, states: list[Array], absent: Array | None, training: bool
) -> tuple[Array, list[Array]]:
    """Return the outputs of all steps, and the states behind the last one.

    A cell of this library with its usual activations runs all steps by itself. Any other cell, and
    one with dropout of states or by gate, is called for each step, a call of its own in training.

    Args:
        layer: the recurrent layer.
        x: the series (steps, batch, ...).
        states: the states before the first step, (batch, ...), or 0 for each.
        absent: where a step is left out, (steps, batch, 1), or ``None``.
        training: cache what :func:`run_steps_backward` needs.
    """
    cell = layer.cell
    options = {}
    runs_all = cell._runs_all_steps
    if hasattr(cell, "_draw_masks") and training:
        options["masks"] = cell._draw_masks(x.shape[1], layer.workspace)
        if runs_all:
            of_x, of_h = options["masks"]
            runs_all = of_h is None and (of_x is None or of_x.ndim == 2)
    if training:
        layer.cache.runs_all, layer.cache.masks = runs_all, options.get("masks")
    if runs_all:
        return cell._run_all(layer, x, states, absent, training, **options)
    states = _copied(layer, states, x.shape[1], training)
    calls = _calls(layer, len(x)) if training else [cell] * len(x)
    held: Any = None  # the output of the step before
    for t, call in enumerate(calls):
        y, *new = call.forward((x[t], *states), training, **options)
        if t == 0:
            outputs = layer.buffer("outputs", (len(x), *y.shape), training)
            first = states[getattr(cell, "_output_state", 0)]
            held = first if first.shape == y.shape else np.zeros_like(y)
        np.copyto(outputs[t], y)
        if absent is not None:
            np.copyto(outputs[t], held, where=spread(absent[t], y))
            for i, (state, before) in enumerate(zip(new, states, strict=True)):
                new[i] = layer.buffer(f"h {i} {t + 1}", state.shape, training)
                np.copyto(new[i], state)
                np.copyto(new[i], before, where=spread(absent[t], state))
        states, held = new, outputs[t]
    return outputs, states


def run_steps_backward(
    layer: Any,
    dy: Array | None,
    d_states: list[Array | None],
    absent: Array | None,
    input_gradient: bool,
) -> tuple[Array | None, list[Array]]:
    """Return dL/dx (steps, batch, ...) and the gradients of the first states.

    Args:
        layer: the recurrent layer.
        dy: gradient of the outputs of all steps, or of the last one, (1, batch, ...); or ``None``.
        d_states: gradients of the states behind the last step, or ``None``.
        absent: see :func:`run_steps`.
        input_gradient: ``False`` skips dL/dx, which is then ``None``.
    """
    cell, steps = layer.cell, layer.cache.y_shape[0]
    if layer.cache.runs_all:
        return cell._run_all_backward(layer, dy, d_states, absent, input_gradient)
    dx = None
    held: Array | None = None  # gradient of an output from the steps behind that repeat it
    d: list[Any] = list(d_states)
    for t in range(steps - 1, -1, -1):
        at = t - steps + (0 if dy is None else len(dy))
        dy_t = dy[at] if dy is not None and at >= 0 else None
        if held is not None:
            dy_t = held if dy_t is None else np.add(dy_t, held, out=held)
        passed: list[Any] = [None] * len(d)
        if absent is not None:
            dy_t, held = _parted(layer, "dy", dy_t, absent[t])
            for i, d_state in enumerate(d):
                d[i], passed[i] = _parted(layer, f"d {i}", d_state, absent[t])
        dx_t, *d = layer._step_backward(_calls(layer, steps), t, _filled(layer, (dy_t, *d)))
        if dx_t is not None and input_gradient:
            if dx is None:
                dx = layer.buffer("dx first", (steps, *dx_t.shape))
            np.copyto(dx[t], dx_t)
        if absent is not None:
            d = [
                _summed(layer, f"d {i}", *its) for i, its in enumerate(zip(d, passed, strict=True))
            ]
    k = getattr(cell, "_output_state", 0)
    if held is not None and d[k] is not None and d[k].shape == held.shape:
        d[k] = np.add(d[k], held, out=held)
    return dx, d


def _copied(layer: Any, states: list[Any], count: int, training: bool) -> list[Array]:
    """Return copies of states."""
    found = []
    for i, (shape, state) in enumerate(zip(layer._state_shapes(), states, strict=True)):
        found.append(layer.buffer(f"h {i}", (count, *shape), training))
        np.copyto(found[i], state)
    return found


def spread(absent: Array, like: Array) -> Array:
    """Return booleans (..., 1) with further axes of 1, to go with an array of more axes."""
    return absent.reshape(*absent.shape[:-1], *(1,) * (like.ndim - absent.ndim + 1))


def _parted(
    layer: Any, name: str, d: Array | None, absent: Array
) -> tuple[Array | None, Array | None]:
    """Return a gradient where a step is there, and where it is left out; 0 elsewhere."""
    if d is None:
        return None, None
    there, left_out = (layer.buffer(f"{part} {name}", d.shape) for part in ("there", "left out"))
    where = spread(absent, d)
    np.copyto(there, d)
    np.copyto(there, 0, where=where)
    np.copyto(left_out, d)  # which may be the same memory
    np.copyto(left_out, 0, where=~where)
    return there, left_out


def _summed(layer: Any, name: str, d: Array | None, passed: Array | None) -> Array | None:
    """Return the sum in the memory of what :func:`_parted` left out."""
    if d is None:
        return passed
    total = layer.buffer(f"left out {name}", d.shape)
    return np.add(d, 0 if passed is None else passed, out=total)


def _calls(layer: Any, steps: int) -> list[Call]:
    """Return a call of the cell for each step; they stay with this call of the layer."""
    known: list[Call] = vars(layer.workspace).setdefault("calls", [])
    while len(known) < steps:
        known.append(layer.cell.new_call())
    return known[:steps]


def _filled(layer: Any, d: tuple[Any, ...]) -> tuple[Array, ...]:
    """Return the gradients of what a step returned, with zeros for ``None``."""
    count = layer.cache.y_shape[1]
    shapes = layer.cell.compute_output_shape(layer._step_shapes(layer.cache.shape, count))
    return tuple(
        constant(0, its, layer._dtype) if one is None else one
        for one, its in zip(d, shapes, strict=True)
    )
