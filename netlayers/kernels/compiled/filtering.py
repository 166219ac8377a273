"""The matrices of minimal filtering along an axis: outputs of a kernel in fewer products.

For the entries d of the input that neighbouring outputs see, and the kernel g::

    y = Aᵀ ((G g) (Bᵀ d))        (product by product)

has a product for each row of the matrices: two outputs of 2, 3 and 4 entries take 3, 4 and 5
products instead of 4, 6 and 8.

Longer kernels are made of these. *Parts* lie behind each other: two outputs of 5 entries as 2 and 3
take 7 products instead of 10. *Phases* are every other entry: the two outputs of phase 0 and those
of phase 1 are the outputs of a kernel of two entries, whose products are again convolutions, of
sums of phases. So four outputs of 7 entries (phases of 4 and 3) take 5 + 5 + 4 = 14 products
instead of 28, and of 5 entries 4 + 4 + 3 = 11 instead of 20. The matrices of phases are products of
two, the *stages*.

A map is exact for numbers that are; how far it rounds depends on its points (see the source). The
mean error of y in float32, 64 channels, by that of the direct sum, is 0.8 (kernels of 3), 0.6
(two outputs of 5), 1.0 (four) and 0.9 (7), and for inputs after a rectifier 1.1 (7). For 7 entries
as 4 and 3, with the usual points 0, 1, -1, 2 and infinity, it is 0.9 and 1.0, with 18 products; as
a single map of 8 products for two outputs 2.3.

Source:
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks" (2016), equation 8, with
    the last row of Bᵀ and the last column of Aᵀ negated; for 2 and 4: S. Winograd, "Arithmetic
    complexity of computations" (1980), chapter V, with the points 1, -1, infinity and 0, 1, -1, 3,
    -3; that the choice of points matters: B. Barabasz, A. Anderson, K. Soodhalter, D. Gregg, "Error
    analysis and improving the accuracy of Winograd convolution for deep neural networks" (2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Map = tuple[tuple[float, ...], ...]


class Maps(NamedTuple):
    """The matrices of a kernel, or of one of its stages."""

    b: Map  # transposed
    g: Map
    a: Map


ONE = Maps(((1,),), ((1,),), ((1,),))
TWO = Maps(
    ((1, 1, 0), (1, -1, 0), (-1, 0, 1)),
    ((1 / 2, 1 / 2), (1 / 2, -1 / 2), (0, 1)),
    ((1, 1), (1, -1), (0, 1)),
)
THREE = Maps(
    ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1)),
    ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    ((1, 0), (1, 1), (1, -1), (0, 1)),
)
FOUR = Maps(
    ((9, 0, -10, 0, 1), (0, 9, 9, -1, -1), (0, -9, 9, 1, -1), (0, -3, -1, 3, 1), (0, 3, -1, -3, 1)),
    (
        (1 / 9, 0, 0, 0),
        (1 / 16, 1 / 16, 1 / 16, 1 / 16),
        (1 / 16, -1 / 16, 1 / 16, -1 / 16),
        (1 / 144, 1 / 48, 1 / 16, 3 / 16),
        (1 / 144, -1 / 48, 1 / 16, -3 / 16),
    ),
    ((1, 0), (1, 1), (1, -1), (1, 3), (1, -3)),
)


def _parts(first: Maps, second: Maps) -> Maps:
    """Return the map of a kernel of two parts: what each part gives is added up."""
    before, behind = (0,) * len(first.g[0]), (0,) * len(second.g[0])
    b = (*(row + behind for row in first.b), *(before + row for row in second.b))
    g = (*(row + behind for row in first.g), *(before + row for row in second.g))
    return Maps(b, g, first.a + second.a)


def _phases(length: int, inner: Sequence[Maps]) -> tuple[Maps, Maps]:
    """Return the stages of four outputs of ``length`` entries: TWO, and a map for each product."""

    def sums_of_phases(outer: Map, matrices: list[Map], columns: int) -> Map:
        return tuple(
            tuple(row[k - 2 * j] if 0 <= k - 2 * j < len(row) else 0 for k in range(columns))
            for row, matrix in zip(outer, matrices, strict=True)
            for j in range(len(matrix[0]))
        )

    kinds = [list(matrices) for matrices in zip(*inner, strict=True)]
    columns = (length + 3, length, 4)
    first = [sums_of_phases(*given) for given in zip(TWO, kinds, columns, strict=True)]
    return Maps(*first), Maps(*(_block_diagonal(matrices) for matrices in kinds))


def _block_diagonal(matrices: list[Map]) -> Map:
    widths = [len(matrix[0]) for matrix in matrices]
    return tuple(
        (0,) * sum(widths[:i]) + row + (0,) * sum(widths[i + 1 :])
        for i, matrix in enumerate(matrices)
        for row in matrix
    )


# The stages down and along, of images and of series.
BY_KERNEL: dict[tuple[int, int], tuple[tuple[Maps, ...], tuple[Maps, ...]]] = {
    (3, 3): ((THREE,), (THREE,)),
    (5, 5): ((_parts(TWO, THREE),), (_parts(TWO, THREE),)),
    (3, 1): ((THREE,), (ONE,)),
    (5, 1): (_phases(5, (THREE, THREE, TWO)), (ONE,)),
    (7, 1): (_phases(7, (FOUR, FOUR, THREE)), (ONE,)),
}
