"""A layer applied to each time step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.convert import as_mask
from netlayers.core.shapes import shown_shape
from netlayers.errors import ShapeError
from netlayers.layers.network import backward_of
from netlayers.layers.wiring import forward_of
from netlayers.layers.wrapper import Wrapper
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


@register("layer")
class TimeDistributed(Wrapper):
    """``y[:, t] = layer(x[:, t])`` for every time step, with the same weights.

    The time steps of all samples are one batch to the layer, so statistics of a batch are taken
    over both, and dropout draws anew for each time step.

    The layer gets the mask of each time step, if it takes one: of a mask (batch, time, words), a
    recurrent layer on the words of each sentence gets (batch, words). Behind a layer that takes up
    the words, the mask says which time steps have any.

    Shapes: input (batch, time, ...), output (batch, time, ...), mask (batch, time, ...).

    Args:
        layer: the layer.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.TimeDistributed(nl.layers.Dense(4))(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    takes_mask = True

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        flat = {"class_name": "Flatten", "config": {}}
        return [({"layer": dense}, (2, 4, 3)), ({"layer": flat}, (2, 4, 3, 2))]

    def _connect(self) -> None:
        super()._connect()
        self.takes_mask = True

    def build(self, input_shape: Shape) -> None:
        """Build the layer for one time step."""
        self._build_sublayers([(self.layer, self._step(input_shape))])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, time, ...) with the output shape of the layer."""
        _, *rest = self.layer.compute_output_shape(self._step(input_shape))
        return (input_shape[0], input_shape[1], *rest)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the layer does not accept a time step of it."""
        self.layer.check_input_shape(self._step(shape))

    def _step(self, shape: Shape) -> Shape:
        if len(shape) < 3:
            raise ShapeError(
                f"{self.owner} (TimeDistributed): expected an input of shape (batch, time, ...), "
                f"got {shown_shape(shape)}."
            )
        return (None, *shape[2:])

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask of the output; with a mask given, this runs the layer."""
        found: list[Any] = []
        if mask is not None:
            self.forward(x, mask=mask, mask_out=found)
        return found[0] if found else None

    def forward(
        self,
        x: Array,
        training: bool = False,
        mask: Any = None,
        mask_out: list[Any] | None = None,
    ) -> Array:
        """Run the layer on all time steps as one batch; see :meth:`Network.forward`."""
        x = self.prepare(x)
        count, steps, *row = x.shape
        flat, call = x.reshape(count * steps, *row), self.calls[0]
        if mask is None:
            y = call.forward(flat, training)
        else:
            mask = self._checked_mask(mask, x.shape)
            y, its = forward_of(call, flat, training, mask.reshape(-1, *mask.shape[2:]))
            if its is None:  # the layer has taken up the axes behind the time
                mask = mask.any(axis=tuple(range(2, mask.ndim))) if mask.ndim > 2 else mask
            elif mask.ndim > 2:
                mask = its.reshape(count, steps, *its.shape[1:])
        if mask_out is not None:
            mask_out.append(mask)
        if training:
            self.cache.x, self.cache.y = x.shape, (count, steps, *y.shape[1:])
        return y.reshape(count, steps, *y.shape[1:])

    def _checked_mask(self, mask: Any, shape: tuple[int, ...]) -> Array:
        mask = as_mask(f"{self.owner} (TimeDistributed)", mask)
        if mask.ndim < 2 or mask.shape[:2] != shape[:2]:
            raise ShapeError(
                f"{self.owner} (TimeDistributed): mask must have the shape (batch, time, ...) = "
                f"({shape[0]}, {shape[1]}, ...), got {mask.shape}."
            )
        return mask

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """``dx[:, t]`` is the layer's gradient for time step t; those of weights are summed."""
        dy = self.check_gradient(dy, self.cache.y)
        call = self.calls[0]
        flat = dy.reshape(dy.shape[0] * dy.shape[1], *dy.shape[2:])
        dx = backward_of(call, flat, input_gradient)
        return dx.reshape(self.cache.x) if input_gradient and dx is not None else None
