"""Lines that are fetched into the cache ahead of their use, while something else is computed.

A processor waits for memory with what it reads and writes next, also with lines that it is about to
overwrite. Where many products come in between, a line that is asked for before them has arrived
after them.

Source:
    D. Callahan, K. Kennedy, A. Porterfield, "Software prefetching", ASPLOS 1991.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = 64  # bytes of a line of the cache

# Set by :func:`compiled_prefetch`.
_ask: Any = None


def fetch(x: Any, line: int, start: int, size: int, done: int, number: int, count: int) -> None:
    """Ask for a part of the ``size`` entries of the pointer x from ``start`` on.

    Of ``count`` equal parts, these are ``number``, after the ``done`` first ones. A line has
    ``line`` entries. To ask for what is behind the end of an array does no harm.
    """
    for i in range(start + size * done // count, start + size * (done + number) // count, line):
        _ask(x, i)


def compiled_prefetch(compiled: Callable[..., Any]) -> Any:
    """Return :func:`fetch`, compiled."""
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    tools: Any = importlib.import_module("numba.core.cgutils")
    ir: Any = importlib.import_module("llvmlite.ir")

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def ask(context: Any, x: Any, i: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            place = builder.bitcast(builder.gep(given[0], [given[1]]), tools.voidptr_t)
            # Of the data, to read, into the nearest cache but one.
            how = [ir.Constant(ir.IntType(32), value) for value in (0, 2, 1)]
            kind = ir.FunctionType(ir.VoidType(), [place.type, *(value.type for value in how)])
            name = "llvm.prefetch.p0"
            function = tools.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [place, *how])
            return context.get_dummy_value()

        return types.void(x, i), write

    globals()["_ask"] = ask
    return compiled(fetch)
