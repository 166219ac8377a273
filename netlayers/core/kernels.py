"""The loops in which a step spends its time beside the matrix products: in NumPy, or compiled.

Layers, losses and optimizers call them by name, as in ``kernels.add_bias(z, b)``. What stands here,
in NumPy, says what each computes. :func:`use_kernels` puts compiled ones in their place that make
one pass over memory where NumPy makes several; the results agree to the last digits.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import numpy as np

from netlayers.checks import check_choice
from netlayers.core.moments import centre, sums
from netlayers.core.workspace import constant
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers._typing import Array

# Environment variable that chooses the kernels when netlayers is imported.
VARIABLE = "NETLAYERS_KERNELS"


class Kernels:
    """The kernels in use. Every array that is written to is in C order.

    Attributes:
        name: which set this is.
    """

    name = "numpy"

    @staticmethod
    def add_bias(z: Array, b: Array) -> None:
        """``z = z + b`` for every row of z."""
        np.add(z, b, out=z)

    @staticmethod
    def relu(x: Array, y: Array) -> None:
        """``y = max(x, 0)``; ``y`` may be ``x``."""
        np.maximum(x, constant(0, x.shape[-1:], x.dtype), out=y)

    @staticmethod
    def relu_gradient(dy: Array, y: Array, dx: Array, mask: Array) -> None:
        """``dx = dy (y > 0)``; ``mask`` is an array of booleans to work in."""
        np.multiply(dy, np.greater(y, 0, out=mask), out=dx)

    @staticmethod
    def sigmoid(x: Array, y: Array) -> None:
        """``y = 1 / (1 + exp(-x))``; ``y`` may be ``x``.

        For very negative x, exp(-x) overflows to infinity and the quotient is the right 0.
        """
        one = constant(1, (), x.dtype)  # a number of Python takes NumPy 0.4 µs to look at
        np.negative(x, out=y)
        with np.errstate(over="ignore"):
            np.exp(y, out=y)
        np.add(y, one, out=y)
        np.divide(one, y, out=y)

    @staticmethod
    def sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy y (1 - y)``."""
        np.subtract(constant(1, (), y.dtype), y, out=dx)
        np.multiply(dx, y, out=dx)
        np.multiply(dx, dy, out=dx)

    @staticmethod
    def tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy (1 - y²)``."""
        np.multiply(y, y, out=dx)
        np.subtract(constant(1, (), y.dtype), dx, out=dx)
        np.multiply(dx, dy, out=dx)

    @staticmethod
    def softmax(z: Array, shifted: Array, p: Array) -> Array:
        """``shifted = z - max z``, ``p = exp(shifted) / Σ``; return ``log Σ exp(shifted)``."""
        np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=shifted)
        np.exp(shifted, out=p)
        total = np.add.reduce(p, axis=-1, keepdims=True)
        np.divide(p, total, out=p)
        return np.log(total[..., 0])

    @staticmethod
    def centre_columns(x: Array, out: Array, epsilon: float) -> tuple[Array, Array]:
        """``out = x - μ``; return μ and σ² of the columns in float64; see :func:`centre`."""
        return centre(x, out, 0, epsilon)

    @staticmethod
    def column_sums(x: Array, y: Array) -> tuple[Array, Array]:
        """Return ``Σ x`` and ``Σ x y`` of each column, in float64."""
        return sums(x, 1, 0), sums(x, y, 0)

    @staticmethod
    def scale_and_shift(x: Array, factor: Array, offset: Array, y: Array) -> None:
        """``y = factor x + offset`` for every row of x; ``y`` may be ``x``."""
        np.multiply(x, factor, out=y)
        np.add(y, offset, out=y)

    @staticmethod
    def batch_gradient(
        dy: Array, centred: Array, mean: Array, slope: Array, factor: Array, dx: Array
    ) -> None:
        """``dx = factor (dy - slope centred - mean)`` for every row."""
        np.multiply(centred, slope, out=dx)
        np.subtract(dy, dx, out=dx)
        np.subtract(dx, mean, out=dx)
        np.multiply(dx, factor, out=dx)

    @staticmethod
    def move_average(average: Array, new: Array, momentum: float) -> None:
        """``average = momentum average + (1 - momentum) new``, at most the largest number.

        What has fallen to a denormal number, which is slow to compute with, becomes 0.
        """
        numbers = np.finfo(average.dtype)
        moved = momentum * average + (1 - momentum) * new
        moved *= np.abs(moved) >= numbers.tiny
        average[...] = np.minimum(moved, numbers.max)

    @staticmethod
    def keep(x: Array, mask: Array, factor: float, y: Array) -> None:
        """``y = factor m x`` with 1 for true in ``mask`` and 0 for false; ``y`` may be ``x``."""
        np.multiply(x, mask, out=y)
        np.multiply(y, factor, out=y)

    @staticmethod
    def descend(w: Array, g: Array, lr: float, scratch: Array) -> None:
        """``w = w - lr g``."""
        np.add(w, np.multiply(g, -lr, out=scratch), out=w)

    @staticmethod
    def descend_with_momentum(
        w: Array, g: Array, m: Array, lr: float, momentum: float, scratch: Array
    ) -> None:
        """``m = momentum m - lr g``, then ``w = w + m``."""
        np.multiply(g, -lr, out=scratch)
        np.multiply(m, momentum, out=m)
        np.add(m, scratch, out=m)
        np.add(w, m, out=w)

    @staticmethod
    def take_in(g: Array, m: Array, v: Array, beta_1: float, beta_2: float, scratch: Array) -> None:
        """``m = beta_1 m + g``, ``v = beta_2 v + g²``."""
        np.multiply(m, beta_1, out=m)
        np.add(m, g, out=m)
        np.multiply(v, beta_2, out=v)
        np.add(v, np.multiply(g, g, out=scratch), out=v)

    @staticmethod
    def descend_by_quotient(
        w: Array, m: Array, v: Array, alpha: float, epsilon: float, scratch: Array
    ) -> None:
        """``w = w - alpha m / (√v + epsilon)``."""
        np.sqrt(v, out=scratch)
        np.add(scratch, epsilon, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, alpha, out=scratch)
        np.subtract(w, scratch, out=w)

    @staticmethod
    def adam(
        w: Array,
        g: Array,
        m: Array,
        v: Array,
        beta_1: float,
        beta_2: float,
        alpha: float,
        epsilon: float,
        scratch: Array,
    ) -> None:
        """:meth:`take_in`, then :meth:`descend_by_quotient`: the whole update of Adam."""
        Kernels.take_in(g, m, v, beta_1, beta_2, scratch)
        Kernels.descend_by_quotient(w, m, v, alpha, epsilon, scratch)


kernels = Kernels()


def use_kernels(name: str) -> None:
    """Choose what computes the loops beside the matrix products, in this whole process.

    The environment variable ``NETLAYERS_KERNELS`` chooses them when netlayers is imported.

    Args:
        name: ``"numpy"``, or ``"numba"``: compiled when they are first used, which takes some
            seconds once; the compiled code is kept on the disk. The last digits of results differ
            from NumPy's: a run that was killed goes on with the kernels that it was begun with.

    Raises:
        ConfigurationError: there are no such kernels, or numba is not installed.

    Example:
        >>> import netlayers as nl
        >>> before = nl.kernels_in_use()
        >>> nl.use_kernels("numpy")
        >>> nl.kernels_in_use()
        'numpy'
        >>> nl.use_kernels(before)
    """
    check_choice("use_kernels", "name", name, ("numpy", "numba"))
    compiled = {}
    if name == "numba":
        module = importlib.import_module("netlayers.core.kernels_numba")
        try:
            compiled = module.compiled_kernels()
        except ImportError as error:
            raise ConfigurationError(
                "use_kernels: 'numba' needs the package numba, which could not be imported "
                f"({error}). Install it with: pip install netlayers[numba]"
            ) from None
    kernels.__dict__.clear()  # what the class has, in NumPy, shows again
    kernels.__dict__.update(compiled, name=name)


def kernels_in_use() -> str:
    """Return the name of the kernels in use: ``"numpy"`` or ``"numba"``."""
    return kernels.name


if os.environ.get(VARIABLE):
    use_kernels(os.environ[VARIABLE])
