"""Initializers that draw from a distribution of a given size, or orthogonal rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ShapeError
from netlayers.initializers.base import RandomInitializer, truncated_normal
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("initializer", "normal")
class RandomNormal(RandomInitializer):
    """Normal distribution.

    Args:
        mean: its mean.
        stddev: its standard deviation.
        seed: see :class:`RandomInitializer`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = check_number("RandomNormal", "mean", mean)
        self.stddev = check_number("RandomNormal", "stddev", stddev, minimum=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"mean": 1.0, "stddev": 0.5}, {"seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw from N(mean, stddev²)."""
        return rng.normal(self.mean, self.stddev, shape)


@register("initializer", "uniform")
class RandomUniform(RandomInitializer):
    """Uniform distribution.

    Args:
        minval: lower end.
        maxval: upper end.
        seed: see :class:`RandomInitializer`.
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = check_number("RandomUniform", "minval", minval)
        self.maxval = check_number("RandomUniform", "maxval", maxval, minimum=self.minval)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"minval": -1.0, "maxval": 2.0}, {"seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw from [minval, maxval)."""
        return rng.uniform(self.minval, self.maxval, shape)


@register("initializer")
class TruncatedNormal(RandomInitializer):
    """Normal distribution with everything beyond two standard deviations drawn again.

    Args:
        mean: mean of the normal distribution.
        stddev: its standard deviation before truncation (0.8796 of it remains after).
        seed: see :class:`RandomInitializer`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = check_number("TruncatedNormal", "mean", mean)
        self.stddev = check_number("TruncatedNormal", "stddev", stddev, minimum=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"mean": 1.0, "stddev": 0.5}, {"seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw from N(mean, stddev²) within mean ± 2 stddev."""
        return self.mean + self.stddev * truncated_normal(rng, shape)


# Standard deviation of a standard normal variable that is cut off at ±2:
# Var = 1 - 2·2·φ(2) / (Φ(2) - Φ(-2)), with the normal density φ and distribution function Φ.


@register("initializer", "orthogonal_initializer")
class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times ``gain``.

    An orthogonal matrix keeps the length of every vector that goes through it, forward and
    backward, so a deep linear chain neither explodes nor vanishes. Axes before the last are
    flattened into rows. The entries have the variance gain² / max(rows, columns).

    Args:
        gain: factor on the matrix.
        seed: see :class:`RandomInitializer`.

    Source:
        A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
        in deep linear neural networks", ICLR 2014. The sign correction that makes the result of a
        QR factorization uniform over the orthogonal group: F. Mezzadri, "How to generate random
        matrices from the classical compact groups", Notices of the AMS 54 (2007).
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
