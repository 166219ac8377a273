"""One batch: forward, loss, backward, update, metrics."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers import metrics as metrics_module
from netlayers.core.penalties import collect_penalties
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.kernels.memory import Workspace
from netlayers.losses.running import RunningLoss
from netlayers.training.nonfinite import explain
from netlayers.training.snapshot import Before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Logs, Shape
    from netlayers.core.parameters import Parameters
    from netlayers.data.batch import Batch
    from netlayers.losses import Loss
    from netlayers.metrics import Metric
    from netlayers.optimizers import Optimizer


class Steps:
    """Trains and tests a model on batches, and keeps what an epoch's numbers are made of.

    Args:
        model: anything with ``forward``, ``backward``, ``parameters`` and ``output_shape``; where
            ``fused``, with ``_forward_logits`` and ``_backward_logits`` too.
        optimizer: its update rule.
        loss: its loss.
        metrics: names, objects, functions or configurations. Sample weights count in them.
        fused: ``loss`` takes the logits of the model: its last activation and the loss are
            computed together, and metrics see the probabilities that the loss computes.

    Attributes:
        batch: the batch that a run of ``fit`` is at, for its callbacks.
        skip_nonfinite_loss: leave out the update of a batch whose loss is not finite; a callback
            sets it for its run.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        loss: Loss,
        metrics: Sequence[Any] = (),
        fused: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.fused = fused
        # The losses that a loss is made of, such as those of a SplitLoss.
        self._parts: dict[str, RunningLoss] = {}
        if hasattr(loss, "value_names"):
            names = loss.value_names
            losses = getattr(loss, "losses", [None] * len(names))
            self._parts = dict(zip(names, map(RunningLoss, losses), strict=True))
        self._summed = hasattr(loss, "is_quotient") and getattr(loss, "reduction", "") == "sum"
        self._combined = hasattr(loss, "factors")  # its value is the weighted sum of theirs
        self._identifiers = list(metrics)
        self.metrics: list[Metric] | None = None
        self.metric_names: list[str] = []
        self._workspace = Workspace()
        self._penalized = bool(getattr(model, "_adds_penalty", False))
        self.reset()
        self.batch: Batch | None = None
        self.skip_nonfinite_loss = False
        self._before: Before | None = None
        self._changes = getattr(model, "_changes_in_training", True)
        self._denominator: float | None = None  # of the last batch, where gradients are gathered
        self._share: float | None = None  # denominator for each row, while gradients are gathered
        self._counters: tuple[Any, ...] = ()  # of the optimizer, before the last batch

    def resolve_metrics(self, target_shape: Shape) -> None:
        """Turn names of metrics into objects, now that the shape of the targets is known."""
        if self.metrics is None:
            logits = not self.fused and getattr(self.loss, "from_logits", False)
            self.metrics = [
                metrics_module.get(m, target_shape, self.model.output_shape, logits)
                for m in self._identifiers
            ]
            self.metric_names = unique_names(self.metrics)

    def reset(self) -> None:
        """Start the sums again."""
        # Plain numbers, as a step of a small network takes a few microseconds. Those of the loss
        # are of value times denominator and of denominators; penalties are means over rows.
        self._total = self._weight = self._penalties = self._norms = 0.0
        self._rows = self._updates = 0
        for part in self._parts.values():
            part.reset_state()
        for metric in self.metrics or ():
            metric.reset_state()

    def get_state(self) -> list[Any]:
        """Return the sums since the last :meth:`reset`, for a run that goes on elsewhere."""
        loss = {"_total": self._total, "_weight": self._weight}
        loss |= {"_penalties": self._penalties, "_rows": self._rows}
        norms = {"_total": self._norms, "_weight": self._updates}
        further = [*self._parts.values(), *(self.metrics or ())]
        states = [its.get_state() for its in further]
        parts = len(self._parts)
        return [loss, *states[:parts], norms, *states[parts:]]

    def set_state(self, state: list[Any]) -> None:
        """Go on after what :meth:`get_state` returned."""
        parts = len(self._parts)
        loss, norms = state[0], state[1 + parts]
        self._total, self._weight = loss["_total"], loss["_weight"]
        # Earlier versions kept the penalties in the total, and weighted all by rows.
        self._penalties = loss.get("_penalties", 0.0)
        self._rows = int(loss.get("_rows", loss["_weight"]))
        self._norms, self._updates = norms["_total"], int(norms["_weight"])
        further = [*self._parts.values(), *(self.metrics or ())]
        states = state[1 : 1 + parts] + state[2 + parts :]
        for its, kept in zip(further, states, strict=True):
            its.set_state(kept)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Let others begin again with the means; afterwards they are as they were."""
        kept = copy.deepcopy(self.get_state())
        try:
            yield
        finally:
            self.set_state(kept)

    def logs(self, each_batch: bool = False) -> Logs:
        """Return the means since the last :meth:`reset`.

        Args:
            each_batch: leave out the metrics whose result is too costly after every batch.
        """
        loss = self.loss
        parts: Logs = {}
        value = self._total
        if self._parts:
            parts = {name: part.result() for name, part in self._parts.items()}
        if self._combined:
            value = sum(w * its for w, its in zip(loss.factors, parts.values(), strict=True))  # type: ignore[attr-defined]
        elif self._weight and not (self._summed and loss.is_quotient):  # as in quotient
            value /= self._weight
        if self._penalties:
            value += self._penalties / self._rows
        logs: Logs = {"loss": value, **parts}
        if self.metrics:
            for name, metric in zip(self.metric_names, self.metrics, strict=True):
                if metric.each_batch or not each_batch:
                    logs[name] = metric.result()
        if self.optimizer.clips:
            logs["grad_norm"] = self._norms / self._updates if self._updates else 0.0
        return logs

    def train(self, batch: Batch) -> float:
        """Learn from one batch; return its loss."""
        try:
            self.compute_gradients(batch)
            return self.update(batch.size)
        except NonFiniteError as error:
            explain(error, self, batch)
            raise

    def compute_gradients(
        self, batch: Batch, input_gradient: bool = False, accumulate: bool = True
    ) -> float:
        """Run forward and backward; return the loss. The gradients are in the parameters.

        Where the optimizer accumulates gradients, those of the penalties on the weights are not
        among them: it adds them once to the sum.

        Args:
            batch: checked data.
            input_gradient: compute that of x too, by every layer.
            accumulate: ``False`` for gradients that the optimizer does not get.

        Raises:
            ConfigurationError: gradients of this loss can not be accumulated.
        """
        model, optimizer = self.model, self.optimizer
        parameters = self._parameters = model.parameters
        if self._changes or self._before is not None:
            before = self.before
            if before.changes or before.whole:
                before.take()
        self._counters = (
            optimizer.iterations,
            optimizer.skipped,
            optimizer.accumulated,
            optimizer.denominators,
        )
        self._loss = self._forward(batch, parameters, training=True)
        steps = optimizer.gradient_accumulation_steps
        if steps is None or steps == 1 or not accumulate:
            self._denominator = None
        elif self._penalized or not getattr(self.loss, "is_quotient", True):
            self._check_accumulation(batch.size)
        dy = self.loss.backward()
        if self.fused:
            model._backward_logits(dy, input_gradient=input_gradient)
        else:
            model.backward(dy, input_gradient=input_gradient)
        if parameters.regularized and self._denominator is None:
            parameters.add_regularization_gradients(self._workspace)
        return self._loss

    def _check_accumulation(self, size: int) -> None:
        """Check that the gradients of batches add up to that of the joint batch.

        Raises:
            ConfigurationError: they do not.
        """
        loss = self.loss
        name = getattr(loss, "name", type(loss).__name__)
        if not getattr(loss, "is_quotient", True):
            raise ConfigurationError(
                f"gradient_accumulation_steps: gradients of the loss {name!r} can not be added up "
                f"over batches: {getattr(loss, 'no_quotient', 'it is no sum over samples')}. Use "
                "larger batches without gradient_accumulation_steps, or another loss."
            )
        share = (self._denominator or 0.0) / size
        if self._share is None or not self.optimizer.accumulated:
            self._share = share
        if not share or not math.isclose(share, self._share):
            raise ConfigurationError(
                "gradient_accumulation_steps: the model has penalties on activations, which "
                f"are means over rows, but the loss {name!r} is not divided by their number: "
                "leave out the sample weights, ignore_class or reduction that make it so, or "
                "gradient_accumulation_steps."
            )

    def update(self, count: int) -> float:
        """Apply the gradients of a batch of ``count`` samples; return its loss.

        A step that is left out leaves the running statistics as they were, too.
        """
        optimizer, parameters = self.optimizer, self._parameters
        if self.skip_nonfinite_loss and not math.isfinite(self._loss):
            self.before.restore_buffers()
            return self._loss
        skipped = optimizer.skipped
        try:
            if self._denominator is None:
                updated = optimizer.step(parameters)
            else:
                updated = optimizer.step(parameters, self._denominator)
        except NonFiniteError:
            self.before.restore_buffers()
            raise
        if optimizer.skipped != skipped:
            self.before.restore_buffers()
        if updated and optimizer.grad_norm is not None:  # there is one where clipping is on
            self._norms += optimizer.grad_norm
            self._updates += 1
        return self._loss

    @property
    def before(self) -> Before:
        """What the last batch started from."""
        if self._before is None:
            self._before = Before(self.model, self.optimizer)
        return self._before

    def twin(self) -> Steps:
        """Return a copy, without metrics, that stands before the last batch; see ``Before``."""
        names = ("iterations", "skipped", "accumulated", "denominators")
        counters = dict(zip(names, self._counters, strict=False))
        model, optimizer, loss = self.before.copies(self.loss, counters)
        return Steps(model, optimizer, loss, (), self.fused)

    def test(self, batch: Batch) -> float:
        """Return the loss of one batch, and take it into the sums."""
        return self._forward(batch, self.model.parameters, training=False)

    def _forward(self, batch: Batch, parameters: Parameters, training: bool) -> float:
        """Return the loss of a batch with all penalties, and take both into the sums."""
        x, y, sample_weight, size = batch
        model, loss = self.model, self.loss
        forward = model._forward_logits if self.fused else model.forward
        penalty = 0.0
        if self._penalized:
            y_pred, penalties = collect_penalties(forward, x, training)
            penalty += sum(penalties)
        else:
            y_pred = forward(x, training)
        value = loss.forward(y, y_pred, sample_weight)
        if self._parts:
            for part, its in zip(self._parts.values(), loss.values, strict=True):  # type: ignore[attr-defined]
                part.add(its, size)
        weight = getattr(loss, "denominator", None)  # as in weight_of
        if weight is None or not getattr(loss, "is_quotient", False):
            weight = size
        self._total += value * weight
        self._weight += weight
        if training:
            self._denominator = 0.0 if self._summed else weight
        if parameters.regularized:
            penalty += parameters.regularization()
        self._rows += size
        if penalty:
            self._penalties += penalty * size
            value += penalty
        if self.metrics:
            if self.fused:
                y_pred = loss.probabilities  # type: ignore[attr-defined]
            for metric in self.metrics:
                metric.update_state(y, y_pred, sample_weight)
        return value


def unique_names(metrics: Sequence[Metric]) -> list[str]:
    """Return the keys of metrics in the logs: a second ``auc`` is ``auc_1``, as in Keras.

    Raises:
        ConfigurationError: one object is there twice; it would count each batch twice.
    """
    names: list[str] = []
    taken = {"loss", "grad_norm"}
    for i, metric in enumerate(metrics):
        if any(metric is other for other in metrics[:i]):
            raise ConfigurationError(
                f"metrics: the object {metric!r} is there twice; make one for each use."
            )
        name, number = metric.name, 0
        while name in taken:
            number += 1
            name = f"{metric.name}_{number}"
        taken.add(name)
        names.append(name)
    return names
