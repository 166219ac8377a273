"""The shape of an activation, found by trying it out: steepest slope, flat sides, limits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from netlayers.activations import ActivationLayer

# Far out, where softsign, the slowest of those with limits, has a slope of 1e-6.
_FAR = 1000.0
_FLAT = 1e-3


class ActivationShape(NamedTuple):
    """What an activation looks like from far away.

    Attributes:
        largest_slope: the largest ``|f'(z)|``.
        flat_left: whether the slope goes to 0 for very negative inputs.
        flat_right: whether it does for very large ones.
        low: what no output is below; minus infinity if there is no such number.
        high: what no output is above, or infinity.
    """

    largest_slope: float
    flat_left: bool
    flat_right: bool
    low: float
    high: float

    @property
    def saturates(self) -> bool:
        """Whether it is flat on both sides."""
        return self.flat_left and self.flat_right


def shape_of(activation: ActivationLayer) -> ActivationShape:
    """Return the shape of an activation that works element by element.

    A copy of it is asked for f and f' in float64 at 4,001 places within ±10 and at ±1000.

    Example:
        >>> import netlayers as nl
        >>> shape_of(nl.activations.get("relu"))
        ActivationShape(largest_slope=1.0, flat_left=True, flat_right=False, low=0.0, high=inf)
    """
    probe: Any = copy.deepcopy(activation)
    probe._set_dtype(np.dtype(np.float64))
    z = np.concatenate([[-_FAR], np.linspace(-10, 10, 4001), [_FAR]])[None, :]
    with np.errstate(all="ignore"):  # exp(1000) is infinite
        y = np.array(probe.forward(z, training=True))[0]
        slope = np.abs(np.array(probe.backward(np.ones_like(z)))[0])
    largest = float(slope[1:-1].max())
    left, right = (bool(slope[i] < _FLAT * largest) for i in (0, -1))
    # On a flat side the far value is the limit, up to the last thousandth of a softsign.
    low = float(np.round(y.min(), 2)) if left or y[0] > y.min() else -np.inf
    high = float(np.round(y.max(), 2)) if right or y[-1] < y.max() else np.inf
    if not np.isfinite(y.max()):
        high = np.inf
    return ActivationShape(largest, left, right, low, high)
