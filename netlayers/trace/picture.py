"""The picture of the network at the head of a trace: neurons and weights, or boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import escaped
from netlayers.arrays.several import listed
from netlayers.trace.math import to_text
from netlayers.trace.numbers import number_format

if TYPE_CHECKING:
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import TraceView
    from netlayers.trace.story import Story

MOST_NEURONS, MOST_COLUMNS = 8, 6
RADIUS, ACROSS, DOWN = 24, 168, 74
BOX_WIDTH, BOX_HEIGHT, GAP, ARC = 104, 56, 26, 20


def picture(trace: TraceView, story: Story) -> str:
    """Return an ``<svg>``: what belongs to layer 3 has ``data-l="3"``; the loss ``data-l="loss"``.

    A small chain of dense layers is drawn neuron by neuron; the numbers in the neurons are those of
    the first sample. Everything else is drawn as boxes.
    """
    dense = [r for r in story.numbered if r.kind == "dense"]
    ours = {id(r) for r in trace.layers}
    flat = trace.model.kind == "chain" and all(id(r) in ours for r in story.numbered)
    if not flat or len(dense) != len(story.numbered):
        return _boxes(trace)
    sizes = [_width(trace.model.x), *(_width(r.z) for r in dense)]
    same = all(_width(r.y) == _width(r.z) for r in dense)
    if dense and same:
        plane = all(a.ndim == 2 for a in (trace.model.x, *(r.z for r in dense)))
        if plane and max(sizes) <= MOST_NEURONS and len(sizes) <= MOST_COLUMNS:
            return _neurons(trace, dense, story)
    return _boxes(trace)


def _width(array: Any) -> int:
    return int(array.shape[-1]) if array.ndim else 1


def _sizes(value: Any) -> str:
    """Return the shape of a sample, of each of several arrays."""
    shapes = [a.shape[1:] for a in listed(value) if a is not None]
    return " | ".join(" × ".join(map(str, shape)) or "1" for shape in shapes)


def _svg(width: float, height: float, label: str, parts: list[str]) -> str:
    return (
        f'<svg class="net" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escaped(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escaped(text)}</text>'


# Neurons -----------------------------------------------------------------------------------------


def _neurons(trace: TraceView, dense: list[LayerTrace], story: Story) -> str:
    columns = [trace.model.x, *(r.y for r in dense)]
    tallest = max(_width(c) for c in columns)
    height = tallest * DOWN + 34
    middle = tallest * DOWN / 2 + 4
    strongest = max(float(np.abs(r.weights["kernel"].before).max(initial=0)) for r in dense) or 1
    parts: list[str] = []

    def place(column: int, size: int, i: int) -> tuple[float, float]:
        return 40 + column * ACROSS, middle + (i - (size - 1) / 2) * DOWN

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
        number = dense[column - 1].number if column else 0
        symbol = to_text(story.out(dense[column - 1])) if column else "x"
        write = number_format(values[:1], 3)
        nodes = []
        for i, value in enumerate(values[0]):
            x, y = place(column, values.shape[1], i)
            title = escaped(f"{symbol}[0, {i}] = {value}")
            nodes.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"><title>{title}</title></circle>'
                + _text(x, y + 4.5, write(value), "value")
            )
        name = dense[column - 1].name if column else "input"
        nodes.append(_text(40 + column * ACROSS, height - 8, name[:18], "name"))
        parts.append(f'<g class="nodes" data-l="{number}">{"".join(nodes)}</g>')
    x = 40 + len(columns) * ACROSS - 40
    last = len(columns) - 1
    ends = [place(last, _width(columns[-1]), i) for i in range(_width(columns[-1]))]
    parts.append(_loss(x, middle, [(u + RADIUS, v) for u, v in ends], trace))
    return _svg(x + 74, height, f"The network {trace.name}", parts)


def _loss(x: float, y: float, starts: list[tuple[float, float]], trace: TraceView) -> str:
    value = number_format(np.asarray(trace.loss.total), 3)(trace.loss.total)
    path = " ".join(f"M{u:.1f} {v:.1f} L{x - 32:.1f} {y:.1f}" for u, v in starts)
    return (
        f'<g class="nodes" data-l="loss"><path class="wire" d="{path}"/>'
        f'<rect x="{x - 32:.1f}" y="{y - 26:.1f}" width="76" height="52" rx="9"/>'
        f"{_text(x + 6, y - 4, 'loss L', 'name')}{_text(x + 6, y + 15, value, 'value')}</g>"
    )


# Boxes -------------------------------------------------------------------------------------------


class _Drawing:
    """Draws records from left to right; branches below each other."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def size(self, r: LayerTrace) -> tuple[float, float]:
        if not r.parts or r.kind not in ("chain", "graph", "other"):
            return (BOX_WIDTH if r.number else 0, BOX_HEIGHT if r.number else 0)
        inner = [self.size(part) for part in r.parts]
        inner = [s for s in inner if s[0]] or [(40.0, BOX_HEIGHT)]
        if r.kind == "other" and hasattr(r.layer, "merge"):
            wide = max(w for w, _ in inner)
            return wide + GAP + 40 + 20, sum(h for _, h in inner) + 14 * (len(inner) - 1) + 40
        wide = sum(w for w, _ in inner) + GAP * (len(inner) - 1)
        if r.kind == "graph":
            return wide, max(h for _, h in inner) + 2 * ARC
        own = GAP + 40 + 20 if r.number else 0
        return wide + own, max(h for _, h in inner) + (44 if r.number else 0)

    def draw(self, r: LayerTrace, x: float, y: float) -> None:
        """Draw a record whose left middle is (x, y)."""
        width, height = self.size(r)
        if not width:
            return
        if not r.parts or r.kind not in ("chain", "graph", "other"):
            self.box(r, x, y)
            return
        if r.kind == "graph":
            self.graph(r, x, y)
            return
        if not r.number:
            self.row(r.parts, x, y)
            return
        top = y - height / 2
        self.parts.append(
            f'<rect class="frame" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="10"/>' + _text(x + 8, top + 14, r.name, "frame-name")
        )
        inside = y + 8
        if hasattr(r.layer, "merge"):
            down = top + 24
            for part in r.parts:
                w, h = self.size(part)
                if w:
                    self.wire(x, y, x + 10, down + h / 2)
                    self.draw(part, x + 10, down + h / 2)
                    self.wire(x + 10 + w, down + h / 2, x + width - 50, inside)
                down += h + 14 if w else 0
        else:
            self.row(r.parts, x + 10, inside)
            self.wire(x + width - 50 - GAP, inside, x + width - 50, inside)
            below, end = y + height / 2 - 8, x + width - 30
            skip = f"M{x:.1f} {y:.1f} V{below:.1f} H{end:.1f} V{inside + 18:.1f}"
            self.parts.append(f'<path class="wire" d="{skip}"/>')
        sign = {"concat": "‖", "multiply": "×", "maximum": "max"}.get(
            getattr(r.layer, "merge", ""), "+"
        )
        self.parts.append(
            f'<g class="nodes" data-l="{r.number}"><circle cx="{x + width - 30:.1f}" '
            f'cy="{inside:.1f}" r="18"/>{_text(x + width - 30, inside + 5, sign, "value")}</g>'
        )

    def row(self, records: list[LayerTrace], x: float, y: float) -> None:
        """Draw records one after the other."""
        first = True
        for r in records:
            width, _ = self.size(r)
            if not width:
                continue
            if not first:
                self.wire(x, y, x + GAP, y)
                x += GAP
            first = False
            self.draw(r, x, y)
            x += width

    def graph(self, r: LayerTrace, x: float, y: float) -> None:
        """Draw the calls of a graph one after the other, and wires from what each takes."""
        sources = [(x, {id(a) for a in listed(r.x)})]  # where arrays come from
        for part in r.parts:
            width, height = self.size(part)
            if not width:
                continue
            takes = {id(a) for a in listed(part.x)}
            for start, gives in sources:
                if takes & gives and start < x:
                    far = x - start > GAP
                    by = y - height / 2 - ARC * 2 if far else y
                    middle = (start + x) / 2
                    path = f"M{start:.1f} {y:.1f} Q{middle:.1f} {by:.1f} {x:.1f} {y:.1f}"
                    self.parts.append(f'<path class="wire" d="{path}"/>')
            self.draw(part, x, y)
            sources.append((x + width, {id(a) for a in listed(part.y)}))
            x += width + GAP

    def wire(self, x: float, y: float, u: float, v: float) -> None:
        """Draw a connection."""
        self.parts.append(f'<path class="wire" d="M{x:.1f} {y:.1f} L{u:.1f} {v:.1f}"/>')

    def box(self, r: LayerTrace, x: float, y: float) -> None:
        """Draw a layer: name, class and activation, width."""
        kind = type(r.layer).__name__
        if r.kind == "dense" and type(r.activation).__name__ != "Linear":
            kind += f" {type(r.activation).__name__}"
        width = _sizes(r.y)
        middle = x + BOX_WIDTH / 2
        self.parts.append(
            f'<g class="nodes" data-l="{r.number}"><title>{escaped(r.name)}</title>'
            f'<rect x="{x:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{BOX_WIDTH}" '
            f'height="{BOX_HEIGHT}" rx="9"/>'
            + _text(middle, y - 11, _short(r.name.rsplit("/", 1)[-1], 13), "name")
            + _text(middle, y + 5, _short(kind, 16), "kind")
            + _text(middle, y + 21, width, "value")
            + "</g>"
        )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _boxes(trace: TraceView) -> str:
    drawing = _Drawing()
    width, height = drawing.size(trace.model)
    height = max(height, BOX_HEIGHT) + 12
    y = height / 2
    inputs = _sizes(trace.model.x)
    drawing.parts.append(
        f'<g class="nodes" data-l="0"><rect x="4" y="{y - 26:.1f}" width="64" height="52" rx="9"/>'
        + _text(36, y - 4, "x", "name")
        + _text(36, y + 15, inputs, "value")
        + "</g>"
    )
    drawing.wire(68, y, 68 + GAP, y)
    drawing.draw(trace.model, 68 + GAP, y)
    end = 68 + GAP + width
    drawing.parts.append(_loss(end + GAP + 32, y, [(end, y)], trace))
    return _svg(end + GAP + 84, height, f"The network {trace.name}", drawing.parts)
