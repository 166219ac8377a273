"""Kernels compiled with numba; imported only by :func:`netlayers.use_kernels`."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from netlayers.errors import ConfigurationError
from netlayers.kernels.compiled import (
    convolution,
    depthwise,
    elementwise,
    gru,
    losses,
    lstm,
    normalization,
    pooling,
    recurrent,
    rows,
    simple_rnn,
    windows,
    winograd,
    workers,
)
from netlayers.kernels.compiled.cache import compiled_with_cache
from netlayers.kernels.compiled.functions import OPTIONS, declare
from netlayers.kernels.compiled.stack import compiled_stack
from netlayers.kernels.reference import Kernels

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def compiled_kernels() -> dict[str, Callable[..., Any]]:
    """Replace the Python loops by compiled ones and return the kernels by name.

    A loop is compiled on its first call; the code is cached on disk if possible.

    Raises:
        ImportError: numba is not installed, or is older than 0.61.
        ConfigurationError: numba's compiler is disabled.
    """
    numba = importlib.import_module("numba")
    if numba.version_info.short < (0, 61):
        # Earlier versions may call code that was compiled for other types: the key of a type with
        # more than 40 bytes lost its beginning (numba issue 9097).
        raise ImportError(f"version {numba.__version__} is older than 0.61")
    if numba.config.DISABLE_JIT:
        raise ConfigurationError(
            "use_kernels: 'numba' compiles kernels, but NUMBA_DISABLE_JIT is set. Unset it, or use "
            "the kernels 'numpy'."
        )
    declare()

    def compiled(function: Callable[..., Any], reassociate: bool = False) -> Callable[..., Any]:
        options = {**OPTIONS, "nogil": True}
        if reassociate:  # sums may use several partial sums
            options["fastmath"] = {"contract", "reassoc"}
        return compiled_with_cache(numba.njit, function, options)

    kernels = compiled_stack(compiled)
    for module in (elementwise, normalization, losses, rows):
        for loop in module.LOOPS:
            compiled_loop = compiled(loop, loop in losses.SUMS)
            setattr(module, loop.__name__, compiled_loop)
            if hasattr(Kernels, name := loop.__name__.removeprefix("_")):
                kernels[name] = compiled_loop  # replaced below if KERNELS has a wrapper
        kernels.update({kernel.__name__: kernel for kernel in module.KERNELS})
    workers.compiled_workers(compiled)
    elementwise.compiled_elementwise(compiled)
    normalization.compiled_normalization(compiled)
    windows.compiled_windows(compiled)
    kernels.update({kernel.__name__: kernel for kernel in pooling.KERNELS})
    kernels.update({kernel.__name__: kernel for kernel in depthwise.KERNELS})
    kernels.update(convolution.compiled_convolutions(compiled))
    kernels.update(winograd.compiled_winograd(compiled))
    recurrent.compiled_recurrent(compiled)
    for module in (simple_rnn, lstm, gru):
        for loop in module.LOOPS:
            setattr(module, loop.__name__, compiled(loop))
        kernels.update({kernel.__name__: kernel for kernel in module.KERNELS})
    return kernels
