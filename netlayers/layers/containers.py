"""Layers that are made of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.kernels import kernels
from netlayers.core.layer import Layer
from netlayers.core.parameters import ParameterVector
from netlayers.errors import ConfigurationError
from netlayers.layers.dense_stack import stacked
from netlayers.layers.input import Input
from netlayers.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlayers._typing import Array, Shape
    from netlayers.core.parameters import Parameter
    from netlayers.core.random import Streams


class Container(Layer):
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
        super().__init__(**kwargs)
        self._built_here: list[Layer] = []

    def adopt_all(self, argument: str, layers: Any) -> None:
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
                self.adopt(resolve("layer", layer, Layer) if isinstance(layer, dict) else layer)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let the layers go, so that they can be used again."""
        for layer in self._built_here:
            layer.forget()
        for layer in self.layers:
            layer.leave()
        self.layers, self._built_here = [], []

    @property
    def parts(self) -> list[Layer]:
        """The layers that this one is made of."""
        return self.layers

    def walk(self) -> Iterator[Layer]:
        """Yield every layer inside, at any depth; a container before its parts."""
        for part in self.parts:
            yield part
            if isinstance(part, Container):
                yield from part.walk()

    def adopt(self, layer: Layer) -> None:
        """Take a layer in, at the end of :attr:`layers`.

        Raises:
            ConfigurationError: it is no layer, stands in a model already, or has a name or dtype
                that does not go with the others.
        """
        owner = self.owner
        if not isinstance(layer, Layer):
            what = "a class; make an object of it" if isinstance(layer, type) else repr(layer)
            raise ConfigurationError(f"{owner}: layers must be objects of Layer, got {what}.")
        if layer._in_model or layer is self:
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} is used twice. A layer remembers one forward "
                "pass for its backward pass, so it can stand only once, in one model. Make a new "
                f"layer, {type(layer).__name__}.from_config(layer.get_config()), or, with its "
                "weights, copy.deepcopy(layer)."
            )
        # Not "in (None, ...)": to NumPy, float64 equals None.
        if layer._own_dtype is not None and layer._own_dtype != self._dtype:
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} has dtype {layer.dtype}, expected "
                f"{self.compute_dtype}; a model has one dtype."
            )
        names = {other.name for other in self.layers}
        if layer.name in names and not layer._auto_named:
            raise ConfigurationError(
                f"{owner}: two layers are named {layer.name!r}; names must differ."
            )
        old = layer.name, layer._dtype, layer.built
        name, number = layer.name, 0
        while name in names:
            number += 1
            name = f"{layer.name}_{number}"
        layer.name = name
        layer._in_model = True
        layer.compute_in(self._dtype)
        self._place(layer)
        self.layers.append(layer)
        try:
            self.joined(layer)
        except BaseException:
            self.layers.pop()
            layer.name, layer._dtype, built = old
            layer.leave()
            layer.compute_in(layer._dtype)
            if not built:
                layer.forget()
            raise
        if not self._trainable:
            layer.trainable = False

    def joined(self, layer: Layer) -> None:
        """Do what has to be done once a layer has come in; what this raises undoes it."""

    @property
    def inner_scope(self) -> str:
        """What stands before the names of the parts."""
        return f"{self.path}/"

    def enter(self, scope: str) -> None:
        """Stand in a container, with all parts; see :meth:`Layer.enter`."""
        super().enter(scope)
        for part in self.parts:
            self._place(part)

    def _place(self, part: Layer) -> None:
        part.outer_multiplier = self.learning_rate_multiplier * self.outer_multiplier
        part.enter(self.inner_scope)

    # Shapes and weights ----------------------------------------------------------------------

    def build_parts(self, shapes: Iterable[tuple[Layer, Shape]]) -> None:
        """Build parts, one after the other; none stays built if one can not be."""
        before = [part for part in self.parts if part.built]
        try:
            for part, shape in shapes:
                part.build(shape)
                if part not in before:
                    self._built_here.append(part)
        except BaseException:
            self.forget()
            raise
        self.slots = [p for part in self.parts for p in part.slots]

    def after_build(self) -> None:
        """Bind at once: a part that is asked for its weights must not bind itself alone."""
        if not self._in_model:
            self._bind_alone()

    def forget(self) -> None:
        """Become unbuilt again; parts that were built before they came here stay so."""
        for part in self._built_here:
            part.forget()
        self._built_here = []
        super().forget()

    def bind(self, vector: ParameterVector, *, in_model: bool = False) -> None:
        """Let every part take its views into ``vector``."""
        self._in_model = in_model
        for part in self.parts:
            part.bind(vector, in_model=True)
        self._vector = vector
        if self.input_shape is not None:
            self._row = self.input_shape[1:]

    def use_streams(self, streams: Streams, keep: bool = False) -> None:
        """Let every part draw from a stream of its own."""
        for part in self.parts:
            part.use_streams(streams, keep)

    @property
    def trainable(self) -> bool:
        """Whether weights of a part are learned; setting it sets it for every part."""
        return any(part.trainable for part in self.parts) if self.parts else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]
        for part in self.parts:
            part.trainable = value

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether an optimizer changes a weight of a part."""
        return any(part.learns for part in self.parts)

    @property
    def adds_penalty(self) -> bool:  # type: ignore[override]
        """Whether a part adds to the loss."""
        return any(part.adds_penalty for part in self.parts)

    @property
    def learning_rate_multiplier(self) -> float:
        """A factor for the learning rate of all parts, on top of their own."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        Layer.learning_rate_multiplier.fset(self, value)  # type: ignore[attr-defined]
        self.enter(self.scope)
        if self._vector is not None:
            self._vector.refresh()

    def _ordered(self) -> list[Parameter]:
        return [p for part in self.parts for p in part._ordered()]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "slots"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.slots = []
        super().__setstate__(state)
        for part in self.parts:
            part._in_model = True
        self.enter(self.scope)
        self.slots = [p for part in self.parts for p in part.slots]
        if self.built:
            self._bind_alone()


class Chain(Container):
    """Layers one after the other: forward in their order, backward in reverse.

    With no layers it is the identity. Base class of ``Sequential`` and ``Residual``, and what a
    list of layers becomes as a branch of ``Parallel``.

    Args:
        layers: layers, or their configurations.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    can_skip_input_gradient = True
    # The layers, and what _stages makes of them.
    _stacked: tuple[list[Layer], list[Any]] = ([], [])

    def __init__(self, layers: Iterable[Any] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.adopt_all("layers", layers)

    def build(self, input_shape: Shape) -> None:
        """Build every layer for the output shape of the one before."""
        self.build_parts(self.to_build(input_shape))

    def to_build(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
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
            if layer.slots:
                return
            shape = layer.compute_output_shape(shape)

    @property
    def activation(self) -> Any:
        """The activation that makes the output, or ``None``."""
        return getattr(self.layers[-1], "activation", None) if self.layers else None

    @property
    def takes_sparse(self) -> bool:  # type: ignore[override]
        """Whether the first layer takes a sparse matrix; Input hands on what it is given."""
        first = next((layer for layer in self.layers if not isinstance(layer, Input)), None)
        return first is not None and first.takes_sparse

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = f_n(... f_2(f_1(x)))``."""
        y = self.prepare(x)
        for layer in self._stages():
            y = layer.forward(y, training)
        if training:
            self.cache.shape = y.shape
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """``dx = f_1'(f_2'(... f_n'(dy)))``: the chain rule, from the last layer to the first.

        Args:
            dy: gradient of the output, (batch, ...).
            input_gradient: ``False`` leaves out dL/dx, and the matrix product for it; the result
                is then ``None``.
        """
        shape = self.cache.shape
        if not self.layers or getattr(dy, "shape", None) != shape:
            dy = self.check_gradient(dy, shape)  # the last layer checks the rest
        return self._backward(self._stages(), dy, input_gradient)

    def forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return what the last activation is applied to."""
        y = self.prepare(x)
        stages = self._stages()
        for layer in stages[:-1]:
            y = layer.forward(y, training)
        last: Any = stages[-1]
        logits: Array = last.forward_logits(y, training)
        return logits

    def backward_logits(self, dz: Array, input_gradient: bool = True) -> Any:
        """Return dL/dx for a gradient of the logits; see :meth:`backward`."""
        stages = self._stages()
        below, last = stages[:-1], stages[-1]
        needed = input_gradient or any(layer.learns for layer in below)
        dy = backward_of(last, dz, needed, "backward_logits")
        return self._backward(below, dy, input_gradient) if needed else None

    def _stages(self) -> list[Any]:
        """Return the layers; where kernels are compiled, Dense layers one on another as one."""
        if kernels.stack_forward is None or kernels.stack_backward is None:
            return self.layers
        if self._stacked[0] != self.layers:
            self._stacked = list(self.layers), stacked(self.layers)
        return self._stacked[1]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_stacked"}

    def _backward(self, layers: list[Any], dy: Any, input_gradient: bool) -> Any:
        if input_gradient:
            for layer in reversed(layers):
                dy = layer.backward(dy)
            return dy
        lowest = 0
        while lowest < len(layers) and not layers[lowest].learns:
            lowest += 1
        for layer in layers[:lowest:-1]:
            dy = layer.backward(dy)
        if lowest < len(layers):  # below it nobody needs a gradient
            backward_of(layers[lowest], dy, input_gradient=False)
        return None


def backward_of(layer: Any, dy: Array, input_gradient: bool, method: str = "backward") -> Any:
    """Call a layer's ``backward``, without the product for dL/dx if nobody needs it."""
    backward = getattr(layer, method)
    if layer.can_skip_input_gradient:
        return backward(dy, input_gradient=input_gradient)
    return backward(dy)
