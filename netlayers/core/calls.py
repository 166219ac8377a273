"""A layer that is used more than once: each use is a call with memory of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers.core.naming import every_layer
from netlayers.core.workspace import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.layer import Layer
    from netlayers.core.random import Streams


class Call:
    """One more use of a layer: its weights, with a cache, buffers and random numbers of its own.

    While it trains, they take the place of those of the first use, which is the layer itself, in
    the layer and all its parts. At inference nothing is remembered, and other threads may be using
    the layer: it is then called as it is.

    Args:
        layer: the layer.
        number: which use this is, from 2 on.
        home: the network that calls it. If that is called several times itself, so is this, each
            time with another memory: it is kept in the buffers of the network's call.

    Everything else (weights, flags, shapes) is the layer's.
    """

    def __init__(self, layer: Layer, number: int, home: Layer | None = None) -> None:
        self.layer, self.number, self.home = layer, number, home
        self._alone: dict[int, dict[str, Any]] = {}
        self._streams: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # A copy asks before there is a layer.
        if name.startswith("__") or name in ("layer", "home"):
            raise AttributeError(name)
        return getattr(self.layer, name)

    def __repr__(self) -> str:
        return f"Call({self.layer!r}, {self.number})"

    def forward(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the layer's :meth:`~Layer.forward`, with what this call remembers."""
        with self._in_place(training):
            return self.layer.forward(x, training, **options)

    def backward(self, dy: Any, **options: Any) -> Any:
        """Return the layer's :meth:`~Layer.backward` for the last ``forward`` of this call."""
        with self._in_place(True):
            return self.layer.backward(dy, **options)

    def forward_logits(self, x: Any, training: bool = False) -> Any:
        """Return what the last activation is applied to."""
        with self._in_place(training):
            return self.layer.forward_logits(x, training)

    def backward_logits(self, dz: Any, **options: Any) -> Any:
        """Return dL/dx for a gradient of what :meth:`forward_logits` returned."""
        with self._in_place(True):
            return self.layer.backward_logits(dz, **options)

    def use_streams(self, streams: Streams) -> None:
        """Draw from streams of this call's own."""
        for part in every_layer(self.layer):
            if part.random:
                self._streams[id(part)] = streams.get(f"layer/{part.path}/{self.number}")

    @contextmanager
    def _in_place(self, training: bool) -> Iterator[None]:
        if not training:
            yield
            return
        before = []
        try:
            for part in every_layer(self.layer):
                own, now = self._memory_of(part), vars(part)
                before.append((now, {name: now.get(name) for name in own}))
                now.update(own)
            yield
        finally:
            for now, old in before:
                for name, value in old.items():
                    if value is None and name == "call":
                        now.pop(name, None)
                    else:
                        now[name] = value

    def _memory_of(self, part: Layer) -> dict[str, Any]:
        known = self._alone
        if self.home is not None:
            known = vars(self.home.workspace).setdefault("calls", {}).setdefault(id(self), {})
        own = known.get(id(part))
        if own is None:
            own = known[id(part)] = {
                "cache": Cache(""),
                "workspace": type(part.workspace)(),
                "call": self.number,
            }
        if id(part) in self._streams:
            own["rng"] = self._streams[id(part)]
        own["cache"]._owner = f"{part.cache._owner} (call {self.number})"
        return own
