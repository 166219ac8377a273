"""Plain-text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table whose columns are two spaces apart.

    Args:
        rows: the cells; all rows have the same length.
        left: number of leading columns that are left-aligned; the others are right-aligned.

    Example:
        >>> text_table([["layer", "mean"], ["dense_1", "0.5"]])
        ['layer    mean', 'dense_1   0.5']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells))
        )
    return [line.rstrip() for line in lines]
