"""A chain of layers that can be trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlayers.core.binding import assemble, bind
from netlayers.core.parameters import ParameterVector
from netlayers.errors import ConfigurationError
from netlayers.layers.containers import Chain
from netlayers.layers.input import Input, InputLayer
from netlayers.models.layered import LayeredModel
from netlayers.models.model import Model
from netlayers.registry import register
from netlayers.training.lock import check_not_busy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from netlayers._typing import Examples, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.layer import Layer


@register("layer")
class Sequential(Chain, Model):
    """Layers in sequence: forward in order, backward in reverse order.

    It is a layer itself and can be part of another model or of a block such as
    :class:`netlayers.layers.Residual`; it then shares the weight vector, dtype and random streams
    of the outermost model, and is trained with it.

    Args:
        layers: the layers. A leading :func:`netlayers.layers.Input` sets the input shape;
            otherwise it is inferred from the first data.
        trainable: ``False`` freezes every layer.
        name: name of the model.
        seed: non-negative integer that determines every random number of the model: initial
            weights, order of the samples, dropout. The same seed gives bitwise identical results on
            the same machine.
        dtype: ``"float32"`` (also for ``None``) or ``"float64"``.
        learning_rate_multiplier: factor on the learning rate of all layers, in addition to their
            own.

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
        layers: Iterable[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
        *,
        seed: int | None = None,
        dtype: str | None = None,
        learning_rate_multiplier: float = 1.0,
    ) -> None:
        super().__init__(
            () if layers is None else layers,
            seed=seed,
            trainable=trainable,
            name=name,
            dtype=dtype,
            learning_rate_multiplier=learning_rate_multiplier,
        )

    _or_change_it = ", or use add() and pop()"

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        inner = {"class_name": "Sequential", "config": {"layers": [dense, dense]}}
        return [
            ({"layers": [dense, dense]}, (4, 3)),
            ({"layers": [inner, dense], "seed": 3}, (2, 5, 3)),
        ]

    # Layers ----------------------------------------------------------------------------------

    def _shown_layers(self) -> list[Layer]:
        """Return the layers without a leading ``Input``."""
        leading = bool(self._layers) and isinstance(self._layers[0], InputLayer)
        return self._layers[leading:]

    layers = property(_shown_layers, LayeredModel._refuse_layers)

    def _argument(self, name: str) -> Any:
        return self._layers if name == "layers" else super()._argument(name)

    def _on_add(self, layer: Layer) -> None:
        """Build a new layer immediately if its input shape is known."""
        if isinstance(layer, InputLayer):
            if len(self._layers) > 1:
                raise ConfigurationError(f"{self.owner}: Input must be the first layer.")
            self.build(layer.input_shape)  # type: ignore[arg-type]
        elif self.input_shape is not None:
            first = self._layers[0]
            if isinstance(first, InputLayer) and len(self._layers) == 2:
                first.input_spec = _handed_on(layer.input_spec)
            if self._in_model:
                raise ConfigurationError(
                    f"{self.owner}: it is part of a model and built; add layers before."
                )
            if not layer.built:
                self._built_here.append(layer)
            layer.build(self.output_shape or self.input_shape)
            self._lay_out()
        elif len(self._layers) == 1 and layer._first_shape is not None:
            self.build(layer._first_shape)

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Add a layer at the end.

        Args:
            layer: the layer.
            rebuild: accepted as in Keras, without effect: a model that knows its input shape is
                always built.

        Raises:
            ConfigurationError: it is not a layer, is already in the model, or has a name or dtype
                that conflicts with the others.
            ShapeError: it does not accept the output of the previous layer.
        """
        check_not_busy(self, "add")
        self._add_sublayer(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it, with its weights; ``rebuild`` has no effect."""
        check_not_busy(self, "pop")
        if not self._layers:
            raise ConfigurationError(f"{self.owner}: there is no layer to pop.")
        if self._in_model and self.built:
            raise ConfigurationError(f"{self.owner}: it is part of a model and built.")
        self._steps = None
        layer = self._layers.pop()
        self.calls.pop()
        layer._leave(self)
        if layer in self._built_here:
            self._built_here.remove(layer)
        if layer.built and not layer._containers:
            bind(layer, ParameterVector(layer.declared_parameters, self._dtype))
        if isinstance(layer, InputLayer):
            self._unbuild()
        elif self.input_shape is not None:
            self._lay_out()
        return layer

    def _lay_out(self) -> None:
        """Assemble the weights after a layer was added or removed; the loss may change."""
        self._steps = None
        assert self.input_shape is not None
        self.output_shape = self.compute_output_shape(self.input_shape)
        self._collect_parameters()
        assemble(self, self._streams)

    # Configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments; with them, the input shape that only data gave it."""
        config = super().get_config()
        if self.built and not self._in_model and not isinstance(self._layers[0], InputLayer):
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Create a model from the result of :meth:`get_config`, built if that one was.

        Args:
            config: the dict.
            custom_objects: additional classes by name.
        """
        arguments = dict(config)
        shape = arguments.pop("build_input_shape", None)
        model = super().from_config(arguments, custom_objects)
        if shape is not None and not model.built:
            model.build(shape)
        return model

    # Shapes and weights ----------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Build the layers and allocate the weights.

        Args:
            input_shape: input shape with the batch first, such as ``(None, 784)``.

        Raises:
            ConfigurationError: there are no layers.
            ShapeError: a layer does not accept the output of the previous layer, or the model is
                built for another shape.
        """
        if not self._layers:
            raise ConfigurationError(f"{self.owner}: there are no layers to build; add one first.")
        super().build(input_shape)

    def _build_if_known(self) -> None:
        """Build the model if the first layer is already built, for example by ``adapt``."""
        first: Layer | None = self
        while isinstance(first, Sequential):
            first = first._first_layer
        if first is not None and first.input_shape is not None and not self._in_model:
            self.build(first.input_shape)

    @property
    def built(self) -> bool:
        """Whether the shapes are known and the weights exist."""
        return self.input_shape is not None and bool(self._layers)

    def _call_layers(self) -> tuple[list[Any], list[Any]]:
        """Return a symbolic input, and the output of the last layer for it."""
        if self.input_shape is None:
            raise ConfigurationError(
                f"{self.owner}: its input shape is not known yet; begin with layers.Input(shape)."
            )
        first = self._layers[0]
        known = isinstance(first, InputLayer)
        value = first.output if known else Input(self.input_shape[1:])
        inputs = [value]
        for layer in self._layers[known:]:
            value = layer(value)
        return inputs, [value]


def _handed_on(spec: InputSpec | tuple[InputSpec, ...]) -> InputSpec | tuple[InputSpec, ...]:
    """Return the input spec of Input before a layer: that of the layer, without rounding."""
    if isinstance(spec, tuple) or spec.dtype != "float":
        return spec
    return replace(spec, keeps_precision=True)
