"""Steps of models whose class overrides ``train_step``, ``test_step`` or ``compute_loss``."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import read_only
from netlayers._warn import warn
from netlayers.checks import definer, is_foreign, overridden
from netlayers.core.layer import Layer
from netlayers.data.packing import pack_x_y_sample_weight
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.metrics import Mean, Metric
from netlayers.optimizers import Optimizer
from netlayers.optimizers.schedules import LearningRateSchedule
from netlayers.training.step import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlayers._typing import Array, Logs
    from netlayers.core.parameters import Parameters
    from netlayers.data.batch import Batch
    from netlayers.layers.network import Network
    from netlayers.training.measuring import MetricGroup

_COUNTERS = ("iterations", "skipped", "accumulated", "denominators", "learning_rate_factor")


def no_targets(model: Any, owner: str, rows: int) -> Array:
    """Return what stands for the targets where there are none: an array of no columns.

    Raises:
        ConfigurationError: the model learns from targets.
    """
    if not overridden(model, "train_step", "test_step"):
        raise ConfigurationError(f"{owner}: y is missing; give one target for each row of x.")
    return np.empty((rows, 0), model._dtype)


def metrics_of(model: Any) -> list[Metric]:
    """Return the metrics of a model: of its loss and of ``compile``, then those in attributes."""
    steps = model._steps
    found = [] if steps is None else list(steps.metrics.values())
    if isinstance(steps, OwnSteps) and steps.tracker is not None:
        found.insert(0, steps.tracker)
    if is_foreign(type(model)):
        own = [its for its in vars(model).values() if isinstance(its, Metric)]
        found += [its for its in own if not any(its is known for known in found)]
    return found


def check_gradient_of_loss(model: Any) -> None:
    """Check that a class that overrides ``compute_loss`` says what its derivative is.

    Raises:
        ConfigurationError: ``compute_loss_gradient`` belongs to another ``compute_loss``.
    """
    order = type(model).__mro__
    value, gradient = (definer(type(model), f"compute_loss{end}") for end in ("", "_gradient"))
    assert value is not None
    assert gradient is not None
    if order.index(gradient) > order.index(value):
        raise ConfigurationError(
            f"{model.owner} ({value.__name__}): a class with compute_loss() must also have "
            "compute_loss_gradient(self), which returns its derivative with respect to y_pred for "
            "the last call; super().compute_loss_gradient() is that of super().compute_loss()."
        )


class ComputedLoss:
    """The ``compute_loss`` of a model as a loss with ``forward`` and ``backward``.

    Args:
        model: the model.
        given: the loss of ``compile``, which says what targets are right; ``None`` if there is
            none.

    Attributes:
        x: the inputs of the batch.
        training: whether it is trained on.

    While it calls ``compute_loss``, the model has the attribute ``_without_penalties``: steps add
    the penalties themselves.
    """

    name = "compute_loss"

    def __init__(self, model: Any, given: Any) -> None:
        self.model, self.given = model, given
        self.x: Any = None
        self.training = False

    def forward(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return what ``compute_loss`` returns for the batch."""
        given = [read_only(its) for its in (self.x, y_true, y_pred, sample_weight)]
        self.model._without_penalties = True
        try:
            value = self.model.compute_loss(*given, training=self.training)
        finally:
            del self.model._without_penalties
        if np.iscomplexobj(value):  # in check_gradients
            return value
        return _number(f"{self.model.owner}: compute_loss()", value)

    def backward(self) -> Any:
        """Return what ``compute_loss_gradient`` returns."""
        return self.model.compute_loss_gradient()


def computed_loss(model: Any, x: Any) -> ComputedLoss | None:
    """Return the ``compute_loss`` of a model as a loss, for the inputs; ``None`` if not its own."""
    if not overridden(model, "compute_loss"):
        return None
    check_gradient_of_loss(model)
    loss = ComputedLoss(model, model.loss)
    loss.x, loss.training = x, True
    return loss


class OwnSteps(Steps):
    """Trains and tests by the methods that the class of a model overrides; the rest as usual.

    A ``train_step`` makes its update itself, so forward pass, backward pass and update are one
    call. Losses and metrics are computed on the output, not on logits.

    Args:
        model: a built model.
        optimizer: its update rule.
        loss: its loss; ``None`` if the methods do without.
        groups: the metrics, by what loss they belong to.
        fused: ``False``.

    Attributes:
        own: the names of the methods that are overridden.
        tracker: the mean loss of an epoch, for these methods; ``None`` without a loss.
        running: whether one of them is being called.
    """

    def __init__(
        self,
        model: Network,
        optimizer: Optimizer,
        loss: Any,
        groups: Sequence[MetricGroup] = (),
        fused: bool = False,
    ) -> None:
        self.own = overridden(model)
        self.updates_itself = "train_step" in self.own
        self.has_own_names = self.updates_itself or "test_step" in self.own
        self.given_loss = loss
        self.tracker = None if loss is None else Mean(name="loss")
        self.running = self._warned = False
        self._results: Logs | None = None
        if "compute_loss" in self.own:
            if "train_step" not in self.own:
                check_gradient_of_loss(model)
            loss = ComputedLoss(model, loss)
            self.tracker = Mean(name="loss")
        super().__init__(model, optimizer, loss, groups, fused)

    # Sums ------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Reset the sums, and the metrics that are attributes of the model."""
        super().reset()
        self._results = None
        for metric in (self.tracker, *self._metrics_in_attributes()):
            if metric is not None:
                metric.reset_state()

    def _metrics_in_attributes(self) -> list[Metric]:
        listed = getattr(self.model, "metrics", []) if vars(self).get("_groups") is not None else []
        known = {id(its) for its in (self.tracker, *getattr(self, "metrics", {}).values())}
        every = [*listed, *(v for v in vars(self.model).values() if isinstance(v, Metric))]
        return list({id(its): its for its in every if id(its) not in known}.values())

    def log_names(self, each_batch: bool = False) -> list[str]:
        """Return the names in the last logs, of those that are known."""
        if not self.has_own_names:
            return super().log_names(each_batch)
        return list(self._results or ())

    def logs(self, each_batch: bool = False) -> Logs:
        """Return what the last step of the model returned, or the means of ordinary steps."""
        return super().logs(each_batch) if self._results is None else dict(self._results)

    def get_state(self) -> list[Any]:
        """Return the sums, and the state of the optimizers that are attributes of the model."""
        optimizers = {name: _optimizer_state(its) for name, its in self._optimizers()}
        return [*self._sums(), {"optimizers": optimizers}]

    def set_state(self, state: list[Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        *sums, further = state
        self._set_sums(sums)
        for name, its in further["optimizers"].items():
            optimizer = vars(self.model).get(name)
            if not isinstance(optimizer, Optimizer):
                raise ValueError(f"{name!r} is no optimizer of the model")
            _set_optimizer_state(optimizer, its)

    def _optimizers(self) -> list[tuple[str, Optimizer]]:
        """Return the optimizers in attributes but one of all weights, which a file has anyway."""
        whole = self.model.parameters
        its = [(n, v) for n, v in vars(self.model).items() if isinstance(v, Optimizer)]
        return [(n, v) for n, v in its if n != "optimizer" or v._parameters not in (None, whole)]

    def _sums(self) -> list[Any]:
        own = [its.get_state() for its in self._metrics_in_attributes()]
        tracker = None if self.tracker is None else self.tracker.get_state()
        return [*super().get_state(), {"results": self._results, "loss": tracker, "metrics": own}]

    def _set_sums(self, state: list[Any]) -> None:
        *sums, own = state
        super().set_state(sums)
        self._results = own["results"]
        if self.tracker is not None:
            self.tracker.set_state(own["loss"])
        for its, kept in zip(self._metrics_in_attributes(), own["metrics"], strict=True):
            its.set_state(kept)

    @contextmanager
    def keep_sums(self) -> Iterator[None]:
        """Context manager that restores the sums on exit."""
        kept = self._sums()
        try:
            yield
        finally:
            self._set_sums(kept)

    # Steps -----------------------------------------------------------------------------------

    def compute_gradients(
        self, batch: Batch, input_gradient: bool = False, accumulate: bool = True
    ) -> float:
        """Run forward and backward, or all of ``train_step``; return the loss."""
        if not self.updates_itself:
            self._require_loss("fit", "train_step")
            return super().compute_gradients(batch, input_gradient, accumulate)
        if input_gradient or not accumulate:
            raise ConfigurationError(
                f"{self.model.owner}: train_step() of {type(self.model).__name__} makes an update, "
                "and this needs gradients without one. Use a model of the same layers without it."
            )
        self._parameters = self.model.parameters
        if self._changes and self.snapshot.needed:
            self.snapshot.take()
        try:
            self._loss = self._call(self.model.train_step, batch)
        except NonFiniteError:
            self.snapshot.restore_buffers()
            raise
        if not self._warned:
            self._warn_of_penalties()
        return self._loss

    def update(self, count: int) -> float:
        """Apply the gradients, unless ``train_step`` did."""
        return self._loss if self.updates_itself else super().update(count)

    def test(self, batch: Batch) -> float:
        """Return the loss of one batch, and add it to the sums, or call ``test_step``."""
        if "test_step" not in self.own:
            self._require_loss("evaluate", "test_step")
            self._results = None
            return super().test(batch)
        return self._call(self.model.test_step, batch)

    def ordinary(self, batch: Batch, training: bool) -> Logs:
        """Make the step that the overridden method replaces, for its ``super()`` call."""
        method = "train_step" if training else "test_step"
        self._require_loss(method, method)
        if training:
            value = super().compute_gradients(batch)
            super().update(batch.size)
        else:
            value = super().test(batch)
        assert self.tracker is not None
        self.tracker.update_state(value, batch.size)
        logs = super().logs()
        if not training:
            logs.pop("grad_norm", None)
        return logs

    def _forward(self, batch: Batch, parameters: Parameters, training: bool) -> float:
        if isinstance(self.loss, ComputedLoss):
            self.loss.x, self.loss.training = batch.inputs, training
        return super()._forward(batch, parameters, training)

    def _call(self, method: Callable[[Any], Any], batch: Batch) -> float:
        """Call a method with the data of a batch, keep its results, and return the loss."""
        x, y, weights, _ = batch
        if isinstance(y, np.ndarray) and y.shape[1:] == (0,):  # see no_targets
            y = None
        before, self.running = self.running, True
        try:
            results = method(pack_x_y_sample_weight(*map(read_only, (x, y, weights))))
        finally:
            self.running = before
        owner = f"{self.model.owner}: {method.__name__}()"
        if not isinstance(results, dict):
            raise ConfigurationError(
                f"{owner} must return a dict of results, such as {{'loss': loss}}, got "
                f"{type(results).__name__}."
            )
        self._results = {str(n): _number(f"{owner}[{n!r}]", v, True) for n, v in results.items()}
        loss = self._results.get("loss", 0.0)
        return loss if isinstance(loss, float) else 0.0

    def _require_loss(self, owner: str, method: str) -> None:
        if self.loss is None:
            raise ConfigurationError(
                f"{owner}: {self.model.owner} has no loss: pass one to compile(), or override "
                f"{method}() in {type(self.model).__name__}."
            )

    def _warn_of_penalties(self) -> None:
        """Warn in the first step if the gradients of regularizers were left out."""
        self._warned = True
        parts = [self.model, *self.model._flatten_layers()]
        known = [p._parameters for p in parts if isinstance(p, Layer) and p._parameters is not None]
        if self.model.parameters.regularized and not any(
            "penalties_added" in vars(p) for p in known
        ):
            warn(
                f"{self.model.owner}: the layers have regularizers, and train_step() leaves their "
                "gradients out; call self.parameters.add_regularization_gradients() between "
                "backward() and the step of the optimizer."
            )

    def copy_before_step(self) -> Steps:
        """Return a copy, without metrics, in the state before the last batch."""
        if self.updates_itself:
            raise ConfigurationError(
                f"train_step() of {type(self.model).__name__} cannot be taken back and run again"
            )
        return super().copy_before_step()


def _number(owner: str, value: Any, arrays: bool = False) -> Any:
    """Return a result as a float; with ``arrays``, an array of several numbers as it is."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.asarray(math.nan)
        value = repr(value)
    if isinstance(value, str) or (array.ndim and not arrays):
        got = f"an array of shape {array.shape}" if array.ndim else value
        raise ConfigurationError(f"{owner} must be a number, got {got}.")
    return np.array(value) if array.ndim else float(array)


def _optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    counters = {name: getattr(optimizer, name) for name in _COUNTERS}
    vectors = {name: np.array(vector) for name, vector in optimizer.state.items()}
    given = optimizer._learning_rate
    rate = None if isinstance(given, LearningRateSchedule) else given
    return {"learning_rate": rate, "counters": counters, "vectors": vectors}


def _set_optimizer_state(optimizer: Optimizer, state: dict[str, Any]) -> None:
    if state["learning_rate"] is not None:
        optimizer.learning_rate = state["learning_rate"]
    for name, value in state["counters"].items():
        setattr(optimizer, name, value)
    optimizer.state = {name: np.array(vector) for name, vector in state["vectors"].items()}
    optimizer._segments = None  # to be laid out anew
