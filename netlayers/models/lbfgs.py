"""L-BFGS: the whole data set in one batch, and a line search instead of a learning rate."""

from __future__ import annotations

import contextlib
import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import scipy
from netlayers.callbacks import BackupAndRestore, History, ProgressBar
from netlayers.checks import check_integer, check_number, check_verbose, named_in_errors
from netlayers.data.arrays import ArrayData
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.training import trainer
from netlayers.training.batching import BatchSettings, evaluation_data, validation_parts
from netlayers.training.callback import CallbackList, RunPlan
from netlayers.training.given_callbacks import as_callbacks
from netlayers.training.inputs import rollback_on_error
from netlayers.training.lbfgs_result import LBFGSResult
from netlayers.training.lock import one_at_a_time
from netlayers.training.samples import columns_in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike
    from netlayers.data.batch import Data
    from netlayers.models.trainable import TrainableModel
    from netlayers.training.step import Steps


_LONGEST_HISTORY = 10_000  # each takes two vectors as long as the weights
_FLAT = "no entry of the gradient exceeds gradient_tolerance"


class _Reached(Exception):
    """The initial weights already satisfy the tolerance."""


@one_at_a_time
def fit_lbfgs(
    model: TrainableModel,
    x: Any,
    y: ArrayLike | None = None,
    max_iterations: int = 100,
    *,
    gradient_tolerance: float = 1e-5,
    loss_tolerance: float = 1e-9,
    history_size: int = 10,
    max_line_search: int = 20,
    sample_weight: ArrayLike | None = None,
    validation_data: Any = None,
    callbacks: Sequence[Any] | Any | None = None,
    verbose: int | str | bool = "auto",
) -> History:
    """Train with L-BFGS: all data in one batch, a line search instead of a learning rate.

    For small data sets and smooth networks (tanh rather than ReLU). With ``dtype="float64"`` the
    line search continues beyond the precision of float32. The loss and metrics of ``compile`` are
    used, its optimizer is not. Iterations count as epochs.

    Args:
        model: a compiled model.
        x: inputs, (n, ...), as for ``fit``; data that come in batches are read into memory.
        y: targets, n rows.
        max_iterations: maximum number of iterations.
        gradient_tolerance: stop when no entry of the gradient is larger than this, times √loss if
            the loss is below 1: targets in small units have small gradients.
        loss_tolerance: stop when an iteration reduces the loss by at most this fraction.
        history_size: number of steps that approximate the curvature.
        max_line_search: maximum number of evaluations in a line search.
        sample_weight: weight of each sample.
        validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to test after each iteration.
        callbacks: see ``fit``.
        verbose: see ``fit``.

    Returns:
        The History, with ``grad_norm`` among its entries. Its attribute ``lbfgs`` says how the
        run ended: ``converged``, ``message``, ``iterations``, ``evaluations``.

    Raises:
        ConfigurationError: a layer draws random numbers or keeps moving averages, a weight has
            a constraint, a callback is BackupAndRestore; and what ``fit`` raises. The model is then
            unchanged.
        NonFiniteError: the loss of the weights at the start is not finite.

    Source:
        D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
        Mathematical Programming 45 (1989); computed by ``scipy.optimize.minimize``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> layers = [nl.layers.Dense(10, "tanh"), nl.layers.Dense(1)]
        >>> model = nl.Sequential(layers, seed=0, dtype="float64")
        >>> model.compile(loss="mse")
        >>> history = model.fit_lbfgs(x, np.sin(3 * x), verbose=0)
        >>> history.history["loss"][-1] < 1e-3
        True
    """
    owner = "fit_lbfgs"
    model._require_compiled()
    count = check_integer(owner, "max_iterations", max_iterations, minimum=1)
    searches = check_integer(
        owner, "max_line_search", max_line_search, minimum=1, maximum=2**31 - 1
    )
    options = {
        "maxiter": count,
        "maxfun": count * (1 + searches),
        "gtol": 0.0,
        "ftol": 0.0,
        "maxcor": check_integer(
            owner, "history_size", history_size, minimum=1, maximum=_LONGEST_HISTORY
        ),
        "maxls": searches,
    }
    tolerances = {
        name: check_number(owner, name, value, minimum=0)
        for name, value in (
            ("gradient_tolerance", gradient_tolerance),
            ("loss_tolerance", loss_tolerance),
        )
    }
    verbose = check_verbose(owner, verbose)
    chosen = as_callbacks(callbacks)
    if any(isinstance(callback, BackupAndRestore) for callback in chosen):
        raise ConfigurationError(
            f"{owner}: BackupAndRestore is for fit(): SciPy's line search cannot go on in "
            "another process. Use ModelCheckpoint to keep the weights of each iteration."
        )
    history = History()
    if verbose:
        chosen.append(ProgressBar(bar=False))
    validation = None
    with ExitStack() as opened:
        with rollback_on_error(model):
            columns, _ = columns_in_memory(model, owner, x, y, sample_weight)
            if validation_data is not None:
                parts = validation_parts(validation_data, owner)
                reading = BatchSettings(None, None, 0, "batch_size")
                with named_in_errors("validation_data") as name:
                    validation = evaluation_data(model, name, parts, reading)
                opened.callback(validation.close)
            check_deterministic(model)
            steps = model._steps
            assert steps is not None  # checking the data made it
            params = {"epochs": count, "steps": 1, "verbose": verbose}
            if validation is not None:
                params["validation_freq"] = 1
            hooks = CallbackList([*chosen, history], model, params)
            hooks.check(RunPlan.of(owner, range(count), steps, validation is not None))
        model.stop_training = False
        model.history = history
        data = ArrayData(columns, columns[0].rows)  # type: ignore[union-attr]
        history.lbfgs = minimize_loss(steps, data, hooks, options, validation, **tolerances)
    return history


def minimize_loss(
    steps: Steps,
    data: Data,
    hooks: CallbackList,
    options: dict[str, Any],
    validation: Data | None = None,
    *,
    gradient_tolerance: float,
    loss_tolerance: float,
) -> LBFGSResult:
    """Minimize the loss of all data with ``scipy.optimize.minimize(method="L-BFGS-B")``.

    Callbacks see an iteration as an epoch. However the run ends, the weights are those of the last
    accepted iteration, and ``on_train_end`` is called.

    Args:
        steps: model, loss and metrics; its optimizer is not used.
        data: data with a single batch.
        hooks: the callbacks.
        options: of SciPy's method, such as ``maxiter``.
        validation: tested after each iteration.
        gradient_tolerance: see :meth:`netlayers.models.Model.fit_lbfgs`.
        loss_tolerance: see there. SciPy's own tolerances are absolute below a loss of 1, and would
            stop at once for targets in small units.

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
            results = trainer.validate(steps, validation, hooks)
            if not results:
                validation = None
            logs |= results
        hooks.fire("on_epoch_end", iteration, logs)
        iteration += 1
        if model.stop_training or reached:
            raise StopIteration
        if iteration < options["maxiter"]:
            hooks.epoch = iteration
            hooks.fire("on_epoch_begin", iteration, {})

    def only_rounding() -> bool:
        """Whether changes of the loss are within the rounding errors of the weights."""
        eps = float(np.finfo(parameters.dtype).eps)
        moved = accepted * (1 + eps * (-1.0) ** np.arange(accepted.size))
        return abs(loss_and_gradient(moved)[0] - last) > 1e-3 * abs(last)

    try:
        hooks.fire("on_train_begin", {})
        hooks.epoch = 0
        hooks.fire("on_epoch_begin", 0, {})
        settings: dict[str, Any] = {"callback": on_iteration, "options": options}
        with contextlib.suppress(_Reached):
            result = minimize(loss_and_gradient, accepted, method="L-BFGS-B", jac=True, **settings)
            message = str(result.message)
            if reached is None and message.startswith("ABNORMAL") and only_rounding():
                reached = f"what is left of the loss is rounding ({parameters.dtype})"
    finally:
        scatter(accepted)
        hooks.fire_all("on_train_end", {})
    if reached:
        message = reached
    elif message.startswith("ABNORMAL"):
        message = (
            "the line search found no lower loss: the numbers have no more digits "
            f"({parameters.dtype}), or a gradient is wrong"
        )
    return LBFGSResult(reached is not None, message, iteration, evaluations)


def check_deterministic(model: TrainableModel) -> None:
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
            "L-BFGS cannot keep. Leave it out, or train with fit() and another optimizer."
        )
