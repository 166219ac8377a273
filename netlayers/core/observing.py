"""Watching the calls of layers: what goes in, what comes out, how long it takes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers.core.naming import every_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from netlayers._typing import Array
    from netlayers.core.layer import Layer

    Around = Callable[[Layer, str, Array, Callable[[], Any]], Any]

METHODS = ("forward", "forward_logits", "backward", "backward_logits")


@contextmanager
def observed(layer: Layer, around: Around) -> Iterator[None]:
    """Let ``around`` see every call of a layer and of all its parts, as long as the block lasts.

    Only calls of the thread that entered the block are seen; others go past it. Nothing of the
    layers stays changed afterwards, also if the block raises. It costs nothing outside the block.

    Args:
        layer: a layer or a model.
        around: called as ``around(layer, method, given, run)`` in place of the call of ``method``
            (``"forward"``, ``"forward_logits"``, ``"backward"`` or ``"backward_logits"``) with the
            array ``given``; it must return ``run()``, which is the call itself. A call in a call (a
            layer's in its container's, an activation's in its layer's, ``forward_logits`` in
            ``forward``) is seen in it. Arrays belong to the layer, which goes on writing into them:
            what is to be kept must be copied.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> from netlayers.core.observing import observed
        >>> def show(layer, method, given, run):
        ...     result = run()
        ...     print(layer.name, method, given.shape, "->", result.shape)
        ...     return result
        >>> model = nl.Sequential([nl.layers.Flatten(), nl.layers.Dense(3)], name="net")
        >>> with observed(model, show):
        ...     y = model.forward(np.ones((2, 2, 2)))
        flatten forward (2, 2, 2) -> (2, 4)
        dense forward_logits (2, 4) -> (2, 3)
        linear forward (2, 3) -> (2, 3)
        dense forward (2, 4) -> (2, 3)
        net forward (2, 2, 2) -> (2, 3)
    """
    thread = threading.get_ident()
    methods = [
        (part, name, _watched(part, name, around, thread))
        for part in every_layer(layer)
        for name in METHODS
        if hasattr(type(part), name)
    ]
    with replaced(methods):
        yield


@contextmanager
def replaced(methods: Iterable[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """Put functions in the place of methods of single objects, as long as the block lasts.

    Args:
        methods: object, name of the method, and the function, for each.
    """
    methods = list(methods)
    before = [(thing, name, vars(thing).get(name)) for thing, name, _ in methods]
    try:
        for thing, name, function in methods:
            vars(thing)[name] = function
        yield
    finally:
        for thing, name, own in before:
            vars(thing).pop(name, None)
            if own is not None:
                vars(thing)[name] = own


def _watched(part: Layer, name: str, around: Around, thread: int) -> Callable[..., Any]:
    method = getattr(part, name)

    def call(given: Array, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return method(given, *args, **kwargs)
        return around(part, name, given, lambda: method(given, *args, **kwargs))

    return call
