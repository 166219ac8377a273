"""An activation as a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import activations
from netlayers.core.layer import Layer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


@register("layer")
class Activation(Layer):
    """Apply an activation: ``y = activation(x)``.

    Shapes: any; the output has the shape of the input (GLU halves an axis).

    Args:
        activation: name, function of ``netlayers.activations`` or activation object.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Activation("relu")(np.array([[-2.0, 0.5, 2.0]]))
        array([[0. , 0.5, 2. ]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, activation: Identifier, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self._set_dtype(self._dtype)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"activation": "tanh"}, (4, 3)),
            ({"activation": "softmax"}, (2, 3, 4)),
            ({"activation": "glu"}, (3, 4)),
        ]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the activation's shape for this shape of the input."""
        return self.activation.compute_output_shape(input_shape)

    def check_input_shape(self, shape: Shape) -> None:
        """Accept any shape."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = activation(x)``."""
        return self.activation.forward(self.prepare(x), training)

    def backward(self, dy: Array) -> Array:
        """``dx = dy activation'(x)``."""
        return self.activation.backward(dy)

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return the logits, which are the input."""
        return self.prepare(x)

    def _backward_logits(self, dz: Array) -> Array:
        """Return dL/dx from the gradient with respect to the logits."""
        return dz
