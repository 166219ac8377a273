"""The kernels in use: those of NumPy, or compiled ones that make one pass over memory.

The results agree to the last digits. No layer knows which are in use.
"""

from __future__ import annotations

import importlib
import os

from netlayers.checks import check_choice
from netlayers.errors import ConfigurationError
from netlayers.kernels.reference import Kernels

# Environment variable that chooses the kernels when netlayers is imported.
VARIABLE = "NETLAYERS_KERNELS"

kernels = Kernels()


def use_kernels(name: str) -> None:
    """Choose what computes the loops beside the matrix products, in this whole process.

    The environment variable ``NETLAYERS_KERNELS`` chooses them when netlayers is imported.

    Args:
        name: ``"numpy"``, or ``"numba"``: compiled when they are first used, which takes some
            seconds once; the compiled code is kept on the disk. The last digits of results differ
            from NumPy's: a run that was killed goes on with the kernels that it was begun with.

    With ``"numba"``, Dense layers one on another are one compiled call, which gives the bits of the
    layers one by one; a method of a class of layers that is replaced is not called then (one of an
    object is). Compiled code gives no warnings of overflow, and knows no complex numbers, so that
    ``check_gradients`` may take differences where it took the complex step.

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
        module = importlib.import_module("netlayers.kernels.compiled")
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
