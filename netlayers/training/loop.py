"""The loops over batches: train, test, predict."""

from __future__ import annotations

import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netlayers.data.batch import each
from netlayers.data.streams import warn_of_end
from netlayers.errors import NonFiniteError
from netlayers.inspection.nonfinite import explain
from netlayers.training.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Logs
    from netlayers.data.batch import Batch
    from netlayers.training.events import Events
    from netlayers.training.run import Run
    from netlayers.training.steps import Steps

    class Data(Protocol):
        """What the loops read: batches, epoch by epoch."""

        @property
        def steps(self) -> int | None:
            """Batches in an epoch, ``None`` as long as nobody knows."""

        @property
        def rows(self) -> int | None:
            """Rows in an epoch, ``None`` where nobody knows."""

        def ready(self) -> bool:
            """Whether there are batches for another epoch."""

        def batches(self, start: int = 0) -> Iterator[Batch]:
            """Yield the batches of an epoch, or those after the first ``start``."""

        def close(self) -> None:
            """Let go of the source."""

        def get_state(self, done: int | None = None) -> dict[str, Any]:
            """Return the place after so many batches of an epoch, or between two epochs."""

        def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
            """Go on at such a place."""

        def describe(self) -> dict[str, Any]:
            """Return what makes data the same."""

        def doubt(self) -> str | None:
            """Return why another process might read other batches, or ``None``."""


def train(run: Run) -> None:
    """Train for some epochs.

    However this ends, ``on_train_end`` is called. Ctrl-C and SIGTERM leave the model after a whole
    step, an error leaves the weights of the last whole update. At a regular end an optimizer that
    averages the weights puts in the averages before.
    """
    with Interrupts() as interrupts, closing(run):
        try:
            interrupts.busy = True
            run.begin()
            interrupts.release()
            optimizer = run.steps.optimizer
            before = optimizer.iterations, optimizer.accumulated
            train_epochs(run, interrupts)
            warn_of_no_update(optimizer, *before)
            if run.epochs:
                interrupts.busy = True  # the averages are no state to go on from
                run.steps.optimizer.finalize_variable_values(run.model.parameters)
        except BaseException:
            if interrupts.delivered and not interrupts.busy:
                interrupts.busy = True  # the next SIGTERM must not cut this
                run.interrupted()
            raise
        finally:
            run.events.fire_all("on_train_end", {})
        run.finish()


def warn_of_no_update(optimizer: Any, updates: int, accumulated: int) -> None:
    """Warn of a run that only gathered gradients."""
    if optimizer.iterations == updates and optimizer.accumulated > accumulated:
        warnings.warn(
            f"fit: the run made no update: {optimizer.accumulated} of "
            f"{optimizer.gradient_accumulation_steps} gradients are gathered "
            "(gradient_accumulation_steps), which go into the first update of the next run. Use "
            "smaller batches, more epochs or fewer accumulation steps.",
            stacklevel=5,
        )


def train_epochs(run: Run, interrupts: Interrupts) -> None:
    """Train epoch by epoch, from where the run stands."""
    while run.epoch < run.epochs.stop and not run.stopped:
        if run.batch is None and not run.data.ready():
            warn_of_end("fit", f"before epoch {run.epoch + 1} of {run.epochs.stop}")
            break
        interrupts.busy = True
        run.begin_epoch()
        interrupts.release()
        if run.logs is None:
            run.logs = train_epoch(run, interrupts)
        run.events.params["steps"] = run.data.steps
        logs = dict(run.logs)
        if run.validates:
            results = validate(run.steps, run.validation, run.events)  # type: ignore[arg-type]
            run.validation_ended = not results
            logs |= results
        interrupts.busy = True
        run.end_epoch(logs)
        interrupts.release()


def train_epoch(run: Run, interrupts: Interrupts) -> Logs:
    """Train on every batch once, or on those that are left; return the means of the epoch."""
    steps, events, keeper, model = run.steps, run.events, run.keeper, run.model
    begin, end = events.has("on_train_batch_begin"), events.has("on_train_batch_end")
    start = run.batch or 0
    if not start:
        steps.reset()
    for number, batch in enumerate(run.data.batches(start), start):
        interrupts.busy, events.batch = True, number
        if begin:
            events.fire("on_train_batch_begin", number, {})
        steps.batch = batch
        try:
            steps.compute_gradients(batch)
            interrupts.updating = True
            steps.update(batch.size)
        except NonFiniteError as error:
            explain(error, steps, batch, run.epoch, number)
            raise
        interrupts.updating = False
        if end:
            events.fire("on_train_batch_end", number, steps.logs(each_batch=True))
        run.batch = number + 1
        if keeper is not None:
            keeper.after_batch(run)
        interrupts.release()
        if model.stop_training:
            break
    events.batch = steps.batch = None
    return steps.logs()


def validate(steps: Steps, data: Data, events: Events) -> Logs:
    """Return the means of :func:`test` as ``val_...``; nothing, with a warning, without data."""
    if not data.ready():
        epoch = 1 + (events.epoch or 0)
        warn_of_end("fit: validation_data", f"before epoch {epoch} was validated")
        return {}
    return {f"val_{name}": value for name, value in test(steps, data, events).items()}


def test(steps: Steps, data: Data, events: Events) -> Logs:
    """Evaluate every batch once; return the means."""
    events.fire("on_test_begin", {})
    steps.reset()
    begin, end = events.has("on_test_batch_begin"), events.has("on_test_batch_end")
    for number, batch in enumerate(data.batches()):
        if begin:
            events.fire("on_test_batch_begin", number, {})
        steps.test(batch)
        if end:
            events.fire("on_test_batch_end", number, steps.logs(each_batch=True))
    logs = steps.logs()
    logs.pop("grad_norm", None)  # there are no gradients in a test
    events.fire("on_test_end", dict(logs))
    return logs


def predict(model: Any, data: Data, events: Events) -> Any:
    """Return the outputs of every batch in one new array; of several outputs, a list of arrays.

    Where the data know their number of rows, the outputs are written in place as they come.
    """
    events.fire("on_predict_begin", {})
    gathered: list[list[Array]] = []  # for each output
    done = 0
    part: Any = None
    for number, batch in enumerate(data.batches()):
        events.fire("on_predict_batch_begin", number, {})
        part = model.forward(batch.inputs)
        for i, array in enumerate(each(part)):
            if not number:
                gathered.append([])
            parts = gathered[i]
            if data.rows is None:
                parts.append(np.array(array))  # a layer may hand on its input
            else:
                if not parts:
                    parts.append(np.empty((data.rows, *array.shape[1:]), array.dtype))
                parts[0][done : done + len(array)] = array
        done += batch.size
        events.fire("on_predict_batch_end", number, {"outputs": part})
    events.fire("on_predict_end", {})
    whole = [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in gathered]
    return whole if isinstance(part, tuple) else whole[0]
