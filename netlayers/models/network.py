"""What a model is, whatever its layers are joined to: shapes, weights, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype, Shape
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import ParameterVector
    from netlayers.core.random import Streams


class Network:
    """The interface that training works on; a kind of model defines every method.

    Attributes:
        name: what the model is called.
        dtype: ``"float32"`` or ``"float64"``.
        layers: its layers.
        input_shape: with the batch first; ``None`` before the model is built.
    """

    name: str
    dtype: str
    layers: list[Layer]
    input_shape: Shape | None
    _dtype: Dtype
    _streams: Streams

    @property
    def built(self) -> bool:
        """Whether the shapes are known, and with them the weights."""
        raise NotImplementedError

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the output, batch first."""
        raise NotImplementedError

    @property
    def parameters(self) -> ParameterVector:
        """The flat vectors of all weights and gradients."""
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for an input shape, batch first."""
        raise NotImplementedError

    def assemble(self) -> None:
        """Lay all weights into one vector."""
        raise NotImplementedError

    def unbuild(self) -> None:
        """Forget the weights and shapes."""
        raise NotImplementedError

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Return the output for a batch."""
        raise NotImplementedError

    def backward(self, dy: ArrayLike, input_gradient: bool = True) -> Any:
        """Return dL/dx, and write the gradients of all weights."""
        raise NotImplementedError

    def forward_logits(self, x: ArrayLike, training: bool = False) -> Array:
        """Return what the last activation is applied to."""
        raise NotImplementedError

    def backward_logits(self, dz: Array, input_gradient: bool = True) -> Any:
        """Return dL/dx for a gradient of the logits."""
        raise NotImplementedError

    def last_activation(self) -> Any:
        """Return the activation that makes the output, or ``None``."""
        return None

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the model can not take inputs of this shape."""
