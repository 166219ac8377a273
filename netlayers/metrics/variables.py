"""Numbers and arrays that a metric of the user adds to, as Keras's metrics keep them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from netlayers._typing import Array, ArrayLike


class Variable(np.ndarray):
    """An array in float64 with the methods of Keras's variables; results of operations are plain.

    Example:
        >>> import netlayers as nl
        >>> total = nl.metrics.Mean().add_variable(())
        >>> total.assign_add(2.5).assign_sub(1).numpy()
        array(1.5)
        >>> total + 1
        np.float64(2.5)
    """

    def assign(self, value: ArrayLike) -> Self:
        """Write a value, which is broadcast."""
        self[...] = value
        return self

    def assign_add(self, value: ArrayLike) -> Self:
        """Add a value."""
        return self.assign(np.add(self, value))

    def assign_sub(self, value: ArrayLike) -> Self:
        """Subtract a value."""
        return self.assign(np.subtract(self, value))

    @property
    def value(self) -> Array:
        """A copy of the value."""
        return np.array(self)

    def numpy(self) -> Array:
        """Return a copy of the value."""
        return np.array(self)

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        """Return the result of an operation as plain numbers."""
        if array is self:  # self += value
            return self
        return array[()] if return_scalar else np.asarray(array)


def plain_result(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a method ``result`` of the user return no variable, which would change later."""

    @functools.wraps(method)
    def result(self: Any) -> Any:
        value = method(self)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return value.item()
        return np.array(value) if isinstance(value, Variable) else value

    return result
