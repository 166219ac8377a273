"""The declaration of a model's input shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_shape
from netlayers.core.layer import Layer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


@register("layer", "input_layer")
class Input(Layer):
    """The input shape, as the first layer of a ``Sequential``, which is then built immediately.

    Args:
        shape: shape of a sample, without the batch: ``(784,)``; ``None`` for an axis of any length.
        kwargs: ``name``, ``dtype``.

    Example:
        >>> import netlayers as nl
        >>> model = nl.Sequential([nl.layers.Input((4,)), nl.layers.Dense(2)])
        >>> model.count_params()
        10
    """

    supports_masking = True

    takes_sparse = True

    def __init__(self, shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = check_shape("Input", "shape", shape)
        self.build((None, *self.shape))

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"shape": (3,)}, (4, 3)), ({"shape": (None, 2)}, (4, 3, 2))]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the shape differs from that of the constructor."""
        if self.built:
            self.check_input_shape(input_shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x``, after a check of the shape."""
        y = self.prepare(x)
        if training:
            self.cache.shape = y.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy``."""
        return self.check_gradient(dy, self.cache.shape)
