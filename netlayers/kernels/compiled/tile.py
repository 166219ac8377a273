"""The micro-kernel of compiled convolutions: sums of products in vector registers.

A tile is a small block of a matrix whose sums stay in registers from the first term to the last. A
term takes an entry of each of its rows, repeated in all places of a vector, and a few vectors of
its columns::

                  b[k]   | vector 0 | vector 1 |
                         +----------+----------+
        a[row 0, k] -->  |          |          |
        a[row 1, k] -->  |  sum += a[row, k]   |    rows x vectors sums, one register each;
            ...          |         x b[k]      |    a and b are read from memory
        a[row 11, k] ->  |          |          |
                         +----------+----------+

In a tile of the second kind, the entries of a are vectors, too: each column has its own. In a tile
of the third kind the largest of them takes the place of the sum.

So a multiply-add, which a processor can begin once or twice a cycle, needs far less than one load.
numba does not keep an array in registers; therefore the instructions are written here, in LLVM's
language, for the vectors of this processor. Elsewhere LLVM splits them into what there is. Of a
processor's limit of 118 GFLOP/s, a tile reaches 105 to 117.

Source:
    K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM Trans. Math.
    Softw. 34 (2008), section 6.1: the sums in registers.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = 2  # columns of the largest tile, in vectors


class Registers(NamedTuple):
    """The vector registers of a processor: their size in bytes, and rows of a tile that fit."""

    size: int
    rows: int


@functools.cache
def registers() -> Registers:
    """Return the registers of this processor."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    try:
        has = llvm.get_host_cpu_features().get
    except RuntimeError:  # unknown to LLVM
        return Registers(16, 6)
    if has("avx512f"):  # 32 registers: 2 x 12 sums, 2 of b and one of a
        return Registers(64, 12)
    if has("avx"):  # 16 registers
        return Registers(32, 6)
    return Registers(16, 12 if has("neon") else 6)


@functools.cache
def declared() -> tuple[Any, ...]:
    """Return ``entries``, ``tile``, ``tile_by_column`` and ``largest_tile`` for compiled code.

    ``entries(x)`` is the pointer to the first entry of an array. To pass it on costs nothing,
    whereas the references to an array are counted, by all threads in the same place.

    ``tile(rows, columns, terms, steps, a, b, first, out)`` computes ``out[r, c] = first[r, c] + Σ
    a[r, t, k] b[t, k, c]``, the sum over terms t and steps k. The operands are tuples of pointers
    and integers, and the entries those at::

        a     (pointer, start, row, step, places)    start + places[t] + r row + k step
        b     (pointer, start, step, places)         start + places[t] + k step + c
        first (pointer, start, row)                  start + r row + c; the same for out

    with ``places`` a pointer to int64. ``tile_by_column`` computes ``first[r, c] + Σ a[r, t, k, c]
    b[t, k, c]``, where c is added to the place in a, and ``largest_tile`` the largest of ``first``
    and all ``a[r, t, k, c]``, or NaN if there is one. ``first`` may be ``out``. There are 1 to
    ``registers().rows`` rows, and as many columns as 1 to ``VECTORS`` vectors hold.

    Raises:
        ImportError: numba is not installed.
    """
    extending: Any = importlib.import_module("numba.extending")
    types: Any = importlib.import_module("numba").types
    make_array: Any = importlib.import_module("numba.np.arrayobj").make_array

    @extending.intrinsic  # type: ignore[untyped-decorator]
    def entries(context: Any, x: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return make_array(x)(context, builder, given[0]).data

        return types.CPointer(x.dtype)(x), write

    def declare(kind: str) -> Any:
        def tile(
            context: Any, rows: Any, columns: Any, terms: Any, steps: Any,
            a: Any, b: Any, first: Any, out: Any,
        ) -> Any:  # fmt: skip
            signature = types.void(rows, columns, terms, steps, a, b, first, out)
            return signature, functools.partial(_write, kind)

        return extending.intrinsic(tile)

    return entries, declare("product"), declare("by column"), declare("largest")


def _write(kind: str, context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """Write the instructions: a branch for each number of rows and of vectors."""
    tools: Any = importlib.import_module("numba.core.cgutils")
    rows, *sizes = given[:4]
    operands = [tools.unpack_tuple(builder, operand) for operand in given[4:]]
    writer = Writer(builder, tools, sizes, *operands)
    builder.function.attributes.add("noinline")  # one copy of the code, without constants
    end = builder.append_basic_block("end")
    by_vectors = builder.switch(writer.vectors, end)
    for vectors in range(1, VECTORS + 1):
        block = builder.append_basic_block(f"vectors{vectors}")
        by_vectors.add_case(writer.integer(vectors), block)
        builder.position_at_end(block)
        by_rows = builder.switch(rows, end)
        for count in range(1, registers().rows + 1):
            block = builder.append_basic_block(f"vectors{vectors}rows{count}")
            by_rows.add_case(writer.integer(count), block)
            builder.position_at_end(block)
            writer.write(count, vectors, kind)
            builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


class Writer:
    """Writes the instructions of tiles."""

    def __init__(
        self, builder: Any, tools: Any, sizes: Any, a: Any, b: Any, first: Any, out: Any
    ) -> None:
        self.ir: Any = importlib.import_module("llvmlite.ir")
        self.builder, self.tools = builder, tools
        columns, self.terms, self.steps = sizes
        self.a, self.b, self.first, self.out = a, b, first, out
        self.real = a[0].type.pointee
        self.bytes = 4 if isinstance(self.real, self.ir.FloatType) else 8
        self.width = registers().size // self.bytes
        self.vector = self.ir.VectorType(self.real, self.width)
        more = builder.add(columns, self.integer(self.width - 1))
        self.vectors = builder.sdiv(more, self.integer(self.width))
        # The columns that the last vector has: 1 to width.
        before = builder.mul(builder.sub(self.vectors, self.integer(1)), self.integer(self.width))
        last = self.splat(builder.sub(columns, before))
        places = self.ir.Constant(last.type, list(range(self.width)))
        self.mask = builder.icmp_signed("<", places, last)

    def integer(self, value: int) -> Any:
        """Return a constant."""
        return self.ir.Constant(self.ir.IntType(64), value)

    def splat(self, value: Any) -> Any:
        """Return a vector that holds the value in all places."""
        short = self.ir.IntType(32)
        vector = self.ir.VectorType(value.type, self.width)
        one = self.ir.Constant(vector, self.ir.Undefined)
        one = self.builder.insert_element(one, value, self.ir.Constant(short, 0))
        zeros = self.ir.Constant(self.ir.VectorType(short, self.width), [0] * self.width)
        return self.builder.shuffle_vector(one, one, zeros)

    def place(self, row: int, array: Any, start: Any, distance: Any) -> Any:
        """Return the pointer to a row of an operand."""
        away = self.builder.mul(self.integer(row), distance)
        return self.builder.gep(array, [self.builder.add(start, away)])

    def vector_at(self, place: Any, v: int) -> Any:
        """Return the pointer to vector v from a place on."""
        place = self.builder.gep(place, [self.integer(v * self.width)])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, place: Any, v: int, vectors: int) -> Any:
        """Return vector v; the last one with zeros where there are no columns."""
        pointer = self.vector_at(place, v)
        if v < vectors - 1:
            return self.builder.load(pointer, align=self.bytes)
        zeros = self.ir.Constant(self.vector, [0.0] * self.width)
        return self.call(
            "llvm.masked.load", self.vector, pointer, self.alignment(), self.mask, zeros
        )

    def store(self, value: Any, place: Any, v: int, vectors: int) -> None:
        """Write vector v; the last one where there are columns."""
        pointer = self.vector_at(place, v)
        if v < vectors - 1:
            self.builder.store(value, pointer, align=self.bytes)
        else:
            nothing = self.ir.VoidType()
            self.call("llvm.masked.store", nothing, value, pointer, self.alignment(), self.mask)

    def alignment(self) -> Any:
        """Return the alignment of an entry, as an argument of LLVM's functions."""
        return self.ir.Constant(self.ir.IntType(32), self.bytes)

    def call(self, name: str, result: Any, *given: Any) -> Any:
        """Call one of LLVM's functions on vectors."""
        name += f".v{self.width}f{8 * self.bytes}" + (".p0" if "masked" in name else "")
        kind = self.ir.FunctionType(result, [value.type for value in given])
        module = self.builder.module
        return self.builder.call(self.tools.get_or_insert_function(module, kind, name), given)

    def write(self, rows: int, vectors: int, kind: str) -> None:
        """Write the branch of a tile.

        LLVM keeps variables in registers. The addresses of rows are those of every fourth row and
        one to three times their distance: as many as there are rows would not fit.
        """
        builder = self.builder
        a, a_start, a_row, a_step, a_places = self.a
        b, b_start, b_step, b_places = self.b
        sums = [[self.variable(self.vector) for _ in range(vectors)] for _ in range(rows)]
        left = [self.variable(a.type) for _ in range(0, rows, 4)]
        above = self.variable(b.type)
        distances = [builder.mul(self.integer(r), a_row) for r in range(4)]
        for r, v in itertools.product(range(rows), range(vectors)):
            place = self.place(r, *self.first)
            builder.store(self.load(place, v, vectors), sums[r][v])
        with self.loop(self.terms) as term:
            a_start = builder.add(a_start, builder.load(builder.gep(a_places, [term])))
            b_start = builder.add(b_start, builder.load(builder.gep(b_places, [term])))
            for i, pointer in enumerate(left):
                builder.store(self.place(4 * i, a, a_start, a_row), pointer)
            builder.store(builder.gep(b, [b_start]), above)
            with self.loop(self.steps):
                place = builder.load(above)
                columns = [self.load(place, v, vectors) for v in range(vectors)]
                builder.store(builder.gep(place, [b_step]), above)
                for r in range(rows):
                    place = builder.gep(builder.load(left[r // 4]), [distances[r % 4]])
                    if kind == "product":
                        entry = self.splat(builder.load(place))
                    for v in range(vectors):
                        total = builder.load(sums[r][v])
                        if kind != "product":
                            entry = self.load(place, v, vectors)
                        if kind == "largest":
                            total = self.larger(entry, total)
                        else:
                            given = entry, columns[v], total
                            total = self.call("llvm.fmuladd", self.vector, *given)
                        builder.store(total, sums[r][v])
                for pointer in left:
                    builder.store(builder.gep(builder.load(pointer), [a_step]), pointer)
        for r, v in itertools.product(range(rows), range(vectors)):
            self.store(builder.load(sums[r][v]), self.place(r, *self.out), v, vectors)

    def larger(self, x: Any, y: Any) -> Any:
        """Return the larger of two vectors, entry by entry, or NaN if there is one."""
        builder = self.builder
        stays = builder.or_(builder.fcmp_ordered("<=", x, y), builder.fcmp_unordered("uno", y, y))
        return builder.select(stays, y, x)

    def variable(self, kind: Any) -> Any:
        """Return the pointer to a new variable."""
        return self.tools.alloca_once(self.builder, kind)

    @contextlib.contextmanager
    def loop(self, count: Any) -> Iterator[Any]:
        """Write a loop around the instructions of a block; yield the index."""
        builder = self.builder
        head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(count.type)
        index.add_incoming(self.integer(0), before)
        builder.cbranch(builder.icmp_signed("<", index, count), body, after)
        builder.position_at_end(body)
        yield index
        index.add_incoming(builder.add(index, self.integer(1)), builder.block)
        self.not_unrolled(builder.branch(head))
        builder.position_at_end(after)

    def not_unrolled(self, branch: Any) -> None:
        """Mark the end of a loop: unrolled, the loop would need more registers than there are."""
        module = self.builder.module
        hint = module.add_metadata([self.ir.MetaDataString(module, "llvm.loop.unroll.disable")])
        mark = self.ir.values.MDValue(module, [hint], name=str(len(module.metadata)))
        mark.operands = (mark, hint)  # as LLVM asks for
        branch.set_metadata("llvm.loop", mark)
