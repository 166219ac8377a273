"""The picture of the network at the head of a trace: neurons and weights, or boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import escaped
from netlayers.trace.boxes import boxes
from netlayers.trace.drawing import Times, drawn_loss, group, svg, text
from netlayers.trace.layered import layered
from netlayers.trace.math import to_text
from netlayers.trace.numbers import number_format

if TYPE_CHECKING:
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import TraceView
    from netlayers.trace.story import Story

MOST_NEURONS, MOST_COLUMNS = 8, 6
RADIUS = 24
# From one neuron to the next, across and down, on a wide screen and on a phone.
DISTANCES = {"broad": (168, 74), "slim": (104, 68)}


def picture(trace: TraceView, story: Story) -> str:
    """Return two ``<svg>``, for wide screens and for phones.

    What belongs to layer 3 has ``data-l="3"``; the loss ``data-l="loss"``. What is computed in step
    5 has ``data-from="5"``, the gradients of step 9 have ``data-back="9"``.

    A small chain of dense layers is drawn neuron by neuron; the numbers in the neurons are those of
    the first sample, and under them its gradients δ. Everything else is drawn as boxes.
    """
    times = Times(trace.steps)
    dense = [r for r in story.numbered if r.kind == "dense"]
    if _is_small(trace, story, dense):
        return "".join(_neurons(trace, dense, story, times, kind) for kind in DISTANCES)
    if trace.model.kind == "graph":
        return "".join(layered(trace, times, story.x, down) for down in (False, True))
    return boxes(trace, times, None) + boxes(trace, times, 400)


def _is_small(trace: TraceView, story: Story, dense: list[LayerTrace]) -> bool:
    ours = {id(r) for r in trace.layers}
    flat = trace.model.kind == "chain" and all(id(r) in ours for r in story.numbered)
    if not flat or not dense or len(dense) != len(story.numbered):
        return False
    sizes = [_width(trace.model.x), *(_width(r.z) for r in dense)]
    same = all(_width(r.y) == _width(r.z) for r in dense)
    plane = all(a.ndim == 2 for a in (trace.model.x, *(r.z for r in dense)))
    return same and plane and max(sizes) <= MOST_NEURONS and len(sizes) <= MOST_COLUMNS


def _width(array: Any) -> int:
    return int(array.shape[-1]) if array.ndim else 1


def _neurons(
    trace: TraceView, dense: list[LayerTrace], story: Story, times: Times, kind: str
) -> str:
    across, down = DISTANCES[kind]
    columns = [trace.model.x, *(r.y for r in dense)]
    tallest = max(_width(c) for c in columns)
    height = tallest * down + 40
    middle = tallest * down / 2 + 2
    strongest = max(float(np.abs(r.weights["kernel"].before).max(initial=0)) for r in dense) or 1
    parts: list[str] = []

    def place(column: int, size: int, i: int) -> tuple[float, float]:
        return 40 + column * across, middle + (i - (size - 1) / 2) * down

    for column, r in enumerate(dense):
        kernel = r.weights["kernel"].before
        lines = []
        for i, j in np.ndindex(*kernel.shape):
            (x, y), (u, v) = (
                place(column, kernel.shape[0], i),
                place(column + 1, kernel.shape[1], j),
            )
            w = kernel[i, j]
            thick = 0.8 + 4.2 * abs(float(w)) / strongest
            sign = "minus" if w < 0 else "plus"
            title = escaped(f"{to_text(story.weight('kernel', r))}[{i}, {j}] = {w}")
            lines.append(
                f'<line x1="{x + RADIUS:.1f}" y1="{y:.1f}" x2="{u - RADIUS:.1f}" y2="{v:.1f}" '
                f'stroke-width="{thick:.2f}" class="{sign}"><title>{title}</title></line>'
            )
        parts.append(f'<g class="edges" data-l="{r.number}">{"".join(lines)}</g>')
    for column, values in enumerate(columns):
        record = dense[column - 1] if column else None
        symbol = to_text(story.out(record)) if record else "x"
        nodes = []
        for i, value in enumerate(values[0]):
            x, y = place(column, values.shape[1], i)
            nodes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>')
            title = f"{symbol}[0, {i}] = {value}"
            shown = number_format(values[:1], 3)(value)
            nodes.append(text(x, y + 4.5, shown, "value", times.values(record), title))
            if record is not None and record.dz is not None:
                d = record.dz[0, i]
                title = f"∂L/∂{to_text(story.argument(record))}[0, {i}] = {d}"
                shown = f"δ {number_format(record.dz[:1], 3)(d)}"
                back = times.gradients(record)
                nodes.append(text(x, y + RADIUS + 12, shown, "grad", back, title))
        name = record.name if record else "input"
        nodes.append(text(40 + column * across, height - 8, name[: across // 9], "name"))
        parts.append(group(record.number if record else 0, times, record, nodes))
    x = 40 + len(columns) * across - (40 if kind == "broad" else 14)
    last = len(columns) - 1
    ends = [place(last, _width(columns[-1]), i) for i in range(_width(columns[-1]))]
    parts.append(drawn_loss(x, middle, [(u + RADIUS, v) for u, v in ends], trace, times))
    return svg(kind, x + 50, height, f"The network {trace.name}", parts)
