"""Derive sums of gradients, slopes, penalties and numbers from the records of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.kernels.memory import Workspace
from netlayers.layers import InputLayer
from netlayers.trace.records import parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.trace.records import LayerTrace


def add_up(records: list[LayerTrace]) -> None:
    """Add up the gradients of all uses of a layer, from the last to the first, as backward does."""
    for record in records:
        for weight in record.weights.values() if record.call == 1 else ():
            for number in sorted(weight.parts, reverse=True):
                part, total = weight.parts[number], weight.gradient
                weight.gradient = part if total is None else part + total


def add_slopes(records: list[LayerTrace]) -> None:
    """Compute activation'(z) as ``backward`` of a gradient of ones, where that is valid.

    That is the derivative only of an activation that works element by element, so the product with
    dL/dy must be what the step computed.
    """
    slopes = {id(record): record.slope for record in records}
    for record in records:
        record.slope = None
        if record.kind != "activation" and not record.sums_up:
            continue
        inner = record.parts[0] if record.parts else record
        if record.sums_up:
            record.dy = inner.dy if not record.fused else None
        if inner.dx is None:
            continue
        if record is not inner or record.dz is None:
            record.dz = inner.dx
        if record.z is None:
            record.z = record.x
        slope = slopes[id(inner)]
        if slope is not None and slope.shape == inner.dx.shape == inner.dy.shape:
            with np.errstate(all="ignore"):
                if np.allclose(slope * inner.dy, inner.dx, rtol=1e-4, atol=1e-30, equal_nan=True):
                    record.slope = slope


def add_penalties(records: list[LayerTrace]) -> None:
    """Compute the gradients of the penalties on the weights."""
    for record in records:
        for name, p in parameters_of(record.layer).items():
            weight = record.weights[name]
            if record.call == 1 and p.regularizer is not None and weight.gradient is not None:
                weight.penalty = np.zeros_like(weight.before)
                scratch = Workspace()("scratch", p.shape, weight.before.dtype)
                p.regularizer.add_gradient(weight.before, weight.penalty, scratch)


def in_order(record: LayerTrace) -> Iterator[LayerTrace]:
    """Yield the records that are not containers, in the order of their outputs."""
    if record.kind in ("chain", "graph", "other"):
        for part in record.parts:
            yield from in_order(part)
    if record.kind not in ("chain", "graph") and not isinstance(record.layer, InputLayer):
        yield record
