"""Hooks: observe the calls of layers, their inputs, outputs and time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from netlayers.core.calls import Call, calls_of
from netlayers.core.changes import LAST_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from netlayers._typing import Array
    from netlayers.core.layer import Layer

    Around = Callable[[Layer, str, Array, partial[Any]], Any]

METHODS = ("forward", "_forward_logits", "backward", "_backward_logits")


def call_name(path: str, number: int) -> str:
    """Return the name of a call of a layer: ``"dense"``, ``"dense (call 2)"``."""
    return path if number == 1 else f"{path} (call {number})"


def matching_name(name: str, known: Iterable[str]) -> str:
    """Return the one of the known paths of layers that is meant by ``name``.

    ``"conv2d"`` means ``"base/conv2d"`` if no other path ends in it, and the reverse: a layer that
    is in several models has the path that it has in one of them. Without such a path, ``name``.
    """
    known = list(known)
    found = [k for k in known if k.endswith(f"/{name}") or str(name).endswith(f"/{k}")]
    return found[0] if name not in known and len(found) == 1 else name


def used_by(layer: Layer) -> list[Layer]:
    """Return the sublayers in order of computation, repeated for each call."""
    calls: list[Any] = [
        call.layer if isinstance(call, Call) else call for call in getattr(layer, "calls", ())
    ]
    known = {id(part) for part in calls}
    return [*calls, *(part for part in layer._sublayers if id(part) not in known)]


class Uses:
    """Numbers the calls of a layer while :func:`observed` is active.

    Call 1 is the first in the forward pass; its gradient is computed last in the backward pass. A
    call is identified by the active :class:`~netlayers.core.calls.Call` objects.
    """

    def __init__(self) -> None:
        self._open: tuple[Call, ...] = ()
        self._numbers: dict[int, dict[tuple[Call, ...], int]] = {}

    def number(self, layer: Layer) -> int:
        """Return the number of the active call of a layer: 1, 2, ..."""
        known = self._numbers.setdefault(id(layer), {})
        return known.setdefault(self._open, len(known) + 1)

    def name(self, layer: Layer) -> str:
        """Return the path of a layer with the number of its call: ``"dense (call 2)"``."""
        return call_name(layer.path, self.number(layer))

    def watch(self, call: Call, name: str, thread: int) -> Callable[..., Any]:
        """Wrap a method of an additional call so that the call is marked as active."""
        method = getattr(call, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return method(*args, **kwargs)
            before, self._open = self._open, (*self._open, call)
            try:
                return method(*args, **kwargs)
            finally:
                self._open = before

        return watched


@contextmanager
def observed(layer: Layer, around: Around) -> Iterator[Uses]:
    """Call ``around`` for every call of a layer and its sublayers within the block.

    Only calls in the thread that entered the block are observed. The layers are restored at the end
    of the block, also if it raises. Outside the block there is no cost.

    Args:
        layer: a layer or a model.
        around: called as ``around(layer, method, given, run)`` in place of the call of ``method``
            (``"forward"``, ``"forward_logits"``, ``"backward"`` or ``"backward_logits"``) with the
            array ``given``, or a tuple of arrays; it must return ``run()``, which is the call
            itself, a ``functools.partial`` with the further arguments. Nested calls (a layer in its
            container, an activation in its layer, ``forward_logits`` in ``forward``) are observed
            inside the outer call. Arrays belong to the layer, which overwrites them later: copy
            what must be kept.

    Yields:
        A :class:`Uses`, which numbers the calls of layers that are used repeatedly.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> from netlayers.core.hooks import observed
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
    thread, uses = threading.get_ident(), Uses()
    methods: list[Any] = [
        (part, name, _watched(part, name, around, thread))
        for part in layer._flatten_layers()
        for name in METHODS
        if hasattr(type(part), name)
    ]
    methods += [
        (call, name, uses.watch(call, name, thread))
        for part in layer._flatten_layers()
        for call in calls_of(part)
        for name in METHODS
        if hasattr(call, name)
    ]
    with replaced(methods):
        yield uses


@contextmanager
def replaced(methods: Iterable[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """Replace methods of single objects within the block.

    Args:
        methods: object, name of the method, and the function, for each.
    """
    methods = list(methods)
    before = [(thing, name, vars(thing).get(name)) for thing, name, _ in methods]
    try:
        for thing, name, function in methods:
            vars(thing)[name] = function
        LAST_CHANGE[0] = object()
        yield
    finally:
        for thing, name, own in before:
            vars(thing).pop(name, None)
            if own is not None:
                vars(thing)[name] = own
        LAST_CHANGE[0] = object()


def _watched(part: Layer, name: str, around: Around, thread: int) -> Callable[..., Any]:
    method = getattr(part, name)

    def call(given: Array, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return method(given, *args, **kwargs)
        run = partial(method, given, *args, **kwargs)
        return around(part, name.removeprefix("_"), given, run)

    return call
