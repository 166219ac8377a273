"""What Keras's models do under names of their own, on top of what ``Model`` has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses, metrics, optimizers
from netlayers.arrays.convert import one, shapes_of
from netlayers.checks import overridden
from netlayers.data.packing import unpack_x_y_sample_weight
from netlayers.data.structure import arrays_by_name
from netlayers.errors import ConfigurationError, NotCompiledError
from netlayers.registry import resolve
from netlayers.training.inputs import batch_of
from netlayers.training.outputs import output_names, targets_by_output, unfused_loss
from netlayers.training.own_steps import check_gradient_of_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.models.trainable import TrainableModel


def compute_loss(model: TrainableModel, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Return the loss of predictions, with the penalties of the weights."""
    if model.loss is None:
        raise NotCompiledError(
            f"{model.owner}: compile(optimizer, loss) comes before compute_loss."
        )
    y, y_pred, shapes = _in_order(model, "compute_loss", y, y_pred)
    steps = model._make_steps(shapes)
    steps.on_outputs = steps.on_outputs or unfused_loss(model, shapes)
    value = steps.on_outputs.forward(y, y_pred, sample_weight)
    if hasattr(model, "_without_penalties"):  # the step adds them
        return value
    return float(value + sum(model.losses))


def compute_loss_gradient(model: TrainableModel) -> Any:
    """Return the derivative of the last :func:`compute_loss` with respect to ``y_pred``."""
    check_gradient_of_loss(model)
    loss = None if model._steps is None else model._steps.on_outputs
    if loss is None:
        raise ConfigurationError(
            f"{model.owner}: compute_loss_gradient() follows compute_loss(), of whose last call it "
            "returns the derivative."
        )
    return loss.backward()


def compute_metrics(model: TrainableModel, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Add a batch to the metrics of ``compile``; return the results of all metrics."""
    model._require_compiled()
    y, y_pred, shapes = _in_order(model, "compute_metrics", y, y_pred)
    for group in model._make_steps(shapes)._groups:
        group.update(y, y_pred, sample_weight)
    return metrics_result(model)


def metrics_result(model: TrainableModel) -> dict[str, Any]:
    """Return the results of the metrics by their names in the logs."""
    steps = model._steps
    keys = {} if steps is None else {id(its): name for name, its in steps.metrics.items()}
    return {keys.get(id(its), its.name): its.result() for its in model.metrics}


def step(model: TrainableModel, method: str, data: Any) -> dict[str, Any]:
    """Return the results of a step on a batch: what ``train_step`` and ``test_step`` do.

    A method that overrides one of them calls it by ``super()``.
    """
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    training, steps = method == "train_step", model._steps
    results: dict[str, Any]
    if not overridden(model, method):
        on_batch = model.train_on_batch if training else model.test_on_batch
        return on_batch(x, y, sample_weight, return_dict=True)
    batch = batch_of(model, method, x, y, sample_weight)
    if steps is None or not steps.running:  # type: ignore[attr-defined]
        steps = model._make_steps(shapes_of(batch.targets))
        steps.reset()
    with model._lock.whole:
        results = steps.ordinary(batch, training)  # type: ignore[attr-defined]
    return results


def _in_order(model: TrainableModel, owner: str, y: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Return targets and predictions, as tuples for several outputs, and the shapes of the former.

    Raises:
        DataError: they do not fit the outputs.
    """
    if isinstance(y_pred, dict) or model._output_count > 1:
        names = output_names(model)
        y = targets_by_output(model.loss, owner, y, names)
        y_pred = tuple(map(np.asarray, arrays_by_name(owner, "y_pred", y_pred, names, "output")))
    if isinstance(y, tuple) and isinstance(y_pred, tuple):
        return y, y_pred, shapes_of(y)
    return y, one(y_pred) if isinstance(y_pred, tuple) else y_pred, np.shape(y)


def compile_config(model: TrainableModel) -> dict[str, Any] | None:
    """Return the arguments of ``compile`` as plain data; ``None`` if it was not called."""
    if model.optimizer is None:
        return None
    return {
        "optimizer": optimizers.serialize(model.optimizer),
        "loss": losses.serialize(model.loss),
        "metrics": _each(metrics.serialize, model._metrics),
        "weighted_metrics": _each(metrics.serialize, model._weighted_metrics),
        "steps_per_execution": model.steps_per_execution,
    }


def compile_from_config(model: TrainableModel, config: dict[str, Any]) -> None:
    """Compile with what :func:`compile_config` returned."""
    if not isinstance(config, dict) or not {"optimizer", "loss"} <= config.keys():
        raise ConfigurationError(
            "compile_from_config: config must be what get_compile_config() returns, with "
            f"'optimizer' and 'loss', got {config!r:.60}."
        )
    model.compile(
        optimizer=resolve("optimizer", config["optimizer"], optimizers.Optimizer),
        loss=config["loss"] if isinstance(config["loss"], str) else losses.get(config["loss"]),
        metrics=_each(_metric, config.get("metrics")),
        weighted_metrics=_each(_metric, config.get("weighted_metrics")),
        steps_per_execution=config.get("steps_per_execution", 1),
    )


def _metric(config: Any) -> Any:
    return config if isinstance(config, str) else metrics.get(config)


def _each(function: Callable[[Any], Any], given: Any) -> Any:
    """Apply a function to every metric, in lists and dicts."""
    if isinstance(given, dict) and "class_name" not in given:
        return {name: _each(function, its) for name, its in given.items()}
    if isinstance(given, (list, tuple)):
        return [_each(function, its) for its in given]
    return None if given is None else function(given)
