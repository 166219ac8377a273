"""Small linear maps of squares of vectors, ``T x Tᵀ``, in vector registers; for ``winograd.py``.

Each entry of x, a square of up to 4 x 4, is a vector of channels. The maps are constant and mostly
of 0, 1 and -1, so that only their additions are written, in LLVM's language: numba would not
find vectors among so many places.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from netlayers.kernels.compiled.tile import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    Map = tuple[tuple[float, ...], ...]

# Written with the instructions of: tile 88552b7ace22.


def transform(matrix: Map) -> Any:
    """Return ``map(columns, source, target)`` for compiled code: ``target = T source Tᵀ``.

    Args:
        matrix: T; each of its rows has a positive entry.

    Returns:
        A function of the number of columns, and of two tuples ``(pointer, start, row, column)``:
        column c of entry (i, j) is at ``start + i row + j column + c``.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types

    def declared(context: Any, columns: Any, source: Any, target: Any) -> Any:
        return types.void(columns, source, target), functools.partial(_write, matrix)

    return extending.intrinsic(declared)


def _write(matrix: Map, context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """Write a loop over the vectors of a place; the last one may be shorter."""
    tools: Any = importlib.import_module("numba.core.cgutils")
    source, target = (tools.unpack_tuple(builder, operand) for operand in given[1:])
    writer = Writer(builder, tools, (given[0], None, None), source, source, source, target)
    builder.function.attributes.add("noinline")
    whole = builder.sub(writer.vectors, writer.integer(1))
    with writer.loop(whole) as vector:
        _transformed(writer, matrix, builder.mul(vector, writer.integer(writer.width)), 2)
    _transformed(writer, matrix, builder.mul(whole, writer.integer(writer.width)), 1)
    return context.get_dummy_value()


def _transformed(writer: Writer, matrix: Map, offset: Any, vectors: int) -> None:
    """Write the map of the columns from ``offset`` on; see :meth:`Writer.load` for ``vectors``."""
    builder = writer.builder

    def place(operand: Any, i: int, j: int) -> Any:
        array, start, row, column = operand
        away = builder.add(builder.mul(writer.integer(i), row), offset)
        away = builder.add(builder.mul(writer.integer(j), column), away)
        return builder.gep(array, [builder.add(start, away)])

    size = range(len(matrix[0]))
    x = [[writer.load(place(writer.a, i, j), 0, vectors) for j in size] for i in size]
    below = [[_combined(writer, row, column) for column in zip(*x, strict=True)] for row in matrix]
    for i, line in enumerate(below):
        for j, row in enumerate(matrix):
            writer.store(_combined(writer, row, line), place(writer.out, i, j), 0, vectors)


def _combined(writer: Writer, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
    """Write ``Σ factor vector``, without products with 0 and 1."""
    builder, total = writer.builder, None
    for factor, vector in sorted(zip(factors, vectors, strict=True), key=lambda pair: -pair[0]):
        if not factor:
            continue
        if abs(factor) != 1:
            scale = writer.ir.Constant(writer.vector, [abs(factor)] * writer.width)
            vector = builder.fmul(vector, scale)
        if total is None:
            total = vector
        else:
            total = (builder.fadd if factor > 0 else builder.fsub)(total, vector)
    return total
