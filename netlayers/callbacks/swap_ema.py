"""Averaged weights for validations and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Array, Logs
    from netlayers.training.callback import RunPlan


class SwapEMAWeights(Callback):
    """Evaluates the model with the averages of its weights, of an optimizer with ``use_ema=True``.

    The averages replace the weights during each evaluation and ``predict`` that has the callback,
    such as the validations of ``fit``. Then the weights return, and the training goes on from them.
    Before the first update there are no averages, and nothing is replaced.

    Args:
        swap_on_epoch: replace the weights also from the end of each epoch to the start of the next
            one: callbacks that stand behind this one, such as :class:`ModelCheckpoint`, then save
            the averages.

    Raises:
        ConfigurationError: the optimizer has no ``use_ema=True``; or, before training, the run is
            one of ``fit_lbfgs``.

    Backups of :class:`BackupAndRestore` continue the run to the same bits. After an error, the
    model has the weights of the last update; at the regular end, the averages, as always with
    ``use_ema``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
        >>> x = np.ones((8, 1))
        >>> swap = nl.callbacks.SwapEMAWeights()
        >>> logs = model.fit(x, 2 * x, epochs=3, validation_data=(x, 2 * x), callbacks=[swap],
        ...                  verbose=0).history
        >>> logs["val_loss"][-1] == model.evaluate(x, 2 * x, verbose=0)
        True
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = check_flag("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)
        self._weights: Array | None = None  # those of the training, while the model has the others

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"swap_on_epoch": True}]

    def check_run(self, plan: RunPlan) -> None:
        """Check that the optimizer averages the weights."""
        plan.refuse_lbfgs("SwapEMAWeights", "which has no averages")
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        if not self.model.optimizer.use_ema:
            raise ConfigurationError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer; "
                f"{type(self.model.optimizer).__name__} has use_ema=False. Pass use_ema=True to it."
            )

    def _swap(self) -> None:
        """Replace the weights by the averages, unless they are replaced already."""
        self._check_optimizer()
        model = self.model
        if self._weights is None and "average" in model.optimizer.state:
            with model._lock.whole:
                self._weights = model.parameters.values.copy()
                model.optimizer.finalize_variable_values(model.parameters)

    def _swap_back(self) -> None:
        """Return to the weights of the training."""
        weights, self._weights = self._weights, None
        if weights is not None:
            parameters = self.model.parameters
            with self.model._lock.whole:
                for place in parameters.segments:
                    parameters.values[place] = weights[place]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start with the weights of the training."""
        self._weights = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Return to the weights of the training."""
        self._swap_back()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Replace the weights, with ``swap_on_epoch``."""
        if self.swap_on_epoch:
            self._swap()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Return to the weights of the training after an error."""
        if self.params.get("completed"):  # the averages stay
            self._weights = None
        self._swap_back()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Replace the weights."""
        self._swap()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Return to the weights of the training."""
        self._swap_back()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Replace the weights."""
        self._swap()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Return to the weights of the training."""
        self._swap_back()

    def get_state(self) -> dict[str, Any]:
        """Return the weights of the training, if the model has the averages."""
        return {"weights": None if self._weights is None else self._weights.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        weights, values = state["weights"], self.model.parameters.values
        if weights is not None and (
            np.shape(weights) != values.shape or weights.dtype != values.dtype
        ):
            raise ValueError("SwapEMAWeights: not the weights of this model")
        self._weights = None if weights is None else np.array(weights)
