"""A chain of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_dtype, check_integer, check_shape
from netlayers.core.layer import Layer
from netlayers.core.parameters import ParameterVector, copy_into
from netlayers.core.random import Streams
from netlayers.core.sparse import as_input
from netlayers.errors import ConfigurationError, NotBuiltError
from netlayers.layers.input import Input
from netlayers.models.model import Model
from netlayers.models.summary import print_summary
from netlayers.registry import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlayers._typing import Array, ArrayLike, Shape, Weights
    from netlayers.core.parameters import Parameter


class Sequential(Model):
    """Layers one after the other: forward in their order, backward in reverse.

    Args:
        layers: the layers; :class:`netlayers.layers.Input` first to name the input shape at once,
            otherwise the shapes follow from the first data.
        name: what the model is called.
        seed: a non-negative integer fixes every random number of the model: initial weights and
            the order of the samples. The same seed gives the same bits on the same machine.
        dtype: ``"float32"`` or ``"float64"``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Dense(8, activation="tanh"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0)
        >>> model.compile(optimizer="adam", loss="mse")
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> history = model.fit(x, x**2, epochs=3, verbose=0)
        >>> model.predict(x).shape
        (64, 1)
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: str = "float32",
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"Sequential: name must be a text, got {name!r}.")
        self.name = "sequential" if name is None else name
        self._dtype = check_dtype("Sequential", dtype)
        self.dtype: str = self._dtype.name
        if seed is not None:
            seed = check_integer("Sequential", "seed", seed, minimum=0)
        self.seed = seed
        self._streams = Streams(seed)
        self.layers: list[Layer] = []
        self.input_shape: Shape | None = None
        self._vector: ParameterVector | None = None
        if layers is not None and (isinstance(layers, Layer) or not hasattr(layers, "__iter__")):
            raise ConfigurationError(
                f"Sequential: layers must be a list of layers, got {layers!r}."
            )
        for layer in layers or ():
            self.add(layer)

    # Layers ----------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Put a layer at the end.

        Raises:
            ConfigurationError: it is no layer, stands in a model already, or has a name or dtype
                that does not go with the others.
            ShapeError: it can not take the output of the layer before.
        """
        owner = f"model {self.name!r}"
        if not isinstance(layer, Layer):
            what = "a class; make an object of it" if isinstance(layer, type) else repr(layer)
            raise ConfigurationError(f"{owner}: add() takes a layer, got {what}.")
        if layer._in_model:
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} is used twice. A layer remembers one forward "
                "pass for its backward pass, so it can stand only once, in one model. Make a new "
                f"layer: {type(layer).__name__}.from_config(layer.get_config())."
            )
        if isinstance(layer, Input) and self.layers:
            raise ConfigurationError(f"{owner}: Input must be the first layer.")
        if layer._own_dtype not in (None, self._dtype):
            raise ConfigurationError(
                f"{owner}: the layer {layer.name!r} has dtype {layer.dtype}, the model {self.dtype}"
                "; a model has one dtype."
            )
        names = {other.name for other in self.layers}
        if layer.name in names and not layer._auto_named:
            raise ConfigurationError(
                f"{owner}: two layers are named {layer.name!r}; names must differ."
            )
        old = layer.name, layer._dtype, layer.input_shape
        base, number = layer.name, 0
        while layer.name in names:
            number += 1
            layer.name = f"{base}_{number}"
        layer.cache._owner = f"layer {layer.name!r}"
        layer.compute_in(self._dtype)
        self.layers.append(layer)
        try:
            if isinstance(layer, Input):
                self.build(layer.input_shape)
            elif self.input_shape is not None:
                layer.build(self.layers[-2].output_shape or self.input_shape)
                self.assemble()
        except BaseException:
            self.layers.pop()
            layer.name, layer._dtype, layer.input_shape = old
            raise
        layer._in_model = True

    def pop(self) -> Layer:
        """Remove the last layer and return it, with its weights."""
        if not self.layers:
            raise ConfigurationError(f"model {self.name!r}: there is no layer to pop.")
        layer = self.layers.pop()
        if layer.built:
            layer.bind(ParameterVector(layer.slots, self._dtype))
        layer._in_model = False
        if isinstance(layer, Input):
            self.input_shape = None
        if self.built:
            self.assemble()
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises:
            ConfigurationError: there is none, or not exactly one of the two was given.
        """
        owner = f"model {self.name!r}"
        if (name is None) == (index is None):
            raise ConfigurationError(f"{owner}: get_layer() takes a name or an index.")
        if index is not None:
            index = check_integer(owner, "index", index)
            if not -len(self.layers) <= index < len(self.layers):
                raise ConfigurationError(
                    f"{owner}: there are {len(self.layers)} layers, no layer {index}."
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise ConfigurationError(
            f"{owner}: no layer is named {name!r}.{suggestion(str(name), names)} The layers are "
            f"{', '.join(names)}."
        )

    def build(self, input_shape: Any = None) -> None:
        """Make the weights.

        Args:
            input_shape: with the batch first, ``(None, 784)``.

        Raises:
            ConfigurationError: there are no layers, or the model is built for another shape.
            ShapeError: a layer can not take the output of the layer before.
        """
        owner = f"model {self.name!r}"
        if input_shape is None:
            raise ConfigurationError(
                f"{owner}: build() needs the input shape, batch first: build((None, 784))."
            )
        shape = check_shape(owner, "input_shape", input_shape)
        shape = (None, *shape[1:])
        if not self.layers:
            raise ConfigurationError(f"{owner}: there are no layers to build; add one first.")
        if self.input_shape is not None:
            if self.input_shape != shape:
                raise ConfigurationError(
                    f"{owner}: already built for inputs of shape {self.input_shape}, not {shape}."
                )
            return
        try:
            current: Shape = shape
            for layer in self.layers:
                layer.build(current)
                assert layer.output_shape is not None
                current = layer.output_shape
            self.input_shape = shape
            self.assemble()
        except BaseException:
            self.unbuild()
            raise

    def unbuild(self) -> None:
        """Forget weights and shapes, except where a layer was built before it came here."""
        self.input_shape = None
        self._vector = None
        for layer in self.layers:
            if not isinstance(layer, Input):
                layer.forget()

    def assemble(self) -> None:
        """Lay all weights into one vector, those that exist with their values."""
        slots = [p for layer in self.layers for p in layer.slots]
        new = [p for p in slots if p.value is None]
        vector = ParameterVector(slots, self._dtype)
        vector.initialize(new, self._streams.new)
        for layer in self.layers:
            layer.bind(vector, in_model=True)
        self._vector = vector
        trainable = [i for i, layer in enumerate(self.layers) if layer.slots]
        self._lowest = trainable[0] if trainable else 0

    # Shapes and weights ----------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the shapes are known, and with them the weights."""
        return self.input_shape is not None and bool(self.layers)

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the output, batch first; ``None`` before the model is built."""
        return self.layers[-1].output_shape if self.built else None

    @property
    def parameters(self) -> ParameterVector:
        """All weights as one flat vector, all gradients as another; see :class:`ParameterVector`.

        Raises:
            NotBuiltError: the shapes are not known yet.
        """
        if self._vector is None:
            self._raise_not_built()
        return self._vector  # type: ignore[return-value]

    @property
    def weights(self) -> list[Array]:
        """The weights of all layers, as views, in Keras's order and shapes."""
        return [w for layer in self._built_layers() for w in layer.weights]

    @property
    def gradients(self) -> list[Array]:
        """The gradients of all trainable weights, as views."""
        return [g for layer in self._built_layers() for g in layer.gradients]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weights that an optimizer changes, as views."""
        return [w for layer in self._built_layers() for w in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weights that no optimizer changes, as views."""
        return [w for layer in self._built_layers() for w in layer.non_trainable_weights]

    def get_weights(self) -> list[Array]:
        """Return copies of all weights, in Keras's order and shapes."""
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Weights) -> None:
        """Copy weights into the model's; none is changed if one does not fit.

        Raises:
            ShapeError: their number or a shape differs.
            NotBuiltError: the model has no weights yet.
        """
        slots: list[Parameter] = [p for layer in self._built_layers() for p in layer._ordered()]
        copy_into(f"model {self.name!r}", slots, weights)

    def count_params(self) -> int:
        """Return the number of single values in all weights."""
        return sum(layer.count_params() for layer in self._built_layers())

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None
    ) -> None:
        """Print a table of the layers.

        Args:
            line_length: width of the table.
            print_fn: called with each line instead of ``print``.
        """
        print_summary(self, line_length, print if print_fn is None else print_fn)

    # Forward and backward --------------------------------------------------------------------

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Return the output for a batch.

        Args:
            x: inputs, (batch, ...).
            training: remember what :meth:`backward` needs. What is returned is then valid until
                the next ``forward``; without, it is a new array.

        Raises:
            ShapeError, DataError: the input does not fit; the first layer says why.
        """
        y = self._start(x)
        for layer in self.layers:
            y = layer.forward(y, training)
        return y

    def backward(self, dy: ArrayLike, input_gradient: bool = True) -> Array | None:
        """Return dL/dx for dL/dy, and write dL/dw into ``parameters.gradients``.

        Args:
            dy: gradient of the output, (batch, ...).
            input_gradient: ``False`` leaves out dL/dx, and the matrix product for it; the result
                is then ``None``.
        """
        if not self.built:
            self._raise_not_built()
        return self._backward(len(self.layers), dy, input_gradient)

    def forward_logits(self, x: ArrayLike, training: bool = False) -> Array:
        """Return what the last activation is applied to; see :meth:`compile`."""
        y = self._start(x)
        for layer in self.layers[:-1]:
            y = layer.forward(y, training)
        last: Any = self.layers[-1]
        logits: Array = last.forward_logits(y, training)
        return logits

    def backward_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        """Return dL/dx for a gradient of the logits, and write dL/dw; see :meth:`backward`."""
        last: Any = self.layers[-1]
        if last.can_skip_input_gradient:
            skip = not input_gradient and self._lowest == len(self.layers) - 1
            dz = last.backward_logits(dz, not skip)
        else:
            dz = last.backward_logits(dz)
        return self._backward(len(self.layers) - 1, dz, input_gradient)

    def _start(self, x: Any) -> Any:
        x = as_input(f"model {self.name!r}", x, self._dtype)
        if self._vector is None:
            if not self.layers:
                raise ConfigurationError(f"model {self.name!r}: there are no layers; add one.")
            self.build((None, *x.shape[1:]))
        return x

    def _backward(self, stop: int, dy: Any, input_gradient: bool) -> Array | None:
        if input_gradient:
            for layer in reversed(self.layers[:stop]):
                dy = layer.backward(dy)
            return dy
        lowest = self._lowest
        for layer in reversed(self.layers[lowest + 1 : stop]):
            dy = layer.backward(dy)
        if lowest < stop:  # below the first weights nobody needs a gradient
            layer = self.layers[lowest]
            if layer.can_skip_input_gradient:
                layer.backward(dy, input_gradient=False)  # type: ignore[call-arg]
            else:
                layer.backward(dy)
        return None

    def last_activation(self) -> Any:
        """Return the activation that makes the output, or ``None``."""
        return getattr(self.layers[-1], "activation", None) if self.layers else None

    # Details ---------------------------------------------------------------------------------

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the model can not take inputs of this shape."""
        for layer in self.layers:
            layer.check_input_shape(shape)
            if layer.slots or isinstance(layer, Input):
                return

    def _built_layers(self) -> list[Layer]:
        if self._vector is None:
            self._raise_not_built()
        return self.layers

    def _raise_not_built(self) -> None:
        raise NotBuiltError(
            f"model {self.name!r} is not built: the shapes of its weights depend on the input. "
            "Call build((None, features)), put layers.Input((features,)) first, or pass data."
        )

    def get_config(self) -> dict[str, Any]:
        """Return name, seed, dtype and the configurations of the layers as plain values."""
        return {
            "name": self.name,
            "seed": self.seed,
            "dtype": self.dtype,
            "layers": [
                {"class_name": type(layer).__name__, "config": layer.get_config()}
                for layer in self.layers
            ],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """Make a model from what :meth:`get_config` returned; its weights are new."""
        from netlayers.registry import resolve

        settings = dict(config)
        layers = [resolve("layer", layer, Layer) for layer in settings.pop("layers")]
        return cls(layers, **settings)

    def __getstate__(self) -> dict[str, Any]:
        # Layers keep copies of their weights; a copied vector would no longer be theirs.
        state = self.__dict__.copy()
        state["_vector"] = None
        state["_steps"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for layer in self.layers:
            layer._in_model = True
        if self.input_shape is not None:
            self.assemble()

    def __repr__(self) -> str:
        return f"Sequential({self.layers!r}, name={self.name!r})"
