"""The loops over batches: train, test, predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netlayers.data.streams import warn_of_end
from netlayers.training.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Logs
    from netlayers.training.events import Events
    from netlayers.training.steps import Steps

    Batch = tuple[Array, Array, Array | None]

    class Data(Protocol):
        """What the loops read: batches of x, y and weights, epoch by epoch."""

        @property
        def steps(self) -> int | None:
            """Batches in an epoch, ``None`` as long as nobody knows."""

        @property
        def rows(self) -> int | None:
            """Rows in an epoch, ``None`` where nobody knows."""

        def ready(self) -> bool:
            """Whether there are batches for another epoch."""

        def batches(self) -> Iterator[Batch]:
            """Yield the batches of an epoch."""

        def close(self) -> None:
            """Let go of the source."""


def train(
    steps: Steps,
    data: Data,
    events: Events,
    epochs: range,
    validation: Data | None = None,
    validation_freq: int = 1,
) -> None:
    """Train for some epochs.

    However this ends, ``on_train_end`` is called; Ctrl-C leaves the weights of the last whole
    update. At a regular end an optimizer that averages the weights puts in the averages before.
    """
    model: Any = steps.model
    with Interrupts() as interrupts:
        try:
            events.fire("on_train_begin", {})
            for epoch in epochs:
                if not data.ready():
                    warn_of_end("fit", f"before epoch {epoch + 1} of {epochs.stop}")
                    break
                events.epoch, events.batch = epoch, None
                events.fire("on_epoch_begin", epoch, {})
                logs = train_epoch(steps, data, events, interrupts)
                events.params["steps"] = data.steps
                if validation is not None and (epoch + 1) % validation_freq == 0:
                    results = test(steps, validation, events)
                    logs |= {f"val_{name}": value for name, value in results.items()}
                events.fire("on_epoch_end", epoch, logs)
                if model.stop_training:
                    break
            if epochs:
                steps.optimizer.finalize_variable_values(model.parameters)
        finally:
            events.fire_all("on_train_end", {})


def train_epoch(steps: Steps, data: Data, events: Events, interrupts: Interrupts) -> Logs:
    """Train on every batch once; return the means of the epoch."""
    model: Any = steps.model
    begin, end = events.has("on_train_batch_begin"), events.has("on_train_batch_end")
    steps.reset()
    for batch, (x, y, sample_weight) in enumerate(data.batches()):
        events.batch = batch
        if begin:
            events.fire("on_train_batch_begin", batch, {})
        steps.compute_gradients(x, y, sample_weight)
        interrupts.busy = True
        try:
            steps.update(x.shape[0])
        finally:
            interrupts.release()
        if end:
            events.fire("on_train_batch_end", batch, steps.logs(each_batch=True))
        if model.stop_training:
            break
    events.batch = None
    return steps.logs()


def test(steps: Steps, data: Data, events: Events) -> Logs:
    """Evaluate every batch once; return the means."""
    events.fire("on_test_begin", {})
    steps.reset()
    begin, end = events.has("on_test_batch_begin"), events.has("on_test_batch_end")
    for batch, (x, y, sample_weight) in enumerate(data.batches()):
        if begin:
            events.fire("on_test_batch_begin", batch, {})
        steps.test(x, y, sample_weight)
        if end:
            events.fire("on_test_batch_end", batch, steps.logs(each_batch=True))
    logs = steps.logs()
    logs.pop("grad_norm", None)  # there are no gradients in a test
    events.fire("on_test_end", dict(logs))
    return logs


def predict(model: Any, data: Data, events: Events) -> Array:
    """Return the outputs of every batch in one new array.

    Where the data know their number of rows, the outputs are written in place as they come.
    """
    events.fire("on_predict_begin", {})
    parts: list[Array] = []
    done = 0
    for batch, (x, _, _) in enumerate(data.batches()):
        events.fire("on_predict_batch_begin", batch, {})
        part = model.forward(x)
        if data.rows is None:
            parts.append(np.array(part))  # a layer may hand on its input
        else:
            if not parts:
                parts.append(np.empty((data.rows, *part.shape[1:]), part.dtype))
            parts[0][done : done + len(part)] = part
        done += len(part)
        events.fire("on_predict_batch_end", batch, {"outputs": part})
    events.fire("on_predict_end", {})
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
