"""Compiled functions that others call by their address.

numba compiles a function that another one calls twice: for itself, and as a part of the other, and
so once for each of these, and for those that call them. Code that takes a second or more, such as
that of the tiles in ``tile.py``, is compiled once for its types; what calls it takes the address
as an argument, since files of compiled code hold no addresses.
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
    """Write the call of such a function, which raises nothing, in LLVM's language.

    Args:
        context: numba's description of the processor.
        builder: where to write.
        address: integer of 64 bits.
        args: types of the arguments.
        values: the arguments.
    """
    types: Any = importlib.import_module("numba").types
    tools: Any = importlib.import_module("numba.core.cgutils")
    kind = context.call_conv.get_function_type(types.none, args)
    slots = [tools.alloca_once(builder, k.pointee) for k in kind.args[:2]]
    values = context.get_arg_packer(args).as_arguments(builder, values)
    builder.call(builder.inttoptr(address, kind.as_pointer()), [*slots, *values])


def pointer_to(dtype: Any) -> Any:
    """Return the type of a pointer to entries of a dtype."""
    types: Any = importlib.import_module("numba").types
    return types.CPointer(
        importlib.import_module("numba.np.numpy_support").from_dtype(np.dtype(dtype))
    )
