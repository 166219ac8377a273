"""Numerical derivatives of functions of a batch that a user gives without derivative."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import call_read_only
from netlayers.arrays.complex_step import ComplexStep
from netlayers.errors import ConfigurationError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

LARGEST = 64  # numbers of a sample; there is one evaluation, or two, for each
_COMPLEX_STEP = 1e-30


class BatchDerivative:
    """Derivatives of a function of an array (batch, ...) along directions.

    They are computed by the complex step, if the first batch shows that the function takes complex
    numbers and agrees with central differences; else by central differences.

    Args:
        owner: name for messages.
        function: takes an array in float64, or complex numbers that behave like it, and returns
            an array.

    Attributes:
        method: ``"complex step"`` or ``"central differences"``; ``None`` before :meth:`choose`.

    Source:
        W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions",
        SIAM Review 40 (1998) 110.
    """

    def __init__(self, owner: str, function: Callable[[Any], Any]) -> None:
        self.owner, self._function = owner, function
        self.method: str | None = None

    def choose(self, x: Array) -> None:
        """Choose the method, and check that samples do not depend on each other.

        Raises:
            ConfigurationError: the result for a sample depends on the others.
        """
        direction = np.random.default_rng(0).uniform(0.5, 1, x.shape)
        expected = self._central(x, direction)
        self.method = "central differences"
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                found = self._complex(x, direction)
            size = float(np.abs(expected).max(initial=0))
            if found.shape == expected.shape and np.allclose(found, expected, 1e-4, 1e-5 * size):
                self.method = "complex step"
        except Exception:  # a function may raise anything for complex numbers
            pass
        if expected.ndim and len(x) > 1:
            direction[1:] = 0
            alone = self.along(x, direction)
            largest = float(np.abs(alone).max(initial=0))
            if np.abs(alone[1:]).max(initial=0) > 1e-6 * largest:
                raise ConfigurationError(
                    f"{self.owner}: what the function returns for a sample depends on other "
                    "samples of the batch. Return one number for the batch, or write a class with "
                    "its derivative."
                )

    def along(self, x: Array, direction: Array) -> Array:
        """Return the derivative of the function at ``x`` along a direction."""
        if self.method == "complex step":
            return self._complex(x, direction)
        return self._central(x, direction)

    def _call(self, x: Any) -> Any:
        return call_read_only(self.owner, self._function, x)

    def _complex(self, x: Array, direction: Array) -> Array:
        moved = (x + 1j * (_COMPLEX_STEP * direction)).view(ComplexStep)
        return np.asarray(self._call(moved)).imag / _COMPLEX_STEP

    def _central(self, x: Array, direction: Array) -> Array:
        step = 6e-6  # balances truncation and rounding: the cube root of the precision
        above = np.asarray(self._call(x + step * direction))
        if above.dtype == np.float32:
            step = 5e-3
            above = np.asarray(self._call(x + step * direction))
        below = np.asarray(self._call(x - step * direction))
        return (above - below) / np.float64(2 * step)


def sample_size(owner: str, x: Array, kind: str) -> int:
    """Return the number of values of a sample.

    Raises:
        ShapeError: there are too many for numerical derivatives.
    """
    size = x.size // max(1, len(x))
    if size > LARGEST:
        raise ShapeError(
            f"{owner}: a plain function has no derivative, and a numerical one would evaluate it "
            f"{size} times for the {size} values of a sample; at most {LARGEST} are accepted. "
            f"Write a class with the derivative: {kind}."
        )
    return size


def code_name(function: Any) -> str:
    """Return the name of a function in code, ``"f"`` for one without."""
    name = getattr(function, "__name__", "f")
    return name if name.isidentifier() else "f"


def cost(owner: str, method: str | None, count: int, example: str) -> str:
    """Return the warning that names the cost of numerical derivatives and shows the remedy."""
    times = count * (1 if method == "complex step" else 2)
    return (
        f"{owner}: the function has no derivative. It is computed by {method}, which evaluates "
        f"the function {times} times more in each training step. Faster, with the derivative:\n\n"
        f"{example}"
    )
