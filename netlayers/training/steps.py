"""One batch: forward, loss, backward, update, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers import metrics as metrics_module
from netlayers.core.workspace import Workspace
from netlayers.metrics import Mean, Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Logs, Shape
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer


class Steps:
    """Trains and tests a model on batches, and keeps the running means of an epoch.

    Args:
        model: anything with ``forward``, ``backward``, ``parameters`` and ``output_shape``; where
            ``fused``, with ``forward_logits`` and ``backward_logits`` too.
        optimizer: its update rule.
        loss: its loss.
        metrics: names, objects or configurations.
        fused: ``loss`` takes the logits of the model: its last activation and the loss are
            computed together, and metrics see the probabilities that the loss computes.
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
        self.norm_mean = Mean("grad_norm")
        self._identifiers = list(metrics)
        self.metrics: list[Metric] | None = None
        self._workspace = Workspace()

    def resolve_metrics(self, target_shape: Shape) -> None:
        """Turn names of metrics into objects, now that the shape of the targets is known."""
        if self.metrics is None:
            logits = not self.fused and getattr(self.loss, "from_logits", False)
            self.metrics = [
                metrics_module.get(m, target_shape, self.model.output_shape, logits)
                for m in self._identifiers
            ]

    def reset(self) -> None:
        """Start the means again."""
        self.loss_mean.reset_state()
        self.norm_mean.reset_state()
        for metric in self.metrics or ():
            metric.reset_state()

    def logs(self) -> Logs:
        """Return the means since the last :meth:`reset`."""
        logs = {"loss": self.loss_mean.result()}
        for metric in self.metrics or ():
            logs[metric.name] = metric.result()
        if self.optimizer.clips:
            logs["grad_norm"] = self.norm_mean.result()
        return logs

    def train(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """Learn from one batch; return its loss."""
        self.compute_gradients(x, y, sample_weight)
        return self.update(x.shape[0])

    def compute_gradients(self, x: Array, y: Array, sample_weight: Array | None = None) -> None:
        """Run forward and backward: the gradients of this batch's loss are in the parameters."""
        model, parameters = self.model, self.model.parameters
        self._loss = self._forward(x, y, sample_weight, training=True)
        dy = self.loss.backward()
        if self.fused:
            model.backward_logits(dy, input_gradient=False)
        else:
            model.backward(dy, input_gradient=False)
        if parameters.regularized:
            self._loss += parameters.regularization()
            parameters.add_regularization_gradients(self._workspace)

    def update(self, count: int) -> float:
        """Apply the gradients, and take the batch of ``count`` samples into the means."""
        self.optimizer.step(self.model.parameters)
        self.loss_mean.add(self._loss, count)
        if self.optimizer.clips and self.optimizer.grad_norm is not None:
            self.norm_mean.add(self.optimizer.grad_norm)
        return self._loss

    def test(self, x: Array, y: Array, sample_weight: Array | None = None) -> float:
        """Return the loss of one batch, and take it into the means."""
        loss = self._forward(x, y, sample_weight, training=False)
        if self.model.parameters.regularized:
            loss += self.model.parameters.regularization()
        self.loss_mean.add(loss, x.shape[0])
        return loss

    def _forward(self, x: Array, y: Array, sample_weight: Array | None, training: bool) -> float:
        if self.fused:
            y_pred = self.model.forward_logits(x, training)
        else:
            y_pred = self.model.forward(x, training)
        loss = self.loss.forward(y, y_pred, sample_weight)
        if self.metrics:
            if self.fused:
                y_pred = self.loss.probabilities  # type: ignore[attr-defined]
            for metric in self.metrics:
                metric.update_state(y, y_pred, sample_weight)
        return loss
