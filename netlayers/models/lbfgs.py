"""L-BFGS: the whole data set in one batch, and a line search instead of a learning rate."""

from __future__ import annotations

import contextlib
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


_FLAT = "no entry of the gradient is above gradient_tolerance"


class _Reached(Exception):
    """The weights at the start are as good as they have to be."""


def train(
    steps: Steps,
    data: Data,
    events: Events,
    options: dict[str, Any],
    validation: Data | None = None,
    *,
    gradient_tolerance: float,
    loss_tolerance: float,
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
        gradient_tolerance: see :meth:`netlayers.models.Model.fit_lbfgs`.
        loss_tolerance: see there. SciPy's own tolerances are absolute below a loss of 1, and find
            targets in small units fitted before anything is learned.

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
    reached: str | None = None  # the tolerance that ends the run
    last = math.nan  # loss of the accepted weights

    def is_flat(loss: float, gradient: Array) -> bool:
        return bool(np.abs(gradient).max() <= gradient_tolerance * min(1.0, math.sqrt(abs(loss))))

    def loss_and_gradient(w: Array) -> tuple[float, Array]:
        nonlocal evaluations, reached, last
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
        if evaluations == 1:
            last = loss
            if is_flat(loss, gradient):
                reached = _FLAT
                raise _Reached
        return loss, gradient

    accepted = gather(parameters.values)
    iteration = 0

    def on_iteration(intermediate_result: Any) -> None:
        nonlocal accepted, iteration, validation, reached, last
        accepted = intermediate_result.x.copy()
        if not np.array_equal(gather(parameters.values), accepted.astype(parameters.dtype)):
            loss_and_gradient(accepted)  # the line search went back to an earlier point
        before, last = last, float(intermediate_result.fun)
        gradient = gather(parameters.dense_gradients())
        if is_flat(last, gradient):
            reached = _FLAT
        elif before - last <= loss_tolerance * max(abs(before), abs(last)):
            reached = "an iteration lowered the loss by no more than its share loss_tolerance"
        logs = steps.logs()
        logs["grad_norm"] = float(np.linalg.norm(gradient))
        if validation is not None:
            results = trainer.validate(steps, validation, events)
            if not results:
                validation = None
            logs |= results
        events.fire("on_epoch_end", iteration, logs)
        iteration += 1
        if model.stop_training or reached:
            raise StopIteration
        if iteration < options["maxiter"]:
            events.epoch = iteration
            events.fire("on_epoch_begin", iteration, {})

    def only_rounding() -> bool:
        """Whether the last digits of the weights decide on the loss."""
        eps = float(np.finfo(parameters.dtype).eps)
        moved = accepted * (1 + eps * (-1.0) ** np.arange(accepted.size))
        return abs(loss_and_gradient(moved)[0] - last) > 1e-3 * abs(last)

    try:
        events.fire("on_train_begin", {})
        events.epoch = 0
        events.fire("on_epoch_begin", 0, {})
        settings: dict[str, Any] = {"callback": on_iteration, "options": options}
        with contextlib.suppress(_Reached):
            result = minimize(loss_and_gradient, accepted, method="L-BFGS-B", jac=True, **settings)
            message = str(result.message)
            if reached is None and message.startswith("ABNORMAL") and only_rounding():
                reached = f"what is left of the loss is rounding ({parameters.dtype})"
    finally:
        scatter(accepted)
        events.fire_all("on_train_end", {})
    if reached:
        message = reached
    elif message.startswith("ABNORMAL"):
        message = (
            "the line search found no lower loss: the numbers have no more digits "
            f"({parameters.dtype}), or a gradient is wrong"
        )
    return LBFGSResult(reached is not None, message, iteration, evaluations)


def check_deterministic(model: Any) -> None:
    """Check that the same weights always give the same loss, and that they may take any value.

    Raises:
        ConfigurationError: a layer draws random numbers or keeps moving averages, a weight has a
            constraint, or all layers are frozen.
    """
    for layer in model.walk():
        reason = None
        if layer.random and getattr(layer, "rate", 1):
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
