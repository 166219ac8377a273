"""Plain-text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers._printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


def shown_number(value: float) -> str:
    """Return four decimal places, or four significant digits below 0.001.

    Example:
        >>> shown_number(0.25), shown_number(0.00025)
        ('0.2500', '2.500e-04')
    """
    return f"{value:.4f}" if value == 0 or not abs(value) < 1e-3 else f"{value:.3e}"


def text_table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table whose columns are two spaces apart, without control characters.

    Args:
        rows: the cells; all rows have the same length.
        left: number of leading columns that are left-aligned; the others are right-aligned.

    Example:
        >>> text_table([["layer", "mean"], ["dense_1", "0.5"]])
        ['layer    mean', 'dense_1   0.5']
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(cells))
        )
    return [line.rstrip() for line in lines]
