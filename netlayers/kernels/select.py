"""Selection of the kernels: NumPy, or compiled versions that make a single pass over memory.

Results agree up to rounding. Layers do not depend on the selection.
"""

from __future__ import annotations

import importlib
import os

from netlayers.checks import check_choice
from netlayers.errors import ConfigurationError
from netlayers.kernels.reference import Kernels

# Environment variable that selects the kernels when netlayers is imported.
VARIABLE = "NETLAYERS_KERNELS"

kernels = Kernels()


def use_kernels(name: str) -> None:
    """Select the kernels of this process, which compute everything except matrix products.

    The environment variable ``NETLAYERS_KERNELS`` selects them when netlayers is imported.

    Args:
        name: ``"numpy"`` or ``"numba"``. The latter are compiled on first use, which takes some
            seconds once; the compiled code is cached on disk. Results differ from NumPy's by
            rounding, so a resumed run uses the kernels that it was started with.

    With ``"numba"``, consecutive Dense layers are one compiled call, and so is a convolution,
    normalization or sum with its ReLU, with bitwise the same results as separate calls; methods
    patched on a layer class are not called then (those patched on an object are). From the second
    prediction of a shape on, that holds for pooling, reshaping and dropout, too. With ``"numpy"``,
    it holds for a ReLU in networks with convolutions. Compiled code
    does not warn about overflow and does not support complex numbers, so ``check_gradients`` may
    use differences instead of the complex step.

    Raises:
        ConfigurationError: ``name`` is unknown, or numba 0.61 or later is not installed, or its
            compiler is disabled by ``NUMBA_DISABLE_JIT``.

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
                "use_kernels: 'numba' needs the package numba, 0.61 or later, which could not be "
                f"imported ({error}). Install it with: pip install -U numba"
            ) from None
    # In one step, as other threads may compute; without an entry the class has NumPy's.
    kernels.__dict__ = {**compiled, "name": name}


def kernels_in_use() -> str:
    """Return the name of the kernels in use: ``"numpy"`` or ``"numba"``."""
    return kernels.name


if os.environ.get(VARIABLE):
    use_kernels(os.environ[VARIABLE])
