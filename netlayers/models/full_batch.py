"""Training on all data at once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from netlayers.callbacks import BackupAndRestore, History, ProgressBar
from netlayers.checks import check_integer, check_number, check_verbose
from netlayers.data.arrays import ArrayData
from netlayers.errors import ConfigurationError
from netlayers.models import lbfgs
from netlayers.training.batching import Reading, evaluation_data, validation_parts
from netlayers.training.callback import Events, callback_list
from netlayers.training.inputs import undone_on_error
from netlayers.training.lock import one_at_a_time
from netlayers.training.samples import columns_in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import ArrayLike


class FullBatch:
    """What trains a model with L-BFGS: for the class ``Model``."""

    @one_at_a_time
    def fit_lbfgs(
        self,
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

        For small data sets and smooth networks (tanh rather than ReLU). ``dtype="float64"`` lets
        the line search go on where float32 has no more digits. The optimizer of :meth:`compile` is
        not used; its loss and metrics are. Iterations count as epochs.

        Args:
            x: inputs, (n, ...), as for :meth:`fit`; data that come in batches are read into memory.
            y: targets, n rows.
            max_iterations: the most iterations.
            gradient_tolerance: done when no entry of the gradient is larger.
            loss_tolerance: done when an iteration lowers the loss by less than this share of it.
            history_size: steps that the approximation of the curvature is made of.
            max_line_search: the most evaluations of the loss in a line search.
            sample_weight: weight of each sample.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to test after each iteration.
            callbacks: see :meth:`fit`.
            verbose: see :meth:`fit`.

        Returns:
            The History, with ``grad_norm`` among its entries. Its attribute ``lbfgs`` says how the
            run ended: ``converged``, ``message``, ``iterations``, ``evaluations``.

        Raises:
            ConfigurationError: a layer draws random numbers or keeps moving averages, a weight has
                a constraint, a callback is BackupAndRestore; and what :meth:`fit` raises. Nothing
                has changed then.
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
        model: Any = self
        owner = "fit_lbfgs"
        model._require_compiled()
        count = check_integer(owner, "max_iterations", max_iterations, minimum=1)
        searches = check_integer(owner, "max_line_search", max_line_search, minimum=1)
        options = {
            "maxiter": count,
            "maxfun": count * (1 + searches),
            "gtol": check_number(owner, "gradient_tolerance", gradient_tolerance, minimum=0),
            "ftol": check_number(owner, "loss_tolerance", loss_tolerance, minimum=0),
            "maxcor": check_integer(owner, "history_size", history_size, minimum=1),
            "maxls": searches,
        }
        verbose = check_verbose(owner, verbose)
        chosen = callback_list(callbacks)
        if any(isinstance(callback, BackupAndRestore) for callback in chosen):
            raise ConfigurationError(
                f"{owner}: BackupAndRestore is for fit(): SciPy's line search can not go on in "
                "another process. Use ModelCheckpoint to keep the weights of each iteration."
            )
        validation = None
        with ExitStack() as opened:
            with undone_on_error(model):
                columns, _ = columns_in_memory(model, owner, x, y, sample_weight)
                if validation_data is not None:
                    parts = validation_parts(validation_data)
                    reading = Reading(None, None, 0, "batch_size")
                    validation = evaluation_data(model, "validation_data", parts, reading)
                    opened.callback(validation.close)
                lbfgs.check_deterministic(model)
            rows = columns[0].rows  # type: ignore[union-attr]
            model.stop_training = False
            history = model.history = History()
            if verbose:
                chosen.append(ProgressBar(bar=False))
            params = {"epochs": count, "steps": 1, "verbose": verbose}
            events = Events([*chosen, history], model, params)
            data = ArrayData(columns, rows)
            history.lbfgs = lbfgs.train(model._steps, data, events, options, validation)
        return history
