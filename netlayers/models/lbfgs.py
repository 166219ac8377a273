"""L-BFGS: the whole data set in one batch, and a line search instead of a learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import scipy
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.training import trainer
from netlayers.training.callback import LBFGSResult

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.data.batch import Data
    from netlayers.training.callback import Events
    from netlayers.training.step import Steps


def train(
    steps: Steps,
    data: Data,
    events: Events,
    options: dict[str, Any],
    validation: Data | None = None,
) -> LBFGSResult:
    """Minimize the loss of all data with ``scipy.optimize.minimize(method="L-BFGS-B")``.

    An iteration is an epoch to callbacks. However this ends, the weights are those of the last
    iteration that was accepted, and ``on_train_end`` is called.

    Args:
        steps: model, loss and metrics; its optimizer is not used.
        data: has a single batch.
        events: the callbacks.
        options: of SciPy's method, such as ``maxiter``.
        validation: tested after each iteration.

    Source:
        D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
        Mathematical Programming 45 (1989), algorithm 2.1.
    """
    minimize = scipy("fit_lbfgs", "optimize").minimize
    model, parameters = steps.model, steps.model.parameters
    (batch,) = data.batches()
    segments = parameters.segments

    def gather(vector: Array) -> Array:
        return np.concatenate([vector[s] for s in segments], dtype=np.float64)

    def scatter(w: Array) -> None:
        start = 0
        for s in segments:
            parameters.values[s] = w[start : (start := start + s.stop - s.start)]

    evaluations = 0

    def loss_and_gradient(w: Array) -> tuple[float, Array]:
        nonlocal evaluations
        evaluations += 1
        scatter(w)
        steps.reset()
        loss = steps.compute_gradients(batch, accumulate=False)
        gradient = gather(parameters.dense_gradients())
        if evaluations == 1 and not (math.isfinite(loss) and np.isfinite(gradient).all()):
            raise NonFiniteError(
                f"fit_lbfgs: the loss of the first weights is {loss}, or a gradient is not finite. "
                "Try another initializer or scaled inputs; no weight was changed."
            )
        return loss, gradient

    accepted = gather(parameters.values)
    iteration = 0

    def on_iteration(intermediate_result: Any) -> None:
        nonlocal accepted, iteration, validation
        accepted = intermediate_result.x.copy()
        if not np.array_equal(gather(parameters.values), accepted.astype(parameters.dtype)):
            loss_and_gradient(accepted)  # the line search went back to an earlier point
        logs = steps.logs()
        logs["grad_norm"] = float(np.linalg.norm(gather(parameters.dense_gradients())))
        if validation is not None:
            results = trainer.validate(steps, validation, events)
            if not results:
                validation = None
            logs |= results
        events.fire("on_epoch_end", iteration, logs)
        iteration += 1
        if model.stop_training:
            raise StopIteration
        if iteration < options["maxiter"]:
            events.epoch = iteration
            events.fire("on_epoch_begin", iteration, {})

    try:
        events.fire("on_train_begin", {})
        events.epoch = 0
        events.fire("on_epoch_begin", 0, {})
        settings: dict[str, Any] = {"callback": on_iteration, "options": options}
        result = minimize(loss_and_gradient, accepted, method="L-BFGS-B", jac=True, **settings)
    finally:
        scatter(accepted)
        events.fire_all("on_train_end", {})
    message = str(result.message)
    if message.startswith("ABNORMAL"):
        message = (
            "the line search found no lower loss: the numbers have no more digits "
            f"({parameters.dtype}), or a gradient is wrong"
        )
    return LBFGSResult(bool(result.status == 0), message, iteration, evaluations)


def check_deterministic(model: Any) -> None:
    """Check that the same weights always give the same loss, and that they may take any value.

    Raises:
        ConfigurationError: a layer draws random numbers or keeps moving averages, a weight has a
            constraint, or all layers are frozen.
    """
    for layer in model._flatten_layers():
        reason = None
        if layer.random and getattr(layer, "rate", True):
            reason = "draws random numbers, and a line search needs the same loss for the same "
            reason += "weights"
        elif (
            not layer.same_in_training
            and layer.trainable
            and any(p.statistic for p in layer.declared_parameters)
        ):
            reason = "keeps moving averages, which a few iterations do not bring up to date"
        if reason:
            raise ConfigurationError(
                f"fit_lbfgs: {layer.owner} ({type(layer).__name__}) {reason}. Leave the layer out, "
                "or train with fit() and another optimizer."
            )
    if not model.parameters.segments:
        raise ConfigurationError("fit_lbfgs: there is nothing to learn: all layers are frozen.")
    for p in model.parameters.constrained:
        raise ConfigurationError(
            f"fit_lbfgs: the weight {p.path!r} has the constraint {p.constraint!r}, which "
            "L-BFGS can not keep. Leave it out, or train with fit() and another optimizer."
        )
