"""What the callbacks that watch one number have in common."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from netlayers.callbacks.reporting import scalars
from netlayers.checks import check_choice, check_number
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlayers._typing import Logs


class MonitorCallback(Callback):
    """Base class: reads one number of the logs, and knows which of two values is better.

    Args:
        monitor: the name in the logs, such as ``"val_loss"``.
        mode: ``"min"`` or ``"max"``; ``"auto"`` takes the direction of the loss or metric.
        min_delta: what a value must gain to count as better (the sign does not matter).

    A value that is not finite is never better than anything.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        owner = type(self).__name__
        if not isinstance(monitor, str) or not monitor:
            raise ConfigurationError(
                f"{owner}: monitor must be a name in the logs such as 'val_loss', got {monitor!r}."
            )
        self.monitor = monitor
        self.mode = check_choice(owner, "mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(check_number(owner, "min_delta", min_delta))
        self._start()

    def _start(self) -> None:
        """Forget the last run."""
        self.best: float | None = None
        self._sign: int | None = None
        self._seen = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start anew, also after an earlier ``fit``."""
        self._start()

    # What is kept of a run by the names of the attributes.
    state_names: tuple[str, ...] = ("best", "_sign", "_seen")

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the counters."""
        return {name: getattr(self, name) for name in self.state_names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with these; what has another name is no state of this callback."""
        for name in self.state_names:
            setattr(self, name, state[name])

    def value(self, epoch: int, logs: Logs | None) -> float | None:
        """Return the number to watch; ``None``, with a warning, where the epoch has none."""
        owner = type(self).__name__
        found = scalars(logs)
        if self.monitor in found:
            if self._sign is None:
                self._sign = self._direction()
            self._seen = True
            return found[self.monitor]
        if self.monitor in (logs or {}):
            raise ConfigurationError(
                f"{owner}: monitor={self.monitor!r} is an array, and only a single number can be "
                f"better than another. There are: {', '.join(found)}."
            )
        if self._lacks_validation([self.monitor], found):
            return None
        if not self._seen:
            self._seen = True
            warnings.warn(
                f"{owner}: monitor={self.monitor!r} is not among the results of epoch {epoch + 1}, "
                f"so nothing is done. There are: {', '.join(found)}. (Names with val_ need "
                "validation_data or validation_split, and are there in every validation_freq-th "
                "epoch only.)",
                stacklevel=2,
            )
        return None

    def _lacks_validation(self, names: Iterable[str], found: Mapping[str, Any]) -> bool:
        """Whether results are missing because this epoch of a run with validation has none.

        Args:
            names: of the missing results.
            found: those of the epoch.
        """
        return (
            "validation_freq" in getattr(self, "params", {})
            and all(name.startswith("val_") for name in names)
            and not any(name.startswith("val_") for name in found)
        )

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``."""
        if not math.isfinite(value):
            return False
        assert self._sign is not None
        gained = value - self._sign * self.min_delta
        return reference is None or (gained > reference if self._sign > 0 else gained < reference)

    def _direction(self) -> int:
        """Return 1 where more is better, -1 where less is."""
        mode = self.mode
        if mode == "auto":
            name = self.monitor.removeprefix("val_")
            if name == "loss" or name.endswith("_loss"):
                mode = "min"
            steps = getattr(self.model, "_steps", None)
            metric = None if steps is None else steps.metrics.get(name)
            mode = getattr(metric, "direction", None) or mode
        if mode == "auto":
            raise ConfigurationError(
                f"{type(self).__name__}: whether a high or a low {self.monitor!r} is good is not "
                "known; pass mode='max' or mode='min'."
            )
        return 1 if mode == "max" else -1
