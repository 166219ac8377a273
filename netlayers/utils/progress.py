"""A progress bar for loops of the user."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from netlayers.checks import check_choice, check_integer, check_list, check_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Progbar:
    """A line that shows how far a loop is, with means of its values.

    Args:
        target: number of steps; ``None`` if it is not known.
        width: width of the bar, in characters.
        verbose: 0 for silent, 1 for a bar, 2 for one line at the end.
        interval: shortest time between two updates of the line, in seconds.
        stateful_metrics: names of values that are shown as they are, not as means.
        unit_name: what a step is called.

    Example:
        >>> import netlayers as nl
        >>> bar = nl.utils.Progbar(target=3, verbose=2)
        >>> for step in range(1, 4):
        ...     bar.update(step, [("loss", 1 / step)])
        3/3 - loss: 0.6111
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Sequence[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = None if target is None else check_integer("Progbar", "target", target)
        self.width = check_integer("Progbar", "width", width, minimum=1)
        self.verbose = check_choice("Progbar", "verbose", verbose, (0, 1, 2))
        self.interval = check_number("Progbar", "interval", interval, minimum=0)
        names = () if stateful_metrics is None else stateful_metrics
        self.stateful_metrics = {
            str(name) for name in check_list("Progbar", "stateful_metrics", names, "names")
        }
        self.unit_name = unit_name
        self._seen = 0
        self._sums: dict[str, tuple[float, float]] = {}
        self._shown = -float("inf")

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, float]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show a step.

        Args:
            current: number of steps done.
            values: names and values; a value counts for the steps since the last call.
            finalize: whether this is the last one; by default if ``current`` reaches ``target``.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            if name in self.stateful_metrics:
                self._sums[name] = value, 1
            else:
                total, weight = self._sums.get(name, (0.0, 0.0))
                steps = max(current - self._seen, 1)
                self._sums[name] = total + value * steps, weight + steps
        self._seen = current
        now = time.monotonic()
        if self.verbose == 1 and (finalize or now - self._shown >= self.interval):
            self._shown = now
            sys.stdout.write(f"\r{self._line(bar=True)}" + "\n" * finalize)
            sys.stdout.flush()
        elif self.verbose == 2 and finalize:
            print(self._line(bar=False))

    def add(self, n: int, values: Iterable[tuple[str, float]] | None = None) -> None:
        """Show ``n`` more steps, and ``values`` as in :meth:`update`."""
        self.update(self._seen + n, values)

    def _line(self, bar: bool) -> str:
        of = "?" if self.target is None else str(self.target)
        text = f"{self._seen:>{len(of)}}/{of}"
        if bar and self.target:
            full = round(self.width * min(1, self._seen / self.target))
            text += f" [{'=' * full}{'.' * (self.width - full)}]"
        elif self.target is None:
            text += f" {self.unit_name}s"
        return text + "".join(
            f" - {name}: {total / weight:.4g}" for name, (total, weight) in self._sums.items()
        )
