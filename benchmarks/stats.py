"""Statistics of measured times and losses."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np

# Losses differ by rounding, which training amplifies, and by the position of epsilon.
TOLERANCE = 2e-3
# With dropout, each framework draws its own masks: means over many steps are compared.
TOLERANCE_OF_MEANS = 0.15


@dataclass(frozen=True)
class Ratio:
    """A median over rounds, with the smallest and the largest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(times: list[float], base: list[float]) -> Ratio:
    """Return the ratio of two times, round by round."""
    quotients = [a / b for a, b in zip(times, base, strict=True)]
    return Ratio(statistics.median(quotients), min(quotients), max(quotients))


@dataclass(frozen=True)
class Exponent:
    """The slope of a line through points on logarithmic axes, with its standard error."""

    slope: float
    error: float
    factor: float  # y = factor x^slope

    def __str__(self) -> str:
        return f"{self.slope:.2f} ± {self.error:.2f}"


def exponent(x: list[float], y: list[float]) -> Exponent:
    """Fit ``y = c x^k`` by least squares of ``log y = log c + k log x``.

    The error of k is √(Σr² / (n - 2) / Σ(log x - mean)²), with the residuals r.

    Raises:
        ValueError: there are fewer than three points, or one is not positive.
    """
    if len(x) != len(y) or len(x) < 3 or min(*x, *y) <= 0:
        raise ValueError(f"expected three or more positive points, got {x} and {y}")
    a, b = np.log(x), np.log(y)
    spread = float(((a - a.mean()) ** 2).sum())
    slope = float(((a - a.mean()) * (b - b.mean())).sum() / spread)
    height = float(b.mean() - slope * a.mean())
    residuals = float(((b - height - slope * a) ** 2).sum())
    error = (residuals / (len(x) - 2) / spread) ** 0.5
    return Exponent(slope, error, float(np.exp(height)))


def agreement(losses: list[float], ours: list[float], random: bool) -> tuple[float, bool]:
    """Return the difference of two runs, relative to the first loss or mean, and if they agree.

    Only the second half of the steps is compared: by then, an error has affected the weights, while
    scikit-learn's clipping of probabilities at 1e-7 affects only losses above 8.

    Args:
        losses: losses of the first steps of a peer.
        ours: losses of the first steps of netlayers.
        random: whether the steps use dropout; then the means are compared.
    """
    half = len(ours) // 2
    if random:
        a, b = statistics.fmean(losses[half:]), statistics.fmean(ours[half:])
        apart = abs(a - b) / abs(b)
        return apart, apart <= TOLERANCE_OF_MEANS
    pairs = zip(losses[half:], ours[half:], strict=True)
    apart = max(abs(a - b) / abs(ours[0]) for a, b in pairs)
    return apart, apart <= TOLERANCE
