"""Normalizations of one group of numbers, and their gradients, by mpmath."""

from mpmath import mp, mpf


def mean(x):
    return sum(x) / len(x)


def standardized(x, dy, epsilon):
    """Return ``(x - μ) / √(σ² + epsilon)`` and its gradient for ``dy``."""
    centre = mean(x)
    inverse = 1 / mp.sqrt(mean([(v - centre) ** 2 for v in x]) + epsilon)
    y = [(v - centre) * inverse for v in x]
    along = mean([a * b for a, b in zip(y, dy, strict=True)])
    return y, [(d - mean(dy) - v * along) * inverse for v, d in zip(y, dy, strict=True)]


def by_root_mean_square(x, dy, epsilon):
    """Return ``x / √(mean x² + epsilon)`` and its gradient for ``dy``."""
    inverse = 1 / mp.sqrt(mean([v * v for v in x]) + epsilon)
    y = [v * inverse for v in x]
    along = mean([a * b for a, b in zip(y, dy, strict=True)])
    return y, [(d - v * along) * inverse for v, d in zip(y, dy, strict=True)]


def by_norm(x, dy):
    """Return ``x / |x|`` and its gradient for ``dy``; 0 for zeros."""
    norm = mp.sqrt(sum(v * v for v in x))
    if not norm:
        return [mpf(0)] * len(x), [mpf(0)] * len(x)
    y = [v / norm for v in x]
    along = sum(a * b for a, b in zip(y, dy, strict=True))
    return y, [(d - v * along) / norm for v, d in zip(y, dy, strict=True)]
