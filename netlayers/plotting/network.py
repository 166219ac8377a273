"""A network as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_flag, check_integer
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

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

LEARNED, PLAIN, FROZEN = "#0072B2", "#9aa5b1", "#56B4E9"  # edges of boxes
MARGIN = 18.0  # around the picture
GUTTER = 36.0  # between two columns
TALLEST = 800.0  # a chain above this is laid in columns
SHAPE = 1.33  # width over height that they are to have


def plot_network(
    model: Any,
    to_file: str | os.PathLike[str] | None = None,
    show_shapes: bool = True,
    show_layer_names: bool = True,
    expand_nested: bool = True,
    dpi: int = 200,
) -> Any:
    """Draw a network: a box for each layer, with its output shape and parameters.

    Args:
        model: a model, or anything with ``name`` and ``layers``.
        to_file: path of a picture to write; its ending names the format (png, svg, pdf).
        show_shapes: show the output shapes.
        show_layer_names: show the names of the layers, not their classes alone.
        expand_nested: draw the layers within layers too, in frames.
        dpi: dots per inch of the picture.

    Returns:
        The ``matplotlib.figure.Figure``; a notebook shows it.

    Raises:
        ConfigurationError: matplotlib is not installed: ``pip install "netlayers[plot]"``.
    """
    flags = {
        "show_shapes": show_shapes,
        "show_layer_names": show_layer_names,
        "expand_nested": expand_nested,
    }
    for name, value in flags.items():
        check_flag("plot", name, value)
    check_integer("plot", "dpi", dpi, minimum=10)
    if not model.layers:
        raise ConfigurationError(f"model {model.name!r}: there are no layers to draw; add one.")
    pen = Pen()
    maker = _Maker(pen, show_shapes, show_layer_names, expand_nested)
    blocks = [maker.block(layer, 0) for layer in model.layers]
    _same_width(blocks)
    title, facts = model.name, _facts(model)
    columns = _columns(blocks)
    width = sum(c.width for c in columns) + GUTTER * (len(columns) - 1)
    width = max(width, pen.width(title, BIG + 2, bold=True), pen.width(facts, SMALL))
    head = 34.0
    height = max(c.height for c in columns) + head
    figure = new_figure((width + 2 * MARGIN) / 72, (height + 2 * MARGIN) / 72, dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-MARGIN, width + MARGIN)
    axes.set_ylim(height + MARGIN, -MARGIN)  # downwards, as one reads
    axes.set_axis_off()
    pen.axes = axes
    pen.text(0, 6, title, BIG + 2, bold=True)
    pen.text(0, 21, facts, SMALL, GREY)
    x, end = 0.0, None
    for column in columns:
        if end is not None:  # from the foot of the last column up to the head of this one
            middle = x - GUTTER / 2
            top = (x + column.port, head)
            path = [end, (end[0], end[1] + 9), (middle, end[1] + 9), (middle, head - 9)]
            pen.line([*path, (top[0], head - 9), top], arrow=True)
        column.draw(x, head)
        end = (x + column.port, head + column.height)
        x += column.width + GUTTER
    return save(figure, to_file)


class _Maker:
    """Makes blocks of layers."""

    def __init__(self, pen: Pen, shapes: bool, names: bool, expand: bool) -> None:
        self.pen, self.shapes, self.names, self.expand = pen, shapes, names, expand

    def block(self, layer: Any, depth: int) -> Block:
        children = list(getattr(layer, "layers", ()))
        lines = self._lines(layer)
        if not children or not self.expand:
            count = layer.count_params() if layer.built else 0
            frozen = bool(count) and not layer.trainable
            colour = FROZEN if frozen else LEARNED if count else PLAIN
            return Card(self.pen, lines, colour, frozen)
        blocks = [self.block(child, depth + 1) for child in children]
        merge = getattr(layer, "merge", None)
        if merge is not None:
            return Frame(self.pen, Branches(self.pen, blocks, str(merge)), lines, depth)
        _same_width(blocks)
        chain = Chain(self.pen, blocks)
        if not hasattr(layer, "projection"):
            return Frame(self.pen, chain, lines, depth)
        projection = layer.projection
        beside = None if projection is None else self.block(projection, depth + 1)
        return Frame(self.pen, Skip(self.pen, chain, beside), lines, depth)

    def _lines(self, layer: Any) -> list[tuple[str, str]]:
        kind = type(layer).__name__
        activation = type(getattr(layer, "activation", None)).__name__
        nested = hasattr(layer, "layers")  # its last layer shows the activation
        if not nested and activation not in ("NoneType", "Linear", kind):
            kind += f" · {activation}"
        first = (layer.name, kind) if self.names else (kind, "")
        shape = "shape not known" if layer.output_shape is None else str(layer.output_shape)
        second = (shape, _facts(layer)) if self.shapes else (_facts(layer), "")
        return [first] + ([second] if any(second) else [])


def _facts(layer: Any) -> str:
    """Return how many parameters there are, and whether they are frozen."""
    if not layer.built:
        return "not built"
    count = layer.count_params()
    if not count:
        return ""
    frozen = "" if getattr(layer, "trainable", True) else ", frozen"
    return f"{count:,} parameter{'s' if count != 1 else ''}{frozen}"


def _same_width(blocks: Sequence[Block]) -> None:
    """Make the cards of a chain equally wide."""
    cards = [b for b in blocks if isinstance(b, Card)]
    widest = max((c.width for c in cards), default=0.0)
    for card in cards:
        card.widen(widest)


def _columns(blocks: Sequence[Block]) -> list[Chain]:
    """Cut a long chain into columns, so that the picture is about a third wider than high."""
    pen = blocks[0].pen
    best, far = [Chain(pen, blocks)], math.inf
    if best[0].height <= TALLEST:
        return best
    for count in range(2, len(blocks) + 1):
        chains = [Chain(pen, part) for part in _cut(blocks, count)]
        width = sum(c.width for c in chains) + GUTTER * (len(chains) - 1)
        ratio = math.log(width / max(c.height for c in chains) / SHAPE)
        if abs(ratio) < far:
            best, far = chains, abs(ratio)
        if ratio > 0:
            break
    return best


def _cut(blocks: Sequence[Block], count: int) -> list[list[Block]]:
    """Cut into at most so many columns, the highest of them as low as can be."""
    low, high = max(b.height for b in blocks) + GAP, sum(b.height + GAP for b in blocks)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_fill(blocks, middle)) <= count else (middle, high)
    return _fill(blocks, high)


def _fill(blocks: Sequence[Block], limit: float) -> list[list[Block]]:
    """Fill one column after the other up to a height."""
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
