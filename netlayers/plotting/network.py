"""Diagrams of networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from netlayers.checks import check_choice, check_flag, check_integer
from netlayers.errors import ConfigurationError
from netlayers.plotting.blocks import (
    BIG,
    GAP,
    GREY,
    SMALL,
    Block,
    Branches,
    Card,
    Chain,
    Frame,
    Pen,
    Skip,
)
from netlayers.plotting.figures import new_figure, save
from netlayers.plotting.graphs import LONG, GraphBuilder, GraphFrame, rank_count

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

TRAINABLE, PLAIN, FROZEN = "#0072B2", "#9aa5b1", "#56B4E9"  # colours of boxes
MARGIN = 18.0  # around the diagram
GUTTER = 36.0  # between columns
MAX_HEIGHT = 800.0  # longer chains are split into columns
ASPECT = 1.33  # target ratio of width to height of columns
LONGEST = 1100.0  # longer graphs are split into rows
WIDE = 1.8  # the same of graphs, which go to the right


class DrawnLayer(Protocol):
    """What is drawn of a layer."""

    @property
    def name(self) -> str:
        """Name of the layer."""

    @property
    def built(self) -> bool:
        """Whether the number of parameters is known."""

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained."""

    @property
    def output_shape(self) -> Any:
        """Shape of the output, ``None`` if it is not known."""

    def count_params(self) -> int:
        """Return the number of parameters."""


def plot_network(
    model: Any,
    to_file: str | os.PathLike[str] | None = None,
    show_shapes: bool = True,
    show_layer_names: bool = True,
    expand_nested: bool = True,
    dpi: int = 200,
    rankdir: str | None = None,
) -> Any:
    """Draw a diagram of a network: a box per layer, with its output shape and parameters.

    A graph begins with its inputs and ends in its outputs, which are named. A layer that is called
    again has a box for each call.

    Args:
        model: a model, or anything with ``name`` and ``layers``.
        to_file: path of the image to save; the extension selects the format (png, svg, pdf).
        show_shapes: whether to show output shapes.
        show_layer_names: whether to show layer names in addition to classes.
        expand_nested: whether to draw the layers of nested layers, in frames.
        dpi: resolution in dots per inch.
        rankdir: ``"TB"`` from top to bottom, ``"LR"`` from left to right; by default a chain goes
            down, and a graph goes to the right if it is long or has many inputs.

    Returns:
        The ``matplotlib.figure.Figure``; a notebook shows it.

    Raises:
        ConfigurationError: an argument is not valid, or matplotlib is not installed: ``pip install
            matplotlib``.
    """
    if not model.built:
        model._build_if_known()
    flags = {
        "show_shapes": show_shapes,
        "show_layer_names": show_layer_names,
        "expand_nested": expand_nested,
    }
    for name, value in flags.items():
        check_flag("plot", name, value)
    check_integer("plot", "dpi", dpi, minimum=10)
    check_choice("plot", "rankdir", rankdir, (None, "TB", "LR"))
    if not model._layers:
        raise ConfigurationError(f"model {model.name!r}: there are no layers to draw; add one.")
    pen = Pen()
    builder = _BlockBuilder(pen, show_shapes, show_layer_names, expand_nested)
    title, facts = model.name, _facts(model)
    columns: Sequence[Block]
    if is_graph(model) or rankdir == "LR":
        columns = [builder.graph(model, rankdir)]
    else:
        blocks = [builder.block(layer, 0) for layer in model._layers]
        _same_width(blocks)
        columns = _columns(blocks)
    width = sum(c.width for c in columns) + GUTTER * (len(columns) - 1)
    width = max(width, pen.width(title, BIG + 2, bold=True), pen.width(facts, SMALL))
    head = 34.0
    height = max(c.height for c in columns) + head
    figure = new_figure((width + 2 * MARGIN) / 72, (height + 2 * MARGIN) / 72, dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-MARGIN, width + MARGIN)
    axes.set_ylim(height + MARGIN, -MARGIN)  # y increases downwards
    axes.set_axis_off()
    pen.axes = axes
    pen.text(0, 6, title, BIG + 2, bold=True)
    pen.text(0, 21, facts, SMALL, GREY)
    x, end = 0.0, None
    for column in columns:
        if end is not None:  # from the bottom of the last column to the top of this one
            middle = x - GUTTER / 2
            top = (x + column.port, head)
            path = [end, (end[0], end[1] + 9), (middle, end[1] + 9), (middle, head - 9)]
            pen.line([*path, (top[0], head - 9), top], arrow=True)
        column.draw(x, head)
        end = (x + column.port, head + column.height)
        x += column.width + GUTTER
    return save(figure, to_file)


class _BlockBuilder:
    """Creates the blocks of layers."""

    def __init__(self, pen: Pen, shapes: bool, names: bool, expand: bool) -> None:
        self.pen, self.shapes, self.names, self.expand = pen, shapes, names, expand

    def block(self, layer: DrawnLayer, depth: int) -> Block:
        children = list(getattr(layer, "layers", ()))
        lines = self._lines(layer)
        if not children or not self.expand:
            return self._card(layer, lines)
        if is_graph(layer):
            inner = self._graphs(down=True).block(layer, depth + 1)
            return GraphFrame(self.pen, inner, self._heading(layer), depth, down=True)
        blocks = [self.block(child, depth + 1) for child in children]
        merge = getattr(layer, "merge", None)
        if merge is not None:
            return Frame(self.pen, Branches(self.pen, blocks, str(merge)), lines, depth)
        _same_width(blocks)
        chain = Chain(self.pen, blocks)
        if not hasattr(layer, "projection"):
            return Frame(self.pen, chain, lines, depth)
        projection = layer.projection
        projection_block = None if projection is None else self.block(projection, depth + 1)
        return Frame(self.pen, Skip(self.pen, chain, projection_block), lines, depth)

    def graph(self, model: Any, rankdir: str | None) -> Block:
        """Return the block of a graph: by default to the right if it is long, else down."""
        down = rank_count(model) <= LONG if rankdir is None else rankdir == "TB"
        whole = self._graphs(down).block(model, 0)
        if rankdir is None and whole.down and whole.width > WIDE * whole.height:
            down, whole = False, self._graphs(False).block(model, 0)
        if whole.extent <= LONGEST:
            return whole
        best, best_error = whole, math.inf
        for count in range(1, 12):
            limit = max(1.05 * whole.extent / count, LONGEST / 2)
            found = self._graphs(down).block(model, 0, limit)
            error = abs(math.log(found.width / found.height / (ASPECT if down else WIDE)))
            if error < best_error:
                best, best_error = found, error
        return best

    def _graphs(self, down: bool) -> GraphBuilder:
        return GraphBuilder(
            self.pen, self._call_card, self._heading, self.expand, self.shapes, down
        )

    def _card(self, layer: DrawnLayer, lines: list[tuple[str, str]]) -> Card:
        count = layer.count_params() if layer.built else 0
        frozen = bool(count) and not layer.trainable
        colour = FROZEN if frozen else TRAINABLE if count else PLAIN
        return Card(self.pen, lines, colour, frozen)

    def _call_card(self, layer: DrawnLayer, number: int, narrow: bool) -> Card:
        """Return the card of a call of a layer, of a narrow one with short lines."""
        lines = self._lines(layer)
        if number > 1:
            shared = "the same weights" if layer.built and layer.count_params() else ""
            lines = [(f"{lines[0][0]} (call {number})", lines[0][1]), (lines[-1][0], shared)]
        if narrow:
            lines = [(text, "") for line in lines for text in line if text]
        return self._card(layer, lines)

    def _heading(self, layer: DrawnLayer) -> list[str]:
        return [" · ".join(filter(None, line)) for line in self._lines(layer)]

    def _lines(self, layer: DrawnLayer) -> list[tuple[str, str]]:
        kind = type(layer).__name__
        activation = type(getattr(layer, "activation", None)).__name__
        nested = hasattr(layer, "layers")  # a nested layer shows it
        if not nested and activation not in ("NoneType", "Linear", kind):
            kind += f" · {activation}"
        first = (layer.name, kind) if self.names else (kind, "")
        shape = "shape not known" if layer.output_shape is None else str(layer.output_shape)
        second = (shape, _facts(layer)) if self.shapes else (_facts(layer), "")
        return [first] + ([second] if any(second) else [])


def is_graph(layer: Any) -> bool:
    """Whether a layer calls its layers in another way than one after the other."""
    return not getattr(layer, "_is_chain", True)


def _facts(layer: DrawnLayer) -> str:
    """Return the number of parameters and whether they are frozen."""
    if not layer.built:
        return "not built"
    count = layer.count_params()
    if not count:
        return ""
    frozen = "" if getattr(layer, "trainable", True) else ", frozen"
    return f"{count:,} parameter{'s' if count != 1 else ''}{frozen}"


def _same_width(blocks: Sequence[Block]) -> None:
    """Give the cards of a chain equal width."""
    cards = [b for b in blocks if isinstance(b, Card)]
    widest = max((c.width for c in cards), default=0.0)
    for card in cards:
        card.widen(widest)


def _columns(blocks: Sequence[Block]) -> list[Chain]:
    """Split a long chain into columns with an aspect ratio of about 4:3."""
    pen = blocks[0].pen
    best, best_error = [Chain(pen, blocks)], math.inf
    if best[0].height <= MAX_HEIGHT:
        return best
    for count in range(2, len(blocks) + 1):
        chains = [Chain(pen, part) for part in _split(blocks, count)]
        width = sum(c.width for c in chains) + GUTTER * (len(chains) - 1)
        ratio = math.log(width / max(c.height for c in chains) / ASPECT)
        if abs(ratio) < best_error:
            best, best_error = chains, abs(ratio)
        if ratio > 0:
            break
    return best


def _split(blocks: Sequence[Block], count: int) -> list[list[Block]]:
    """Split into at most ``count`` columns, minimizing the largest height."""
    low, high = max(b.height for b in blocks) + GAP, sum(b.height + GAP for b in blocks)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_fill(blocks, middle)) <= count else (middle, high)
    return _fill(blocks, high)


def _fill(blocks: Sequence[Block], limit: float) -> list[list[Block]]:
    """Fill columns one after another up to a height."""
    columns: list[list[Block]] = [[]]
    used = 0.0
    for block in blocks:
        size = block.height + GAP
        if columns[-1] and used + size > limit:
            columns.append([])
            used = 0.0
        columns[-1].append(block)
        used += size
    return columns
