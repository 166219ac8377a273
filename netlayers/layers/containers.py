"""Layers that are made of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from netlayers.arrays.spec import FLOAT
from netlayers.core.calls import Call
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError
from netlayers.layers.input import Input
from netlayers.layers.network import Network
from netlayers.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlayers._typing import Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.parameters import Parameter
    from netlayers.random import Streams


class Container(Network):
    """Base class of layers made of layers: their weights, names, dtype and freezing in one place.

    The weights of a container are those of its parts, in their order; a part's name in messages
    and tables is ``container/part``.

    Args:
        kwargs: ``name``, ``trainable`` (``False`` freezes every part), ``dtype``.

    Attributes:
        layers: the parts.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.layers: list[Layer] = []
        self.calls: list[Layer | Call] = []
        super().__init__(**kwargs)
        self._built_here: list[Layer] = []

    def _add_sublayers(self, argument: str, layers: Any) -> None:
        """Take in a list of layers or configurations; see :meth:`adopt`.

        Raises:
            ConfigurationError: it is no list.
        """
        if isinstance(layers, (Layer, str, dict)) or not hasattr(layers, "__iter__"):
            raise ConfigurationError(
                f"{self.owner}: {argument} must be a list of layers, got {layers!r}."
            )
        try:
            for layer in layers:
                self._add_sublayer(
                    resolve("layer", layer, Layer) if isinstance(layer, dict) else layer
                )
        except BaseException:
            self._release_sublayers()
            raise

    def _release_sublayers(self) -> None:
        """Let the layers go, so that they can be used again."""
        self._forget_parts()
        for layer in self.layers:
            layer._leave(self)
        self.layers, self.calls = [], []

    @property
    def _sublayers(self) -> list[Layer]:
        """The layers that this one is made of."""
        return self.layers

    def _add_sublayer(self, layer: Layer) -> None:
        """Take a layer in, at the end of :attr:`layers`.

        A layer that stands in another model already is shared: both models have the same weights.

        Raises:
            ConfigurationError: it is no layer, stands here already, or has a name or dtype that
                does not go with the others.
        """
        owner = self.owner
        if not isinstance(layer, Layer):
            what = "a class; make an object of it" if isinstance(layer, type) else repr(layer)
            raise ConfigurationError(f"{owner}: layers must be objects of Layer, got {what}.")
        if (
            layer is self
            or layer in self._sublayers
            or layer in self._around()
            or self._holds(layer)
        ):
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} is used twice. In one model each layer stands "
                "once; two models may share it. Make a new layer, "
                f"{type(layer).__name__}.from_config(layer.get_config()), or, with its "
                "weights, copy.deepcopy(layer)."
            )
        elsewhere = bool(layer._containers)
        # Not "in (None, ...)": to NumPy, float64 equals None.
        wrong = layer._own_dtype is not None and layer._own_dtype != self._dtype
        if wrong or (elsewhere and layer._dtype != self._dtype):
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} has dtype {layer.compute_dtype}, expected "
                f"{self.compute_dtype}; a model has one dtype."
            )
        before = layer.name, layer._dtype, layer.built
        self._give_name(layer, elsewhere)
        layer._container_refs.append(ref(self))
        layer._set_dtype(self._dtype)
        if not elsewhere:
            self._place(layer)
        self.layers.append(layer)
        self.calls.append(layer.new_call() if elsewhere else layer)
        try:
            self._on_add(layer)
        except BaseException:
            self.layers.pop()
            self.calls.pop()
            layer.name, layer._dtype, built = before
            layer._leave(self)
            layer._set_dtype(layer._dtype)
            if not built:
                layer._unbuild()
            raise
        if not self._trainable:
            layer.trainable = False

    def _give_name(self, layer: Layer, elsewhere: bool) -> None:
        """Let the names of the layers differ: one that nobody chose gives way, with a number."""
        names = {other.name: other for other in self.layers}
        other = names.get(layer.name)
        if other is None:
            return
        yields = layer
        if elsewhere or not layer._auto_named:  # its name stands in another model, or was chosen
            yields = other
        if not yields._auto_named or (yields is other and (not elsewhere or other._is_shared)):
            raise ConfigurationError(
                f"{self.owner}: two layers are named {layer.name!r}; names must differ."
            )
        name, number = yields.name, 0
        while name in names:
            number += 1
            name = f"{yields.name}_{number}"
        yields.name = name
        if yields is other:
            self._place(other)

    def _make_calls(self) -> list[Layer | Call]:
        """Return for each layer the call that stands here: a further one if it stands elsewhere."""
        others = [any(home is not self for home in layer._containers) for layer in self.layers]
        return [
            layer.new_call() if elsewhere else layer
            for layer, elsewhere in zip(self.layers, others, strict=True)
        ]

    def _holds(self, layer: Layer) -> bool:
        """Whether a layer, or one inside it, stands already in a model that this is a part of."""
        known = [
            part for part in layer._flatten_layers() if len(part._containers) > (part is not layer)
        ]
        if not known:  # the usual case: nothing of it stands elsewhere
            return False
        tops = [top for top in (self, *self._around()) if not top._containers]
        return any(part in known for top in tops for part in top._flatten_layers())

    def _around(self) -> list[Container]:
        """Return the containers around this one, at any distance."""
        return [c for home in self._containers for c in (home, *home._around())]

    def _on_add(self, layer: Layer) -> None:
        """Do what has to be done once a layer has come in; what this raises undoes it."""

    @property
    def _inner_scope(self) -> str:
        """What stands before the names of the parts."""
        return f"{self.path}/"

    def _set_scope(self, scope: str) -> None:
        """Stand in a container, with all parts; see :meth:`Layer.enter`."""
        super()._set_scope(scope)
        for part in self._sublayers:
            self._place(part)

    def _place(self, part: Layer) -> None:
        part._outer_multiplier = self.learning_rate_multiplier * self._outer_multiplier
        part._set_scope(self._inner_scope)

    # Shapes and weights ----------------------------------------------------------------------

    def _build_sublayers(self, shapes: Iterable[tuple[Layer, Shape]]) -> None:
        """Build parts, one after the other; none stays built if one can not be."""
        before = [part for part in self._sublayers if part.built]
        try:
            for part, shape in shapes:
                part.build(shape)
                if part not in before:
                    self._built_here.append(part)
        except BaseException:
            self._unbuild()
            raise
        self._collect_parameters()

    def _collect_parameters(self) -> None:
        """Note the weights of the parts, each once, and how the calls are connected."""
        found = {id(p): p for part in self._sublayers for p in part.declared_parameters}
        self.declared_parameters = list(found.values())
        inside = list(self._flatten_layers())
        self._has_states = any(part.states for part in inside)
        changes = self._has_states or any(p.statistic for p in self.declared_parameters)
        self._changes_in_training = changes or any(map(_draws, inside))
        self._connect()

    def _use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Let every part, and every further call of one, draw from a stream of its own."""
        for part in self._sublayers:
            part._use_streams(streams, keep)
        for call in self.calls:
            if isinstance(call, Call):
                call._use_streams(streams)

    def _after_build(self) -> None:
        """Bind at once: a part that is asked for its weights must not bind itself alone."""
        if not self._in_model and self._vector is None:
            self._assemble_alone()

    def _unbuild(self) -> None:
        """Become unbuilt again; parts that were built before they came here stay so."""
        self._forget_parts()
        super()._unbuild()

    def _forget_parts(self) -> None:
        for part in self._built_here:
            if not part._is_shared:
                part._unbuild()
        self._built_here = []

    @property
    def trainable(self) -> bool:
        """Whether weights of a part are learned; setting it sets it for every part."""
        return (
            any(part.trainable for part in self._sublayers) if self._sublayers else self._trainable
        )

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]
        for part in self._sublayers:
            part.trainable = value

    @property
    def _has_trainable_weights(self) -> bool:  # type: ignore[override]
        """Whether an optimizer changes a weight of a part."""
        return any(part._has_trainable_weights for part in self._sublayers)

    @property
    def _adds_penalty(self) -> bool:  # type: ignore[override]
        """Whether a part adds to the loss."""
        return any(part._adds_penalty for part in self._sublayers)

    @property
    def learning_rate_multiplier(self) -> float:
        """A factor for the learning rate of all parts, on top of their own."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        Layer.learning_rate_multiplier.fset(self, value)  # type: ignore[attr-defined]
        self._set_scope(self._scope)
        if self._vector is not None:
            self._vector.refresh()

    def _ordered(self) -> list[Parameter]:
        found = {id(p): p for part in self._sublayers for p in part._ordered()}
        return list(found.values())

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("declared_parameters", "calls", "_nodes", "_results", "_repeated")
        return {k: v for k, v in super().__getstate__().items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.declared_parameters, self.calls = [], []
        super().__setstate__(state)
        self.calls = self._make_calls()
        for part in self._sublayers:
            part._container_refs.append(ref(self))
        self._set_scope(self._scope)
        self._collect_parameters()
        if self.built:
            self._bind_alone()


def _draws(layer: Layer) -> bool:
    """Whether a layer itself draws random numbers."""
    values = vars(layer).values()
    return layer.random or any(isinstance(value, np.random.Generator) for value in values)


class Chain(Container):
    """Layers one after the other: forward in their order, backward in reverse.

    With no layers it is the identity. Base class of ``Sequential`` and ``Residual``, and what a
    list of layers becomes as a branch of ``Parallel``.

    Args:
        layers: layers, or their configurations.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def __init__(self, layers: Iterable[Any] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._add_sublayers("layers", layers)

    def build(self, input_shape: Shape) -> None:
        """Build every layer for the output shape of the one before."""
        self._build_sublayers(self._build_order(input_shape))

    def _build_order(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        """Yield each layer and its input shape, which is known once those before it are built."""
        for layer in self.layers:
            yield layer, input_shape
            input_shape = layer.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape of the last layer."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the first layer with weights can not take what comes to it."""
        for layer in self.layers:
            layer.check_input_shape(shape)
            if layer.declared_parameters:
                return
            shape = layer.compute_output_shape(shape)

    @property
    def activation(self) -> Any:
        """The activation that makes the output, or ``None``."""
        return getattr(self.layers[-1], "activation", None) if self.layers else None

    @property
    def _first_layer(self) -> Layer | None:
        """The first layer that computes something; Input hands on what it is given."""
        return next((layer for layer in self.layers if not isinstance(layer, Input)), None)

    @property
    def takes_sparse(self) -> bool:  # type: ignore[override]
        """Whether the first layer takes a sparse matrix."""
        return self._first_layer is not None and self._first_layer.takes_sparse

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """What the first layer takes."""
        return FLOAT if self._first_layer is None else self._first_layer.input_spec
