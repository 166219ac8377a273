"""Calls: a layer that is used several times has a cache and buffers for each use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.cache import Cache
from netlayers.random import generators_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.protocols import LayerLike
    from netlayers.random import Streams


class Call:
    """An additional call of a layer: shared weights, its own cache, buffers and random stream.

    In training they temporarily replace those of the first call, in the layer and all its
    sublayers. Inference stores nothing, and other threads may use the layer at the same time, so
    the layer is then called directly.

    Args:
        layer: the layer.
        number: number of the call, 2 or more.
        options: further arguments of ``forward``.

    All other attributes (weights, flags, shapes) are those of the layer.
    """

    def __init__(
        self, layer: LayerLike, number: int, options: dict[str, Any] | None = None
    ) -> None:
        self.layer, self.number, self.options = layer, number, options or {}
        self._own: dict[tuple[int, int], dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "layer":  # called by copy before the layer is set
            raise AttributeError(name)
        return getattr(self.layer, name)

    def __repr__(self) -> str:
        return f"Call({self.layer!r}, {self.number})"

    def forward(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the layer's :meth:`~Layer.forward`, with the cache of this call."""
        with self._in_place(training):
            return self.layer.forward(x, training, **self.options, **options)

    def backward(self, dy: Any, **options: Any) -> Any:
        """Return the layer's :meth:`~Layer.backward` for the last ``forward`` of this call."""
        with self._in_place(True):
            return self.layer.backward(dy, **options)

    def _forward_logits(self, x: Any, training: bool = False, **options: Any) -> Any:
        """Return the logits, the input of the last activation."""
        with self._in_place(training):
            return self.layer._forward_logits(x, training, **options)

    def _backward_logits(self, dz: Any, **options: Any) -> Any:
        """Return dL/dx from the gradient with respect to the logits."""
        with self._in_place(True):
            return self.layer._backward_logits(dz, **options)

    def _use_streams(self, streams: Streams) -> None:
        """Draw from streams that belong to this call."""
        for part in self.layer._flatten_layers():
            if part.random:
                name = f"layer/{part.path}/{self.number}"
                self._memory_of(part)["rng"] = streams.get(name)

    def generators(self) -> Iterator[tuple[LayerLike, np.random.Generator]]:
        """Yield the sublayers that draw random numbers, with the generators of this call."""
        for part in self.layer._flatten_layers():
            own = self._own.get((id(part), 1), {})
            if "rng" in own:
                yield part, own["rng"]

    @contextmanager
    def _in_place(self, training: bool) -> Iterator[None]:
        if not training:
            yield
            return
        before = []
        try:
            for part in self.layer._flatten_layers():
                own, now = self._memory_of(part), vars(part)
                before.append((now, {name: now.get(name) for name in own}))
                now.update(own)
            yield
        finally:
            for now, old in before:
                for name, value in old.items():
                    if value is None and name == "_call_number":
                        now.pop(name, None)
                    else:
                        now[name] = value

    def _memory_of(self, part: LayerLike) -> dict[str, Any]:
        """Return cache and buffers of a sublayer, separate for each call of its container."""
        outer = part._call_number
        own = self._own.get((id(part), outer))
        if own is None:
            number = self.number
            if part is not self.layer or outer != 1:
                number = part._calls = part._calls + 1
            own = {"cache": Cache(""), "workspace": type(part.workspace)(), "_call_number": number}
            own["workspace"].pool = part.workspace.pool
            self._own[id(part), outer] = own
        name = part.cache._owner.partition(" (call ")[0]
        own["cache"]._owner = f"{name} (call {own['_call_number']})"
        return own


def calls_of(layer: LayerLike) -> Iterator[Call]:
    """Yield the additional calls of other layers that are attributes of a layer."""
    for value in vars(layer).values():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, Call):
                yield item


def generators_of(layer: LayerLike) -> dict[str, np.random.Generator]:
    """Return every random generator of a layer, its sublayers and their additional calls.

    The keys are the layer's index in :meth:`Module._flatten_layers` and the attribute, such as
    ``"3.rng"``, in a list or dict of generators ``"3.rngs[0]"``, and for an additional call its
    number, such as ``"3.rng/2"``.
    """
    found: dict[str, np.random.Generator] = {}
    places = {id(part): i for i, part in enumerate(layer._flatten_layers())}
    for part in layer._flatten_layers():
        for attribute, generator in generators_in(part):
            found[f"{places[id(part)]}.{attribute}"] = generator
        for call in calls_of(part):
            for its, generator in call.generators():
                found[f"{places[id(its)]}.rng/{call.number}"] = generator
    return found
