"""Small linear maps of tables of vectors, ``T x Sᵀ``, in vector registers; for ``winograd.py``.

Each entry of x, a table of up to 6 x 6, is a vector of channels. The maps are constant and mostly
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
    Stages = Sequence[Map]  # of a matrix that is a product; the first one comes first

# Written with the instructions of: tile 88552b7ace22.


def transform(maps: Sequence[tuple[Stages, Stages]]) -> Any:
    """Return ``map(kind, columns, source, target)`` for compiled code: ``target = T source Sᵀ``.

    Args:
        maps: the stages of T and S of each kind; each of their rows has a positive entry.

    Returns:
        A function of the kind, of the number of columns, and of two tuples ``(pointer, start, row,
        column)``: column c of entry (i, j) is at ``start + i row + j column + c``.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types

    def declared(context: Any, kind: Any, columns: Any, source: Any, target: Any) -> Any:
        return types.void(kind, columns, source, target), functools.partial(_write, maps)

    return extending.intrinsic(declared)


def _write(
    maps: Sequence[tuple[Stages, Stages]], context: Any, builder: Any, signature: Any, given: Any
) -> Any:
    """Write a branch for each kind: a loop over the vectors; the last one may be shorter."""
    tools: Any = importlib.import_module("numba.core.cgutils")
    source, target = (tools.unpack_tuple(builder, operand) for operand in given[2:])
    writer = Writer(builder, tools, (given[1], None, None), source, source, source, target)
    builder.function.attributes.add("noinline")
    whole = builder.sub(writer.vectors, writer.integer(1))
    end = builder.append_basic_block("end")
    by_kind = builder.switch(given[0], end)
    for kind, pair in enumerate(maps):
        block = builder.append_basic_block(f"kind{kind}")
        by_kind.add_case(writer.integer(kind), block)
        builder.position_at_end(block)
        with writer.loop(whole) as vector:
            _transformed(writer, *pair, builder.mul(vector, writer.integer(writer.width)), 2)
        _transformed(writer, *pair, builder.mul(whole, writer.integer(writer.width)), 1)
        builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


def _transformed(writer: Writer, t: Stages, s: Stages, offset: Any, vectors: int) -> None:
    """Write the maps of the columns from ``offset`` on; see :meth:`Writer.load` for ``vectors``."""
    builder = writer.builder

    def place(operand: Any, i: int, j: int) -> Any:
        array, start, row, column = operand
        away = builder.add(builder.mul(writer.integer(i), row), offset)
        away = builder.add(builder.mul(writer.integer(j), column), away)
        return builder.gep(array, [builder.add(start, away)])

    rows, columns = range(len(t[0][0])), range(len(s[0][0]))
    x = [[writer.load(place(writer.a, i, j), 0, vectors) for j in columns] for i in rows]
    for stage in t:
        x = [[_combined(writer, row, column) for column in zip(*x, strict=True)] for row in stage]
    for stage in s:
        x = [[_combined(writer, row, line) for row in stage] for line in x]
    for i, line in enumerate(x):
        for j, vector in enumerate(line):
            writer.store(vector, place(writer.out, i, j), 0, vectors)


def _combined(writer: Writer, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
    """Write ``Σ factor vector``, without products with 0 and 1."""
    builder, total = writer.builder, None
    for factor, vector in sorted(zip(factors, vectors, strict=True), key=lambda pair: -pair[0]):
        if not factor:
            continue
        scale = writer.ir.Constant(writer.vector, [float(factor)] * writer.width)
        if total is None:
            total = vector if factor == 1 else builder.fmul(vector, scale)
        elif abs(factor) == 1:
            total = (builder.fadd if factor > 0 else builder.fsub)(total, vector)
        else:
            total = writer.call("llvm.fmuladd", writer.vector, vector, scale, total)
    return total
