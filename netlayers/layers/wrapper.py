"""The base class of layers that hold another layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.layer import Layer
from netlayers.layers.containers import Container
from netlayers.layers.network import backward_of
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape
    from netlayers.arrays.spec import InputSpec


@register("layer")
class Wrapper(Container):
    """Base class of layers that hold another layer, and compute with it.

    It passes the input to the layer, and the gradient back. A subclass changes what it needs to:
    ``forward`` and ``backward``, and ``compute_output_shape`` where the shape is another one.

    Args:
        layer: the layer, or its configuration.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: ``layer`` is none.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Doubled(nl.layers.Wrapper):
        ...     def forward(self, x, training=False):
        ...         return 2 * super().forward(x, training)
        ...     def backward(self, dy, input_gradient=True):
        ...         return super().backward(2 * dy, input_gradient)
        >>> layer = Doubled(nl.layers.Dense(3, "tanh"))
        >>> nl.check_gradients(layer, np.ones((2, 4))).passed
        True
    """

    supports_masking = True

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._add_sublayers("layer", [layer])

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        return [({"layer": dense}, (4, 3))]

    @property
    def layer(self) -> Layer:
        """The layer that is held."""
        return self.layers[0]

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """That of the layer."""
        return self.layer.input_spec

    def build(self, input_shape: Shape) -> None:
        """Build the layer."""
        self._build_sublayers([(self.layer, input_shape)])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape of the layer."""
        return self.layer.compute_output_shape(input_shape)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer does not accept the shape."""
        self.layer.check_input_shape(shape)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask unchanged."""
        return mask

    def forward(
        self,
        x: Array,
        training: bool = False,
        mask: Any = None,
        mask_out: list[Any] | None = None,
    ) -> Array:
        """Return the output of the layer; see :meth:`Network.forward`."""
        if mask_out is not None:
            mask_out.append(mask)
        y: Array = self.calls[0].forward(self.prepare(x), training)
        if training:
            self.cache.shape = y.shape
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Return the gradient of the layer's input."""
        return backward_of(self.calls[0], self.check_gradient(dy, self.cache.shape), input_gradient)
