"""The kernels compiled by numba; only :func:`netlayers.use_kernels` imports this."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from netlayers.kernels.compiled import elementwise, losses, normalization
from netlayers.kernels.compiled.functions import OPTIONS, declare
from netlayers.kernels.compiled.stack import compiled_stack
from netlayers.kernels.reference import Kernels

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def compiled_kernels() -> dict[str, Callable[..., Any]]:
    """Put the compiled loops in place of those of Python, and return the kernels by their names.

    A loop is compiled when it is first called, and the code is kept on the disk where it can be.

    Raises:
        ImportError: numba is not installed.
    """
    numba = importlib.import_module("numba")
    declare()

    def compiled(function: Callable[..., Any], any_order: bool = False) -> Callable[..., Any]:
        options = {**OPTIONS, "nogil": True}
        if any_order:  # sums may be added up in several parts
            options["fastmath"] = {"contract", "reassoc"}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder can be written to: each process compiles for itself
            return numba.njit(**options)(function)

    kernels = compiled_stack(compiled)
    for module in (elementwise, normalization, losses):
        for loop in module.LOOPS:
            made = compiled(loop, loop in losses.SUMS)
            setattr(module, loop.__name__, made)
            if hasattr(Kernels, name := loop.__name__.removeprefix("_")):
                kernels[name] = made  # unless one of KERNELS calls it
        kernels.update({kernel.__name__: kernel for kernel in module.KERNELS})
    return kernels
