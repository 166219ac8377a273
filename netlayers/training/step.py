"""One training step on a batch: forward, loss, backward, update, metrics."""

from __future__ import annotations

import copy
import functools
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers.core.penalties import collect_penalties
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.kernels.memory import Workspace
from netlayers.losses.running import RunningLoss
from netlayers.training.masks import gives_mask, masked_weights
from netlayers.training.nonfinite import explain
from netlayers.training.snapshot import StepSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Logs
    from netlayers.core.parameters import Parameters
    from netlayers.data.batch import Batch
    from netlayers.layers.network import Network
    from netlayers.losses import Loss
    from netlayers.metrics import Metric
    from netlayers.optimizers import Optimizer
    from netlayers.training.measuring import MetricGroup


class Steps:
    """Trains and tests a model on batches, and accumulates the loss and metrics of an epoch.

    Args:
        model: a built network.
        optimizer: its update rule.
        loss: its loss.
        groups: the metrics, by what loss they belong to.
        fused: ``loss`` takes the logits of the model: its last activation and the loss are
            computed together, and metrics get the probabilities that the loss computes.

    Attributes:
        metrics: the metrics by their keys in the logs.
        batch: the current batch of a run of ``fit``, for its callbacks.
        skip_nonfinite_loss: skip the update of a batch whose loss is not finite; set by a callback.
    """

    updates_itself = has_own_names = False  # see OwnSteps
    on_outputs: Any = None  # the loss of compute_loss

    def __init__(
        self,
        model: Network,
        optimizer: Optimizer,
        loss: Loss,
        groups: Sequence[MetricGroup] = (),
        fused: bool = False,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.loss, self.fused = loss, fused
        # The parts of a loss, such as those of a SplitLoss.
        self._parts: dict[str, RunningLoss] = {}
        if hasattr(loss, "value_names"):
            names = loss.value_names
            losses = getattr(loss, "losses", [None] * len(names))
            self._parts = dict(zip(names, map(RunningLoss, losses), strict=True))
        self._summed = hasattr(loss, "is_quotient") and getattr(loss, "reduction", "") == "sum"
        self._combined = hasattr(loss, "factors")  # its value is the weighted sum of theirs
        self._groups = groups
        self.metrics: dict[str, Metric] = {}
        for group in groups:
            self.metrics |= group.metrics
        self._workspace = Workspace()
        self._masked = model.takes_mask and gives_mask(model)
        self._penalized = model._adds_penalty
        self._penalties_now = False  # whether the last batch had some
        self.reset()
        self.batch: Batch | None = None
        self.skip_nonfinite_loss = False
        self._snapshot: StepSnapshot | None = None
        self._changes = model._changes_in_training
        self._denominator: float | None = None  # of the last batch, where gradients are accumulated
        self._share: float | None = None  # denominator by row, while gradients are accumulated
        self._counters: tuple[Any, ...] = ()  # of the optimizer, before the last batch

    def reset(self) -> None:
        """Reset the sums."""
        # Plain numbers, because a step of a small network takes a few microseconds: sums of the
        # loss times its denominator, and of denominators. Penalties are means over rows.
        self._total = self._weight = self._penalties = self._norms = 0.0
        self._rows = self._updates = 0
        for part in self._parts.values():
            part.reset_state()
        for metric in self.metrics.values():
            metric.reset_state()

    def get_state(self) -> list[Any]:
        """Return the sums since the last :meth:`reset`, to resume a run in another process."""
        loss = {"_total": self._total, "_weight": self._weight}
        loss |= {"_penalties": self._penalties, "_rows": self._rows}
        norms = {"_total": self._norms, "_weight": self._updates}
        further: list[RunningLoss | Metric] = [*self._parts.values(), *self.metrics.values()]
        states = [its.get_state() for its in further]
        parts = len(self._parts)
        return [loss, *states[:parts], norms, *states[parts:]]

    def set_state(self, state: list[Any]) -> None:
        """Restore the sums that :meth:`get_state` returned."""
        parts = len(self._parts)
        loss, norms = state[0], state[1 + parts]
        self._total, self._weight = loss["_total"], loss["_weight"]
        # Earlier versions kept the penalties in the total, and weighted all by rows.
        self._penalties = loss.get("_penalties", 0.0)
        self._rows = int(loss.get("_rows", loss["_weight"]))
        self._norms, self._updates = norms["_total"], int(norms["_weight"])
        further: list[RunningLoss | Metric] = [*self._parts.values(), *self.metrics.values()]
        states = state[1 : 1 + parts] + state[2 + parts :]
        for its, kept in zip(further, states, strict=True):
            its.set_state(kept)

    def log_names(self, each_batch: bool = False) -> list[str]:
        """Return the names in :meth:`logs`."""
        metrics = [n for n, its in self.metrics.items() if its.each_batch or not each_batch]
        norm = ["grad_norm"] if self.optimizer.clips else []
        return ["loss", *self._parts, *metrics, *norm]

    @contextmanager
    def keep_sums(self) -> Iterator[None]:
        """Context manager that restores the sums on exit."""
        kept = copy.deepcopy(self.get_state())
        try:
            yield
        finally:
            self.set_state(kept)

    def logs(self, each_batch: bool = False) -> Logs:
        """Return the means since the last :meth:`reset`.

        Args:
            each_batch: omit the metrics whose result is too costly after every batch.
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
        for name, metric in self.metrics.items():
            if metric.each_batch or not each_batch:
                logs[name] = metric.result()
        if self.optimizer.clips:
            logs["grad_norm"] = self._norms / self._updates if self._updates else 0.0
        return logs

    def train(self, batch: Batch) -> float:
        """Train on one batch; return its loss."""
        try:
            with self.model._lock.whole:
                self.compute_gradients(batch)
                return self.update(batch.size)
        except NonFiniteError as error:
            explain(error, self, batch)
            raise

    def compute_gradients(
        self, batch: Batch, input_gradient: bool = False, accumulate: bool = True
    ) -> float:
        """Run forward and backward; return the loss. The gradients are in the parameters.

        If the optimizer accumulates gradients, those of the weight penalties are not included: it
        adds them once to the sum.

        Args:
            batch: checked data.
            input_gradient: also compute dL/dx, through every layer.
            accumulate: ``False`` for gradients that the optimizer does not use.

        Raises:
            ConfigurationError: gradients of this loss cannot be accumulated.
        """
        model, optimizer = self.model, self.optimizer
        parameters = self._parameters = model.parameters
        if self._changes or self._snapshot is not None:
            self._take_snapshot()
        counters = optimizer.iterations, optimizer.skipped, optimizer.accumulated
        self._counters = (*counters, optimizer.denominators)
        self._loss = self._forward(batch, parameters, training=True)
        steps = optimizer.gradient_accumulation_steps
        if steps is None or steps == 1 or not accumulate:
            self._denominator = None
        elif self._penalties_now or not getattr(self.loss, "is_quotient", True):
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
        """Check that the gradients of batches add up to that of their union.

        Raises:
            ConfigurationError: they do not.
        """
        loss = self.loss
        name = getattr(loss, "name", type(loss).__name__)
        if not getattr(loss, "is_quotient", True):
            raise ConfigurationError(
                f"gradient_accumulation_steps: gradients of the loss {name!r} cannot be added up "
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
                "leave out the sample weights, ignore_class, mask_nan or reduction that make it "
                "so, or gradient_accumulation_steps."
            )

    def update(self, count: int) -> float:
        """Apply the gradients of a batch of ``count`` samples; return its loss.

        A skipped step also restores the running statistics.
        """
        optimizer, parameters = self.optimizer, self._parameters
        if self.skip_nonfinite_loss and not math.isfinite(self._loss):
            self.snapshot.restore_buffers()
            return self._loss
        skipped = optimizer.skipped
        try:
            if self._denominator is None:
                updated = optimizer.step(parameters)
            else:
                updated = optimizer.step(parameters, self._denominator)
        except NonFiniteError:
            self.snapshot.restore_buffers()
            raise
        if optimizer.skipped != skipped:
            self.snapshot.restore_buffers()
        if updated and optimizer.grad_norm is not None:  # there is one where clipping is on
            self._norms += optimizer.grad_norm
            self._updates += 1
        return self._loss

    @property
    def snapshot(self) -> StepSnapshot:
        """The state before the last batch."""
        if self._snapshot is None:
            self._snapshot = StepSnapshot(self.model, self.optimizer)
        return self._snapshot

    def _take_snapshot(self) -> None:
        snapshot = self.snapshot
        if snapshot.needed or snapshot.include_weights:
            snapshot.take()

    def copy_before_step(self) -> Steps:
        """Return a copy, without metrics, in the state before the last batch."""
        names = ("iterations", "skipped", "accumulated", "denominators")
        counters = dict(zip(names, self._counters, strict=False))
        model, optimizer, loss = self.snapshot.copies(self.loss, counters)
        return Steps(model, optimizer, loss, fused=self.fused)

    def test(self, batch: Batch) -> float:
        """Return the loss of one batch, and add it to the sums."""
        return self._forward(batch, self.model.parameters, training=False)

    def _forward(self, batch: Batch, parameters: Parameters, training: bool) -> float:
        """Return the loss of a batch with all penalties, and add both to the sums."""
        x, y, sample_weight, size = batch
        model, loss = self.model, self.loss
        forward = model._forward_logits if self.fused else model.forward
        masks: list[Any] = []
        if self._masked:
            forward = functools.partial(forward, mask_out=masks)
        penalty = 0.0
        if self._penalized:
            y_pred, penalties = collect_penalties(forward, x, training)
            penalty += sum(penalties)
            self._penalties_now = bool(penalties)
        else:
            y_pred = forward(x, training)
        weights, share = sample_weight, 1.0  # share: that of the steps that the mask keeps
        if self._masked:
            weights, share = masked_weights(loss, sample_weight, masks[0])
        value = loss.forward(y, y_pred, weights)
        if self._parts:
            for part, its in zip(self._parts.values(), loss.values, strict=True):  # type: ignore[attr-defined]
                part.add(its, size)
        weight = getattr(loss, "denominator", None)  # as in weight_of
        if weight is None or not getattr(loss, "is_quotient", False):
            weight = size
        weight *= share
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
        if self._groups:
            if self.fused:
                y_pred = loss.probabilities  # type: ignore[attr-defined]
            for group in self._groups:
                group.update(y, y_pred, sample_weight, masks[0] if masks else None)
        return value
