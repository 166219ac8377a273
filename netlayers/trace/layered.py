"""The picture of a graph: what has the same distance from the inputs stands side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.several import listed
from netlayers.trace.boxes import END, Drawing, drawn_input
from netlayers.trace.drawing import Times, drawn_loss, svg
from netlayers.trace.steps import first_number

if TYPE_CHECKING:
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import TraceView

SPACE, BESIDE = 46, 18  # between levels, and within one


def layered(trace: TraceView, times: Times, inputs: Any, down: bool) -> str:
    """Return a picture of a graph, from left to right or, for a phone, ``down`` the page.

    Args:
        trace: the trace.
        times: in which steps things appear.
        inputs: the inputs of the model, as its layers are given them.
        down: whether the picture goes down the page.
    """
    drawing = Drawing(times)
    drawn = [r for r in trace.model.parts if drawing.size(r)[0]]
    sources = {id(r): [q for q in drawn[:i] if _ids(q.y) & _ids(r.x)] for i, r in enumerate(drawn)}
    depth: dict[int, int] = {}
    for r in drawn:
        depth[id(r)] = 1 + max((depth[id(q)] for q in sources[id(r)]), default=0)
    levels = [[r for r in drawn if depth[id(r)] == d] for d in sorted(set(depth.values()))]
    sizes = {id(r): drawing.size(r) for r in drawn}
    ends = (END, 52.0)
    wide = max(
        [_extent([sizes[id(r)] for r in level], down) for level in levels] + [ends[not down]]
    )
    margin = 14 + (wide / 2 + 20 if any(_far(r, sources, depth) for r in drawn) else 0) / 2
    middle = margin + wide / 2

    def put(along: float, across: float) -> tuple[float, float]:
        return (across, along) if down else (along, across)

    along = 6.0
    places: dict[int, tuple[float, float, float]] = {}  # start, end, and the middle across
    x, y = put(along + ends[down] / 2, middle)
    drawing.parts.append(drawn_input(trace, times, x - END / 2, y))
    first = along, along + ends[down], middle
    along += ends[down] + SPACE
    for level in levels:
        long = max(sizes[id(r)][down] for r in level)
        across = middle - _extent([sizes[id(r)] for r in level], down) / 2
        for r in level:
            size = sizes[id(r)]
            half = size[not down] / 2
            start = along + (long - size[down]) / 2
            places[id(r)] = start, start + size[down], across + half
            x, y = put(start, across + half)
            drawing.draw(r, x - half if down else x, y + size[1] / 2 if down else y)
            across += 2 * half + BESIDE
        along += long + SPACE
    given = _ids(inputs)
    for r in drawn:
        before = [(places[id(q)], depth[id(r)] - depth[id(q)]) for q in sources[id(r)]]
        if _ids(r.x) & given:
            before.append((first, depth[id(r)]))
        for (_, end, across), span in before:
            start, _, to = places[id(r)]
            drawing.path(_wire(put, (end, across), (start, to), span, margin), first_number(r))
    made = _ids(trace.loss.y_pred if trace.loss.parts else trace.model.y)
    lasts = [places[id(r)] for r in drawn if _ids(r.y) & made] or [first]
    x, y = put(along + ends[down] / 2, middle)
    starts = [put(end, across) for _, end, across in lasts]
    drawing.parts.append(drawn_loss(x - 6, y, starts, trace, times, down))
    along += ends[down] + 8
    width, height = put(along, wide + 2 * margin)
    kind = "slim" if down else "broad"
    return svg(kind, width, height, f"The network {trace.name}", drawing.parts)


def _ids(value: Any) -> set[int]:
    return {id(a) for a in listed(value) if a is not None}


def _extent(sizes: list[tuple[float, float]], down: bool) -> float:
    return sum(size[not down] for size in sizes) + BESIDE * (len(sizes) - 1)


def _far(r: LayerTrace, sources: dict[int, list[LayerTrace]], depth: dict[int, int]) -> bool:
    """Whether a wire passes other levels."""
    nearest = [depth[id(q)] for q in sources[id(r)]]
    return any(depth[id(r)] - d > 1 for d in nearest) or (not nearest and depth[id(r)] > 1)


def _wire(
    put: Any, start: tuple[float, float], end: tuple[float, float], span: int, margin: float
) -> str:
    """Return a curve from one place to another, around what is between."""
    (a, b), (c, d) = start, end
    if span == 1:
        half = (a + c) / 2
        points = [(a, b), (half, b), (half, d), (c, d)]
    else:
        around = -margin / 3
        points = [(a, b), (a + SPACE, around), (c - SPACE, around), (c, d)]
    (x, y), *others = (put(*point) for point in points)
    return f"M{x:.1f} {y:.1f} C" + " ".join(f"{u:.1f} {v:.1f}" for u, v in others)
