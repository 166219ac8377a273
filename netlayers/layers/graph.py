"""Graphs: layers with arbitrary connections and repeated use, for functional models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.spec import FLOAT
from netlayers.checks import is_several
from netlayers.core.buffers import states_of
from netlayers.core.building import abstract_build
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.containers import Container
from netlayers.layers.wiring import Node
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Examples, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.calls import Call
    from netlayers.core.layer import Layer
    from netlayers.layers.wiring import Callee, Source


@register("layer")
class Graph(Container):
    """A list of calls of layers, each with its sources.

    A value has a number: 0 is the input, i the output of call i, counted from 1. A source is
    ``(number, index)``: one array of a value that is a tuple, ``None`` for the whole value.

    Args:
        layers: the layers.
        calls: for each call, in an order in which they can be computed, the number of its layer
            (counted from 0) and the list of its sources.
        outputs: the sources of the output; by default the last call.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: a call names no layer of the list, or a source that is computed after
            it.

    Example:
        One layer used twice, ``y = f(f(x))``, with one kernel.

        >>> import numpy as np, netlayers as nl
        >>> from netlayers.layers.graph import Graph
        >>> calls = [(0, [(0, None)]), (0, [(1, None)])]
        >>> twice = Graph([nl.layers.Dense(3, "tanh")], calls)
        >>> twice.build((None, 3))
        >>> twice.count_params()
        12
        >>> nl.check_gradients(twice, np.linspace(-1, 1, 6).reshape(2, 3)).passed
        True
    """

    _is_chain = False

    def __init__(
        self,
        layers: Iterable[Any],
        calls: Sequence[Any],
        outputs: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._wires: list[tuple[int, tuple[Source, ...]]] = []
        self._add_sublayers("layers", layers)
        try:
            self._wires = [self._checked(i, *call) for i, call in enumerate(calls)]
            last = [(len(self._wires), None)]
            self._outputs = _sources(self.owner, outputs or last, len(self._wires))
        except BaseException:
            self._release_sublayers()
            raise
        self.outputs = outputs
        self.calls = self._make_calls()
        self._connect()

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        twice = {"layers": [dense], "calls": [[0, [[0, None]]], [0, [[1, None]]]]}
        return [(twice, (4, 3)), ({**twice, "outputs": [[1, None]]}, (2, 5, 3))]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; the calls as lists of numbers."""
        config = super().get_config()
        config["calls"] = [[layer, [list(s) for s in its]] for layer, its in self._wires]
        return config

    def _make_calls(self) -> list[Layer | Call]:
        """Return the calls: each layer, or a repeated call of it."""
        free = super()._make_calls()
        calls: list[Layer | Call] = []
        used: set[int] = set()
        for number, _ in self._wires:
            calls.append(self.layers[number].new_call() if number in used else free[number])
            used.add(number)
        return calls

    def _connections(self, calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]] | None:
        """Return the calls with their sources, and those of the output."""
        if not self._wires:  # the layers are being added
            return None
        nodes = [Node(c, its) for c, (_, its) in zip(self.calls, self._wires, strict=True)]
        return nodes, self._outputs

    @property
    def activation(self) -> Any:
        """The activation that computes the output, or ``None``."""
        if not self._wires or self._outputs != ((len(self._wires), None),):
            return None
        return getattr(self.layers[self._wires[-1][0]], "activation", None)

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """The specs of the calls that take the input."""
        found: dict[int | None, InputSpec] = {}
        for number, its in self._wires:
            spec = self.layers[number].input_spec
            for place, (value, item) in enumerate(its):
                if value == 0 and item not in found:
                    if item is None and isinstance(spec, tuple) and len(its) == 1:
                        return spec
                    found[item] = spec[place] if isinstance(spec, tuple) else spec
        if None in found or not found:
            return found.get(None, FLOAT)
        return tuple(found.get(i, FLOAT) for i in range(max(i or 0 for i in found) + 1))

    def build(self, input_shape: Shape) -> None:
        """Build each layer for the input of its first call."""
        self._build_sublayers(self._build_order(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output, or the shapes of several."""
        shapes = [input_shape]
        for number, its in self._wires:
            shapes.append(self.layers[number].compute_output_shape(_picked(shapes, its)))
        return _picked(shapes, self._outputs)

    def _build_order(self, input_shape: Shape) -> Any:
        shapes: list[Any] = [input_shape]
        built: set[int] = set()
        for number, its in self._wires:
            layer, shape = self.layers[number], _picked(shapes, its)
            if number not in built:
                yield layer, shape
            elif states_of(layer):
                raise ConfigurationError(
                    f"{self.owner}: the layer {layer.name!r} has a state and can be called once: "
                    "a second call would go on from what the first one left."
                )
            else:
                with abstract_build():  # the weights do not exist yet
                    layer.check_input_shape(shape)
            built.add(number)
            shapes.append(layer.compute_output_shape(shape))

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if a call that takes the input does not accept this shape."""
        for number, its in self._wires:
            if all(value == 0 for value, _ in its):
                self.layers[number].check_input_shape(_picked([shape], its))

    def _checked(self, place: int, number: Any, sources: Any) -> tuple[int, tuple[Source, ...]]:
        if not isinstance(number, int) or not 0 <= number < len(self.layers):
            raise ConfigurationError(
                f"{self.owner}: call {place + 1} must name a layer from 0 to "
                f"{len(self.layers) - 1}, got {number!r}."
            )
        return number, _sources(self.owner, sources, place)


def _sources(owner: str, sources: Any, calls: int) -> tuple[Source, ...]:
    """Return sources as tuples; each must be the input or an earlier call."""
    try:
        found = tuple((int(value), None if item is None else int(item)) for value, item in sources)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(0 <= value <= calls and (i is None or i >= 0) for value, i in found):
        raise ConfigurationError(
            f"{owner}: sources must be a list of pairs (number of a value, index or None), with "
            f"numbers from 0 to {calls}, got {sources!r}."
        )
    return found


def _picked(shapes: list[Any], sources: tuple[Source, ...]) -> Any:
    """Return the shapes that sources name.

    Raises:
        ShapeError: a source indexes an array that does not exist.
    """
    for value, item in sources:
        count = len(shapes[value]) if is_several(shapes[value]) else 0
        if item is not None and item >= count:
            what = f"{count} arrays" if count else "one array"
            raise ShapeError(f"Graph: the source ({value}, {item}) names an array of {what}.")
    found = tuple(shapes[v] if i is None else shapes[v][i] for v, i in sources)
    return found[0] if len(found) == 1 else found
