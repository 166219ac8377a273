"""What a notebook shows, where other programs print."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def in_notebook() -> bool:
    """Whether the code runs in a notebook of Jupyter, which shows HTML and pictures."""
    return "IPKernelApp" in getattr(_shell(), "config", ())


def show(report: Report) -> None:
    """Print a report; in a notebook, show it."""
    if not in_notebook():
        print(report, flush=True)
        return
    importlib.import_module("IPython.display").display(report)
    report._shown_in = _shell().execution_count


class Report:
    """Base of results that print as text and that a notebook shows as HTML.

    Subclasses define ``__str__`` and ``_repr_html_``. What :func:`show` showed is not shown again
    as the value of the same cell.
    """

    _shown_in: Any = None  # the number of the cell

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "_repr_pretty_" not in vars(cls):  # IPython prefers __repr__ of the class itself
            cls._repr_pretty_ = Report._repr_pretty_  # type: ignore[method-assign]

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # in IPython on a terminal

    def _ipython_display_(self) -> None:
        if self._shown_in is None or self._shown_in != _shell().execution_count:
            raise NotImplementedError  # which asks IPython for the methods above


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
