"""Weights that are declared, and get their memory when they are first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.binding import gradient_view, own
from netlayers.core.drafting import drafting

if TYPE_CHECKING:
    from netlayers.core.layer import Layer


class Declared:
    """Stands in a class of layers for a weight, or its gradient: asking for it binds the weights.

    A layer whose weights are bound has them as attributes of its own, which Python finds first. A
    ``__getattr__`` of the layer would do the same, but Python then takes longer for each access to
    each attribute (3.11 three times as long, 3.13 half as long again): 6 % of a step of a tiny
    network.

    Args:
        name: of the attribute.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, layer: Layer | None, kind: type[Layer]) -> Any:
        if layer is None:
            return self
        name = self.name
        mine = {n: p for p in own(layer) for n in (p.name, "d_" + p.name)}
        if name in mine:
            if layer._vector is None and drafting():  # its shape is known, and it takes no memory
                return np.broadcast_to(layer._dtype.type(0), mine[name].shape)
            layer._bind_alone()  # or another thread has just done it
            if name in vars(layer):
                return vars(layer)[name]
            if mine[name].gradient is not None:
                return gradient_view(layer, mine[name])
        hint = ""
        if not layer.built and layer.kind == "layer":
            hint = (
                " (The layer is not built yet; a layer's forward() begins with "
                "x = self.prepare(x), which builds it.)"
            )
        raise AttributeError(f"layer {kind.__name__} has no attribute {name!r}.{hint}")


def declare(kind: type[Layer], name: str) -> None:
    """Let layers of a class have the weight ``name``."""
    for attribute in (name, "d_" + name):
        if not hasattr(kind, attribute):
            setattr(kind, attribute, Declared(attribute))


def is_taken(kind: type[Layer], attribute: str) -> bool:
    """Whether a class has something else by this name."""
    return hasattr(kind, attribute) and not isinstance(getattr(kind, attribute), Declared)
