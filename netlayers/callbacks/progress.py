"""Progress bar and lines of ``fit``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from netlayers.callbacks.reporting import of_a_layer, scalars
from netlayers.checks import check_flag
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs


class ProgressBar(Callback):
    """Prints a line for each epoch and, on a terminal, a progress bar during the epoch.

    If the output is not a terminal (a file, a pipe), there is no bar and no control character.

    Args:
        bar: whether to show the bar.
    """

    part_of_run = False  # it has no influence on the run

    def __init__(self, bar: bool = True) -> None:
        self._wanted = check_flag("ProgressBar", "bar", bar)
        self._bar: Any = None

    arguments_without_effect = ("bar",)  # on a terminal alone

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"bar": False}]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check whether the output is a terminal."""
        self._bar = None
        self._terminal = self._wanted and sys.stdout.isatty()
        self._epochs = self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the bar."""
        self._begin = time.perf_counter()
        if self._terminal:
            from tqdm import tqdm  # takes 30 ms, and is needed on a terminal only

            self._bar = tqdm(
                total=self.params["steps"],
                desc=self._title(epoch),
                unit="batch",
                leave=False,
                dynamic_ncols=True,
                file=sys.stdout,
            )
            self._shown = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        self._bar.update(batch + 1 - self._bar.n)  # a run may be resumed within an epoch
        now = time.perf_counter()
        if now - self._shown > 0.2:  # formatting takes longer than a small batch
            self._shown = now
            self._bar.set_postfix_str(numbers_line(logs or {}), refresh=False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Close the bar and print the line."""
        self._close()
        seconds = time.perf_counter() - self._begin
        print(f"{self._title(epoch)}  {seconds:5.1f} s  {numbers_line(logs or {})}", flush=True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close a bar that an error or Ctrl-C left open."""
        self._close()

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1:{len(str(self._epochs))}d}/{self._epochs}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def numbers_line(logs: Logs) -> str:
    """Return logs as text, without arrays (a confusion matrix) and values of single layers."""
    found = {name: value for name, value in scalars(logs).items() if not of_a_layer(name)}
    return "  ".join(f"{name} {_shown(value)}" for name, value in found.items())


def _shown(value: float) -> str:
    """Return four decimal places, or four significant digits below 0.001."""
    return f"{value:.4f}" if value == 0 or not abs(value) < 1e-3 else f"{value:.3e}"
