"""How large the gradient is at each time step of a recurrent layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.several import listed
from netlayers.layers.recurrent import Recurrent
from netlayers.optimizers.clipping import norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array


ROWS = 32  # samples whose steps are computed again


class TimeSteps:
    """Measures the time steps of recurrent layers in a step of training.

    The norm of a step is that of dL/dz, z being what the activations of SimpleRNN, LSTM and GRU are
    applied to (of GRU, its part x W + b): times the input and the state of the step it is what the
    step adds to the gradients of the weights. It is computed again by the equations of the cell, of
    the first :data:`ROWS` samples: the layer keeps no such gradients. Of a cell that is called step
    by step, it is the norm of the gradients of its output and states, of all samples.

    Attributes:
        norms: of the last step of training, by the name of the layer's use: an array (steps,), in
            the order of the computation.
    """

    def __init__(self) -> None:
        self.norms: dict[str, Array] = {}
        self._given: dict[str, tuple[Any, Any, Any]] = {}  # input, mask and states of a layer
        self._open: list[tuple[Any, list[float]]] = []  # layers under way, and what their cells got

    def see_input(self, layer: Any, name: str, x: Any, mask: Any) -> None:
        """Keep what a layer is given."""
        if isinstance(layer, Recurrent):
            count = len(listed(x)[0])
            states = [layer.state(its, count)[:ROWS].copy() for its in layer.states]
            mask = mask[0] if isinstance(mask, tuple) else mask
            self._given[name] = _rows(x), None if mask is None else mask[:ROWS].copy(), states

    def backward(self, layer: Any, name: str, dy: Any, run: Callable[[], Any]) -> Any:
        """Return ``run()``, the backward pass of a layer, or of a cell inside of one."""
        if not isinstance(layer, Recurrent):
            if self._open and layer is self._open[-1][0].cell:
                self._open[-1][1].append(_size(listed(dy)))
            return run()
        dy_rows = _rows(dy)
        self._open.append((layer, []))
        try:
            result = run()
        finally:
            _, called = self._open.pop()
        if called:
            self.norms[name] = np.array(called[::-1])
        elif (
            name in self._given
            and (norms := _norms(layer, *self._given[name], dy_rows)) is not None
        ):
            self.norms[name] = norms
        return result


def _norms(layer: Any, x: Any, mask: Any, states: Any, dy: Any) -> Array | None:
    """Return the norms of a layer whose cell runs all steps at once; ``None`` for other cells."""
    from netlayers.trace.time_steps import KINDS, unroll  # not loaded with the package

    if type(layer.cell) not in KINDS:
        return None
    weights = {p.name: p.value for p in layer.declared_parameters}
    drop_x, drop_h = (None if its is None else its[:ROWS] for its in layer.cache.masks)
    if drop_x is not None:
        series, *given = listed(x)
        x = (series * drop_x[:, None], *given)
    steps = unroll(layer, weights, x, dy, mask, states, drop_h)
    name = "p" if "p" in steps[0].values else "z"
    return np.array([_size([step.gradients[name]]) if step.gradients else 0 for step in steps])


def _rows(value: Any) -> Any:
    """Return copies of the first rows."""
    if isinstance(value, tuple):
        return tuple(map(_rows, value))
    return None if value is None else value[:ROWS].copy()


def time_ratio(norms: Array) -> float:
    """Return the norm of the first step, divided by that of the last that got a gradient."""
    there = np.flatnonzero(norms)
    return float(norms[0] / norms[there[-1]]) if there.size else math.nan


def _size(arrays: Any) -> float:
    return norm([np.reshape(a, -1) for a in arrays if a is not None]).value
