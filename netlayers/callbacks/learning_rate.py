"""Callbacks that set the learning rate between epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_integer, check_number, takes
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan

_NO_RATE = "where a line search takes the place of the learning rate"


def _halved(epoch: int, rate: float) -> float:
    """Return a rate for examples."""
    return rate / 2


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    The rate is added to the logs, and thus to the History, as ``learning_rate``.

    Args:
        schedule: ``schedule(epoch, rate)`` returns the new rate from the number of the epoch,
            counted from 0, and the current rate; ``schedule(epoch)`` works too.
        verbose: 1 prints each rate.

    Raises:
        ConfigurationError: the schedule does not take these arguments, or does not return a
            non-negative number; or, before training, the run is one of ``fit_lbfgs``.
        TypeError: the learning rate of the optimizer is a schedule.

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
        self._takes_rate = takes(schedule, 2)
        if not self._takes_rate and not takes(schedule, 1):
            raise ConfigurationError(
                f"{owner}: schedule must take the arguments (epoch, rate) or (epoch), which "
                f"{schedule!r} does not."
            )

    _adds = ("learning_rate",)

    def check_run(self, plan: RunPlan) -> None:
        """Refuse ``fit_lbfgs``, which has no learning rate."""
        plan.refuse_lbfgs("LearningRateScheduler", _NO_RATE)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"schedule": _halved, "verbose": 1}]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate."""
        optimizer = self.model.optimizer
        arguments: tuple[Any, ...] = (epoch, float(optimizer.learning_rate))
        rate = self.schedule(*arguments[: 2 if self._takes_rate else 1])
        owner = "LearningRateScheduler"
        rate = check_number(owner, f"what schedule returns for epoch {epoch}", rate, minimum=0)
        optimizer.learning_rate = rate
        if self.verbose:
            say(f"Epoch {epoch + 1}: the learning rate is {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the learning rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by ``factor`` when the monitored number stops improving.

    If the optimizer follows a schedule, the rate is schedule × factor; the factor is the
    optimizer's ``learning_rate_factor``. The rate is added to the logs, and thus to the History, as
    ``learning_rate``.

    Args:
        monitor: name in the logs.
        factor: factor of each reduction, below 1.
        patience: number of epochs without improvement after which the rate is reduced.
        verbose: 1 prints each reduction.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        min_delta: smallest improvement that counts.
        cooldown: number of epochs after a reduction that do not count towards ``patience``.
        min_lr: lower bound of the rate.

    Raises:
        ConfigurationError: ``factor`` is not below 1; or, before training, no result has the name
            ``monitor``, or ``mode`` must be given, or the run is one of ``fit_lbfgs``.

    A value that is not finite is never the best, not even the first.
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

    _adds = ("learning_rate",)

    def check_run(self, plan: RunPlan) -> None:
        """Check the monitored number; refuse ``fit_lbfgs``, which has no learning rate."""
        plan.refuse_lbfgs("ReduceLROnPlateau", _NO_RATE)
        super().check_run(plan)

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
        """Compare, and reduce the rate when the patience is used up."""
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
        """Reduce the rate; return whether it was above ``min_lr``."""
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
