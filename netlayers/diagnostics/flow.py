"""Which layers of a model come behind which, and which follow each other and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.hooks import call_name, used_by
from netlayers.core.layer import Layer
from netlayers.layers.bidirectional import Bidirectional
from netlayers.layers.containers import Container
from netlayers.layers.input import InputLayer
from netlayers.layers.recurrent import Recurrent
from netlayers.layers.wiring import chain

if TYPE_CHECKING:
    from netlayers.layers.wiring import Callee

    # What computes each array of a value.
    Value = list[set[str]]


class Flow:
    """The graph of the uses of layers, at any depth; uses are named as in ``watched_uses``.

    Args:
        model: the model.

    Attributes:
        layers: the layer of each use, in the order of the calls.
        before: for each use, those whose outputs it takes.
        ends: for each output of the model, the uses that compute it.
    """

    def __init__(self, model: Layer) -> None:
        self.layers: dict[str, Layer] = {}
        self.before: dict[str, set[str]] = {}
        self._counts: dict[int, int] = {}
        self.ends = self._look(model, [set()])
        self._behind: dict[str, set[str]] = {name: set() for name in self.layers}
        for name in reversed(self.layers):
            for source in self.before[name]:
                self._behind[source] |= {name} | self._behind[name]
        self._leads_to = {
            name: {i for i, end in enumerate(self.ends) if end & (self._behind[name] | {name})}
            for name in self.layers
        }

    def _look(self, callee: Layer | Callee, before: Value) -> Value:
        """Note the uses in a layer, and return what computes its outputs."""
        # Bidirectional and other wrappers have a ``layer`` too.
        layer: Any = callee if isinstance(callee, Layer) else getattr(callee, "layer", callee)
        if isinstance(layer, Container) and not isinstance(layer, Recurrent):
            return self._look_into(layer, before)
        joined = set().union(*before)
        if isinstance(layer, InputLayer) or not hasattr(layer, "path"):  # or a merge
            return [joined]
        self._counts[id(layer)] = count = self._counts.get(id(layer), 0) + 1
        name = call_name(layer.path, count)
        self.layers[name], self.before[name] = layer, joined
        return [{name}]

    def _look_into(self, layer: Container, before: Value) -> Value:
        if isinstance(layer, Bidirectional):  # both take what it is given
            both = [set().union(*self._look(part, before)) for part in layer.layers]
            return both if layer.merge_mode is None else [both[0] | both[1]]
        nodes, results = layer._nodes, layer._results
        if nodes is None:
            calls = layer.calls or used_by(layer)
            nodes, results = chain(calls)
        values = [before]
        for call, sources in nodes:
            given = [part for source in sources for part in _selected(values, *source)]
            values.append(self._look(call, given))
        return [part for source in results for part in _selected(values, *source)]

    def is_behind(self, name: str, other: str) -> bool:
        """Whether ``other`` comes behind ``name``, and leads to the same outputs of the model."""
        return other in self._behind[name] and self._leads_to[name] == self._leads_to[other]

    @property
    def sequences(self) -> list[list[Layer]]:
        """Layers that follow each other: each takes the output of the one before, and nothing else.

        Only the last one's output goes elsewhere.
        """
        uses: dict[str, int] = dict.fromkeys(self.layers, 0)
        for name in (n for its in (*self.before.values(), *self.ends) for n in its):
            uses[name] += 1
        found: list[list[str]] = []
        for name, sources in self.before.items():
            run = next((r for r in found if {r[-1]} == sources and uses[r[-1]] == 1), None)
            if run is None:
                found.append([name])
            else:
                run.append(name)
        return [[self.layers[name] for name in run] for run in found]


def _selected(values: list[Value], number: int, item: int | None) -> Value:
    """Return what computes an array of a value, or all of its arrays."""
    value = values[number]
    return value if item is None else [value[min(item, len(value) - 1)]]
