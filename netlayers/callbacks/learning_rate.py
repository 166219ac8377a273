"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Logs


def _halved(epoch: int, rate: float) -> float:
    """Return a rate for examples."""
    return rate / 2


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    The rate goes into the logs, and so into the History, as ``learning_rate``.

    Args:
        schedule: ``schedule(epoch, rate)`` returns the new rate from the number of the epoch,
            counted from 0, and the rate so far; ``schedule(epoch)`` works too.
        verbose: 1 says each rate.

    Raises:
        ConfigurationError: the schedule can not be called so, or returned no rate.
        TypeError: the optimizer follows a schedule of its own.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.5), "mse")
        >>> halve = nl.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        >>> x = np.ones((8, 1))
        >>> model.fit(x, x, epochs=3, callbacks=[halve], verbose=0).history["learning_rate"]
        [0.25, 0.125, 0.0625]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        owner = "LearningRateScheduler"
        if not callable(schedule):
            raise ConfigurationError(
                f"{owner}: schedule must be a function schedule(epoch, rate), got {schedule!r}."
            )
        self.schedule = schedule
        self.verbose = check_choice(owner, "verbose", verbose, (0, 1, 2))
        self._takes_rate = _takes(schedule, 2)
        if not self._takes_rate and not _takes(schedule, 1):
            raise ConfigurationError(
                f"{owner}: schedule is called as schedule(epoch, rate), which {schedule!r} does "
                "not take."
            )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"schedule": _halved, "verbose": 1}]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        arguments: tuple[Any, ...] = (epoch, float(optimizer.learning_rate))
        rate = self.schedule(*arguments[: 2 if self._takes_rate else 1])
        owner = "LearningRateScheduler"
        rate = check_number(owner, f"what schedule returns for epoch {epoch}", rate, minimum=0)
        optimizer.learning_rate = rate
        if self.verbose:
            say(f"Epoch {epoch + 1}: the learning rate is {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` when the monitored number no longer improves.

    It works with a schedule too: the rate is then schedule × factor, the factor kept in the
    optimizer's ``learning_rate_factor``. The rate goes into the logs, and so into the History, as
    ``learning_rate``.

    Args:
        monitor: name in the logs.
        factor: what the rate is multiplied by.
        patience: epochs without a gain until it is.
        verbose: 1 says so.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        min_delta: a gain of no more than this does not count.
        cooldown: epochs after a reduction in which none is counted.
        min_lr: the rate is not reduced below this.

    Raises:
        ConfigurationError: ``factor`` is not below 1.

    A value that is not finite is never the best, also not the first.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        owner = "ReduceLROnPlateau"
        super().__init__(monitor, mode, min_delta)
        self.factor = check_number(owner, "factor", factor, minimum=0, below=1)
        self.patience = check_integer(owner, "patience", patience, minimum=0)
        self.verbose = check_choice(owner, "verbose", verbose, (0, 1, 2))
        self.cooldown = check_integer(owner, "cooldown", cooldown, minimum=0)
        self.min_lr = check_number(owner, "min_lr", min_lr, minimum=0)

    state_names = (*MonitorCallback.state_names, "wait", "cooldown_counter")

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {
                "patience": 1,
                "min_delta": 0.1,
                "factor": 0.5,
                "cooldown": 2,
                "min_lr": 0.03,
                "verbose": 1,
            },
            {"monitor": "mae", "mode": "max", "patience": 1},
        ]

    def _start(self) -> None:
        super()._start()
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and reduce the rate when the patience is at its end."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self.value(epoch, logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Make the rate smaller; return whether it was above the smallest allowed one."""
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        if old <= self.min_lr:
            return False
        new = max(old * self.factor, self.min_lr)
        try:
            optimizer.learning_rate = new
        except TypeError:  # it follows a schedule
            optimizer.learning_rate_factor *= new / old
        if self.verbose:
            say(
                f"Epoch {epoch + 1}: {self.monitor} is on a plateau, the learning rate goes from "
                f"{old:g} to {new:g}"
            )
        return True


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # some functions written in C tell nothing of their arguments
        return True
    return True
