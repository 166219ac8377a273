"""Initializers that draw from a distribution whose parameters are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ConfigurationError
from netlayers.initializers.base import RandomInitializer
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

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.RandomNormal(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.05)
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

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.RandomUniform(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.029)
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = check_number("RandomUniform", "minval", minval)
        self.maxval = check_number("RandomUniform", "maxval", maxval)
        if self.minval > self.maxval:
            raise ConfigurationError(
                f"RandomUniform: minval must be at most maxval, got {minval!r} and {maxval!r}."
            )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"minval": -1.0, "maxval": 2.0}, {"seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw from [minval, maxval)."""
        return rng.uniform(self.minval, self.maxval, shape)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from the standard normal distribution truncated at ±2, by rejection."""
    values = rng.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = rng.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


@register("initializer")
class TruncatedNormal(RandomInitializer):
    """Normal distribution truncated at two standard deviations.

    Args:
        mean: mean of the normal distribution.
        stddev: its standard deviation before truncation (0.8796 times that after it).
        seed: see :class:`RandomInitializer`.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.TruncatedNormal(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.044)
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
