"""A History as a notebook shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import html_table, paragraph, picture
from netlayers._printable import printable
from netlayers._tables import shown_number
from netlayers.plotting.figures import png_of
from netlayers.plotting.history import best_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SHOWN = 12  # rows of the table


def history_text(history: Mapping[str, Sequence[Any]], epochs: Sequence[int]) -> str:
    """Return the number of epochs and the last values."""
    last = [f"{name} {shown_number(its[-1])}" for name, its in numbers(history).items() if its]
    return f"{_count(epochs)}{': ' if last else ''}{printable(', '.join(last))}"


def history_html(
    history: Mapping[str, Sequence[Any]],
    epochs: Sequence[int],
    when: Mapping[str, Sequence[int]],
    plot: Callable[[], Any],
) -> str:
    """Return a table of the epochs, the epoch with the lowest loss, and the curves.

    Args:
        history: values by name.
        epochs: the numbers of the epochs.
        when: the epochs of each name.
        plot: draws the curves.
    """
    if not epochs:
        return paragraph("No epoch is complete.")
    found, text = numbers(history), _count(epochs)
    if (best := best_epoch(found, when)) is not None:
        name, epoch, value = best
        text += f"; the lowest {name} is {shown_number(value)}, of epoch {epoch + 1}"
    png = png_of(plot) if len(epochs) > 1 else None
    return (
        html_table(_table(found, epochs, when), left=0)
        + paragraph(f"{text}.")
        + picture(png, "Curves of the run")
    )


def numbers(history: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    """Return the entries that are single numbers, but those of layers."""
    return {
        name: [float(value) for value in its]
        for name, its in history.items()
        if "/" not in name
        and all(np.ndim(v) == 0 and np.asarray(v).dtype.kind in "biuf" for v in its)
    }


def _count(epochs: Sequence[int]) -> str:
    return "1 epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"


def _table(
    found: dict[str, list[float]], epochs: Sequence[int], when: Mapping[str, Sequence[int]]
) -> list[list[str]]:
    """Return a row for each epoch, of many for the first and the last ones."""
    cells = {
        (name, epoch): shown_number(value)
        for name, its in found.items()
        for epoch, value in zip(when[name], its, strict=True)
    }
    rows = [
        [str(epoch + 1), *(cells.get((name, epoch), "-") for name in found)] for epoch in epochs
    ]
    if len(rows) > SHOWN:
        rows[3 : 4 - SHOWN] = [["…"] * (1 + len(found))]
    return [["epoch", *found], *rows]
