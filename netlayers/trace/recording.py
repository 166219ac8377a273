"""Recording one training step: the arrays that each layer computes, as copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations import ActivationLayer
from netlayers.arrays.several import listed
from netlayers.arrays.sparse import is_sparse
from netlayers.core.buffers import states_of
from netlayers.core.hooks import Uses, observed
from netlayers.core.parameters import gradient_of
from netlayers.trace.derived import add_penalties, add_slopes, add_up, in_order
from netlayers.trace.loss_recording import LossRecorder
from netlayers.trace.records import (
    LayerTrace,
    LossTrace,
    OptimizerTrace,
    WeightTrace,
    parameters_of,
)
from netlayers.trace.time_steps import add_time_steps

if TYPE_CHECKING:
    from functools import partial

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.states import State
    from netlayers.data.batch import Batch
    from netlayers.training.step import Steps


class Recorder:
    """Records the calls of layers, as ``around`` of :func:`netlayers.core.hooks.observed`.

    Arrays that are the same at two places (the output of a layer and the input of the next) are
    kept once: where they came from is then seen by their identity.

    Attributes:
        uses: tells the uses of a layer apart; what ``observed`` yields.
    """

    def __init__(self) -> None:
        self.uses = Uses()
        self._records: dict[tuple[int, int], LayerTrace] = {}
        self.top: list[LayerTrace] = []
        self._open: list[LayerTrace] = []
        self._copies: dict[int, tuple[Any, Array]] = {}

    def __call__(self, layer: Layer, method: str, given: Any, run: partial[Any]) -> Any:
        """Record one call; the steps of a recurrent layer are part of its own."""
        if self._open and self._open[-1].kind == "recurrent":
            return run()
        record = self._record(layer)
        before = self.keep(given)
        if method == "backward" and isinstance(layer, ActivationLayer):
            # What backward makes of ones, as long as the memory of this use is there.
            record.slope = np.array(type(layer).backward(layer, np.ones_like(given)))
        if record.kind == "recurrent" and method == "forward":
            record.mask = self.keep(run.keywords.get("mask"))
            record.states = tuple(
                layer.state(its, len(listed(given)[0])).copy() for its in layer.states
            )
        self._open.append(record)
        result = run()
        self._open.pop()
        after = self.keep(result)
        if method.startswith("forward"):
            record.x = before
            if method == "forward":
                record.y = after
            else:
                record.z = after
            return result
        if method == "backward":
            record.dy = before
        else:
            record.dz = before
        record.dx = after
        for name, p in parameters_of(layer).items():
            if p.gradient is not None and p.trainable:
                record.weights[name].parts[record.call] = gradient_of(p).copy()
        return result

    def keep(self, array: Any) -> Any:
        """Return a copy, the one that was made before if the numbers are the same."""
        if isinstance(array, tuple):
            return tuple(self.keep(item) for item in array)
        if array is None:
            return None
        kept = self._copies.get(id(array))
        if kept is not None and kept[0] is array and (is_sparse(array) or _same(kept[1], array)):
            return kept[1]
        own_copy = array.toarray() if is_sparse(array) else np.array(array)
        self._copies[id(array)] = (array, own_copy)
        return own_copy

    def _record(self, layer: Layer) -> LayerTrace:
        number = self.uses.number(layer)
        record = self._records.get((id(layer), number))
        if record is None:
            record = LayerTrace(self.uses.name(layer), layer, number)
            self._records[id(layer), number] = record
            if number == 1:
                for name, p in parameters_of(layer).items():
                    assert p.value is not None
                    record.weights[name] = WeightTrace(name, p.value.copy())
            else:
                record.weights = self._records[id(layer), 1].weights
            (self._open[-1].parts if self._open else self.top).append(record)
        return record


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def record_step(steps: Steps, batch: Batch) -> tuple[LayerTrace, LossTrace, OptimizerTrace]:
    """Train on one batch, and return everything that is computed.

    Args:
        steps: the ``Steps`` of a model that is a copy: it learns.
        batch: checked data.
    """
    model, optimizer, loss = steps.model, steps.optimizer, steps.loss
    states = [
        (state, None if state.value is None else state.value.copy())
        for _, state in states_of(model).values()
    ]
    before = steps.test(batch)
    _put_back(states)
    recorder = Recorder()
    losses = LossRecorder(loss, steps.fused, recorder.keep)
    with observed(model, recorder) as recorder.uses, losses.watching():
        total = steps.compute_gradients(batch, input_gradient=True)
    (top,) = recorder.top
    records = list(top.walk())
    losses.complete(records)
    add_up(records)
    add_slopes(records)
    add_penalties(records)
    add_time_steps(records)
    rate = optimizer.learning_rate
    updates = optimizer.iterations
    steps.update(batch.size)
    updated = optimizer.iterations > updates
    for record in records:
        for name, p in parameters_of(record.layer).items():
            weight = record.weights[name]
            assert p.value is not None
            weight.after = p.value.copy()
            if weight.gradient is not None:
                weight.used = gradient_of(p).copy()
    for number, record in enumerate(in_order(top), start=1):
        record.number = number
    _put_back(states)
    outcome = losses.trace(batch, total)
    outcome.before, outcome.after = before, steps.test(batch)
    norm = optimizer.grad_norm if getattr(optimizer, "clips", False) and updated else None
    return top, outcome, OptimizerTrace(optimizer, rate, updated, norm)


def _put_back(states: list[tuple[State, Array | None]]) -> None:
    """Let the layers remember what they did before the step."""
    for state, value in states:
        state.value = None if value is None else value.copy()
