"""Masks made from values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.core.layer import Layer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

_BOOL = np.dtype(bool)


@register("layer")
class Masking(Layer):
    """Mark the steps of a series whose values are all ``mask_value`` as missing.

    The mask is False there, and the output is 0. Recurrent layers skip such steps, pooling over
    time, losses and metrics leave them out; layers that keep the steps hand the mask on.

    Shapes: x (batch, steps, features); the output has the shape of the input, the mask is (batch,
    steps).

    Args:
        mask_value: the number that stands for a missing value.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.array([[[1.0, 2.0], [-1.0, -1.0], [3.0, -1.0]]])
        >>> layer = nl.layers.Masking(mask_value=-1)
        >>> layer.compute_mask(x).tolist()
        [[True, False, True]]
        >>> layer(x).tolist()
        [[[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]]]
    """

    supports_masking = True
    arguments_without_effect = ("mask_value",)  # on numbers that are drawn at random

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = check_number("Masking", "mask_value", mask_value)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (3, 4, 2)), ({"mask_value": -1.5}, (4, 1))]

    def check_input_shape(self, shape: Shape) -> None:
        """Accept any shape."""

    def compute_mask(self, x: Any, mask: Any = None) -> Array:
        """Return where a value differs from ``mask_value``, as the dtype of the layer has it."""
        return self._there(np.asarray(x), False)

    def _there(self, x: Array, training: bool) -> Array:
        differs = self.buffer("differs", x.shape, training, _BOOL)
        np.not_equal(x, self._dtype.type(self.mask_value), out=differs)
        return np.any(differs, axis=-1, out=self.buffer("there", x.shape[:-1], training, _BOOL))

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x``, and 0 in the steps that are left out."""
        x = self.prepare(x)
        there = self._there(x, training)[..., None]
        if training:
            self.cache.there, self.cache.shape = there, x.shape
        y = self.buffer("y", x.shape, training)
        y.fill(0)  # a product would give -0
        np.copyto(y, x, where=there)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy``, and 0 in the steps that are left out."""
        there = self.cache.there
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.buffer("dx", dy.shape)
        dx.fill(0)
        np.copyto(dx, dy, where=there)
        return dx
