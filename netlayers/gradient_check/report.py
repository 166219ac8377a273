"""The result of a gradient check, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netlayers._html import html_table, paragraph
from netlayers._notebook import Report
from netlayers._printable import printable
from netlayers._tables import text_table


@dataclass
class GradientRow:
    """The result for one array.

    Attributes:
        name: ``layer/parameter``, or ``input``.
        shape: its shape.
        checked: number of entries that were compared.
        kinks: number of entries left out because the function has no derivative there.
        max_absolute_error: largest ``|a - n|``, with the analytic a and the numerical n.
        max_relative_error: largest ``|a - n| / max(|a|, |n|, floor)``.
        worst: index, analytic and numerical derivative of the entry with that error.
        directions: number of random directions that were compared; each changes all entries.
        direction_error: largest relative error along these directions.
        method: ``"complex"`` for the complex step, ``"central"`` for central differences.
    """

    name: str
    shape: tuple[int, ...]
    checked: int = 0
    kinks: int = 0
    max_absolute_error: float = 0.0
    max_relative_error: float = 0.0
    worst: tuple[tuple[int, ...], float, float] | None = None
    directions: int = 0
    direction_error: float = 0.0
    method: str = "central"


@dataclass
class GradientReport(Report):
    """The result of :func:`check_gradients`; prints as a table.

    Attributes:
        tolerance: largest relative error that passes.
        rows: one :class:`GradientRow` for the input and for each parameter.
        notes: why central differences were used instead of the complex step, for example.
    """

    tolerance: float
    rows: list[GradientRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def max_relative_error(self) -> float:
        """Largest relative error of all arrays."""
        return max(
            (max(row.max_relative_error, row.direction_error) for row in self.rows), default=0.0
        )

    @property
    def passed(self) -> bool:
        """Whether every array was compared and no error exceeds the tolerance."""
        return all(self._passes(row) for row in self.rows)

    def _passes(self, row: GradientRow) -> bool:
        empty = not np.prod(row.shape)
        accurate = max(row.max_relative_error, row.direction_error) <= self.tolerance
        return accurate and (row.checked > 0 or bool(empty))

    def _table(self) -> list[tuple[str, ...]]:
        table: list[tuple[str, ...]] = [
            (
                "gradient",
                "shape",
                "checked",
                "kinks",
                "directions",
                "largest error",
                "relative",
                "method",
                "",
            )
        ]
        for row in self.rows:
            verdict = "ok" if self._passes(row) else "WRONG" if row.checked else "NOT CHECKED"
            table.append(
                (
                    row.name,
                    "x".join(map(str, row.shape)),
                    f"{row.checked}/{int(np.prod(row.shape))}",
                    str(row.kinks),
                    str(row.directions),
                    f"{row.max_absolute_error:.1e}",
                    f"{max(row.max_relative_error, row.direction_error):.1e}",
                    row.method,
                    verdict,
                )
            )
        return table

    def _sentences(self) -> list[str]:
        lines = []
        for row in self.rows:
            if row.direction_error > self.tolerance:
                lines.append(
                    f"{row.name}: wrong along a random direction of all entries, relative "
                    f"error {row.direction_error:.1e}"
                )
            if row.worst is not None and row.max_relative_error > self.tolerance:
                indices, analytic, numerical = row.worst
                index = ", ".join(map(str, indices))
                lines.append(
                    f"{row.name}[{index}]: backward gives {analytic:.6g}, the {row.method} "
                    f"{'step' if row.method == 'complex' else 'difference'} {numerical:.6g}"
                )
        lines += [f"note: {note}" for note in self.notes]
        verdict = "passed" if self.passed else "FAILED"
        lines.append(
            f"{verdict}: largest relative error {self.max_relative_error:.1e}, tolerance "
            f"{self.tolerance:.0e}"
        )
        return lines

    def __str__(self) -> str:
        table = self._table()
        lines = text_table(table, left=len(table[0]))
        return "\n".join([*lines, *map(printable, self._sentences())])

    def _repr_html_(self) -> str:
        table = self._table()
        return html_table(table, left=len(table[0])) + "".join(map(paragraph, self._sentences()))
