"""Callbacks that end a run: at a number that is not finite, or after some time."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlayers.arrays.convert import all_finite
from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_flag, check_number
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.saving import check_file_name
from netlayers.saving.snapshots import save_snapshot
from netlayers.training.callback import Callback
from netlayers.training.nonfinite import bad_weights, describe, find_nonfinite

if TYPE_CHECKING:
    import os

    from netlayers._typing import Logs
    from netlayers.training.callback import RunPlan
    from netlayers.training.nonfinite import NonFiniteOrigin


class TerminateOnNaN(Callback):
    """Stops after the first batch that yields NaN or infinity, and reports where it arose.

    That is a batch whose loss or gradient is not finite, or whose update makes a weight so. The
    batch is run again on a copy of the model to find the first layer, the direction (forward,
    backward or update) and the rows; see :class:`netlayers.diagnostics.NonFiniteOrigin`.

    With ``on_nonfinite="raise"``, the default, an optimizer raises at gradients that are not
    finite. Under this callback it skips such an update instead; the update of a batch whose loss is
    not finite is skipped too (except with ``"ignore"``). The run ends with the weights and running
    statistics of the last good update.

    Args:
        raise_error: raise a NonFiniteError instead of stopping.
        snapshot: path of a file for the model before that batch (weights, statistics, optimizer,
            random streams) and the batch; it ends in ``.safetensors`` or has no ending.
            :func:`netlayers.replay_snapshot` repeats the step, to the bit. As the update itself may
            be the cause, weights and optimizer state are copied before each batch, which takes 4 to
            10 % of a step.

    Attributes:
        origin: where the number arose that ended the last run; ``None`` if there was none, or if
            the origin was not found.

    Raises:
        ConfigurationError: ``snapshot`` has another ending; before training: the run is one of
            ``fit_lbfgs``.

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
            self.snapshot = check_file_name("TerminateOnNaN", "snapshot", snapshot)
        self.origin: NonFiniteOrigin | None = None
        self._overrides = False

    def check_run(self, plan: RunPlan) -> None:
        """Refuse ``fit_lbfgs``, which has no batches to watch."""
        reason = "whose line search takes no step to a loss that is not finite"
        plan.refuse_lbfgs("TerminateOnNaN", reason)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"raise_error": True, "snapshot": "snapshot.safetensors"}]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Make the optimizer skip instead of raising."""
        optimizer = self.model.optimizer
        leave_out = not self.raise_error or self.snapshot is not None
        self._overrides = leave_out and optimizer.on_nonfinite == "raise"
        if self._overrides:
            optimizer.nonfinite_override = "skip"
        self._steps = self.model._steps
        if self._steps.updates_itself and self.snapshot is not None:
            raise ConfigurationError(
                f"TerminateOnNaN: snapshot={self.snapshot!r} needs a step that can be run again, "
                f"and train_step() of {type(self.model).__name__} cannot; leave it out."
            )
        self._steps.skip_nonfinite_loss = optimizer.on_nonfinite != "ignore"
        self._steps.snapshot.include_weights = self.snapshot is not None
        self._skipped = optimizer.skipped
        self._epoch = 0
        self.origin = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Check the loss, the gradients and the weights."""
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
        """Return the number of updates that were skipped before the run."""
        return {"skipped": self._skipped}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore that number."""
        self._skipped = state["skipped"]

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Make the optimizer raise again."""
        if self._overrides:
            self.model.optimizer.nonfinite_override = None
            self._overrides = False
        steps = self.__dict__.pop("_steps", None)
        if steps is not None:
            steps.skip_nonfinite_loss = steps.snapshot.include_weights = False

    def _find(self, batch: int, updated: bool) -> str:
        """Find the origin and write the snapshot; return a text about both."""
        given = self._steps.batch
        if given is None or self._steps.updates_itself:  # called by hand, in no run
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
            except Exception as error:  # any error of a layer; the run must still end regularly
                return f"Where it began could not be found: {type(error).__name__}: {error} {text}"
        if found is None:
            return text
        self.origin = replace(found, epoch=self._epoch, batch=batch)
        said = str(found)
        return f"{said[0].upper()}{said[1:]} {text}"


class TimeBudget(Callback):
    """Stops the run after a given time, at the end of the current batch.

    The epoch then ends as usual, with its validation if one is due; the run exceeds the budget by
    one batch and one validation at most. When a run is resumed in another process (see
    :class:`BackupAndRestore`), the time that the earlier processes used counts too.

    Args:
        seconds: the budget.
        minutes: added to it.
        hours: added to it.
        verbose: 1 prints when the budget was used up.

    Attributes:
        stopped: whether the budget ended the last run.

    Raises:
        ConfigurationError: no time is given, or it is negative.

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

    first_process_only = True

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
        """Stop if the budget is used up."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop if the validation used up the budget."""
        self._look()
        self._epoch = epoch

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Print why the run ended."""
        if self.stopped and self.verbose:
            passed = time.monotonic() - self._begin
            say(
                f"Epoch {self._epoch + 1}: the time budget of {self.seconds:g} s is used up "
                f"({passed:.1f} s), training stopped"
            )

    def get_state(self) -> dict[str, Any]:
        """Return the time used so far."""
        seconds = time.monotonic() - self._begin
        return {"seconds": seconds, "stopped": self.stopped, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the time used so far; a run with a larger budget than before continues."""
        self._begin, self._epoch = time.monotonic() - state["seconds"], state["epoch"]
        self.stopped = state["stopped"] and state["seconds"] >= self.seconds
        if state["stopped"] and not self.stopped:
            self.model.stop_training = False

    def _look(self) -> None:
        if not self.stopped and time.monotonic() - self._begin >= self.seconds:
            self.stopped = self.model.stop_training = True
