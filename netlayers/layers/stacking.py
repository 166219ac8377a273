"""Runs of layers in a network that the kernels take as one.

A convolution, normalization or sum with its rectifier; compiled also Dense layers with skip
connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.kernels.select import kernels
from netlayers.layers import merge_layers, merging
from netlayers.layers.dense import Dense
from netlayers.layers.dense_stack import DenseStack, SkipConnection, kind_of
from netlayers.layers.rectified import Rectified, rectified
from netlayers.layers.wiring import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers.layers.wiring import Source


def stacked(calls: Sequence[Any]) -> list[Any]:
    """Return calls with every run that is computed as one: see the module."""
    if kernels.stack_forward is None:
        return rectified(calls)
    found: list[Any] = []
    open_run: list[Any] | None = None
    for call in calls:
        if type(call) is SkipConnection:  # never the first of a run
            found[-1].append(call)
            continue
        if type(call) is not Dense:
            open_run = None
            found.append(call)
            continue
        if open_run is None:
            open_run = []
            found.append(open_run)
        open_run.append(call)
        if kind_of(call) is None:  # the next layer needs the output of this activation
            open_run = None
    return rectified([_stack(part) if isinstance(part, list) else part for part in found])


def _stack(run: list[Any]) -> DenseStack:
    layers: list[Dense] = []
    skips: dict[int, SkipConnection] = {}
    for call in run:
        if type(call) is SkipConnection:
            skips[len(layers) - 1] = call
        else:
            layers.append(call)
    return DenseStack(layers, skips)


def stacked_nodes(
    nodes: list[Node], results: tuple[Source, ...]
) -> tuple[list[Node], tuple[Source, ...], list[int]]:
    """Return a graph with every run that is computed as one.

    A run goes on as long as nothing else takes the value between two calls, but for the sums of
    residual blocks.

    Returns:
        The nodes, the sources of the output, and for each value its new number; that of a value
        within a run is the number of the run.
    """
    uses = [0] * (len(nodes) + 1)
    for number, _ in [*(source for node in nodes for source in node.sources), *results]:
        uses[number] += 1
    skips = {} if kernels.stack_forward is None else _skip_connections(nodes, uses)
    runs: list[list[Any]] = []
    starts: list[tuple[Source, ...]] = []
    for number, node in enumerate(nodes):
        if number in skips:
            runs[-1].append(skips[number])
        elif number and node.sources == ((number, None),) and uses[number] == 1:
            runs[-1].append(node.call)
        else:
            runs.append([node.call])
            starts.append(node.sources)
    new: list[Node] = []
    numbers = [0]

    def renumbered(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple((numbers[value], item) for value, item in sources)

    for run, start in zip(runs, starts, strict=True):
        sources = renumbered(start)
        for stage in stacked(run):
            new.append(Node(stage, sources))
            sources = ((len(new), None),)
            size = len(stage) if isinstance(stage, (DenseStack, Rectified)) else 1
            numbers += [len(new)] * size
    return new, renumbered(results), numbers


def _skip_connections(nodes: list[Node], uses: list[int]) -> dict[int, SkipConnection]:
    """Return the ends of residual blocks by the number of their node, and take h from ``uses``.

    A block is a chain of Dense layers, the last one without activation, whose output is added to
    its input h. Nothing else may take h, so that blocks follow each other and are never nested.
    """
    found = {}
    for number, (call, sources) in enumerate(nodes):
        if type(call) not in (merge_layers.Add, merging.Add) or len(sources) != 2:
            continue
        (first, item), (second, other) = sources
        start, end = min(first, second), max(first, second)
        block = nodes[start:number]
        if end != number or not block or (item, other) != (None, None) or uses[start] != 2:
            continue
        chained = all(
            type(node.call) is Dense
            and kind_of(node.call) is not None
            and node.sources == ((value, None),)
            and uses[value + 1] == 1
            for value, node in enumerate(block, start)
        )
        if not chained or kind_of(block[-1].call) != 0:  # type: ignore[arg-type]
            continue
        shapes: Any = [block[0].call.input_shape, block[-1].call.output_shape]  # type: ignore[attr-defined]
        if None not in shapes and shapes[0][1:] == shapes[1][1:]:
            found[number] = SkipConnection(call, len(block), int(second < first))
            uses[start] -= 1
    return found
