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
    """Return ``map(kind, columns, tables, source, target)`` for compiled code: ``T source Sᵀ``.

    Args:
        maps: the stages of T and S of each kind; each of their rows has a positive entry.

    Returns:
        A function of the kind, of the number of columns, of the number of tables, and of two tuples
        ``(pointer, start, places, row, column)``, with ``places`` a pointer to int64: column c of
        entry (i, j) of table t is at ``start + places[t] + i row + j column + c``.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types

    def declared(
        context: Any, kind: Any, columns: Any, tables: Any, source: Any, target: Any
    ) -> Any:
        signature = types.void(kind, columns, tables, source, target)
        return signature, functools.partial(_write, maps)

    return extending.intrinsic(declared)


def _write(
    maps: Sequence[tuple[Stages, Stages]], context: Any, builder: Any, signature: Any, given: Any
) -> Any:
    """Write a branch for each kind: a loop over whole vectors, and the columns that are left.

    The inner loop is that over the tables: it needs few registers for addresses.
    """
    tools: Any = importlib.import_module("numba.core.cgutils")
    kind, columns, tables = given[:3]
    source, target = (tools.unpack_tuple(builder, operand) for operand in given[3:])
    writer = Writer(builder, tools, (columns, None, None), source, source, source, target)
    width = writer.integer(writer.width)
    whole = builder.sdiv(columns, width)
    end = builder.append_basic_block("end")
    by_kind = builder.switch(kind, end)
    for number, pair in enumerate(maps):
        block = builder.append_basic_block(f"kind{number}")
        by_kind.add_case(writer.integer(number), block)
        builder.position_at_end(block)
        with writer.loop(whole) as vector, writer.loop(tables) as table:
            _transformed(writer, *pair, builder.mul(vector, width), table, 2)
        offset = builder.mul(whole, width)
        left = builder.icmp_signed("<", offset, columns)
        with writer.loop(builder.select(left, tables, writer.integer(0))) as table:
            _transformed(writer, *pair, offset, table, 1)
        builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


def _transformed(
    writer: Writer, t: Stages, s: Stages, offset: Any, table: Any, vectors: int
) -> None:
    """Write the maps of the columns from ``offset`` on; see :meth:`Writer.load` for ``vectors``."""
    builder = writer.builder

    def lines(operand: Any, count: int) -> list[Any]:
        array, start, places, row, _ = operand
        begin = builder.gep(array, [builder.add(start, offset)])
        first = builder.gep(begin, [builder.load(builder.gep(places, [table]))])
        return [builder.gep(first, [builder.mul(writer.integer(i), row)]) for i in range(count)]

    def entry(line: Any, j: int, operand: Any) -> Any:
        return builder.gep(line, [builder.mul(writer.integer(j), operand[-1])])

    x = [
        [writer.load(entry(line, j, writer.a), 0, vectors) for j in range(len(s[0][0]))]
        for line in lines(writer.a, len(t[0][0]))
    ]
    for stage in t:
        x = [[_combined(writer, row, column) for column in zip(*x, strict=True)] for row in stage]
    for stage in s:
        x = [[_combined(writer, row, line) for row in stage] for line in x]
    for line, values in zip(lines(writer.out, len(x)), x, strict=True):
        for j, vector in enumerate(values):
            writer.store(vector, entry(line, j, writer.out), 0, vectors)


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
