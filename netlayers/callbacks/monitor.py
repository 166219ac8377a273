"""Base class of the callbacks that monitor one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.callbacks.reporting import scalars
from netlayers.checks import check_choice, check_number
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan


class MonitorCallback(Callback):
    """Base class: reads one number from the logs and decides which of two values is better.

    Args:
        monitor: name in the logs, such as ``"val_loss"``.
        mode: ``"min"`` or ``"max"``; ``"auto"`` takes the direction of the loss or metric.
        min_delta: smallest improvement that counts (its sign does not matter).

    A value that is not finite never counts as better.
    """

    _without_monitor = "nothing is done"

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0
    ) -> None:
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
        """Reset the state of the last run."""
        self.best: float | None = None
        self._sign: int | None = None
        self._seen = False

    def check_run(self, plan: RunPlan) -> None:
        """Check that the run has the monitored number, and that its direction is known.

        Raises:
            ConfigurationError: the name is not among the results, or is that of an array, or
                ``mode`` must be given.
        """
        self._check_monitor(plan)

    def _check_monitor(self, plan: RunPlan, batch: bool = False) -> None:
        plan.check_names(f"{type(self).__name__}: monitor={{!r}}", [self.monitor], batch)
        if self.monitor in plan.names:
            metric = self._metric()
            # A metric of the user may have no result before its first batch.
            if type(metric).__module__.startswith("netlayers.") and np.ndim(metric.result()):
                raise self._is_array(n for n in plan.names if n != self.monitor)
            self._direction()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state, also after an earlier ``fit``."""
        self._start()

    # Attributes that are the state of a run.
    state_names: tuple[str, ...] = ("best", "_sign", "_seen")

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the counters."""
        return {name: getattr(self, name) for name in self.state_names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned; other names are ignored."""
        for name in ("best", "_sign"):
            if not (state[name] is None or isinstance(state[name], (int, float))):
                raise ValueError(f"{type(self).__name__}: {name} is no number")
        for name in self.state_names:
            setattr(self, name, state[name])

    def value(self, epoch: int, logs: Logs | None) -> float | None:
        """Return the monitored number; ``None``, with a warning, if the epoch has none."""
        owner = type(self).__name__
        found = scalars(logs)
        if self.monitor in found:
            if self._sign is None:
                self._sign = self._direction()
            self._seen = True
            return found[self.monitor]
        if self.monitor in (logs or {}):
            raise self._is_array(found)
        if self._lacks_validation([self.monitor], found):
            return None
        if not self._seen:
            self._seen = True
            warn(
                f"{owner}: monitor={self.monitor!r} is not among the results of epoch {epoch + 1}, "
                f"so {self._without_monitor}. There are: {', '.join(found)}. (Names with val_ need "
                "validation_data or validation_split, and are there in the epochs of "
                "validation_freq only.)"
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

    def _is_of_training(self) -> bool:
        """Whether the monitored number is computed from the training batches, during the epoch."""
        steps = getattr(self.model, "_steps", None)
        if steps is None or steps.updates_itself:
            return False
        return self.monitor in steps.log_names()

    def _is_array(self, others: Iterable[str]) -> ConfigurationError:
        return ConfigurationError(
            f"{type(self).__name__}: monitor={self.monitor!r} is an array, and only a single "
            f"number can be better than another. There are: {', '.join(others)}."
        )

    def _metric(self) -> Any:
        """Return the metric that is monitored; ``None`` for a loss or a name of a callback."""
        steps = getattr(self.model, "_steps", None)
        return None if steps is None else steps.metrics.get(self.monitor.removeprefix("val_"))

    def _direction(self) -> int:
        """Return 1 if larger values are better, -1 if smaller ones are."""
        mode = self.mode
        if mode == "auto":
            name = self.monitor.removeprefix("val_")
            if name == "loss" or name.endswith("_loss"):
                mode = "min"
            mode = getattr(self._metric(), "direction", None) or mode
        if mode == "auto":
            raise ConfigurationError(
                f"{type(self).__name__}: mode='auto' cannot tell whether a high or a low "
                f"{self.monitor!r} is good; pass mode='max' or mode='min'."
            )
        return 1 if mode == "max" else -1
