"""A run of ``fit``: where it stands, all that it consists of, and who keeps that safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.training.events import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs
    from netlayers.training.events import Events
    from netlayers.training.loop import Data
    from netlayers.training.steps import Steps


class Run:
    """A run of ``fit``.

    Args:
        steps: what trains a batch.
        data: what is trained on.
        events: the callbacks.
        epochs: the numbers of the epochs.
        validation: what is tested on.
        validation_freq: test after every so many epochs.

    Attributes:
        epoch: the epoch that is under way, or is next.
        batch: how many batches of it are done; ``None`` as long as it has not begun.
        logs: the results of its training, as soon as that is over.
        stopped: whether a callback ended the run.
        validation_ended: whether the validation data were an iterator that has no batch left.
        keeper: the callback that keeps the run safe, if there is one.
    """

    def __init__(
        self,
        steps: Steps,
        data: Data,
        events: Events,
        epochs: range,
        validation: Data | None = None,
        validation_freq: int = 1,
    ) -> None:
        self.steps, self.data, self.events, self.epochs = steps, data, events, epochs
        self.validation, self.validation_freq = validation, validation_freq
        self.validation_ended = False
        self.model: Any = steps.model
        self.epoch = epochs.start
        self.batch: int | None = None
        self.logs: Logs | None = None
        self.stopped = False
        keepers = [c for c in events.callbacks if isinstance(c, RunKeeper)]
        self.keeper = keepers[0] if keepers else None
        self._found = False

    @property
    def beyond(self) -> bool:
        """Whether an earlier process had gone on after the epochs of this run."""
        stop = self.epochs.stop
        return self.epoch > stop or (self.epoch == stop and self.batch is not None)

    @property
    def validates(self) -> bool:
        """Whether this epoch ends with a test."""
        if self.validation is None or self.validation_ended:
            return False
        return (self.epoch + 1) % self.validation_freq == 0

    def begin(self) -> None:
        """Begin, or go on where another process left the run."""
        self._found = self.keeper is not None and self.keeper.find(self)
        if self._found:
            self.events.params["resumed"] = True
        self.events.fire("on_train_begin", {})
        if self.keeper is not None and not self._found:
            self.keeper.begun(self)
        if self.batch is None or self.epoch >= self.epochs.stop:
            self._restore()

    def begin_epoch(self) -> None:
        """Begin an epoch, or go on with one.

        In a new process the callbacks are told of its beginning once more, and what they changed
        is put back then.
        """
        self.events.epoch, self.events.batch = self.epoch, None
        self.events.fire("on_epoch_begin", self.epoch, {})
        self._restore()
        self.batch = self.batch or 0

    def end_epoch(self, logs: Logs) -> None:
        """End an epoch: the callbacks see its results, then the run is at the next one."""
        self.events.fire("on_epoch_end", self.epoch, logs)
        self.epoch, self.batch, self.logs = self.epoch + 1, None, None
        self.stopped = self.model.stop_training
        if self.keeper is not None:
            self.keeper.after_epoch(self)

    def interrupted(self) -> None:
        """Keep what there is: a signal ends the run, between two steps."""
        if self.keeper is not None:
            self.keeper.interrupted(self)

    def finish(self) -> None:
        """Let go of what was kept: the run came to its end."""
        if self.keeper is not None:
            self.keeper.finished(self)

    def close(self) -> None:
        """Let go of what the run held for itself, however it ended."""
        if self.keeper is not None:
            self.keeper.close(self)

    def _restore(self) -> None:
        if self._found:
            assert self.keeper is not None
            self._found = False
            self.keeper.restore(self)

    # State -----------------------------------------------------------------------------------

    @property
    def kept_callbacks(self) -> list[Any]:
        """The callbacks that are part of the run."""
        return [c for c in self.events.callbacks if getattr(c, "part_of_run", True)]

    def place(self) -> dict[str, Any]:
        """Return where the run stands."""
        return {"epoch": self.epoch, "batch": self.batch}

    def go_to(self, place: dict[str, Any]) -> None:
        """Stand where :meth:`place` said."""
        self.epoch, self.batch = place["epoch"], place["batch"]

    def get_state(self) -> dict[str, Any]:
        """Return all that the run consists of, beside the model with its optimizer and streams."""
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
        """Go on with what :meth:`get_state` returned, at the place that :meth:`go_to` was given."""
        self.logs = state["logs"]
        self.steps.set_state(state["steps"])
        self.data.set_state(state["data"], self._done)
        if self.validation is not None:
            self.validation.set_state(state["validation"])
        self.events.params["steps"] = self.data.steps
        self.model.stop_training = state["stop_training"]
        for callback, its in zip(self.kept_callbacks, state["callbacks"], strict=True):
            if hasattr(callback, "set_state"):
                callback.set_state(its)
        self.stopped = self.batch is None and self.model.stop_training
        if self.batch and self.model.stop_training and self.logs is None:
            self.logs = self.steps.logs()  # it was stopped after the batch at which it was left

    @property
    def _done(self) -> int | None:
        """How many batches of an epoch of the data are done; ``None`` between two of them."""
        return self.batch if self.logs is None else None

    def describe(self) -> dict[str, Any]:
        """Return what must be the same where the run goes on, beside model and optimizer."""
        return {
            "data": self.data.describe(),
            "validation": None if self.validation is None else self.validation.describe(),
            "validation_freq": self.validation_freq,
            "initial_epoch": self.epochs.start,
            "callbacks": [type(c).__name__ for c in self.kept_callbacks],
        }


class RunKeeper(Callback):
    """Base class of a callback that keeps a run safe; its hooks come after those of all others."""

    part_of_run = False

    def find(self, run: Run) -> bool:
        """Look for what an earlier process left; if there is such a thing, tell ``run`` where."""
        raise NotImplementedError

    def begun(self, run: Run) -> None:
        """After ``on_train_begin`` of a run that begins anew."""

    def restore(self, run: Run) -> None:
        """Put what was found into the run."""
        raise NotImplementedError

    def after_batch(self, run: Run) -> None:
        """After a batch, and all that callbacks do then."""

    def after_epoch(self, run: Run) -> None:
        """After an epoch, and all that callbacks do then."""

    def interrupted(self, run: Run) -> None:
        """After a signal that ends the run, between two steps."""

    def finished(self, run: Run) -> None:
        """After a run that was not interrupted."""

    def close(self, run: Run) -> None:
        """After a run, however it ended, and after all else."""
