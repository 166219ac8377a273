"""Models that are graphs: made of symbolic inputs and the outputs computed from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import each
from netlayers.arrays.spec import FLOAT
from netlayers.core.inputs import are_ready
from netlayers.core.layer import Layer
from netlayers.core.symbolic import SymbolicValue, calls_up_to
from netlayers.errors import ConfigurationError, DataError
from netlayers.layers.graph import CallGraph
from netlayers.layers.input import InputLayer
from netlayers.models.model import Model
from netlayers.registry import register, resolve, serialize
from netlayers.saving import CustomObjectScope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from netlayers.arrays.spec import InputSpec
    from netlayers.core.symbolic import SymbolicCall


@register("layer")
class Functional(CallGraph, Model):
    """A model of layers that are called on symbolic values: ``Model(inputs, outputs)``.

    Forward, the calls run in topological order. Backward, they run in reverse order, and the
    gradients of a value that several calls use are added, as are those of the weights of a layer
    that is called several times: the chain rule for graphs. See
    :meth:`netlayers.layers.network.Network.backward`.

    Args:
        inputs: a symbolic input of :func:`netlayers.Input`, a list of them, or a dict by names. It
            may also be a value within another model: the part of that model from there on is used.
        outputs: a symbolic value, a list of them, or a dict by names.
        name: name of the model.
        trainable: ``False`` freezes every layer.
        seed: see :class:`netlayers.Sequential`.
        dtype: ``"float32"`` (also for ``None``) or ``"float64"``.
        learning_rate_multiplier: factor on the learning rate of all layers, in addition to their
            own.

    A layer that is already in another model is shared: both models have the same weights.

    Attributes:
        inputs: the symbolic inputs, a list.
        outputs: the symbolic outputs, a list.
        input_names: names of the inputs: the keys of a dict, or the names of their layers.
        output_names: names of the outputs.

    Raises:
        ConfigurationError: an argument is no symbolic value, or an output depends on an input that
            is not among ``inputs``.

    Source:
        A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, "Automatic differentiation in
        machine learning: a survey", JMLR 18, 2018, section 3.2: the reverse mode on a graph.

    Example:
        Two inputs and a skip connection.

        >>> import numpy as np, netlayers as nl
        >>> a, b = nl.Input((3,), name="a"), nl.Input((2,), name="b")
        >>> h = nl.layers.Dense(4, "tanh")(nl.layers.Concatenate()([a, b]))
        >>> y = nl.layers.Dense(1)(h + nl.layers.Dense(4)(h))
        >>> model = nl.Model([a, b], y, seed=0)
        >>> model.predict({"a": np.ones((5, 3)), "b": np.ones((5, 2))}).shape
        (5, 1)
    """

    _specs: Any

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        name: str | None = None,
        trainable: bool = True,
        *,
        seed: int | None = None,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
    ) -> None:
        super().__init__(
            seed=seed,
            name=name,
            trainable=trainable,
            dtype=dtype,
            learning_rate_multiplier=learning_rate_multiplier,
        )
        given, self._input_keys = _listed("inputs", inputs)
        found, self._output_keys = _listed("outputs", outputs)
        self._single_output = isinstance(outputs, SymbolicValue)
        self._tuple_output = isinstance(outputs, tuple)
        if len({id(value) for value in given}) < len(given):
            raise ConfigurationError(f"{self.owner}: an input is listed twice in inputs.")
        self._input_layers = [_input_layer(value) for value in given]
        calls = calls_up_to(found, given)
        every = [*self._input_layers, *(call.layer for call in calls)]
        layers = list({id(layer): layer for layer in every}.values())
        sources = _numbered(given, calls)
        places = {id(layer): i for i, layer in enumerate(layers)}
        wires = [
            (places[id(c.layer)], [sources[id(v)] for v in c.inputs], c.options) for c in calls
        ]
        self._wire(layers, wires, [sources[id(value)] for value in found])
        self._own_symbols = given, found
        shapes: Any = tuple(value.shape for value in given)
        self.build(shapes if len(shapes) > 1 else shapes[0])

    # Names -----------------------------------------------------------------------------------

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs: the keys of a dict, or the names of their layers."""
        return list(self._input_keys or (layer.name for layer in self._input_layers))

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: the keys of a dict, or the names of the layers that compute them.

        A second output of a layer is ``<name>_1``.
        """
        if self._output_keys:
            return list(self._output_keys)
        found: list[str] = []
        for value, item in self._outputs:
            if value:
                layer: Layer = self.layers[self._wires[value - 1][0]]
            else:
                layer = self._input_layers[item or 0]
            name, number = layer.name, 0
            while name in found:
                number += 1
                name = f"{layer.name}_{number}"
            found.append(name)
        return found

    @property
    def input(self) -> Any:
        """The symbolic inputs as ``inputs`` has them: one, a list, or a dict."""
        if self._input_keys:
            return dict(zip(self._input_keys, self.inputs, strict=True))
        return super().input

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """What the calls that use the inputs take, by the names of the inputs."""
        if self._specs is None:
            count = len(self._input_layers)
            specs = [self._spec_of((0, i if count > 1 else None)) for i in range(count)]
            named = [replace(s, name=n) for s, n in zip(specs, self.input_names, strict=True)]
            self._specs = tuple(named) if count > 1 else named[0]
        return self._specs

    def _spec_of(self, source: Any) -> InputSpec:
        found = [
            spec[place] if isinstance(spec, tuple) else spec
            for number, its, _ in self._wires
            for spec in [self.layers[number].input_spec]
            for place, used in enumerate(its)
            if used == source
        ]
        layer = self._input_layers[source[1] or 0]
        if isinstance(layer, InputLayer):
            found.append(layer.input_spec)
        # What takes integers or texts does not take their floats.
        return next((spec for spec in found if spec.dtype != "float"), (found or [FLOAT])[0])

    def _connect(self) -> None:
        self._specs = None  # found anew
        super()._connect()

    def _converted(self, x: Any) -> Any:
        """Return the inputs, also of a dict by their names; see :meth:`Layer.prepare`."""
        several = len(self._input_layers) > 1
        if several and type(x) is tuple and self._vector is not None and are_ready(self, x):
            return x
        if isinstance(x, dict):
            names = self.input_names
            if set(x) != set(names):
                raise DataError(
                    f"{self.owner}: takes the inputs {', '.join(names)}, got a dict of "
                    f"{', '.join(map(str, x))}."
                )
            x = tuple(x[name] for name in names)
            x = x if len(x) > 1 else x[0]
        elif isinstance(x, (list, tuple)) and len(self._input_layers) == 1:
            if len(x) == 1:
                x = x[0]
            elif all(isinstance(a, np.ndarray) and a.ndim > 1 for a in x):
                raise DataError(
                    f"{self.owner}: takes one input, {self.input_names[0]!r}, got a "
                    f"{type(x).__name__} of {len(x)} arrays. Rows make one array by np.stack(x)."
                )
        return super()._converted(x)

    def __call__(self, inputs: Any, *more: Any, **options: Any) -> Any:
        """Return the outputs as ``outputs`` has them; see :meth:`Layer.__call__`."""
        y = super().__call__(inputs, *more, **options)
        symbolic = isinstance(y, (SymbolicValue, list, dict))
        return y if symbolic else self._as_returned(each(y))

    def _as_returned(self, outputs: Sequence[Any]) -> Any:
        if self._output_keys:
            return dict(zip(self._output_keys, outputs, strict=True))
        if self._single_output:
            return outputs[0]
        return tuple(outputs) if self._tuple_output else list(outputs)

    def _connected_to(self) -> dict[Layer, list[str]]:
        """Return for each layer the names of those whose outputs it takes; none for a chain."""
        if self._is_chain:
            return {}
        found: dict[Layer, list[str]] = {layer: [] for layer in self.layers}
        for number, its, _ in self._wires:
            for value, item in its:
                if value:
                    name = self.layers[self._wires[value - 1][0]].name
                    name += "" if item is None else f"[{item}]"
                else:
                    name = self._input_layers[item or 0].name
                found[self.layers[number]].append(name)
        return found

    # Symbolic values -------------------------------------------------------------------------

    def _call_layers(self) -> tuple[list[Any], list[Any]]:
        """Return new symbolic inputs, and the outputs for them."""
        return _called(self._input_layers, self.layers, self._wires_as_lists(), self._outputs)

    # Configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the layers, the calls as lists of numbers (see :class:`CallGraph`) and names."""
        places = {id(layer): i for i, layer in enumerate(self.layers)}
        inputs: Any = [places[id(layer)] for layer in self._input_layers]
        outputs: Any = [list(source) for source in self._outputs]
        if self._input_keys:
            inputs = dict(zip(self._input_keys, inputs, strict=True))
        if self._output_keys:
            outputs = dict(zip(self._output_keys, outputs, strict=True))
        elif self._single_output:
            outputs = outputs[0]
        return {
            "layers": serialize(list(self.layers)),
            "calls": self._wires_as_lists(),
            "inputs": inputs,
            "outputs": outputs,
            **({"tuple_output": True} if self._tuple_output else {}),
            "name": self.name,
            "trainable": self._trainable,
            "seed": self.seed,
            "dtype": self.dtype,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Return the model that :meth:`get_config` described: its layers are called again.

        Args:
            config: what :meth:`get_config` returned.
            custom_objects: additional classes by name.

        Raises:
            ConfigurationError: a layer, a call or an output is not valid.
        """
        with CustomObjectScope(custom_objects or {}):
            return cls._from_config(dict(config))

    @classmethod
    def _from_config(cls, rest: dict[str, Any]) -> Self:
        keys = ("layers", "calls", "inputs", "outputs")
        if lacking := [key for key in keys if key not in rest]:
            raise ConfigurationError(f"Model: the configuration has no {' and no '.join(lacking)}.")
        described = [rest.pop(key) for key in keys]
        layers = [resolve("layer", its, Layer) for its in described[0]]
        single, as_tuple = _is_pair(described[3]), rest.pop("tuple_output", False) is True
        try:
            inputs, input_keys = _parts(described[2])
            outputs, output_keys = _parts([described[3]] if single else described[3])
            given, found = _called(
                [layers[number] for number in inputs], layers, described[1], outputs
            )
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"Model: the configuration is not valid: {error!r}.") from None
        its_inputs = dict(zip(input_keys, given, strict=True)) if input_keys else given
        its_outputs: Any = dict(zip(output_keys, found, strict=True)) if output_keys else found
        its_outputs = tuple(found) if as_tuple and not output_keys else its_outputs
        return cls(its_inputs, found[0] if single else its_outputs, **rest)


def _listed(argument: str, given: Any) -> tuple[list[SymbolicValue], list[str] | None]:
    """Return symbolic values as a list, and the keys of a dict.

    Raises:
        ConfigurationError: there are none, or one is of another kind.
    """
    keys = None
    if isinstance(given, dict):
        keys, given = [str(key) for key in given], list(given.values())
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    others = [v for v in values if not isinstance(v, SymbolicValue)]
    if not values or others:
        got = f"got {type(others[0]).__name__}" if values else "got none"
        raise ConfigurationError(
            f"Model: {argument} must be what Input() and calls of layers return, or a list or dict "
            f"of such values, {got}."
        )
    return values, keys


def _input_layer(value: SymbolicValue) -> InputLayer:
    """Return the layer of an input; a new one for a value within another model."""
    layer = value.call.layer
    return layer if isinstance(layer, InputLayer) else InputLayer(value.shape[1:])


def _numbered(
    given: list[SymbolicValue], calls: list[SymbolicCall]
) -> dict[int, tuple[int, int | None]]:
    """Return the source of each value: see :class:`CallGraph`."""
    sources: dict[int, tuple[int, int | None]] = {}
    for number, call in enumerate(calls, 1):
        for value in call.outputs:
            sources[id(value)] = (number, value.item)
    for i, value in enumerate(given):
        sources[id(value)] = (0, i if len(given) > 1 else None)
    return sources


def _called(
    input_layers: list[Any], layers: list[Layer], calls: Any, outputs: Any
) -> tuple[list[SymbolicValue], list[SymbolicValue]]:
    """Call layers on the values of input layers; return these values, and those of ``outputs``."""
    given = [layer.output for layer in input_layers]
    values: list[list[SymbolicValue]] = [given]
    for number, sources, *options in calls:
        chosen = [values[value][item or 0] for value, item in sources]
        layer = layers[number]
        layer(chosen if len(chosen) > 1 else chosen[0], **dict(*options))
        values.append(layer._symbolic_calls[-1].outputs)
    return given, [values[value][item or 0] for value, item in outputs]


def _is_pair(value: Any) -> bool:
    """Whether a value describes one output: a number and an index."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], int)


def _parts(described: Any) -> tuple[list[Any], list[str] | None]:
    if isinstance(described, dict):
        return list(described.values()), list(described)
    return list(described), None
