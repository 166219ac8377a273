"""Norms and clipping of gradients without overflow or underflow.

The square of 1e20 overflows in float32, so a norm computed from squares may be infinite, and arrays
scaled by it become 0 or NaN. Such a norm is recomputed with the largest entry factored out, and the
scaling uses the same two factors.
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
    """Euclidean norm of arrays as a product, ``largest * relative``.

    Attributes:
        largest: 1, or the largest absolute entry if squares would overflow or underflow.
        relative: the norm of the arrays divided by ``largest``.
    """

    largest: float
    relative: float

    @property
    def value(self) -> float:
        """The norm; NaN or infinite if an entry is not finite."""
        return self.largest * self.relative


def sum_of_squares(arrays: Sequence[Array]) -> float:
    """Return the sum of squares of flat arrays; finite only if all entries are."""
    squares = 0.0
    for a in arrays:
        squares += kernels.sum_of_squares(a)
    return squares


def norm(arrays: Sequence[Array]) -> Norm:
    """Return the Euclidean norm of the concatenation of flat arrays."""
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


def scale_to(arrays: Sequence[Array], current: Norm, limit: float) -> None:
    """Scale arrays of the given norm down to the norm ``limit``, in place, if it exceeds that.

    Source:
        R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
        networks", ICML 2013, algorithm 1.
    """
    if not current.value > limit or current.relative == math.inf:
        return
    factor = limit / current.relative
    for a in arrays:
        if current.largest != 1:
            np.divide(a, current.largest, out=a)
        if factor < np.finfo(a.dtype).tiny:  # it loses digits, or is 0, where the product is not
            np.divide(a, current.relative, out=a)
            np.multiply(a, limit, out=a)
        else:
            np.multiply(a, factor, out=a)
