"""Callbacks that end a run: when the loss is lost, when the time is up."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_flag, check_number
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.training.events import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs


class TerminateOnNaN(Callback):
    """Stops after the first batch whose loss is NaN or infinite, and says so.

    The loss of the logs is the mean of the epoch so far, which such a batch makes NaN or infinite.

    An optimizer that raises at gradients that are not finite (``on_nonfinite="raise"``, the
    default) leaves such an update out instead while this callback watches, so the run ends with
    the weights of the last good update.

    Args:
        raise_error: raise instead of stopping: a NonFiniteError. The optimizer's own error, which
            names layer and parameter, then comes first where the gradients are not finite.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(1e3), "mse")
        >>> x = np.ones((8, 1))
        >>> stop = nl.callbacks.TerminateOnNaN()
        >>> with np.errstate(over="ignore"):  # the square of a huge error
        ...     history = model.fit(x, 2 * x, epochs=99, callbacks=[stop], verbose=0)
        Epoch 7, batch 1: the loss is inf, training stopped
        >>> bool(np.isfinite(model.parameters.values).all())
        True
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = check_flag("TerminateOnNaN", "raise_error", raise_error)
        self._raises = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Ask the optimizer not to raise."""
        optimizer = self.model.optimizer
        self._raises = not self.raise_error and optimizer.on_nonfinite == "raise"
        if self._raises:
            optimizer.nonfinite_override = "skip"
        self._skipped = optimizer.skipped
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        skipped = self._raises and self.model.optimizer.skipped > self._skipped
        if loss is None or (math.isfinite(loss) and not skipped):
            return
        where = f"Epoch {self._epoch + 1}, batch {batch + 1}"
        what = "a gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        if self.raise_error:
            raise NonFiniteError(
                f"TerminateOnNaN: {where}: {what}. Try a smaller learning rate, gradient clipping "
                "(global_clipnorm=1.0) or scaled inputs."
            )
        say(f"{where}: {what}, training stopped")
        self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return how many updates had been left out before the run."""
        return {"skipped": self._skipped}

    def set_state(self, state: dict[str, Any]) -> None:
        """Count from there."""
        self._skipped = state["skipped"]

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let the optimizer raise again."""
        if self._raises:
            self.model.optimizer.nonfinite_override = None
            self._raises = False


class TimeBudget(Callback):
    """Stops the run when a time has passed, after the batch that is under way.

    The epoch then ends as any other, with its validation where one is due, so the run takes a
    batch and a validation longer than the budget at most. In a run that goes on in another process
    (see :class:`BackupAndRestore`) the time before counts too, the time between does not.

    Args:
        seconds: the budget.
        minutes: added to it.
        hours: added to it.
        verbose: 1 says when the time was up.

    Attributes:
        stopped: whether the last run was ended by the budget.

    Raises:
        ConfigurationError: no time is given.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> budget = nl.callbacks.TimeBudget(seconds=0.05, verbose=0)
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=10**9, callbacks=[budget], verbose=0)
        >>> budget.stopped
        True
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        minutes: float | None = None,
        hours: float | None = None,
        verbose: int = 1,
    ) -> None:
        owner = "TimeBudget"
        given = {"seconds": (seconds, 1), "minutes": (minutes, 60), "hours": (hours, 3600)}
        times = [
            check_number(owner, name, value, minimum=0) * unit
            for name, (value, unit) in given.items()
            if value is not None
        ]
        if not times:
            raise ConfigurationError(
                f"{owner}: give the time as seconds, minutes or hours, for instance "
                "TimeBudget(minutes=30)."
            )
        self.seconds = sum(times)
        self.verbose = check_choice(owner, "verbose", verbose, (0, 1, 2))
        self.stopped = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self.stopped, self._epoch = False, 0
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Stop if the time is up."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop if the time was up during the validation."""
        self._look()
        self._epoch = epoch

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Say why the run is over."""
        if self.stopped and self.verbose:
            passed = time.monotonic() - self._begin
            say(
                f"Epoch {self._epoch + 1}: the time budget of {self.seconds:g} s is used up "
                f"({passed:.1f} s), training stopped"
            )

    def get_state(self) -> dict[str, Any]:
        """Return the time that is used up."""
        seconds = time.monotonic() - self._begin
        return {"seconds": seconds, "stopped": self.stopped, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Count on; a budget that was used up and is larger now goes on too."""
        self._begin, self._epoch = time.monotonic() - state["seconds"], state["epoch"]
        self.stopped = state["stopped"] and state["seconds"] >= self.seconds
        if state["stopped"] and not self.stopped:
            self.model.stop_training = False

    def _look(self) -> None:
        if not self.stopped and time.monotonic() - self._begin >= self.seconds:
            self.stopped = self.model.stop_training = True
