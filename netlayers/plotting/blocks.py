"""Elements of a network diagram.

All lengths are in points (1/72 inch), as font sizes are.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from netlayers._printable import printable
from netlayers.plotting.figures import matplotlib

if TYPE_CHECKING:
    from collections.abc import Sequence

INK, GREY, LINE = "#1d2733", "#66727f", "#8a96a3"
FRAMES = ("#f4f7fa", "#e9eef4", "#dde5ee")  # deeper frames are darker
BIG, SMALL = 9.0, 7.5  # font sizes
GAP = 20.0  # between boxes, for the arrow
PAD = 12.0  # padding of a frame


class Pen:
    """Measures text and draws shapes with matplotlib."""

    axes: Any

    def __init__(self) -> None:
        self._patches = matplotlib("patches")
        self._fonts = matplotlib("font_manager")
        self._measure = matplotlib("textpath").TextToPath()

    def width(self, text: str, size: float, bold: bool = False) -> float:
        """Return the width of a line of text, with a margin for rasterization."""
        font = self._fonts.FontProperties(size=size, weight="bold" if bold else "normal")
        measured: float = self._measure.get_text_width_height_descent(text, font, False)[0]
        return 1.03 * measured + 1

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = INK,
        align: str = "left",
        bold: bool = False,
    ) -> None:
        """Draw a line of text, vertically centred at ``y``."""
        self.axes.text(
            x,
            y,
            printable(text),
            fontsize=size,
            color=colour,
            ha=align,
            va="center_baseline",
            weight="bold" if bold else "normal",
            parse_math=False,
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        edge: str,
        dashed: bool = False,
        round: float = 4.0,
    ) -> None:
        """Draw a box with rounded corners."""
        style = self._patches.BoxStyle.Round(pad=0, rounding_size=round)
        box = self._patches.FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle=style,
            facecolor=fill,
            edgecolor=edge,
            linewidth=1,
            linestyle=(0, (3, 2)) if dashed else "-",
        )
        self.axes.add_patch(box)

    def line(self, points: Sequence[tuple[float, float]], arrow: bool = False) -> None:
        """Draw a polyline, optionally with an arrow head at its end."""
        xs, ys = zip(*points, strict=True)
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            length = math.hypot(x - x0, y - y0)
            dx, dy = (x - x0) / length, (y - y0) / length
            back = (x - 6 * dx, y - 6 * dy)
            corners = [(x, y), (back[0] - 3 * dy, back[1] + 3 * dx)]
            corners.append((back[0] + 3 * dy, back[1] - 3 * dx))
            self.axes.add_patch(
                self._patches.Polygon(corners, closed=True, color=LINE, linewidth=0)
            )
            xs, ys = (*xs[:-1], back[0]), (*ys[:-1], back[1])
        self.axes.plot(xs, ys, color=LINE, linewidth=1.1, solid_joinstyle="round")

    def curve(self, points: Sequence[tuple[float, float]], down: bool, arrow: bool = False) -> None:
        """Draw a smooth curve through points, which goes on in one direction; see :meth:`line`."""
        path = matplotlib("path").Path
        vertices, codes = [points[0]], [path.MOVETO]
        ends = [*points[:-1], points[-1]]
        if arrow:
            x, y = points[-1]
            ends[-1] = (x, y - 6) if down else (x - 6, y)
        for (x, y), (u, v) in pairwise(ends):
            if x == u or y == v:
                vertices.append((u, v))
                codes.append(path.LINETO)
                continue
            half = (
                ((x, (y + v) / 2), (u, (y + v) / 2))
                if down
                else (((x + u) / 2, y), ((x + u) / 2, v))
            )
            vertices += [*half, (u, v)]
            codes += [path.CURVE4] * 3
        patch = self._patches.PathPatch(
            path(vertices, codes), fill=False, edgecolor=LINE, linewidth=1.1
        )
        self.axes.add_patch(patch)
        if arrow:
            self.line([ends[-1], points[-1]], arrow=True)

    def dot(self, x: float, y: float) -> None:
        """Draw a dot where a line branches."""
        self.axes.add_patch(self._patches.Circle((x, y), 2.2, color=LINE, linewidth=0))

    def plus(self, x: float, y: float, radius: float) -> None:
        """Draw a circle with a plus sign, for a sum."""
        circle = self._patches.Circle((x, y), radius, facecolor="white", edgecolor=LINE, lw=1.1)
        self.axes.add_patch(circle)
        arm = radius - 3
        self.axes.plot([x - arm, x + arm], [y, y], color=INK, linewidth=1.1)
        self.axes.plot([x, x], [y - arm, y + arm], color=INK, linewidth=1.1)


class Block:
    """A rectangle of the diagram; data enter at the top and leave at the bottom, at ``port``."""

    width: float
    height: float
    port: float

    def __init__(self, pen: Pen) -> None:
        self.pen = pen

    def draw(self, x: float, y: float) -> None:
        """Draw the block with its upper left corner at (x, y)."""
        raise NotImplementedError


class Card(Block):
    """A layer: lines of text, each with a left-aligned and a right-aligned part."""

    def __init__(self, pen: Pen, lines: list[tuple[str, str]], colour: str, dashed: bool) -> None:
        super().__init__(pen)
        self.lines, self.colour, self.dashed = lines, colour, dashed
        self.widen(max(self._natural(i) for i in range(len(lines))) + 30)
        self.height = 14.0 * len(lines) + 10

    def widen(self, width: float) -> None:
        """Set the width, at least the natural one."""
        self.width, self.port = width, width / 2

    def _natural(self, i: int) -> float:
        left, right = self.lines[i]
        between = 16 if left and right else 0
        return (
            self.pen.width(left, BIG if i == 0 else SMALL, bold=i == 0)
            + self.pen.width(right, SMALL)
            + between
        )

    def draw(self, x: float, y: float) -> None:
        """Draw the box and its text."""
        pen = self.pen
        pen.box(x, y, self.width, self.height, "white", self.colour, self.dashed)
        pen.box(x + 4, y + 5, 3, self.height - 10, self.colour, self.colour, round=1.0)
        for i, (left, right) in enumerate(self.lines):
            middle = y + 12 + 14 * i
            size = BIG if i == 0 else SMALL
            pen.text(x + 14, middle, left, size, INK if i == 0 else GREY, bold=i == 0)
            pen.text(x + self.width - 10, middle, right, SMALL, GREY, align="right")


class Chain(Block):
    """Vertically stacked blocks, connected by arrows."""

    def __init__(self, pen: Pen, blocks: Sequence[Block]) -> None:
        super().__init__(pen)
        self.blocks = blocks
        self.port = max(b.port for b in blocks)
        self.width = self.port + max(b.width - b.port for b in blocks)
        self.height = sum(b.height for b in blocks) + GAP * (len(blocks) - 1)

    def draw(self, x: float, y: float) -> None:
        """Draw the blocks and the arrows."""
        centre = x + self.port
        for i, block in enumerate(self.blocks):
            if i:
                self.pen.line([(centre, y), (centre, y + GAP)], arrow=True)
                y += GAP
            block.draw(centre - block.port, y)
            y += block.height


class Skip(Block):
    """A chain with a skip connection and their sum."""

    radius = 7.0
    lead = 12.0

    def __init__(self, pen: Pen, chain: Block, projection: Block | None) -> None:
        super().__init__(pen)
        self.chain, self.projection = chain, projection
        self.port = chain.port
        side = 0.0 if projection is None else projection.width - 8
        self.width = chain.width + 20 + side
        tall = 0.0 if projection is None else projection.height
        self.middle = max(chain.height, tall)
        self.height = self.lead + GAP + self.middle + GAP + 2 * self.radius

    def draw(self, x: float, y: float) -> None:
        """Draw the chain, the skip connection and the sum."""
        pen, centre = self.pen, x + self.port
        split = y + self.lead
        top, total = split + GAP, y + self.height - self.radius
        pen.line([(centre, y), (centre, top)], arrow=True)
        pen.dot(centre, split)
        self.chain.draw(x, top)
        foot = (centre, top + self.chain.height)
        pen.line([foot, (centre, total - self.radius)], arrow=True)
        end = (centre + self.radius, total)
        if self.projection is None:
            far = x + self.chain.width + 14
            pen.line([(centre, split), (far, split), (far, total), end], arrow=True)
        else:
            left = x + self.chain.width + 12
            far, start = (
                left + self.projection.port,
                top + (self.middle - self.projection.height) / 2,
            )
            pen.line([(centre, split), (far, split), (far, start)], arrow=True)
            self.projection.draw(left, start)
            pen.line([(far, start + self.projection.height), (far, total), end], arrow=True)
        pen.plus(centre, total, self.radius)


class Branches(Block):
    """Parallel blocks and the merging of their outputs."""

    lead = 10.0
    pill = 16.0
    between = 16.0

    def __init__(self, pen: Pen, blocks: Sequence[Block], merge: str) -> None:
        super().__init__(pen)
        self.blocks, self.merge = blocks, merge
        row = sum(b.width for b in blocks) + self.between * (len(blocks) - 1)
        self.pill_width = pen.width(merge, SMALL) + 18
        self.width = max(row, self.pill_width)
        self.port = self.width / 2
        self.row = max(b.height for b in blocks)
        self.start = (self.width - row) / 2
        self.height = self.lead + GAP + self.row + 2 * GAP - 6 + self.pill

    def draw(self, x: float, y: float) -> None:
        """Draw the branches and their connections."""
        pen, centre = self.pen, x + self.port
        split, top = y + self.lead, y + self.lead + GAP
        foot = top + self.row
        pill = y + self.height - self.pill
        join = pill - GAP + 6
        pen.line([(centre, y), (centre, split)])
        left = x + self.start
        for block in self.blocks:
            port = left + block.port
            pen.line([(centre, split), (port, split), (port, top)], arrow=True)
            block.draw(left, top)
            pen.line([(port, top + block.height), (port, foot), (port, join), (centre, join)])
            left += block.width + self.between
        pen.dot(centre, split)
        pen.line([(centre, join), (centre, pill)], arrow=True)
        half = self.pill_width / 2
        pen.box(centre - half, pill, self.pill_width, self.pill, "white", LINE, round=8)
        pen.text(centre, pill + self.pill / 2, self.merge, SMALL, INK, align="center")


class Frame(Block):
    """A layer that contains layers: a frame with a heading."""

    head = 30.0

    def __init__(self, pen: Pen, inner: Block, lines: list[tuple[str, str]], depth: int) -> None:
        super().__init__(pen)
        self.inner, self.lines, self.depth = inner, lines, depth
        texts = [" · ".join(filter(None, line)) for line in lines]
        self.texts = texts
        widths = [pen.width(t, BIG if i == 0 else SMALL, i == 0) for i, t in enumerate(texts)]
        # The heading is to the left of the incoming arrow.
        self.left = max(PAD, max(widths) + PAD + 10 - inner.port)
        self.width = self.left + inner.width + PAD
        self.port = self.left + inner.port
        self.top = 10.0 + 13 * len(texts) - 13
        self.height = self.top + inner.height + PAD + 12

    def draw(self, x: float, y: float) -> None:
        """Draw the frame, its heading and its content."""
        pen, centre = self.pen, x + self.port
        fill = FRAMES[min(self.depth, len(FRAMES) - 1)]
        pen.box(x, y, self.width, self.height, fill, "#c3ccd6", round=7)
        for i, text in enumerate(self.texts):
            size = BIG if i == 0 else SMALL
            pen.text(x + PAD, y + 13 + 13 * i, text, size, INK if i == 0 else GREY, bold=i == 0)
        start = y + self.top + 12
        arrow = isinstance(self.inner, Chain)
        pen.line([(centre, y), (centre, start)], arrow=arrow)
        self.inner.draw(x + self.left, start)
        pen.line([(centre, start + self.inner.height), (centre, y + self.height)])
