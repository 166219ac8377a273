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
from netlayers.core.workspace import constant
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Activations that a compiled stack of Dense layers computes itself; it tells them by their place.
STACKED = ("Linear", "ReLU", "Tanh", "Sigmoid")
# Environment variable that chooses the kernels when netlayers is imported.
VARIABLE = "NETLAYERS_KERNELS"


class Kernels:
    """The kernels in use. Every array that is written to is in C order.

    Attributes:
        name: which set this is.
        stack_forward: ``stack_forward(values, x, memory, y, table)`` sends ``x`` through Dense
            layers one on another. A row of ``table`` is a layer: inputs n, units m, the places of
            W and b in ``values`` (that of b is 0 without bias), how many units come before it,
            which is where its output is in ``memory``, its activation's place in ``STACKED``,
            whether it learns. The last output goes to ``y``. ``None`` in NumPy: see ``Dense``.
        stack_backward: ``stack_backward(values, gradients, x, memory, y, dy, scratch, ones, dx,
            table, lowest)``: for these and dL/dy writes dL/dvalues, down to the layer ``lowest``,
            and dL/dx unless ``dx`` is empty. ``scratch`` holds two outputs of the widest layer,
            ``ones`` a number for each row.
    """

    name = "numpy"
    stack_forward: Callable[..., None] | None = None
    stack_backward: Callable[..., None] | None = None

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
        np.negative(x, out=y)
        with np.errstate(over="ignore"):
            np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.divide(1, y, out=y)

    @staticmethod
    def tanh(x: Array, y: Array) -> None:
        """``y = tanh x``; ``y`` may be ``x``."""
        np.tanh(x, out=y)

    @staticmethod
    def sigmoid_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy y (1 - y)``."""
        np.subtract(1, y, out=dx)
        np.multiply(dx, y, out=dx)
        np.multiply(dx, dy, out=dx)

    @staticmethod
    def tanh_gradient(dy: Array, y: Array, dx: Array) -> None:
        """``dx = dy (1 - y²)``."""
        np.multiply(y, y, out=dx)
        np.subtract(1, dx, out=dx)
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
