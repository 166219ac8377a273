"""Tables as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table, its columns two spaces apart.

    Args:
        rows: the cells; every row has as many.
        left: how many of the first columns begin at their left side; the others are numbers, which
            end at their right side.

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
