"""Compiled functions that others call by their address.

Where one compiled function calls another, numba compiles the second for itself, again as a part of
the first, and again as a part of each function that calls the first. Code that takes a second or
more to compile, such as that of the tiles in ``tile.py``, is compiled once for its types; functions
that call it take its address as an argument, since files of compiled code hold no addresses.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


def address_of(function: Any, args: tuple[Any, ...]) -> int:
    """Return the address of a compiled function without result, for these types of arguments."""
    function.compile(args)
    compiled = function.overloads[args]
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def call(context: Any, builder: Any, address: Any, args: tuple[Any, ...], values: Any) -> None:
    """Write the call of such a function, which must raise nothing, as LLVM's instructions.

    Args:
        context: numba's target context.
        builder: llvmlite's builder of instructions.
        address: integer of 64 bits.
        args: types of the arguments.
        values: the arguments.
    """
    types: Any = importlib.import_module("numba").types
    tools: Any = importlib.import_module("numba.core.cgutils")
    signature = context.call_conv.get_function_type(types.none, args)
    slots = [tools.alloca_once(builder, k.pointee) for k in signature.args[:2]]
    values = context.get_arg_packer(args).as_arguments(builder, values)
    builder.call(builder.inttoptr(address, signature.as_pointer()), [*slots, *values])


def pointer_to(dtype: Any) -> Any:
    """Return the type of a pointer to entries of a dtype."""
    types: Any = importlib.import_module("numba").types
    return types.CPointer(
        importlib.import_module("numba.np.numpy_support").from_dtype(np.dtype(dtype))
    )
