"""One batch: forward, loss, backward, update, metrics."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netlayers import metrics as metrics_module
from netlayers.core.penalties import collect_penalties
from netlayers.core.workspace import Workspace
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.inspection.nonfinite import explain
from netlayers.metrics import Mean, Metric
from netlayers.training.before import Before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Logs, Shape
    from netlayers.data.batch import Batch
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer


class Steps:
    """Trains and tests a model on batches, and keeps the running means of an epoch.

    Args:
        model: anything with ``forward``, ``backward``, ``parameters`` and ``output_shape``; where
            ``fused``, with ``forward_logits`` and ``backward_logits`` too.
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
        self.loss_mean = Mean("loss")
        # The losses that a loss is made of, such as those of a SplitLoss.
        self.part_means = [Mean(name) for name in getattr(loss, "value_names", ())]
        self.norm_mean = Mean("grad_norm")
        self._means: list[Metric] = [self.loss_mean, *self.part_means, self.norm_mean]
        self._identifiers = list(metrics)
        self.metrics: list[Metric] | None = None
        self.metric_names: list[str] = []
        self._workspace = Workspace()
        self._penalized = bool(getattr(model, "adds_penalty", False))
        self.batch: Batch | None = None
        self.skip_nonfinite_loss = False
        self._before: Before | None = None

    def resolve_metrics(self, target_shape: Shape) -> None:
        """Turn names of metrics into objects, now that the shape of the targets is known."""
        if self.metrics is None:
            logits = not self.fused and getattr(self.loss, "from_logits", False)
            self.metrics = [
                metrics_module.get(m, target_shape, self.model.output_shape, logits)
                for m in self._identifiers
            ]
            self.metric_names = unique_names(self.metrics)
            self._means += self.metrics

    def reset(self) -> None:
        """Start the means again."""
        for metric in self._means:
            metric.reset_state()

    def get_state(self) -> list[Any]:
        """Return the means since the last :meth:`reset`, for a run that goes on elsewhere."""
        return [metric.get_state() for metric in self._means]

    def set_state(self, state: list[Any]) -> None:
        """Go on after what :meth:`get_state` returned."""
        for metric, its in zip(self._means, state, strict=True):
            metric.set_state(its)

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
        logs: Logs = {"loss": self.loss_mean.result()}
        for mean in self.part_means:
            logs[mean.name] = mean.result()
        if self.metrics:
            for name, metric in zip(self.metric_names, self.metrics, strict=True):
                if metric.each_batch or not each_batch:
                    logs[name] = metric.result()
        if self.optimizer.clips:
            logs["grad_norm"] = self.norm_mean.result()
        return logs

    def train(self, batch: Batch) -> float:
        """Learn from one batch; return its loss."""
        try:
            self.compute_gradients(batch)
            return self.update(batch.size)
        except NonFiniteError as error:
            explain(error, self, batch)
            raise

    def compute_gradients(self, batch: Batch, input_gradient: bool = False) -> float:
        """Run forward and backward; return the loss. The gradients are in the parameters.

        With ``input_gradient`` that of x is computed too, by every layer.
        """
        model, parameters = self.model, self.model.parameters
        self.before.take()
        self._loss = self._forward(batch, training=True)
        dy = self.loss.backward()
        if self.fused:
            model.backward_logits(dy, input_gradient=input_gradient)
        else:
            model.backward(dy, input_gradient=input_gradient)
        if parameters.regularized:
            self._loss += parameters.regularization()
            parameters.add_regularization_gradients(self._workspace)
        return self._loss

    def update(self, count: int) -> float:
        """Apply the gradients, and take the batch of ``count`` samples into the means."""
        updated = self._step()
        self.loss_mean.add(self._loss, count)
        if updated and self.optimizer.grad_norm is not None:  # there is one where clipping is on
            self.norm_mean.add(self.optimizer.grad_norm)
        return self._loss

    def _step(self) -> bool:
        """Update; a step that is left out leaves the running statistics as they were, too."""
        optimizer = self.optimizer
        if self.skip_nonfinite_loss and not math.isfinite(self._loss):
            self.before.restore_statistics()
            return False
        skipped = optimizer.skipped
        try:
            updated = optimizer.step(self.model.parameters)
        except NonFiniteError:
            self.before.restore_statistics()
            raise
        if optimizer.skipped != skipped:
            self.before.restore_statistics()
        return updated

    @property
    def before(self) -> Before:
        """What the last batch started from."""
        if self._before is None:
            self._before = Before(self.model, self.optimizer)
        return self._before

    def twin(self) -> Steps:
        """Return a copy, without metrics, that stands before the last batch; see ``Before``."""
        model, optimizer, loss = self.before.copies(self.loss)
        return Steps(model, optimizer, loss, (), self.fused)

    def test(self, batch: Batch) -> float:
        """Return the loss of one batch, and take it into the means."""
        loss = self._forward(batch, training=False)
        if self.model.parameters.regularized:
            loss += self.model.parameters.regularization()
        self.loss_mean.add(loss, batch.size)
        return loss

    def _forward(self, batch: Batch, training: bool) -> float:
        x, y, sample_weight, size = batch
        forward = self.model.forward_logits if self.fused else self.model.forward
        if self._penalized:
            y_pred, penalties = collect_penalties(forward, x, training)
        else:
            y_pred, penalties = forward(x, training), []
        loss = self.loss.forward(y, y_pred, sample_weight)
        if self.part_means:
            for mean, value in zip(self.part_means, self.loss.values, strict=True):  # type: ignore[attr-defined]
                mean.add(value, size)
        if penalties:
            loss += sum(penalties)
        if self.metrics:
            if self.fused:
                y_pred = self.loss.probabilities  # type: ignore[attr-defined]
            for metric in self.metrics:
                metric.update_state(y, y_pred, sample_weight)
        return loss


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
