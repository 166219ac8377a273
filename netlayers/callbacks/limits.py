"""Callbacks that end a run: when the loss is lost, when the time is up."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlayers.arrays.convert import all_finite
from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_flag, check_number, check_path
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.saving.snapshots import save_snapshot
from netlayers.training.callback import Callback
from netlayers.training.nonfinite import bad_weights, describe, find_nonfinite

if TYPE_CHECKING:
    import os

    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan
    from netlayers.training.nonfinite import NonFiniteOrigin


class TerminateOnNaN(Callback):
    """Stops after the first batch that makes a number NaN or infinite, and says where it began.

    That is a batch whose loss or gradient is not finite, or after whose update a weight is not. The
    batch is run again on a copy of the model to find the first layer, its direction and the rows;
    see :class:`netlayers.diagnostics.NonFiniteOrigin`.

    An optimizer that raises at gradients that are not finite (``on_nonfinite="raise"``, the
    default) leaves such an update out instead while this callback watches, and so is the update of
    a batch whose loss is not finite (not with ``"ignore"``). The run ends with the weights and
    running statistics of the last good update.

    Args:
        raise_error: raise instead of stopping: a NonFiniteError, that of the optimizer where it
            raises.
        snapshot: path of a file for the model as it was before that batch (weights, statistics,
            optimizer, random streams) with the batch. :func:`netlayers.replay_snapshot` runs the
            step again, to the bit. So that it can be written also for a step whose update is the
            reason, weights and optimizer state are copied before each batch: 4 to 10 % of a step.

    Attributes:
        origin: where the numbers began that ended the last run; ``None`` if nothing did, or if it
            could not be found.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(1e3), "mse")
        >>> x = np.ones((8, 1))
        >>> stop = nl.callbacks.TerminateOnNaN()
        >>> with np.errstate(over="ignore"):  # the square of a huge error
        ...     history = model.fit(x, 2 * x, epochs=99, callbacks=[stop], verbose=0)
        ... # doctest: +NORMALIZE_WHITESPACE
        Epoch 7, batch 1: the loss is inf, training stopped
        It began in the loss, by 'mean_squared_error', from finite predictions: its value is
        infinite, for 8 of 8 rows: rows 0, 1, 2, 3, 4 and 3 more.
        >>> bool(np.isfinite(model.parameters.values).all())
        True
    """

    def __init__(
        self, raise_error: bool = False, *, snapshot: str | os.PathLike[str] | None = None
    ) -> None:
        self.raise_error = check_flag("TerminateOnNaN", "raise_error", raise_error)
        self.snapshot = None
        if snapshot is not None:
            self.snapshot = check_path("TerminateOnNaN", "snapshot", snapshot)
        self.origin: NonFiniteOrigin | None = None
        self._overrides = False

    def check_run(self, plan: RunPlan) -> None:
        """Refuse ``fit_lbfgs``, which has no batches to watch."""
        reason = "whose line search takes no step to a loss that is not finite"
        plan.refuse_lbfgs("TerminateOnNaN", reason)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"raise_error": True, "snapshot": "snapshot.nlz"}]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Ask the optimizer not to raise."""
        optimizer = self.model.optimizer
        leave_out = not self.raise_error or self.snapshot is not None
        self._overrides = leave_out and optimizer.on_nonfinite == "raise"
        if self._overrides:
            optimizer.nonfinite_override = "skip"
        self._steps = self.model._steps
        self._steps.skip_nonfinite_loss = optimizer.on_nonfinite != "ignore"
        self._steps.snapshot.include_weights = self.snapshot is not None
        self._skipped = optimizer.skipped
        self._epoch = 0
        self.origin = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss, the gradients and the weights."""
        loss = (logs or {}).get("loss", 0.0)
        skipped = self._overrides and self.model.optimizer.skipped > self._skipped
        if not math.isfinite(loss):
            what = f"the loss is {loss}"
        elif skipped:
            what = "a gradient is not finite"
        elif not all_finite(self.model.parameters.values):
            what = "a weight is not finite"
        else:
            return
        where = f"Epoch {self._epoch + 1}, batch {batch + 1}"
        text = self._find(batch, math.isfinite(loss) and not skipped)
        if self.raise_error:
            error = NonFiniteError(
                f"TerminateOnNaN: {where}: {what}. {text}Try a smaller learning rate, gradient "
                "clipping (global_clipnorm=1.0) or scaled inputs."
            )
            error.epoch, error.batch = self._epoch, batch
            if self.origin is not None:
                describe(error, self.origin)
            raise error
        say(f"{where}: {what}, training stopped")
        if text:
            say(text.strip())
        self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return how many updates had been left out before the run."""
        return {"skipped": self._skipped}

    def set_state(self, state: dict[str, Any]) -> None:
        """Count from there."""
        self._skipped = state["skipped"]

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Let the optimizer raise again."""
        if self._overrides:
            self.model.optimizer.nonfinite_override = None
            self._overrides = False
        steps = self.__dict__.pop("_steps", None)
        if steps is not None:
            steps.skip_nonfinite_loss = steps.snapshot.include_weights = False

    def _find(self, batch: int, updated: bool) -> str:
        """Find the origin and write the snapshot; return the text that says so."""
        given = self._steps.batch
        if given is None:  # called by hand, in no run
            return ""
        text = ""
        ignores = self.model.optimizer.on_nonfinite == "ignore"
        if self.snapshot is not None:
            number = {"epoch": self._epoch, "batch": batch}
            save_snapshot(self.snapshot, self._steps.copy_before_step().model, given, number)
            text = f"A snapshot is in {self.snapshot!r}: netlayers.replay_snapshot runs it again. "
        if (updated or ignores) and self.snapshot is None:
            # The weights before the step are gone. They were finite, as was each one before it.
            if not updated:
                return "Where it began is not known: on_nonfinite='ignore' made an update of it. "
            found = bad_weights("update", self.model.parameters)
        else:
            try:
                found = find_nonfinite(self._steps.copy_before_step(), given)
            except Exception as error:  # whatever layers make of it; the run is to end in order
                return f"Where it began could not be found: {type(error).__name__}: {error} {text}"
        if found is None:
            return text
        self.origin = replace(found, epoch=self._epoch, batch=batch)
        said = str(found)
        return f"{said[0].upper()}{said[1:]} {text}"


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

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"seconds": 0.0, "verbose": 0}, {"minutes": 10.0}, {"hours": 1.0}]

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
