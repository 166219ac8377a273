"""Graphs: layers with arbitrary connections and repeated use, for functional models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.spec import FLOAT
from netlayers.checks import is_several
from netlayers.core.buffers import states_of
from netlayers.core.building import abstract_build
from netlayers.core.calls import Call
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.containers import Container, output_activation
from netlayers.layers.inference_call import InferenceCall
from netlayers.layers.wiring import Node, chain
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Examples, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.layer import Layer
    from netlayers.layers.wiring import Callee, Source

_MOST_ARRAYS = 10_000  # of one value; a file may ask for any number


class CallGraph(Container):
    """Base class of containers that call their layers in any order, each with its sources.

    A value has a number: 0 is the input, i the output of call i, counted from 1. A source is
    ``(number, index)``: one array of a value that is a tuple, ``None`` for the whole value.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._wires: list[tuple[int, tuple[Source, ...], dict[str, Any]]] = []
        self._outputs: tuple[Source, ...] = ()

    @property
    def _is_chain(self) -> bool:
        """Whether each call takes the output of the call before it, and only that."""
        return self._nodes is None

    def _wire(
        self, layers: Iterable[Any], calls: Sequence[Any], outputs: Sequence[Any] | None
    ) -> None:
        """Add the layers, and connect their calls; see :class:`Graph`."""
        self._add_sublayers("layers", layers)
        try:
            self._wires = [self._checked(i, *call) for i, call in enumerate(calls)]
            last = [(len(self._wires), None)]
            self._outputs = _sources(self.owner, outputs or last, len(self._wires))
        except BaseException:
            self._release_sublayers()
            raise
        self.calls = self._make_calls()
        self._connect()

    def _wires_as_lists(self) -> list[Any]:
        return [
            [layer, [list(s) for s in its], *([options] if options else [])]
            for layer, its, options in self._wires
        ]

    def _make_calls(self) -> list[Layer | Call]:
        """Return the calls: each layer, or a repeated call of it."""
        free = super()._make_calls()
        calls: list[Layer | Call] = []
        used: set[int] = set()
        for number, _, options in self._wires:
            layer = self.layers[number]
            if options.get("training") is False:
                alone = [n for n, *_ in self._wires].count(number) == 1
                call = free[number] if alone else layer.new_call()
                calls.append(InferenceCall(layer, call))  # type: ignore[arg-type]
            elif options:
                calls.append(Call(layer, layer.new_call().number, options))
            else:
                calls.append(layer.new_call() if number in used else free[number])
                used.add(number)
        return calls

    def _connections(self, calls: Sequence[Callee]) -> tuple[list[Node], tuple[Source, ...]] | None:
        """Return the calls with their sources, and those of the output."""
        if not self._outputs:  # the layers are being added
            return None
        nodes = [Node(c, its) for c, (_, its, _) in zip(self.calls, self._wires, strict=True)]
        if (nodes, self._outputs) == chain(self.calls):
            return None
        return nodes, self._outputs

    @property
    def activation(self) -> Any:
        """The activation that computes the output, or ``None``."""
        if not self._wires or self._outputs != ((len(self._wires), None),):
            return None
        return output_activation(self.layers[self._wires[-1][0]])

    def _output_activations(self) -> list[Any]:
        """Return for each output the activation that computes it and nothing else, or ``None``."""
        uses = [value for _, its, _ in self._wires for value, _ in its]
        uses += [value for value, _ in self._outputs]
        found = []
        for value, item in self._outputs:
            alone = value > 0 and item is None and uses.count(value) == 1
            number, _, options = self._wires[value - 1] if alone else (0, (), {"none": True})
            found.append(None if options else output_activation(self.layers[number]))
        return found

    def _use_logits_of(self, outputs: list[int]) -> None:
        """Let ``_forward_logits`` compute the logits of these outputs."""
        self._logit_calls = frozenset(self._outputs[i][0] for i in outputs) or None

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """The specs of the calls that take the input."""
        found: dict[int | None, InputSpec] = {}
        for number, its, _ in self._wires:
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
        for number, its, options in self._wires:
            shapes.append(_shape_after(self.layers[number], _picked(shapes, its), options))
        return _picked(shapes, self._outputs)

    def _build_order(self, input_shape: Shape) -> Any:
        shapes: list[Any] = [input_shape]
        built: set[int] = set()
        for number, its, options in self._wires:
            layer, shape = self.layers[number], _picked(shapes, its)
            if number not in built:
                yield layer, shape
            elif states_of(layer):
                raise ConfigurationError(
                    f"{self.owner}: the layer {layer.name!r} has a state and can be called once: "
                    "a second call would go on from what the first one left."
                )
            elif not options:
                with abstract_build():  # the weights do not exist yet
                    layer.check_input_shape(shape)
            built.add(number)
            shapes.append(_shape_after(layer, shape, options))

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if a call that takes the input does not accept this shape."""
        for number, its, options in self._wires:
            if not options and all(value == 0 for value, _ in its):
                self.layers[number].check_input_shape(_picked([shape], its))

    def _checked(
        self, place: int, number: Any, sources: Any, options: Any = None
    ) -> tuple[int, tuple[Source, ...], dict[str, Any]]:
        if not isinstance(number, int) or not 0 <= number < len(self.layers):
            raise ConfigurationError(
                f"{self.owner}: call {place + 1} must name a layer from 0 to "
                f"{len(self.layers) - 1}, got {number!r}."
            )
        return number, _sources(self.owner, sources, place), dict(options or {})


@register("layer")
class Graph(CallGraph):
    """A list of calls of layers, each with its sources, by numbers; see :class:`CallGraph`.

    Args:
        layers: the layers.
        calls: for each call, in an order in which they can be computed, the number of its layer
            (counted from 0) and the list of its sources; a third entry is a dict of further
            arguments of ``forward``, in which ``training=False`` computes it as at inference in
            training too.
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

    def __init__(
        self,
        layers: Iterable[Any],
        calls: Sequence[Any],
        outputs: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._wire(layers, calls, outputs)
        self.outputs = outputs

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        twice = {"layers": [dense], "calls": [[0, [[0, None]]], [0, [[1, None]]]]}
        return [(twice, (4, 3)), ({**twice, "outputs": [[1, None]]}, (2, 5, 3))]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; the calls as lists of numbers."""
        return {**super().get_config(), "calls": self._wires_as_lists()}


def _shape_after(layer: Layer, shape: Any, options: dict[str, Any]) -> Any:
    """Return the output shape of a call."""
    return layer.compute_output_shape(
        shape, **{name: value for name, value in options.items() if name != "training"}
    )


def _sources(owner: str, sources: Any, calls: int) -> tuple[Source, ...]:
    """Return sources as tuples; each must be the input or an earlier call."""
    try:
        found = tuple((int(value), None if item is None else int(item)) for value, item in sources)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(
        0 <= value <= calls and (i is None or 0 <= i < _MOST_ARRAYS) for value, i in found
    ):
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
