"""The results of each epoch in a CSV file."""

from __future__ import annotations

import csv
import json
import os
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.callbacks.reporting import LogFile, as_cell, from_cell, of_a_layer
from netlayers.checks import check_flag, check_path
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan

# Results of the training alone: validation has none of them.
_TRAINING_ONLY = ("learning_rate", "grad_norm")


class CSVLogger(Callback):
    """Writes a line for each epoch to a CSV file; each is on disk at once, also after a crash.

    The columns are ``epoch``, counted from 0, and the names in the logs of the first epoch in
    alphabetical order. If none of these starts with ``val_``, a ``val_`` column is added for each,
    as the first epochs are not validated with ``validation_freq``. Missing values are written as
    ``NA``, arrays as lists; names that a spreadsheet would take for a formula, as ``=x``, get an
    apostrophe.

    Args:
        filename: path of the file.
        separator: the character between columns.
        append: append to an existing file, in its columns, instead of overwriting it. A second
            ``fit`` with the same object and ``initial_epoch`` above 0 appends in any case.

    Example:
        >>> import csv, os, tempfile, numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "log.csv")
        ...     log = nl.callbacks.CSVLogger(path)
        ...     _ = model.fit(x, x, epochs=2, callbacks=[log], validation_data=(x, x), verbose=0)
        ...     with open(path, newline="") as file:
        ...         rows = list(csv.DictReader(file))
        >>> [row["epoch"] for row in rows], list(rows[0])
        (['0', '1'], ['epoch', 'loss', 'val_loss'])
    """

    first_process_only = True

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        owner = "CSVLogger"
        if not isinstance(separator, str) or len(separator) != 1 or separator in '\r\n"':
            raise ConfigurationError(
                f"{owner}: separator must be one character other than a quote or a line break, got "
                f"{separator!r}."
            )
        self.filename = check_path(owner, "filename", filename)
        self.sep = separator
        self.append = check_flag(owner, "append", append)
        self._file: IO[str] | None = None
        self._written = False  # whether this object has written to the file
        self._goes_on = False  # whether the run has an initial epoch above 0

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"filename": "log.csv"}, {"filename": "log.csv", "separator": ";", "append": True}]

    def check_run(self, plan: RunPlan) -> None:
        """Keep whether the run continues an earlier one."""
        self._goes_on = plan.epochs.start > 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._close()
        self._columns: list[str] | None = None
        cut = False
        self._later: list[tuple[list[str], int]] = []  # lines that may come again; their bytes
        self._log = LogFile("CSVLogger")
        resumed = getattr(self, "params", {}).get("resumed", False)
        goes_on = self._written and self._goes_on
        append = self.append or goes_on or resumed  # set_state() finds the lines that come again
        if append and os.path.exists(self.filename):
            try:
                with open(self.filename, newline="", encoding="utf-8") as file:
                    text = file.read()
            except UnicodeDecodeError:
                raise ConfigurationError(
                    f"CSVLogger: {self.filename!r} is not a text file in UTF-8, so nothing is "
                    "appended to it; pass another filename."
                ) from None
            cut = bool(text) and not text.endswith("\n")  # the run before was killed in a line
            if cut and resumed:  # in one that comes again
                os.truncate(self.filename, len(text[: text.rfind("\n") + 1].encode()))
                cut = False
            header = next(csv.reader(text.splitlines(), delimiter=self.sep), None)
            self._columns = [from_cell(cell) for cell in header] if header else None
        self._file = open(  # noqa: SIM115 - closed in on_train_end
            self.filename, "a" if append else "w", newline="", encoding="utf-8"
        )
        if cut:
            with self._log.writing(self.filename):
                self._file.write("\r\n")
        self._writer = csv.writer(self._file, delimiter=self.sep)
        self._warned = False

    def get_state(self) -> dict[str, Any]:
        """Return the length of the file up to the lines that may come again, and its columns."""
        assert self._file is not None
        with self._log.writing(self.filename):
            self._file.flush()
        later = sum(count for _, count in self._later)
        return {"length": os.path.getsize(self.filename) - later, "columns": self._columns}

    def set_state(self, state: dict[str, Any]) -> None:
        """Find the lines of later epochs, which come again; those of other runs are kept.

        Raises:
            ValueError: the columns have no names, or the length is negative.
        """
        assert self._file is not None
        if state["length"] < 0:
            raise ValueError(f"CSVLogger: a file of {state['length']} bytes")
        if not all(isinstance(name, str) for name in state["columns"] or ()):
            raise ValueError("CSVLogger: columns without names")
        self._columns = state["columns"]
        if os.path.getsize(self.filename) >= state["length"]:
            with open(self.filename, "rb") as file:
                file.seek(state["length"])
                lines = file.read().splitlines(keepends=True)
            cells = csv.reader((line.decode() for line in lines), delimiter=self.sep)
            self._later = list(zip(cells, map(len, lines), strict=False))
            if self._columns is None and self._later:
                self._columns = [from_cell(cell) for cell in self._later.pop(0)[0]]
        elif self._columns is not None:
            warn(
                f"CSVLogger: {self.filename!r} is shorter than it was when the run was backed up, "
                "so lines are missing."
            )
            if os.path.getsize(self.filename) == 0:
                with self._log.writing(self.filename):
                    self._writer.writerow(map(as_cell, self._columns))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line."""
        assert self._file is not None
        row = {"epoch": epoch, **(logs or {})}
        if self._columns is None:
            names = sorted(name for name in row if name != "epoch")
            if not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names if not _training_only(name)]
            self._columns = ["epoch", *names]
            with self._log.writing(self.filename):
                self._writer.writerow(map(as_cell, self._columns))
        missing = [name for name in row if name not in self._columns]
        if missing and not self._warned:
            self._warned = True
            warn(
                f"CSVLogger: {self.filename!r} has no column for {', '.join(missing)}, so that is "
                "not written. Pass another filename for this run."
            )
        cells = [_text(row.get(name, "NA")) for name in self._columns]
        if self._later and self._is_own(self._later.pop(0)[0], [str(cell) for cell in cells]):
            return  # this run wrote it before it was killed
        self._later = []
        with self._log.writing(self.filename):
            self._writer.writerow(cells)
            self._file.flush()
        self._written = True

    def _is_own(self, line: list[str], again: list[str]) -> bool:
        """Whether this run wrote a line: the numbers of a run come again, times do not."""
        assert self._columns is not None
        if not {"epoch", "loss"} <= set(self._columns) or len(line) != len(again):
            return line == again
        at = [self._columns.index(name) for name in ("epoch", "loss")]
        return all(line[i] == again[i] for i in at)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with self._log.writing(self.filename, end=True):
                self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_file"] = None
        state.pop("_writer", None)
        return state


def _training_only(name: str) -> bool:
    return name in _TRAINING_ONLY or of_a_layer(name)


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return as_cell(value)
    if np.ndim(value) == 0:
        return value
    return json.dumps(np.asarray(value).tolist())
