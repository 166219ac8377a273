"""Connections between the calls of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from netlayers.core.layer import Layer
from netlayers.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers.core.parameters import Parameter

    Source = tuple[int, int | None]


class Callee(Protocol):
    """What a network calls: a layer, a repeated call of a layer, or a merge."""

    @property
    def can_skip_input_gradient(self) -> bool: ...  # noqa: D102
    @property
    def _has_trainable_weights(self) -> bool: ...
    @property
    def declared_parameters(self) -> Sequence[Parameter]: ...  # noqa: D102
    @property
    def forward(self) -> Callable[..., Any]: ...  # noqa: D102
    @property
    def backward(self) -> Callable[..., Any]: ...  # noqa: D102


class Node(NamedTuple):
    """One call in a network, and where its input comes from.

    Attributes:
        call: a layer, a repeated call of a layer, or any object with ``forward`` and ``backward``.
        sources: for each input, the number of the value that it is (0 is the network's input, i is
            the output of call i, counted from 1), and which array of it, ``None`` for all of it.
    """

    call: Callee
    sources: tuple[Source, ...]


def chain(calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]]:
    """Return the nodes of a chain of calls, and the source of the output."""
    nodes = [Node(call, ((number, None),)) for number, call in enumerate(calls)]
    return nodes, ((len(nodes), None),)


def select(values: list[Any], sources: tuple[Source, ...]) -> Any:
    """Return the values at the sources: one value, or a tuple of several."""
    if len(sources) == 1:
        ((number, item),) = sources
        value = values[number]
        return value if item is None or value is None else value[item]
    return tuple(values[v] if i is None or values[v] is None else values[v][i] for v, i in sources)


def route_gradient(
    parts: list[list[tuple[int | None, Any]]], sources: tuple[Source, ...], dx: Any
) -> None:
    """Add the input gradients of a call to the lists of its sources, in reverse order."""
    if len(sources) == 1:
        dx = (dx,)
    elif dx is None:
        return
    for i in range(len(sources) - 1, -1, -1):
        if dx[i] is not None:
            value, item = sources[i]
            parts[value].append((item, dx[i]))


def is_nothing(d: Any) -> bool:
    """Whether a gradient, or each of several, is ``None``."""
    return d is None or (isinstance(d, tuple) and all(part is None for part in d))


def layer_of(call: Callee) -> Any:
    """Return the layer of a call; a layer is its own first call."""
    return call if isinstance(call, Layer) else getattr(call, "layer", call)


def checked_parts(call: Callee, sources: tuple[Source, ...], dx: Any) -> tuple[Any, ...]:
    """Return the input gradients of a call with several inputs as a tuple.

    Raises:
        ShapeError: it does not return one gradient, or ``None``, for each input.
    """
    found = (None,) * len(sources) if dx is None else dx
    if not isinstance(found, (tuple, list)) or len(found) != len(sources):
        count = len(found) if isinstance(found, (tuple, list)) else 1
        layer = layer_of(call)
        raise ShapeError(
            f"{layer.owner} ({type(layer).__name__}): backward() must "
            f"return a tuple of {len(sources)}: dL/dx for each input, or None; got {count}."
        )
    return tuple(found)


def forward_of(
    call: Callee, x: Any, training: bool, mask: Any, method: str = "forward"
) -> tuple[Any, Any]:
    """Return the output of a call, or its logits, and its mask."""
    layer = layer_of(call)
    forward = getattr(call, method)
    if getattr(layer, "_makes_masks", False):
        found: list[Any] = []
        return forward(x, training, mask=mask, mask_out=found), found[0]
    if not isinstance(layer, Layer):  # a merge: what is masked in one input is masked
        given = [m for m in mask if m is not None] if isinstance(mask, tuple) else []
        return forward(x, training), np.logical_and.reduce(given) if given else None
    out = layer.compute_mask(x, mask)
    if layer.takes_mask:
        return forward(x, training, mask=mask), out
    return forward(x, training), out
