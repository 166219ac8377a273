"""Progress bar and lines of ``fit``."""

from __future__ import annotations

import shutil
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from netlayers._notebook import in_notebook
from netlayers._printable import cells, printable
from netlayers._tables import shown_number
from netlayers.callbacks.remaining import RemainingTime, duration
from netlayers.callbacks.reporting import of_a_layer, scalars
from netlayers.checks import check_flag
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs

INTERVAL = 0.1  # seconds between two lines: formatting takes longer than a small batch
LONGEST_BAR = 20


class ProgressBar(Callback):
    """Prints a line for each epoch, and shows the progress during the epoch.

    On a terminal that is one line, which is as wide as the terminal at most: what does not fit is
    left out, not cut off. It says how long the epoch and the run still take. A notebook shows a
    bar of tqdm. In a file or a pipe there are only the lines of the epochs.

    Args:
        bar: whether to show the progress during an epoch.
    """

    part_of_run = False  # it has no influence on the run
    first_process_only = True

    def __init__(self, bar: bool = True) -> None:
        self._wanted = check_flag("ProgressBar", "bar", bar)
        self._bar: Any = None

    arguments_without_effect = ("bar",)  # on a terminal alone

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"bar": False}]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check where the output goes."""
        self._bar, self._notebook = None, in_notebook()
        self._terminal = not self._notebook and sys.stdout.isatty()
        self._epochs = self.params["epochs"]
        self._remaining = RemainingTime()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the number of the epoch."""
        self._epoch, self._done = epoch, 0
        if self._bar is None and self._wanted and (self._terminal or self._notebook):
            self._bar = self._opened()
        self._begin = self._shown = time.perf_counter()
        if self._bar is not None:
            self._remaining.begin_epoch(self._begin)
            self._show({})

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Show the progress, now and then."""
        if self._bar is None:
            return
        now = time.perf_counter()
        self._done = batch + 1
        self._remaining.count(self._done, now)
        if now - self._shown > INTERVAL or self._done == self.params["steps"]:
            self._shown = now
            self._show(logs or {})

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Show that the epoch is validated."""
        if self._bar is not None:
            self._show({}, "validation")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the line of the epoch."""
        now = time.perf_counter()
        if self._bar is not None:
            self._remaining.end_epoch(now)
            if not self._widgets:  # of which one shows all epochs
                self._close()
        start = f"{self._title(epoch)}  {duration(now - self._begin):>7}"
        width = shutil.get_terminal_size().columns if self._terminal else None
        print(wrapped([start, *numbers(logs or {})], width), flush=True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the bar, however the run ended."""
        self._close()

    @property
    def _widgets(self) -> bool:
        """Whether the bar is made of widgets of a notebook."""
        return hasattr(self._bar, "container")

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1:{len(str(self._epochs))}d}/{self._epochs}"

    def _opened(self) -> Any:
        """Return a bar of tqdm, which only shows what it is told to."""
        # Not tqdm.auto: without ipywidgets, some versions of it leave a broken bar behind. And only
        # here: the import takes 30 ms.
        widgets = self._notebook and find_spec("ipywidgets")
        tqdm = import_module("tqdm.notebook" if widgets else "tqdm").tqdm
        return tqdm(bar_format="{desc}", leave=False, file=sys.stdout)

    def _show(self, logs: Logs, doing: str = "") -> None:
        steps = self.params["steps"]
        title, texts = self._title(self._epoch), numbers(logs)
        count = (f"{self._done}/{steps}" if steps else str(self._done)) if self._done else ""
        after = self._epochs - self._epoch - 1
        times = None if doing else self._remaining.estimate(steps, after)
        left = doing
        if times is not None and self._done:
            left = f"left {duration(times[0], 0)}"
            left += f", run {duration(times[1], 0)}" if after else ""
        done = self._done / steps if self._done and steps else None
        if self._widgets:
            if not self._done:
                self._bar.reset(steps)
            self._bar.n = self._done
            self._bar.bar_format = f"{title} {{bar}} {{desc}}"
            text = "  ".join(part for part in (count, left, *texts) if part)
        else:
            width = shutil.get_terminal_size().columns - 1
            text = progress_line(title, count, left, texts, width, done)
        self._bar.set_description_str(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress_line(
    title: str, count: str, left: str, texts: list[str], width: int, done: float | None = None
) -> str:
    """Return a line that takes at most ``width`` columns, of the parts that fit.

    Args:
        title: which epoch it is; always there.
        count: how many batches are complete.
        left: how long it takes still.
        texts: the numbers; the first is more important than the time, the others are less.
        width: columns of the terminal.
        done: the fraction that is complete, for a bar in the remaining space.

    Example:
        >>> from netlayers.callbacks.progress import progress_line
        >>> parts = "Epoch 3/9", "41/94", "left 3 s, run 2:31", ["loss 0.1234", "auc 0.9000"]
        >>> for width in (66, 59, 40):
        ...     print(progress_line(*parts, width, 41 / 94))
        Epoch 3/9  41/94  left 3 s, run 2:31  loss 0.1234  auc 0.9000
        Epoch 3/9  [##...]  41/94  left 3 s, run 2:31  loss 0.1234
        Epoch 3/9  [###....]  41/94  loss 0.1234
    """
    items = [count, left, *texts]
    room, kept = width - cells(title), set()
    for i in sorted(range(len(items)), key=lambda i: (0, 2, 1)[i] if i < 3 else i):
        if items[i] and cells(items[i]) + 2 <= room:
            kept.add(i)
            room -= cells(items[i]) + 2
        elif i > 2:
            break
    parts = [item for i, item in enumerate(items) if i in kept]
    bar = min(room - 4, LONGEST_BAR)
    if done is not None and bar >= 5:
        full = int(bar * min(done, 1.0))
        parts.insert(0, f"[{'#' * full}{'.' * (bar - full)}]")
    return "  ".join([title, *parts])


def wrapped(parts: list[str], width: int | None) -> str:
    """Return parts in lines of at most ``width`` columns; no part is divided.

    Example:
        >>> from netlayers.callbacks.progress import wrapped
        >>> print(wrapped(["Epoch 1/2    1.2 s", "loss 0.1234", "accuracy 0.9123"], 40))
        Epoch 1/2    1.2 s  loss 0.1234
            accuracy 0.9123
    """
    lines = [parts[0]]
    for part in parts[1:]:
        if width is not None and cells(lines[-1]) + 2 + cells(part) > width:
            lines.append(f"    {part}")
        else:
            lines[-1] += f"  {part}"
    return "\n".join(lines)


def numbers(logs: Logs) -> list[str]:
    """Return logs as texts, without arrays (a confusion matrix) and values of single layers."""
    found = {name: value for name, value in scalars(logs).items() if not of_a_layer(name)}
    return [f"{printable(name)} {shown_number(value)}" for name, value in found.items()]


def numbers_line(logs: Logs) -> str:
    """Return :func:`numbers` in one line."""
    return "  ".join(numbers(logs))
