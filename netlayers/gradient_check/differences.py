"""Numerical derivatives of L along an entry of an array or along a direction through it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.complex_step import seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

_STEP = 1e-5  # balances the error of the formula, h², with that of rounding, 1e-16 / h
_SHRINK = (1.0, 1e-1, 1e-2, 1e-3)
_TINY = 1e-20  # of the complex step; its square is lost beside any number


class Complex:
    """The complex step, ``Im L(v + i h) / h``."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin

    def derivative(self, place: int, where: Any) -> float:
        """Return the derivative of L; NaN where it met a corner or the arithmetic gave up.

        Args:
            place: number of the array.
            where: the index of an entry, or a direction.
        """
        imaginary = self._twin.arrays[place][1].view(np.ndarray).imag
        seen.corner = False
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                if isinstance(where, tuple):
                    imaginary[where] = _TINY
                else:
                    imaginary[...] = _TINY * where
                derivative = complex(self._twin.value()).imag / _TINY
        except Exception:  # as in the first evaluation: whatever complex numbers may cause
            return np.nan
        finally:
            imaginary[...] = 0
        return np.nan if seen.corner else derivative

    def agrees(
        self, place: int, values: Array, direction: Array, analytic: Array, central: Central
    ) -> bool:
        """Whether central differences give the same derivative along a direction."""
        d = self.derivative(place, direction)
        if seen.corner or np.isnan(d):
            return seen.corner  # at a corner the entries decide, each by itself
        floor = central.floor(analytic) * float(np.sqrt(values.size))
        return central.compare(values, direction, d, floor)[0] <= central.tolerance


class Central:
    """Central differences, with smaller steps where a kink is near."""

    def __init__(self, evaluate: Callable[[], float], reference: float, tolerance: float) -> None:
        self._evaluate, self._reference = evaluate, reference
        self.tolerance = tolerance

    def floor(self, analytic: Array) -> float:
        """Return the size of a gradient below which differences are rounding."""
        largest = float(np.abs(analytic).max(initial=0.0))
        return 1e-3 * largest + 1e-5 * abs(self._reference) + 1e-12

    def compare(
        self,
        values: Array,
        where: Any,
        analytic: float,
        floor: float,
        step: Complex | None = None,
        place: int = 0,
    ) -> tuple[float, float, bool]:
        """Return relative error, numerical derivative, and whether it is taken on a kink."""

        def relative(n: float) -> float:
            error = abs(analytic - n) / max(abs(analytic), abs(n), floor)
            return error if np.isfinite(error) else np.inf

        if step is not None:
            n = step.derivative(place, where)
            if relative(n) <= self.tolerance:
                return relative(n), n, False
        entry = isinstance(where, tuple)
        old = values[where] if entry else values.copy()
        best = (np.inf, np.nan)
        try:
            for shrink in _SHRINK:
                h = _STEP * shrink * (max(1.0, abs(old)) if entry else 1.0)
                ends = []
                for sign in (1, -1):
                    if entry:
                        values[where] = old + sign * h
                        width = abs(values[where] - old)
                    else:
                        np.add(old, sign * h * where, out=values)
                        width = h
                    ends.append((self._evaluate(), width))
                (above, up), (below, down) = ends
                n = (above - below) / (up + down)
                error = relative(n)
                if error < best[0] or np.isnan(best[1]):
                    best = (error, n)
                if error <= self.tolerance:
                    return *best, False
        finally:
            values[where if entry else ...] = old
        left, right = (self._reference - below) / down, (above - self._reference) / up
        noise = 1e-15 * max(abs(self._reference), 1.0) / h
        corner = abs(left - right) > max(1e-2 * max(abs(left), abs(right)), 100 * noise)
        # At a corner the derivative may be anything between the left and the right one.
        low, high = sorted((left, right))
        slack = 100 * noise + 1e-6 * (high - low)
        return *best, bool(corner and low - slack <= analytic <= high + slack)
