"""Mean and variance of data that are read in chunks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array


class MergedMoments:
    """Mean and sum of squared deviations of data in chunks, in float64.

    Attributes:
        count: number of values per mean.
        origin: the first value. Only differences from it are summed, so a large offset does not
            reduce the accuracy.
        mean: mean minus the origin.
        squares: sum of the squared deviations from the mean.

    Source:
        T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing
        sample variances" (1979), for the merging of two chunks.
    """

    count = 0
    origin: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0

    def add(self, piece: Array, kept: list[int]) -> None:
        """Add a non-empty chunk, with moments for each index of the axes ``kept``."""
        axes = range(piece.ndim)
        reduced = tuple(a for a in axes if a not in kept)
        sizes = [piece.shape[a] for a in kept]
        piece = piece.astype(np.float64)
        first = piece[tuple(slice(None) if a in kept else slice(1) for a in axes)]
        if not self.count:
            self.origin = first.reshape(sizes).copy()
        piece -= self.origin.reshape(first.shape)
        n = math.prod(piece.shape[a] for a in reduced)
        new = piece.mean(axis=reduced, keepdims=True)
        piece -= new
        np.square(piece, out=piece)
        step = new.reshape(sizes) - self.mean
        total = self.count + n
        self.squares = self.squares + piece.sum(axis=reduced) + step**2 * (self.count * n / total)
        self.mean = self.mean + step * (n / total)
        self.count = total
