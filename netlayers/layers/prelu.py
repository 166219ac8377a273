"""The parametric rectified linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import constraints, initializers, regularizers
from netlayers.checks import check_integer
from netlayers.core.layer import Layer
from netlayers.errors import ShapeError
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Examples, Identifier, Shape

_BOOL = np.dtype(bool)


@register("layer", "prelu")
class PReLU(Layer):
    """``y = x`` where ``x > 0``, else ``alpha x``, with a learned ``alpha`` for each feature.

    Shapes: ``x`` and ``y`` (batch, ...); ``alpha`` as one sample, with 1 on each shared axis.

    Args:
        alpha_initializer: fills ``alpha``. (The paper starts from 0.25, Keras from 0.)
        alpha_regularizer: penalty on ``alpha``; the paper advises against one, as it would push the
            unit towards a ReLU.
        alpha_constraint: constraint applied to ``alpha`` after each update.
        shared_axes: axes along which ``alpha`` is shared, with the batch as axis 0; ``[1, 2]`` for
            (batch, height, width, channels).
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 1 to 3. As
        there, the slope at 0 is ``alpha``.

    Example:
        >>> import netlayers as nl
        >>> layer = nl.layers.PReLU(alpha_initializer=nl.initializers.Constant(0.25))
        >>> layer.forward([[-4.0, 2.0]]).tolist(), layer.alpha.shape
        ([[-1.0, 2.0]], (2,))
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Identifier = "Zeros",
        alpha_regularizer: Identifier = None,
        alpha_constraint: Identifier = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = _axes(shared_axes)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 3)),
            ({"alpha_initializer": "ones", "alpha_regularizer": "l2"}, (2, 3, 4)),
            ({"alpha_initializer": "ones", "alpha_constraint": "non_neg"}, (2, 3, 4)),
            ({"shared_axes": [1, 2]}, (2, 4, 3, 2)),
            ({"shared_axes": 2}, (3, 2, 4)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare ``alpha``: the shape of a sample, with 1 on each shared axis."""
        shape: list[Any] = list(input_shape)
        for axis in self.shared_axes or ():
            if axis >= len(shape):
                raise ShapeError(
                    f"{self.owner} (PReLU): shared_axes={self.shared_axes}, but an input of "
                    f"shape {input_shape} has no axis {axis}."
                )
            shape[axis] = 1
        self.add_weight(
            "alpha",
            shape[1:],
            self.alpha_initializer,
            self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = max(x, 0) + alpha min(x, 0)``."""
        x = self.prepare(x)
        negative = self.buffer("negative", x.shape, training)
        y = self.buffer("y", x.shape, training)
        np.minimum(x, 0, out=negative)
        np.multiply(negative, self.alpha, out=negative)
        np.maximum(x, 0, out=y)
        if training:
            self.cache.x = x
        return np.add(y, negative, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``x > 0``, else ``alpha dy``; ``dalpha = Σ dy min(x, 0)``.

        The sum is over the batch and the shared axes.
        """
        x = self.cache.x
        dy = self.check_gradient(dy, x.shape)
        dx = self.workspace("dx", x.shape, self._dtype)
        if self.trainable:
            np.minimum(x, 0, out=dx)
            dx *= dy
            axes = (0, *(self.shared_axes or ()))
            np.sum(dx, axis=axes, keepdims=True, out=self.d_alpha[None])
        open_ = self.workspace("open", x.shape, _BOOL)
        passed = self.workspace("passed", x.shape, self._dtype)
        np.multiply(dy, np.greater(x, 0, out=open_), out=passed)
        np.multiply(dy, self.alpha, out=dx)
        dx *= np.logical_not(open_, out=open_)
        dx += passed
        return dx


def _axes(value: Any) -> list[int] | None:
    """Return ``shared_axes`` as a list of axes after the batch."""
    if value is None:
        return None
    try:
        axes = list(value)
    except TypeError:
        axes = [value]
    return [check_integer("PReLU", "each of shared_axes", axis, minimum=1) for axis in axes]
