"""Numerical derivatives of L with respect to an entry of an array, or along a direction."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.complex_step import seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array
    from netlayers.gradient_check.functions import Function

_STEP = 1e-5  # balances the truncation error, h², with the rounding error, 1e-16 / h
_SHRINK = (1.0, 1e-1, 1e-2, 1e-3)
_COMPLEX_STEP = 1e-20  # its square vanishes next to any number


class ComplexStepDerivative:
    """Derivatives by the complex step, ``Im L(v + i h) / h``.

    Args:
        function: L as a function of complex arrays.
    """

    def __init__(self, function: Function) -> None:
        self._function = function

    def derivative(self, array: int, where: Any) -> float:
        """Return the derivative of L; NaN at a kink or if the arithmetic fails.

        Args:
            array: index of the array among the arrays of the function.
            where: the index of an entry, or a direction.
        """
        imaginary = self._function.arrays[array][1].view(np.ndarray).imag
        seen.corner = False
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                if isinstance(where, tuple):
                    imaginary[where] = _COMPLEX_STEP
                else:
                    imaginary[...] = _COMPLEX_STEP * where
                derivative = complex(self._function.value()).imag / _COMPLEX_STEP
        except Exception:  # foreign code may raise anything for complex numbers
            return np.nan
        finally:
            imaginary[...] = 0
        return np.nan if seen.corner else derivative

    def agrees(
        self,
        array: int,
        values: Array,
        direction: Array,
        analytic: Array,
        central: CentralDifferences,
    ) -> bool:
        """Return whether central differences give the same derivative along a direction."""
        d = self.derivative(array, direction)
        if seen.corner or np.isnan(d):
            return seen.corner  # at a kink, each entry is decided separately
        floor = central.floor(analytic) * float(np.sqrt(values.size))
        return central.compare(values, direction, d, floor)[0] <= central.tolerance


class CentralDifferences:
    """Central differences, with smaller steps near a kink.

    Args:
        evaluate: returns L.
        reference: L at the unchanged arrays.
        tolerance: largest relative error that passes.
    """

    def __init__(self, evaluate: Callable[[], float], reference: float, tolerance: float) -> None:
        self._evaluate, self._reference = evaluate, reference
        self.tolerance = tolerance

    def floor(self, analytic: Array) -> float:
        """Return the magnitude of a derivative below which errors count as rounding errors."""
        largest = float(np.abs(analytic).max(initial=0.0))
        return 1e-3 * largest + 1e-5 * abs(self._reference) + 1e-12

    def compare(
        self,
        values: Array,
        where: Any,
        analytic: float,
        floor: float,
        step: ComplexStepDerivative | None = None,
        array: int = 0,
    ) -> tuple[float, float, bool]:
        """Return the relative error, the numerical derivative, and whether it is at a kink.

        Args:
            values: the array, which is changed during the comparison.
            where: the index of an entry, or a direction.
            analytic: the derivative to compare.
            floor: smallest denominator of the relative error.
            step: tried first, if given.
            array: index of the array, for ``step``.
        """

        def relative(n: float) -> float:
            error = abs(analytic - n) / max(abs(analytic), abs(n), floor)
            return error if np.isfinite(error) else np.inf

        if step is not None:
            n = step.derivative(array, where)
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
        kink = abs(left - right) > max(1e-2 * max(abs(left), abs(right)), 100 * noise)
        # At a kink, any value between the left and the right derivative is accepted.
        low, high = sorted((left, right))
        slack = 100 * noise + 1e-6 * (high - low)
        return *best, bool(kink and low - slack <= analytic <= high + slack)
