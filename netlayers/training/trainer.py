"""Runs of ``fit`` and the loops over batches: train, test, predict."""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING, Any

from netlayers._warn import warn
from netlayers.arrays.convert import all_finite
from netlayers.checks import named_in_errors
from netlayers.data.batch import batches_of
from netlayers.data.own_rows import own_rows_of
from netlayers.data.streams import warn_exhausted
from netlayers.errors import NonFiniteError
from netlayers.kernels.exact import exactly
from netlayers.training.backup_callback import BackupCallback
from netlayers.training.compilation import CompilableModel
from netlayers.training.inference_rows import INFERENCE_BATCH
from netlayers.training.interruption import explain_interruption
from netlayers.training.nonfinite import explain, warn_at_the_end
from netlayers.training.sharded import ShardedSteps
from netlayers.training.signals import Interrupts
from netlayers.training.state import check_like
from netlayers.training.together import agreed, check_together

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Logs
    from netlayers.data.batch import Batch, Data
    from netlayers.optimizers import Optimizer
    from netlayers.training.callback import CallbackList
    from netlayers.training.step import Steps


class Run:
    """A run of ``fit``.

    Args:
        steps: computes training and test steps.
        data: the training data.
        hooks: the callbacks.
        epochs: the numbers of the epochs.
        validation: the validation data.
        validation_freq: validate every ``validation_freq`` epochs, or after those of a list.

    Attributes:
        epoch: the current epoch, or the next one.
        batch: number of completed batches of the epoch; ``None`` before it has started.
        logs: the training results of the epoch, once it is complete.
        stopped: whether a callback ended the run.
        validation_ended: whether the iterator of the validation data is exhausted.
        backup: the callback that writes backups of the run, if any.
    """

    def __init__(
        self,
        steps: Steps,
        data: Data,
        hooks: CallbackList,
        epochs: range,
        validation: Data | None = None,
        validation_freq: int | list[int] = 1,
    ) -> None:
        self.steps, self.data, self.hooks, self.epochs = steps, data, hooks, epochs
        self.validation, self.validation_freq = validation, validation_freq
        self.validation_ended = False
        assert isinstance(steps.model, CompilableModel)
        self.model = steps.model
        self.epoch = epochs.start
        self.batch: int | None = None
        self.logs: Logs | None = None
        self.last_logs: Logs = {}  # of the last complete epoch of this process
        self.stopped = False
        backups = [c for c in hooks.callbacks if isinstance(c, BackupCallback)]
        self.backup = backups[0] if backups else None
        self._found = False
        self.distribution = self.model.distribution
        if self.distribution is not None:
            self.data = own_rows_of(data, self.distribution)
            self.validation = own_rows_of(validation, self.distribution)

    @property
    def first_process(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.distribution is None or self.distribution.rank == 0

    def must_stop(self) -> bool:
        """Whether a callback asked to end the run, in any process."""
        if self.distribution is None:
            return self.model.stop_training
        return agreed(self.model, "stop_training")

    @property
    def beyond(self) -> bool:
        """Whether an earlier process trained beyond the epochs of this run."""
        stop = self.epochs.stop
        return self.epoch > stop or (self.epoch == stop and self.batch is not None)

    @property
    def validates(self) -> bool:
        """Whether the current epoch ends with a validation."""
        if self.validation is None or self.validation_ended:
            return False
        freq, number = self.validation_freq, self.epoch + 1
        return number in freq if isinstance(freq, list) else number % freq == 0

    def begin(self) -> None:
        """Start the run, or resume it where another process stopped."""
        self._found = self.backup is not None and self.backup.find(self)
        if self.distribution is not None:
            what = {**self.fingerprint(), "epochs": self.epochs.stop}
            what["backup was found"] = self._found
            check_together(self.distribution, self.model, what)
        if self._found:
            self.hooks.params["resumed"] = True
        self.hooks.fire("on_train_begin", {})
        if self.backup is not None and not self._found:
            self.backup.begun(self)
        if self.batch is None or self.epoch >= self.epochs.stop:
            self._restore()

    def begin_epoch(self) -> None:
        """Start an epoch, or resume one.

        When a run is resumed within an epoch, ``on_epoch_begin`` is called again, and then the
        state of the callbacks is restored.
        """
        self.hooks.epoch, self.hooks.batch = self.epoch, None
        self.hooks.fire("on_epoch_begin", self.epoch, {})
        self._restore()
        self.batch = self.batch or 0

    def end_epoch(self, logs: Logs) -> None:
        """End an epoch: the callbacks get its results, then the run moves to the next one."""
        self.hooks.fire("on_epoch_end", self.epoch, logs)
        self.last_logs = logs
        self.epoch, self.batch, self.logs = self.epoch + 1, None, None
        self.stopped = self.must_stop()
        if self.backup is not None and self.first_process:
            self.backup.after_epoch(self)

    def interrupted(self) -> None:
        """Write a backup: a signal ends the run, between two steps."""
        if self.backup is not None and self.first_process:
            self.backup.interrupted(self)
        if self.distribution is not None:
            self.distribution.processes.gather(None, "the backup")  # wait until it is written

    def finish(self) -> None:
        """Delete the backups: the run is complete."""
        if isinstance(self.steps, ShardedSteps):
            self.steps.compare_weights()
        if self.backup is not None and self.first_process:
            self.backup.finished(self)

    def close(self) -> None:
        """Release the resources of the run, however it ended."""
        if self.backup is not None:
            self.backup.close(self)

    def _restore(self) -> None:
        if self._found:
            assert self.backup is not None
            self._found = False
            self.backup.restore(self)

    # State -----------------------------------------------------------------------------------

    @property
    def kept_callbacks(self) -> list[Any]:
        """The callbacks whose state belongs to the run."""
        return [c for c in self.hooks.callbacks if getattr(c, "part_of_run", True)]

    def place(self) -> dict[str, Any]:
        """Return the position of the run."""
        return {"epoch": self.epoch, "batch": self.batch}

    def go_to(self, place: dict[str, Any]) -> None:
        """Move to a position that :meth:`place` returned."""
        self.epoch, self.batch = place["epoch"], place["batch"]

    def get_state(self) -> dict[str, Any]:
        """Return the state of the run, without the model, its optimizer and its random streams."""
        return {
            "stop_training": self.model.stop_training,
            "logs": self.logs,
            "steps": self.steps.get_state(),
            "callbacks": [
                c.get_state() if hasattr(c, "get_state") else {} for c in self.kept_callbacks
            ],
            "data": self.data.get_state(self._done),
            "validation": None if self.validation is None else self.validation.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned, at the position that :meth:`go_to` was given.

        Raises:
            ValueError: it is not the state of such a run.
        """
        check_like("stop_training", state["stop_training"], False)
        check_like("logs", state["logs"], None if state["logs"] is None else {})
        check_like("steps", state["steps"], self.steps.get_state())
        for i, (c, its) in enumerate(zip(self.kept_callbacks, state["callbacks"], strict=True)):
            if type(c).__module__.startswith("netlayers."):
                check_like(f"callbacks[{i}]", its, c.get_state(), late=True)
        self.logs = state["logs"]
        self.steps.set_state(state["steps"])
        self.data.set_state(state["data"], self._done)
        if self.validation is not None:
            self.validation.set_state(state["validation"])
        self.hooks.params["steps"] = self.data.steps
        self.model.stop_training = state["stop_training"]
        for callback, its in zip(self.kept_callbacks, state["callbacks"], strict=True):
            if hasattr(callback, "set_state"):
                callback.set_state(its)
        self.stopped = self.batch is None and self.model.stop_training
        if self.batch and self.model.stop_training and self.logs is None:
            self.logs = self.steps.logs()  # stopped after the batch of the backup

    @property
    def _done(self) -> int | None:
        """Number of completed batches of the current epoch; ``None`` between two epochs."""
        return self.batch if self.logs is None else None

    def fingerprint(self) -> dict[str, Any]:
        """Return what must be unchanged when the run is resumed, besides model and optimizer."""
        return {
            "data": self.data.fingerprint(),
            "validation": None if self.validation is None else self.validation.fingerprint(),
            "validation_freq": self.validation_freq,
            "initial_epoch": self.epochs.start,
            "callbacks": [type(c).__name__ for c in self.kept_callbacks],
            **({} if self.distribution is None else {"shards": self.distribution.shards}),
        }


def train(run: Run) -> None:
    """Train for some epochs.

    ``on_train_end`` is called however the run ends. Ctrl-C and SIGTERM leave the model after a
    complete step, an error leaves the weights of the last complete update. An optimizer that
    averages the weights writes the averages to the model at a regular end.
    """
    several = run.distribution is not None and run.distribution.size > 1
    with Interrupts(several) as interrupts, closing(run):
        if isinstance(run.steps, ShardedSteps):
            run.steps.interrupts = interrupts
        try:
            interrupts.busy = True
            run.begin()
            interrupts.release()
            optimizer = run.steps.optimizer
            before = optimizer.iterations, optimizer.accumulated
            train_epochs(run, interrupts)
            warn_of_no_update(optimizer, *before)
            if run.epochs:
                interrupts.busy = True  # a run cannot resume from the averages
                with run.model._lock.whole:
                    run.steps.optimizer.finalize_variable_values(run.model.parameters)
                if not run.stopped and not (
                    math.isfinite(run.last_logs.get("loss", 0))
                    and all_finite(run.model.parameters.values)
                ):
                    warn_at_the_end(run.model)
            run.hooks.params["completed"] = True
        except BaseException as error:
            if interrupts.delivered:
                if not interrupts.busy:
                    interrupts.busy = True  # another SIGTERM must not interrupt this
                    run.interrupted()
                explain_interruption(error, run)
            raise
        finally:
            run.hooks.fire_all("on_train_end", dict(run.last_logs))
            run.hooks.params.pop("completed", None)
        run.finish()


def warn_of_no_update(optimizer: Optimizer, updates: int, accumulated: int) -> None:
    """Warn about a run that only accumulated gradients."""
    if optimizer.iterations == updates and optimizer.accumulated > accumulated:
        warn(
            f"fit: the run made no update: {optimizer.accumulated} of "
            f"{optimizer.gradient_accumulation_steps} gradients are accumulated "
            "(gradient_accumulation_steps), which go into the first update of the next run. Use "
            "smaller batches, more epochs or fewer accumulation steps."
        )


def train_epochs(run: Run, interrupts: Interrupts) -> None:
    """Train epoch by epoch, from the position of the run."""
    while run.epoch < run.epochs.stop and not run.stopped:
        if run.batch is None and not run.data.ready():
            warn_exhausted("fit", f"before epoch {run.epoch + 1} of {run.epochs.stop}")
            break
        interrupts.busy = True
        run.begin_epoch()
        interrupts.release()
        if run.logs is None:
            run.logs = train_epoch(run, interrupts)
        run.hooks.params["steps"] = run.data.steps
        logs = dict(run.logs)
        if run.validates:
            results = validate(run.steps, run.validation, run.hooks)  # type: ignore[arg-type]
            run.validation_ended = not results
            logs |= results
        interrupts.busy = True
        run.end_epoch(logs)
        interrupts.release()


def train_epoch(run: Run, interrupts: Interrupts) -> Logs:
    """Train on every remaining batch of an epoch; return the means of the epoch."""
    steps, hooks, backup, model = run.steps, run.hooks, run.backup, run.model
    begin, end = hooks.has("on_train_batch_begin"), hooks.has("on_train_batch_end")
    start, whole = run.batch or 0, model._lock.whole
    if not start:
        steps.reset()
    for number, batch in enumerate(run.data.batches(start), start):
        interrupts.busy, hooks.batch = True, number
        if begin:
            hooks.fire("on_train_batch_begin", number, {})
        steps.batch = batch
        try:
            with whole:
                steps.compute_gradients(batch)
                interrupts.updating = True
                steps.update(batch.size)
        except NonFiniteError as error:
            explain(error, steps, batch, run.epoch, number)
            raise
        interrupts.updating = False
        if end:
            hooks.fire("on_train_batch_end", number, steps.logs(each_batch=True))
        run.batch = number + 1
        if backup is not None and run.first_process:
            backup.after_batch(run)
        interrupts.release()
        if run.must_stop():
            break
    hooks.end_of_batches()
    hooks.batch = steps.batch = None
    return steps.logs()


def validate(steps: Steps, data: Data, hooks: CallbackList) -> Logs:
    """Return the means of :func:`test` as ``val_...``; without data, warn and return none."""
    if not data.ready():
        epoch = 1 + (hooks.epoch or 0)
        warn_exhausted("fit: validation_data", f"before epoch {epoch} was validated")
        return {}
    means = test(steps, data, hooks, exact=False, argument="validation_data")
    return {f"val_{name}": value for name, value in means.items()}


def test(steps: Steps, data: Data, hooks: CallbackList, exact: bool, argument: str | None) -> Logs:
    """Evaluate every batch once, with ``exact`` in batches of a fixed size; return the means.

    Errors about the data name the ``argument`` that they are in, those of callbacks do not.
    """
    model: Any = steps.model
    batches, compute, logs_of = data.batches(), steps.test, steps.logs
    if exact:
        batches = batches_of(INFERENCE_BATCH, batches)
        compute, logs_of = exactly(compute), exactly(logs_of)
    if argument is not None:
        named = named_in_errors(argument, own=False)
        batches, compute, logs_of = _named(batches, argument), named(compute), named(logs_of)
    hooks.fire("on_test_begin", {})
    steps.reset()
    begin, end = hooks.has("on_test_batch_begin"), hooks.has("on_test_batch_end")
    for number, batch in enumerate(batches):
        if begin:
            hooks.fire("on_test_batch_begin", number, {})
        compute(batch)
        if end:
            hooks.fire("on_test_batch_end", number, logs_of(each_batch=True))
        if hooks.callbacks and agreed(model, "stop_evaluating"):
            model.stop_evaluating = False
            break
    hooks.end_of_batches()
    logs = logs_of()
    logs.pop("grad_norm", None)  # there are no gradients in a test
    hooks.fire("on_test_end", dict(logs))
    return logs


def _named(batches: Iterator[Batch], argument: str) -> Iterator[Batch]:
    """Yield batches; errors in reading them name the argument."""
    with named_in_errors(argument):
        yield from batches
