"""Norms and clipping of gradients, right for every finite number.

The square of 1e20 is no float32. A norm that is computed from squares is then infinite, and what is
scaled by it becomes 0 or NaN. Here a norm that is not an ordinary number is computed again with the
largest entry taken out, and the scaling is done in the same two factors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array

_CHUNK = 1 << 16


class Norm(NamedTuple):
    """The Euclidean norm of some arrays: ``largest * relative``.

    Attributes:
        largest: 1, or the largest absolute entry where squares would over- or underflow.
        relative: the norm of the arrays divided by ``largest``.
    """

    largest: float
    relative: float

    @property
    def value(self) -> float:
        """The norm; NaN or infinite if an entry is."""
        return self.largest * self.relative


def sum_of_squares(arrays: Sequence[Array]) -> float:
    """Return the sum of all squares of flat arrays: finite only if each number is."""
    squares = 0.0
    for a in arrays:
        squares += kernels.sum_of_squares(a)
    return squares


def norm(arrays: Sequence[Array]) -> Norm:
    """Return the Euclidean norm of flat arrays, as if they were one."""
    squares = sum_of_squares(arrays)
    if 1e-30 < squares < math.inf:
        return Norm(1.0, math.sqrt(squares))
    largest = max((max(float(a.max()), -float(a.min())) for a in arrays if a.size), default=0.0)
    if not 0 < largest < math.inf:  # all zero, or not finite
        return Norm(1.0, largest)
    total = 0.0
    for a in arrays:
        for i in range(0, a.size, _CHUNK):
            part = a[i : i + _CHUNK].astype(np.float64) / largest
            total += float(np.dot(part, part))
    return Norm(largest, math.sqrt(total))


def scale_to(arrays: Sequence[Array], size: Norm, limit: float) -> None:
    """Scale arrays with the norm ``size`` down to the norm ``limit``, in place, if it is above.

    Source:
        R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
        networks", ICML 2013, algorithm 1.
    """
    if not size.value > limit or size.relative == math.inf:
        return
    for a in arrays:
        if size.largest != 1:
            np.divide(a, size.largest, out=a)
        np.multiply(a, limit / size.relative, out=a)
