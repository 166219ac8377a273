"""Output of callbacks, and the numbers in the logs."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import numpy as np

from netlayers._notebook import in_notebook
from netlayers._warn import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Logs


def say(text: str) -> None:
    """Print a line; on a terminal and in a notebook, without breaking a progress bar."""
    if sys.stdout.isatty() or in_notebook():
        from tqdm import tqdm

        tqdm.write(text)
    else:
        print(text, flush=True)


class LogFile:
    """Tells a user of a log that cannot be written; the training continues.

    What was not written stays in the buffer of its file, which tries again with the next lines.

    Args:
        owner: the callback, for messages.
    """

    def __init__(self, owner: str) -> None:
        self._owner, self._warned = owner, False

    @contextlib.contextmanager
    def writing(self, path: str, end: bool = False) -> Iterator[None]:
        """Context manager that turns an OSError into a warning, the first one and at the end.

        Args:
            path: what is written, for the message.
            end: whether this is the last attempt.
        """
        try:
            yield
        except OSError as error:
            if end or not self._warned:
                rest = "its last lines are missing." if end else "it is tried again later."
                warn(
                    f"{self._owner}: {path!r} cannot be written: {error}. Training continues; "
                    f"{rest}"
                )
            self._warned = True


def scalars(logs: Logs | None) -> dict[str, float]:
    """Return the single numbers of ``logs`` as floats, without arrays and strings."""
    return {
        name: float(value)
        for name, value in (logs or {}).items()
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
    }


def of_a_layer(name: str) -> bool:
    """Whether a name in the logs belongs to a single layer, as ``dense/gradient_norm``."""
    return "/" in name


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_cell(text: str) -> str:
    """Return a text as a cell of a table that no spreadsheet takes for a formula.

    Example:
        >>> from netlayers.callbacks.reporting import as_cell
        >>> as_cell("=1+1"), as_cell("loss"), as_cell("-0.5")
        ("'=1+1", 'loss', '-0.5')
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def from_cell(cell: str) -> str:
    """Return the text of which :func:`as_cell` made a cell."""
    return cell[1:] if cell.startswith("'") and as_cell(cell[1:]) == cell else cell
