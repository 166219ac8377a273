"""Group normalization."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.moments import standardize, standardize_backward
from netlayers.layers.normalizing import AFFINE_EXAMPLE, AffineNormalization
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Identifier, Shape


@register("layer")
class GroupNormalization(AffineNormalization):
    """Normalize each sample over groups of channels, ``y = gamma x̂ + beta``.

    ``x̂ = (x - μ) / √(σ² + epsilon)``. The channels are divided into ``groups`` contiguous groups
    of equal size; μ and σ² are the mean and the (biased) variance over the channels and positions
    of one group of one sample. Training and inference are the same.

    Shapes: ``x`` and ``y`` any of two axes or more; ``gamma`` and ``beta`` (channels,), the size of
    the axis ``axis``.

    Args:
        groups: number of groups; it must divide the number of channels. 1 normalizes over a whole
            sample; -1 makes each channel its own group (instance normalization).
        axis: channel axis.
        epsilon: added to the variance.
        center: whether to add ``beta``.
        scale: whether to multiply by ``gamma``.
        beta_initializer: fills ``beta``.
        gamma_initializer: fills ``gamma``.
        beta_regularizer: penalty on ``beta``.
        gamma_regularizer: penalty on ``gamma``.
        beta_constraint: constraint applied to ``beta`` after each update.
        gamma_constraint: constraint applied to ``gamma`` after each update.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        Y. Wu, K. He, "Group Normalization" (2018), section 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.GroupNormalization(groups=2, epsilon=1e-9)
        >>> layer.forward(np.array([[1.0, 3.0, 60.0, 20.0]])).tolist()
        [[-1.0, 1.0, 1.0, -1.0]]
    """

    axis: int

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones",
        beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None,
        beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            check_integer("GroupNormalization", "axis", axis),
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.groups = check_integer("GroupNormalization", "groups", groups, minimum=-1)
        if self.groups == 0:
            raise ConfigurationError(
                "GroupNormalization: groups must be an integer >= 1, or -1 for as many groups as "
                "channels, got 0."
            )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"groups": 2}, (4, 6)),
            ({"groups": 2, "epsilon": 0.1}, (2, 3, 2, 4)),
            ({"groups": 2, **AFFINE_EXAMPLE}, (4, 6)),
            ({"groups": -1, "axis": 1, "center": False}, (2, 2, 5)),
            ({"groups": 1, "axis": 2, "scale": False, "beta_regularizer": "l2"}, (2, 3, 2, 2)),
        ]

    _takes_any_rank = False

    def build(self, input_shape: Shape) -> None:
        """Declare ``gamma`` and ``beta``, (channels,)."""
        (channels,) = self._arrange_by(self.axis, input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{self.owner} (GroupNormalization): {channels} channels cannot be divided "
                f"into {self.groups} groups of equal size; choose groups from the divisors of "
                f"{channels}, or -1."
            )
        others = [a for a in range(1, len(input_shape)) if a not in self._last]
        self._set_order([0, *self._last, *others])
        self._add_gamma_and_beta((channels,))

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = gamma x̂ + beta`` with ``x̂ = (x - μ) / √(σ² + epsilon)``."""
        x = self.prepare(x)
        given = self._arranged("x", x, training)  # (batch, channels, ...)
        batch, channels = given.shape[:2]
        flat = (batch, channels, math.prod(given.shape[2:]))
        if not flat[2]:
            raise ShapeError(
                f"{self.owner} (GroupNormalization): there is nothing in an input of shape "
                f"{x.shape}, hence no mean; each axis must have a size of at least 1."
            )
        groups = channels if self.groups == -1 else self.groups
        rows = given.reshape(batch * groups, channels // groups * flat[2])
        y = self.buffer("y", given.shape, training)
        out = y.reshape(flat)
        normal = self.buffer("normal", rows.shape, training)
        inverse = standardize(rows, normal, self.epsilon)
        if self.scale:
            np.multiply(normal.reshape(flat), self.gamma[:, None], out=out)
        else:
            np.copyto(out, normal.reshape(flat))
        if self.center:
            np.add(out, self.beta[:, None], out=out)
        if training:
            self.cache.shape, self.cache.flat = x.shape, flat
            self.cache.normal, self.cache.inverse = normal, inverse
        return self._arranged_back("output", y, training)

    def backward(self, dy: Array) -> Array:
        """Gradients, with ``dx̂ = gamma dy`` and means over a group.

        ``dbeta = Σ dy``, ``dgamma = Σ dy x̂`` over samples and positions,
        ``dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + epsilon)``.
        """
        normal, inverse, flat = self.cache.normal, self.cache.inverse, self.cache.flat
        dy = self._arranged("dy", self.check_gradient(dy, self.cache.shape))
        by_channel = dy.reshape(flat)
        if self.trainable:
            if self.center:
                np.einsum("bcs->c", by_channel, out=self.d_beta)
            if self.scale:
                np.einsum("bcs,bcs->c", by_channel, normal.reshape(flat), out=self.d_gamma)
        if self.scale:
            d_normal = self.workspace("dn", flat, self._dtype)
            by_channel = np.multiply(by_channel, self.gamma[:, None], out=d_normal)
        rows = by_channel.reshape(normal.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        standardize_backward(rows, normal, inverse, dx.reshape(rows.shape))
        return self._arranged_back("input gradient", dx)
