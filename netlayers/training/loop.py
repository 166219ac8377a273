"""The loops over batches: train, test, predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from netlayers.training.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Logs
    from netlayers.training.events import Events
    from netlayers.training.steps import Steps

    Batch = tuple[Array, Array, Array | None]

    class Data(Protocol):
        """What the loops read: batches of x, y and weights, for one epoch."""

        def batches(self) -> Iterator[Batch]:
            """Yield the batches of an epoch."""


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
                events.epoch, events.batch = epoch, None
                events.fire("on_epoch_begin", epoch, {})
                logs = train_epoch(steps, data, events, interrupts)
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
            steps.update(len(x))
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
