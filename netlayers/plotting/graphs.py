"""Diagrams of networks that are graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.plotting.blocks import BIG, FRAMES, GREY, INK, LINE, SMALL, Block, Card, Pen
from netlayers.plotting.layout import Layout, Node, connect

if TYPE_CHECKING:
    from collections.abc import Callable

GAP, BETWEEN = 30.0, 14.0  # between ranks, and within one
TURN = 6.0  # between edges that go from one row to the next
LONG = 5  # ranks of a graph that goes to the right
SIGNS = {"Add": "+", "Subtract": "−", "Multiply": "×"}
MERGES = {
    "Average": "average", "Maximum": "maximum", "Minimum": "minimum", "Concatenate": "concatenate",
    "Dot": "dot",
}  # fmt: skip


class Point(Block):
    """Where edges come into a nested graph, or leave it."""

    width = height = port = 0.0

    def draw(self, x: float, y: float) -> None:
        """Draw nothing."""


class Sign(Block):
    """A circle with the sign of an operation."""

    def __init__(self, pen: Pen, sign: str) -> None:
        super().__init__(pen)
        self.sign = sign
        self.width = self.height = 16.0
        self.port = 8.0

    def draw(self, x: float, y: float) -> None:
        """Draw the circle."""
        pen, r = self.pen, self.width / 2
        pen.box(x, y, self.width, self.height, "white", LINE, round=r)
        pen.text(x + r, y + r, self.sign, BIG + 1, INK, align="center")


class Pill(Block):
    """A rounded box with a line or two: an operation, or an output of the model."""

    def __init__(self, pen: Pen, lines: list[str], fill: str, bold: bool = False) -> None:
        super().__init__(pen)
        self.lines, self.fill, self.bold = lines, fill, bold
        self.width = (
            max(pen.width(line, SMALL, bold and not i) for i, line in enumerate(lines)) + 18
        )
        self.height, self.port = 6.0 + 11 * len(lines), self.width / 2

    def draw(self, x: float, y: float) -> None:
        """Draw the box and its text."""
        pen = self.pen
        pen.box(x, y, self.width, self.height, self.fill, LINE, round=8)
        for i, line in enumerate(self.lines):
            bold = self.bold and i == 0
            colour = GREY if i else INK
            pen.text(x + self.port, y + 8.5 + 11 * i, line, SMALL, colour, "center", bold=bold)


class GraphBlock(Block):
    """A graph: blocks, and curves between them.

    Args:
        pen: draws.
        blocks: the blocks in topological order.
        edges: pairs of numbers of blocks.
        down: whether the graph goes down; otherwise it goes to the right.
        limit: largest length; a longer one is cut into rows (or columns).

    Attributes:
        enter: where edges arrive across, if the first block is the only one without a source.
        leave: where edges leave across, if the last block is the only one without a target.
    """

    def __init__(
        self,
        pen: Pen,
        blocks: list[Block],
        edges: list[tuple[int, int]],
        down: bool,
        limit: float = float("inf"),
    ) -> None:
        super().__init__(pen)
        self.down = down
        nodes = [self._node(block) for block in blocks]
        for first, second in edges:
            connect(nodes[first], nodes[second])
        self.layout = Layout(nodes, GAP, BETWEEN, limit)
        self._blocks = list(zip(nodes, blocks, strict=True))
        room = 2 * GAP if len(self.layout.rows) > 1 else 0.0  # for edges from row to row
        tops, top = [], 0.0
        for _, low, high in self.layout.sizes:
            tops.append(top - low)
            top += high - low + room
        for node in self.layout.nodes:
            node.across += tops[node.row]
        self._side = 1.5 * GAP if room else 0.0
        self.extent = max(length for length, _, _ in self.layout.sizes) + 2 * self._side
        self.spread = top - room
        self.width, self.height = self._put(self.extent, self.spread)
        self.enter, self.leave = nodes[0].across, nodes[-1].across + nodes[-1].shift
        self.port = self.enter

    def _put(self, along: float, across: float) -> tuple[float, float]:
        return (across, along) if self.down else (along, across)

    def _node(self, block: Block) -> Node:
        length, width = (block.height, block.width) if self.down else (block.width, block.height)
        enter = getattr(block, "enter", width / 2)
        return Node(length, enter, width - enter, getattr(block, "leave", enter) - enter)

    def draw(self, x: float, y: float) -> None:
        """Draw the curves, then the blocks."""

        def place(along: float, across: float) -> tuple[float, float]:
            u, v = self._put(along + self._side, across)
            return x + u, y + v

        for node, _ in self._blocks:
            for number in range(len(node.after)):
                self._edge(node, number, place)
        for node, block in self._blocks:
            block.draw(*place(node.start, node.across - node.low))

    def _edge(self, node: Node, number: int, place: Callable[..., tuple[float, float]]) -> None:
        """Draw an edge to its end, through all the ranks between."""
        last, target = node, node.after[number]
        points = [(node.start + node.length, node.across + node.shift)]
        points.append((node.place[1], node.across + node.shift))
        curves: list[list[tuple[float, float]]] = []
        while True:
            if target.row != last.row:
                curves.append([place(*point) for point in points])
                self._turn(points[-1], last, target, place)
                points = []
            points.append((target.place[0], target.across))
            if not target.is_edge:
                points.append((target.start, target.across))
                break
            points.append((target.place[1], target.across))
            last, target = target, target.after[0]
        curves.append([place(*point) for point in points])
        arrow = not isinstance(self._block_of(target), Point)
        for i, curve in enumerate(curves):
            if len(curve) > 1:
                self.pen.curve(curve, self.down, arrow and i == len(curves) - 1)

    def _block_of(self, node: Node) -> Block:
        return next(block for its, block in self._blocks if its is node)

    def _turn(
        self,
        start: tuple[float, float],
        last: Node,
        target: Node,
        place: Callable[..., tuple[float, float]],
    ) -> None:
        """Draw an edge from the end of a row to the start of the next one.

        Edges from several blocks turn within each other, so that none crosses another.
        """
        nodes = self.layout.nodes
        turns = [n for n in nodes if n.row == last.row and any(t.row != n.row for t in n.after)]
        turns.sort(key=lambda turn: -turn.across)
        number = next(i for i, turn in enumerate(turns) if turn is last)
        bottom = max(n.across + n.high for n in nodes if n.row == last.row)
        channel = bottom + GAP + TURN * (number - (len(turns) - 1) / 2)
        out = self.layout.sizes[last.row][0] + GAP / 2 + TURN * number
        back = -GAP / 2 + TURN * (number - len(turns) + 1)
        end = (target.place[0], target.across)
        points = [start, (out, start[1]), (out, channel), (back, channel), (back, end[1]), end]
        self.pen.line([place(*point) for point in points])


class GraphFrame(Block):
    """A layer that contains a graph: a frame with a heading."""

    def __init__(
        self, pen: Pen, inner: GraphBlock, lines: list[str], depth: int, down: bool
    ) -> None:
        super().__init__(pen)
        self.inner, self.lines, self.depth = inner, lines, depth
        widths = [pen.width(line, BIG if i == 0 else SMALL, i == 0) for i, line in enumerate(lines)]
        self.head = 8.0 + 13 * len(lines)
        pad = 8.0
        if down:  # the heading is to the left of where edges arrive
            self.left = max(pad, max(widths) + pad + 10 - inner.enter)
            self.top = max(0.0, self.head - 20)
            self.width, self.height = self.left + inner.width + pad, self.top + inner.height
            self.enter, self.leave = self.left + inner.enter, self.left + inner.leave
        else:
            self.left, self.top = 0.0, self.head
            self.width = max(inner.width, max(widths) + 2 * pad)
            self.left = (self.width - inner.width) / 2
            self.height = self.head + inner.height + pad
            self.enter, self.leave = self.head + inner.enter, self.head + inner.leave
        self.down = down
        self.port = self.enter

    def draw(self, x: float, y: float) -> None:
        """Draw the frame, its heading and its content."""
        pen = self.pen
        fill = FRAMES[min(self.depth, len(FRAMES) - 1)]
        pen.box(x, y, self.width, self.height, fill, "#c3ccd6", round=7)
        for i, line in enumerate(self.lines):
            size = BIG if i == 0 else SMALL
            pen.text(x + 8, y + 13 + 13 * i, line, size, INK if i == 0 else GREY, bold=i == 0)
        self.inner.draw(x + self.left, y + self.top)
        if self.left > 0 and not self.down:  # a frame that is wider than its content
            for start, end, across in ((0, self.left, self.enter),):
                pen.line([(x + start, y + across), (x + end, y + across)])
            right = self.left + self.inner.width
            pen.line([(x + right, y + self.leave), (x + self.width, y + self.leave)])
        if self.down and self.top > 0:
            pen.line([(x + self.enter, y), (x + self.enter, y + self.top)])


class GraphBuilder:
    """Makes the block of a graph.

    Args:
        pen: draws.
        card: returns the card of a layer, for its name, whether its call is the first one, and
            whether it is narrow.
        heading: returns the lines of the heading of a layer.
        expand: whether to draw the layers of nested layers.
        shapes: whether to show output shapes.
        down: whether the graph goes down.
    """

    def __init__(
        self,
        pen: Pen,
        card: Callable[..., Block],
        heading: Callable[[Any], list[str]],
        expand: bool,
        shapes: bool,
        down: bool,
    ) -> None:
        self.pen, self.card, self.heading = pen, card, heading
        self.expand, self.shapes, self.down = expand, shapes, down
        self._counts: dict[int, int] = {}

    def block(self, network: Any, depth: int, limit: float = float("inf")) -> GraphBlock:
        """Return the block of a network; its outputs are drawn at depth 0."""
        nodes, results = calls_in(network)
        blocks: list[Block] = []
        edges: list[tuple[int, int]] = []
        first = [layer for layer in network._layers[:1] if _is_input(layer)]
        inputs = list(getattr(network, "_input_layers", first))
        if depth and len(inputs) < 2:
            inputs = []
        if depth:
            blocks.append(Point(self.pen))
        for layer in inputs:
            if depth:
                edges.append((0, len(blocks)))
            blocks.append(self.card(layer, 1, not self.down))
        given = list(range(bool(depth) and bool(inputs), len(blocks)))
        values: list[list[int]] = [given]
        for call, sources in nodes:
            its = {_picked(values[value], item) for value, item in sources}
            edges += [(source, len(blocks)) for group in sorted(its) for source in group]
            values.append([len(blocks)])
            blocks.append(self._call(getattr(call, "layer", call), depth))
        if depth:
            edges += [(o, len(blocks)) for o in dict.fromkeys(_all(values, results))]
            blocks.append(Point(self.pen))
        else:
            names = getattr(network, "output_names", None) or ["output"] * len(results)
            for name, (value, item) in zip(names, results, strict=True):
                edges += [(source, len(blocks)) for source in _picked(values[value], item)]
                blocks.append(Pill(self.pen, [name], "#dde5ee", bold=True))
        cards = [block for block in blocks if isinstance(block, Card)] if self.down else []
        for card in cards:
            card.widen(max(block.width for block in cards))
        return GraphBlock(self.pen, blocks, list(dict.fromkeys(edges)), self.down, limit)

    def _call(self, layer: Any, depth: int) -> Block:
        """Return the block of a call of a layer."""
        kind = type(layer).__name__
        if kind in SIGNS:
            return Sign(self.pen, SIGNS[kind])
        if kind in MERGES:
            shape = getattr(layer, "output_shape", None)
            lines = [MERGES[kind]] + ([str(shape)] if self.shapes and shape is not None else [])
            return Pill(self.pen, lines, "white")
        count = self._counts[id(layer)] = self._counts.get(id(layer), 0) + 1
        if count == 1 and self.expand and getattr(layer, "layers", None):
            inner = self.block(layer, depth + 1)
            return GraphFrame(self.pen, inner, self.heading(layer), depth, self.down)
        return self.card(layer, count, not self.down)


def calls_in(network: Any) -> tuple[list[Any], Any]:
    """Return the calls of a network with their sources, and those of its outputs."""
    nodes: Any = getattr(network, "_nodes", None)
    if nodes is not None:
        return nodes, network._results
    calls: list[Any] = list(getattr(network, "calls", network._layers)) or network._layers
    calls = [call for call in calls if not _is_input(call)]
    return [(call, ((i, None),)) for i, call in enumerate(calls)], ((len(calls), None),)


def _layers(network: Any) -> list[Any]:
    """Return the layers of a network with the ``Input`` of a chain."""
    return list(getattr(network, "_layers", network.layers))


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def rank_count(network: Any) -> int:
    """Return how many calls follow each other in a network, within nested ones too."""
    nodes, results = calls_in(network)
    depths = [0]
    for call, sources in nodes:
        layer = getattr(call, "layer", call)
        own = rank_count(layer) if getattr(layer, "layers", None) else 1
        depths.append(own + max(depths[value] for value, _ in sources))
    return max((depths[value] for value, _ in results), default=0)


def _picked(value: list[int], item: int | None) -> tuple[int, ...]:
    """Return the blocks that make a value, or one of its arrays."""
    return tuple(value) if item is None or len(value) == 1 else (value[item],)


def _all(values: list[list[int]], sources: Any) -> list[int]:
    return [o for value, item in sources for o in _picked(values[value], item)]
