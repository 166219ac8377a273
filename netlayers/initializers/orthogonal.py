"""Orthogonal matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ShapeError
from netlayers.initializers.base import RandomInitializer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("initializer", "orthogonal_initializer", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times ``gain``.

    An orthogonal matrix preserves the norm of every vector, forward and backward, so signals in a
    deep linear chain neither explode nor vanish. Axes before the last are flattened into rows. The
    entries have the variance gain² / max(rows, columns).

    Args:
        gain: factor on the matrix.
        seed: see :class:`RandomInitializer`.

    Source:
        A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
        in deep linear neural networks", ICLR 2014. The sign correction that makes the result of a
        QR factorization uniform over the orthogonal group: F. Mezzadri, "How to generate random
        matrices from the classical compact groups", Notices of the AMS 54 (2007).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> w = nl.initializers.Orthogonal(seed=0)((4, 4))
        >>> np.allclose(w.T @ w, np.eye(4), atol=1e-6)
        True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = check_number("Orthogonal", "gain", gain)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"gain": 0.5, "seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw one such matrix.

        Raises:
            ShapeError: the shape has fewer than two axes.
        """
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: needs at least two axes to fill, got the shape {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
