"""Sums of products as a matrix of any size, cut into the tiles of ``tile.py``."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from netlayers.kernels.compiled.calls import address_of, call, pointer_to
from netlayers.kernels.compiled.tile import declared, registers

if TYPE_CHECKING:
    from collections.abc import Callable

# numba caches compiled code until its file changes, regardless of changes in called functions. So
# this file contains digests of their files: calls d18ddf1be818, tile 88552b7ace22.

PRODUCT, BY_COLUMN, LARGEST = range(3)  # kinds of tiles

# Set by :func:`compiled_matrix`: the functions of ``tile.py``, and the rows of a tile.
_tile: Any = None
_tile_by_column: Any = None
_largest_tile: Any = None
_ROWS = 0


def _matrix(
    kind: int,
    rows: int,
    columns: int,
    width: int,
    terms: int,
    steps: int,
    a: Any,
    b: Any,
    first: Any,
    out: Any,
) -> None:
    """Compute a matrix in tiles of ``width`` columns; see ``tile.py`` for the other arguments."""
    height = -(-rows // -(-rows // _ROWS))  # of tiles that are about equally high
    for c in range(0, columns, width):
        for r in range(0, rows, height):
            high, wide, start = min(height, rows - r), min(width, columns - c), a[1] + r * a[2]
            above = (b[0], b[1] + c, b[2], b[3])
            begin = (first[0], first[1] + r * first[2] + c, first[2])
            target = (out[0], out[1] + r * out[2] + c, out[2])
            if kind == PRODUCT:
                left = (a[0], start, a[2], a[3], a[4])
                _tile(high, wide, terms, steps, left, above, begin, target)
            else:
                left = (a[0], start + c, a[2], a[3], a[4])
                if kind == BY_COLUMN:
                    _tile_by_column(high, wide, terms, steps, left, above, begin, target)
                else:
                    _largest_tile(high, wide, terms, steps, left, above, begin, target)


def compiled_matrix(compiled: Callable[..., Any]) -> None:
    """Compile the function, and declare those that it calls.

    Args:
        compiled: function that compiles another, see ``compiled_kernels``.
    """
    module = globals()
    names = ("_tile", "_tile_by_column", "_largest_tile")
    module.update(zip(names, declared()[1:], strict=True))
    module["_ROWS"], module["_matrix"] = registers().rows, compiled(_matrix)


@functools.cache
def code_of(kind: int, dtype: Any) -> int:
    """Return the address of the code for a kind of tiles and a dtype, see :func:`multiply`."""
    types: Any = importlib.import_module("numba").types
    return address_of(_matrix, (types.literal(kind), *_types(pointer_to(dtype))))


def _types(pointer: Any) -> tuple[Any, ...]:
    """Return the types of the arguments behind the kind, for pointers to entries."""
    types: Any = importlib.import_module("numba").types
    n, places = types.int64, types.CPointer(types.int64)
    a, b = types.Tuple((pointer, n, n, n, places)), types.Tuple((pointer, n, n, places))
    matrix = types.Tuple((pointer, n, n))
    return n, n, n, n, n, a, b, matrix, matrix


@functools.cache
def multiply() -> Any:
    """Return ``multiply(code, rows, columns, width, terms, steps, a, b, first, out)`` for loops.

    ``code`` is what :func:`code_of` returns, ``width`` the number of columns of the largest tile;
    see ``tile.py`` for the others.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    n = types.int64

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def multiply(
        context: Any, code: Any, rows: Any, columns: Any, width: Any, terms: Any, steps: Any,
        a: Any, b: Any, first: Any, out: Any,
    ) -> Any:  # fmt: skip
        args = _types(a[0])

        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kind = context.get_constant(n, 0)  # is not read: the code is that for one kind
            call(context, builder, given[0], (n, *args), [kind, *given[1:]])
            return context.get_dummy_value()

        return types.void(n, *args), write

    return multiply
