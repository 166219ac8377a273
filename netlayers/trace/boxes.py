"""The picture of a network as boxes, in one row or, on a phone, in several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers._html import escaped
from netlayers.arrays.several import listed
from netlayers.trace.drawing import Times, drawn_loss, group, svg, text
from netlayers.trace.steps import first_number
from netlayers.trace.unrolled import unrolled, unrolled_size

if TYPE_CHECKING:
    from typing import Any

    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import TraceView

BOX_WIDTH, BOX_HEIGHT, GAP, ARC = 104, 56, 26, 20
SIGNS = {"concat": "‖", "multiply": "×", "mul": "×", "maximum": "max", "ave": "mean", None: ","}
END = 76  # width of the boxes of the input and the loss


def boxes(trace: TraceView, times: Times, width: float | None) -> str:
    """Return a picture of a model.

    Args:
        trace: the trace.
        times: in which steps things appear.
        width: if the parts of a chain do not fit beside each other, they are in several rows;
            ``None`` for one row.
    """
    drawing = Drawing(times)
    kind = "broad" if width is None else "slim"
    parts = trace.model.parts if trace.model.kind == "chain" else [trace.model]
    rows = _rows(parts, drawing, width)
    tops, top, end = [], 6.0, 0.0
    heights = [max((drawing.size(r)[1] for r in row), default=0) or BOX_HEIGHT for row in rows]
    for height in heights:
        tops.append(top + height / 2)
        top += height + GAP
    widest = 0.0
    for i, (row, y) in enumerate(zip(rows, tops, strict=True)):
        x = 4.0
        if i == 0:
            drawing.parts.append(drawn_input(trace, times, x, y))
            x += END
        else:  # from the end of the row above, between the rows
            above, between = tops[i - 1], y - heights[i] / 2 - GAP / 2
            path = f"M{end:.1f} {above:.1f} h10 V{between:.1f} H10 V{y:.1f} H{GAP}"
            drawing.path(path, first_number(row[0]))
            x = GAP
        for j, r in enumerate(row):
            if i == 0 or j:
                drawing.wire(x, y, x + GAP, y, first_number(r))
                x += GAP
            drawing.draw(r, x, y)
            x += drawing.size(r)[0]
        end = x
        widest = max(widest, end + 14)
    last = drawn_loss(end + GAP + 32, tops[-1], [(end, tops[-1])], trace, times)
    drawing.parts.append(last)
    widest = max(widest, end + GAP + END + 8)
    return svg(kind, widest, top - GAP + 6, f"The network {trace.name}", drawing.parts)


def _rows(parts: list[LayerTrace], drawing: Drawing, width: float | None) -> list[list[LayerTrace]]:
    """Return the parts that are drawn beside each other; the loss needs room in the last row."""
    rows: list[list[LayerTrace]] = [[]]
    used = 4.0 + END
    drawn = [r for r in parts if drawing.size(r)[0]]
    for r in drawn:
        needed = GAP + drawing.size(r)[0] + (GAP + END if r is drawn[-1] else 0)
        if width is not None and used + needed > width and (rows[-1] or len(rows) == 1):
            rows.append([])
            used = 0.0
        rows[-1].append(r)
        used += GAP + drawing.size(r)[0]
    return rows


def drawn_input(trace: TraceView, times: Times, x: float, y: float) -> str:
    """Return the box of the input, whose left middle is (x, y)."""
    box = f'<rect x="{x:.1f}" y="{y - 26:.1f}" width="{END}" height="52" rx="9"/>'
    middle = x + END / 2
    words = [text(middle, y - 4, "x", "name"), text(middle, y + 15, _sizes(trace.model.x), "value")]
    return group(0, times, None, [box, *words])


def _sizes(value: Any) -> str:
    """Return the shape of a sample, of each of several arrays."""
    shapes = [a.shape[1:] for a in listed(value) if a is not None]
    return " | ".join(" × ".join(map(str, shape)) or "1" for shape in shapes)


class Drawing:
    """Draws records from left to right; branches below each other."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self.parts: list[str] = []

    def size(self, r: LayerTrace) -> tuple[float, float]:
        """Return width and height of what is drawn of a record; zeros for nothing."""
        if r.time_steps:
            return unrolled_size(r)
        if not r.parts or r.kind not in ("chain", "graph", "other"):
            return (BOX_WIDTH if r.number else 0, BOX_HEIGHT if r.number else 0)
        inner = [self.size(part) for part in r.parts]
        inner = [s for s in inner if s[0]] or [(40.0, BOX_HEIGHT)]
        if _branches(r):
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
        if r.time_steps:
            self.parts.append(unrolled(r, self.times, x, y))
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
            f'height="{height:.1f}" rx="10"/>' + text(x + 8, top + 14, r.name, "frame-name")
        )
        inside = y + 8
        if _branches(r):
            down = top + 24
            for part in r.parts:
                w, h = self.size(part)
                if w:
                    self.wire(x, y, x + 10, down + h / 2, first_number(part))
                    self.draw(part, x + 10, down + h / 2)
                    self.wire(x + 10 + w, down + h / 2, x + width - 50, inside, r.number)
                down += h + 14 if w else 0
        else:
            self.row(r.parts, x + 10, inside)
            self.wire(x + width - 50 - GAP, inside, x + width - 50, inside, r.number)
            below, end = y + height / 2 - 8, x + width - 30
            skip = f"M{x:.1f} {y:.1f} V{below:.1f} H{end:.1f} V{inside + 18:.1f}"
            self.path(skip, f"skip{r.number}")
        merge = getattr(r.layer, "merge", getattr(r.layer, "merge_mode", ""))
        sign = SIGNS.get(merge, "+")
        circle = f'<circle cx="{x + width - 30:.1f}" cy="{inside:.1f}" r="18"/>'
        words = text(x + width - 30, inside + 5, sign, "value")
        self.parts.append(group(r.number, self.times, r, [circle, words]))

    def row(self, records: list[LayerTrace], x: float, y: float) -> None:
        """Draw records one after the other."""
        first = True
        for r in records:
            width, _ = self.size(r)
            if not width:
                continue
            if not first:
                self.wire(x, y, x + GAP, y, first_number(r))
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
                    self.path(path, first_number(part))
            self.draw(part, x, y)
            sources.append((x + width, {id(a) for a in listed(part.y)}))
            x += width + GAP

    def wire(self, x: float, y: float, u: float, v: float, number: int) -> None:
        """Draw a connection into the layer ``number``."""
        self.path(f"M{x:.1f} {y:.1f} L{u:.1f} {v:.1f}", number)

    def path(self, path: str, number: int | str) -> None:
        """Draw a connection that is not straight."""
        self.parts.append(f'<path class="wire" data-l="{number}" d="{path}"/>')

    def box(self, r: LayerTrace, x: float, y: float) -> None:
        """Draw a layer: name, class and activation, width."""
        kind = type(r.layer).__name__
        if r.sums_up and type(r.activation).__name__ != "Linear":
            kind += f" {type(r.activation).__name__}"
        width = _sizes(r.y)
        middle = x + BOX_WIDTH / 2
        parts = [
            f"<title>{escaped(r.name)}</title>",
            f'<rect x="{x:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{BOX_WIDTH}" '
            f'height="{BOX_HEIGHT}" rx="9"/>',
            text(middle, y - 11, _short(r.name.rsplit("/", 1)[-1], 11), "name"),
            text(middle, y + 5, _short(kind, 14), "kind"),
            text(middle, y + 21, width, "value"),
        ]
        self.parts.append(group(r.number, self.times, r, parts))


def _branches(r: LayerTrace) -> bool:
    """Whether the parts of a container stand beside each other: each takes its input."""
    if r.kind != "other" or len(r.parts) < 2:
        return hasattr(r.layer, "merge") and r.kind == "other"
    return hasattr(r.layer, "merge") or all(part.x is r.x for part in r.parts)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
