"""Layers that contain other layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from netlayers.arrays.spec import FLOAT
from netlayers.checks import is_iterable, takes
from netlayers.core.calls import Call
from netlayers.core.layer import Layer
from netlayers.core.symbolic import SymbolicValue
from netlayers.errors import ConfigurationError
from netlayers.layers.input import InputLayer
from netlayers.layers.network import Network
from netlayers.random import generators_in
from netlayers.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlayers._typing import Dtype, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.parameters import Parameter
    from netlayers.random import Streams


class Container(Network):
    """Base class of layers made of sublayers, with their weights, names, dtype and freezing.

    The weights of a container are those of its sublayers, in order. Messages and tables call a
    sublayer ``container/sublayer``.

    Args:
        kwargs: ``name``, ``trainable`` (``False`` freezes every sublayer), ``dtype``.

    Attributes:
        layers: the sublayers.
    """

    layers: list[Layer]

    def __init__(self, **kwargs: Any) -> None:
        vars(self).update(layers=[], calls=[])  # models refuse other layers
        super().__init__(**kwargs)
        self._built_here: list[Layer] = []

    @property
    def _layers(self) -> list[Layer]:
        """The layers, also one that :attr:`Sequential.layers` leaves out."""
        found: list[Layer] = vars(self)["layers"]
        return found

    def _add_sublayers(self, argument: str, layers: Any) -> None:
        """Add a list of layers or configurations; see :meth:`_add_sublayer`.

        Raises:
            ConfigurationError: it is not a list.
        """
        if isinstance(layers, (Layer, str, dict)) or not is_iterable(layers):
            raise ConfigurationError(
                f"{self.owner}: {argument} must be a list of layers, got {layers!r}."
            )
        try:
            for layer in layers:
                self._add_sublayer(
                    resolve("layer", layer, Layer) if isinstance(layer, dict) else layer, argument
                )
        except BaseException:
            self._release_sublayers()
            raise

    def _release_sublayers(self) -> None:
        """Remove the layers, so that they can be used elsewhere."""
        self._forget_parts()
        for layer in self._layers:
            layer._leave(self)
        vars(self).update(layers=[], calls=[])

    @property
    def _sublayers(self) -> list[Layer]:
        """The sublayers."""
        return self._layers

    def _add_sublayer(self, layer: Any, argument: str = "layers") -> None:
        """Add a layer at the end of :attr:`layers`.

        A layer that is already in another model is shared: both models have the same weights.

        Raises:
            ConfigurationError: it is not a layer, is already in the container, or has a name or a
                dtype that conflicts with the others.
        """
        owner = self.owner
        if isinstance(layer, SymbolicValue) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            what = "a class; make an object of it" if isinstance(layer, type) else repr(layer)
            raise ConfigurationError(f"{owner}: {argument} must be objects of Layer, got {what}.")
        check_layer_class(layer)
        if layer in (self, *self._sublayers, *self._around()) or self._holds(layer):
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} is used twice. A model can hold a layer only "
                "once; two models may share it. Make a new layer, "
                f"{type(layer).__name__}.from_config(layer.get_config()), or, with its "
                "weights, copy.deepcopy(layer)."
            )
        elsewhere = bool(layer._containers)
        dtype = self._dtype_with(layer._dtype if elsewhere else layer._own_dtype)
        # Not "in (None, ...)": to NumPy, float64 equals None.
        wrong = layer._own_dtype is not None and layer._own_dtype != dtype
        if wrong or (elsewhere and layer._dtype != dtype):
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} has dtype {layer.compute_dtype}, expected "
                f"{dtype.name}; a model has one dtype."
            )
        before = layer.name, layer._dtype, layer.built
        self._give_name(layer, elsewhere)
        dtypes = self._own_dtype, self._dtype
        if dtype != self._dtype:
            self._own_dtype = dtype
            self._set_dtype(dtype)
        layer._container_refs.append(ref(self))
        layer._set_dtype(self._dtype)
        if not elsewhere:
            self._place(layer)
        self._layers.append(layer)
        self.calls.append(layer.new_call() if elsewhere else layer)
        try:
            self._on_add(layer)
        except BaseException:
            self._layers.pop()
            self.calls.pop()
            layer.name, dtype, built = before
            layer._leave(self)
            layer._set_dtype(dtype)
            self._own_dtype, dtype = dtypes
            self._set_dtype(dtype)
            if not built:
                layer._unbuild()
            raise
        if not self._trainable:
            layer.trainable = False

    def _dtype_with(self, dtype: Dtype | None) -> Dtype:
        """Return the dtype: that of the first layer with one of its own, if this one has none."""
        if dtype is None or self._own_dtype is not None or self._containers:
            return self._dtype
        others = any(p._own_dtype is not None or p.declared_parameters for p in self._sublayers)
        return self._dtype if others else dtype

    def _give_name(self, layer: Layer, elsewhere: bool) -> None:
        """Make the names of the layers differ: an automatic name gets a number."""
        names = {other.name: other for other in self._layers}
        other = names.get(layer.name)
        if other is None:
            return
        yields = layer
        if elsewhere or not layer._auto_named:  # it is in another model, or was chosen
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
        """Return the calls: each layer, or a further call of one that is shared."""
        others = [any(home is not self for home in layer._containers) for layer in self._layers]
        return [
            layer.new_call() if elsewhere else layer
            for layer, elsewhere in zip(self._layers, others, strict=True)
        ]

    def _holds(self, layer: Layer) -> bool:
        """Whether a layer or one of its sublayers is already in a model that contains this one."""
        known = [
            part for part in layer._flatten_layers() if len(part._containers) > (part is not layer)
        ]
        if not known:  # common case: no shared layers
            return False
        tops = [top for top in (self, *self._around()) if not top._containers]
        return any(part in known for top in tops for part in top._flatten_layers())

    def _around(self) -> list[Container]:
        """Return the containers around this one, at any depth."""
        return [c for home in self._containers for c in (home, *home._around())]

    def _on_add(self, layer: Layer) -> None:
        """Run after a layer was added; if this raises, the layer is removed."""

    @property
    def _inner_scope(self) -> str:
        """Prefix of the names of the sublayers."""
        return f"{self.path}/"

    def _set_scope(self, scope: str) -> None:
        """Set the scope of the container and of all sublayers; see :meth:`Module._set_scope`."""
        super()._set_scope(scope)
        for part in self._sublayers:
            self._place(part)

    def _place(self, part: Layer) -> None:
        part._outer_multiplier = self.learning_rate_multiplier * self._outer_multiplier
        part._set_scope(self._inner_scope)

    # Shapes and weights ----------------------------------------------------------------------

    def _build_sublayers(self, shapes: Iterable[tuple[Layer, Shape]]) -> None:
        """Build sublayers one after the other; if one fails, none of them stays built."""
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
        """Collect the weights of the sublayers, each once, and connect the calls."""
        found = {id(p): p for part in self._sublayers for p in part.declared_parameters}
        self.declared_parameters = list(found.values())
        inside = list(self._flatten_layers())
        self._has_states = any(part.states for part in inside)
        changes = self._has_states or any(p.statistic for p in self.declared_parameters)
        draw = any(part.random or any(True for _ in generators_in(part)) for part in inside)
        self._changes_in_training = changes or draw
        self._connect()

    def _use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Give every sublayer, and every further call of one, its own random stream."""
        for part in self._sublayers:
            part._use_streams(streams, keep)
        for call in self.calls:
            if isinstance(call, Call):
                call._use_streams(streams)

    def _after_build(self) -> None:
        """Bind at once, so that a sublayer does not bind its weights alone."""
        if not self._in_model and self._vector is None:
            self._assemble_alone()

    def _unbuild(self) -> None:
        """Remove shapes and weights; sublayers that were added already built keep theirs."""
        self._forget_parts()
        super()._unbuild()

    def _forget_parts(self) -> None:
        for part in self._built_here:
            if not part._is_shared:
                part._unbuild()
        self._built_here = []

    @property
    def trainable(self) -> bool:
        """Whether a sublayer is trainable; setting it sets all sublayers."""
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
        """Whether an optimizer changes a weight of a sublayer."""
        return any(part._has_trainable_weights for part in self._sublayers)

    @property
    def _adds_penalty(self) -> bool:  # type: ignore[override]
        """Whether a sublayer adds a penalty to the loss."""
        return any(part._adds_penalty for part in self._sublayers)

    @property
    def learning_rate_multiplier(self) -> float:
        """Factor on the learning rate of all sublayers, in addition to their own."""
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


def check_layer_class(layer: Layer) -> None:
    """Check what a class of the user may lack.

    Raises:
        ConfigurationError: its ``__init__`` does not call that of Layer, or ``forward`` does not
            take ``training``.
    """
    kind = type(layer).__name__
    if "_container_refs" not in vars(layer):
        raise ConfigurationError(f"{kind}.__init__() must call super().__init__(**kwargs).")
    if not takes(type(layer).forward, 3):
        raise ConfigurationError(f"{kind}.forward must take (self, x, training=False).")


def output_activation(layer: Layer) -> Any:
    """Return the activation that computes the output of a layer, and nothing else, or ``None``."""
    mixed = getattr(layer, "_mixes_activations", False)  # in a recurrent layer
    return None if mixed else getattr(layer, "activation", None)


class Chain(Container):
    """Layers in sequence: forward in order, backward in reverse order.

    Without layers it is the identity. Base class of ``Sequential`` and ``Residual``; a list of
    layers as a branch of ``Parallel`` becomes a Chain.

    Args:
        layers: layers, or their configurations.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def __init__(self, layers: Iterable[Any] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._add_sublayers("layers", layers)

    def build(self, input_shape: Shape) -> None:
        """Build every layer for the output shape of the previous one."""
        self._build_sublayers(self._build_order(input_shape))

    def _build_order(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        """Yield each layer with its input shape, known once the previous layer is built."""
        for layer in self._layers:
            yield layer, input_shape
            input_shape = layer.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape of the last layer."""
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the first layer with weights does not accept its input."""
        for layer in self._layers:
            layer.check_input_shape(shape)
            if layer.declared_parameters:
                return
            shape = layer.compute_output_shape(shape)

    @property
    def activation(self) -> Any:
        """The activation that computes the output, or ``None``."""
        return output_activation(self._layers[-1]) if self._layers else None

    @property
    def _first_layer(self) -> Layer | None:
        """The first layer that is not an Input."""
        return next((layer for layer in self._layers if not isinstance(layer, InputLayer)), None)

    @property
    def takes_sparse(self) -> bool:  # type: ignore[override]
        """Whether the first layer accepts a sparse matrix."""
        return self._first_layer is not None and self._first_layer.takes_sparse

    @property
    def _any_inputs(self) -> bool:  # type: ignore[override]
        """Whether the first layer takes any number of inputs."""
        return self._first_layer is not None and self._first_layer._any_inputs

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """The input spec of the first layer."""
        return FLOAT if self._first_layer is None else self._first_layer.input_spec
