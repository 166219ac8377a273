"""Early stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.callbacks.monitor import MonitorCallback
from netlayers.callbacks.reporting import say
from netlayers.checks import check_choice, check_flag, check_integer, check_number

if TYPE_CHECKING:
    from netlayers._typing import Array, Logs


class EarlyStopping(MonitorCallback):
    """Stops when the monitored number has not improved for ``patience`` epochs.

    Args:
        monitor: name in the logs.
        min_delta: smallest improvement that counts.
        patience: number of epochs without improvement after which training stops. The first epoch
            never stops it.
        verbose: 1 prints when training stopped and which weights were restored.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        baseline: only values better than this reset the patience.
        restore_best_weights: restore the weights (and running statistics) of the best epoch at the
            end of training, however it ended; see below.
        start_from_epoch: epochs before this one, counted from 0, are ignored.

    Attributes:
        best: best value, ``None`` if there was none.
        best_epoch: its epoch, counted from 0.
        stopped_epoch: the epoch that stopped training, 0 if none did.

    Raises:
        ConfigurationError: in ``fit``, before training: no result has the name ``monitor``, or
            ``mode`` must be given.

    A value that is not finite is never the best, not even the first. (In Keras the first value is
    the best whatever it is; a NaN would then stay the best value forever.)

    A result of the training, such as ``"loss"``, is a mean over the batches of the epoch, each
    computed before its update. In an epoch of one batch the value belongs exactly to the weights
    before the update, and these are restored. In an epoch of several batches it belongs to no
    single set of weights: those after the epoch are restored, as in Keras, and their loss may be
    far from ``best`` where training diverges. Results of the validation, such as ``"val_loss"``,
    are computed with the weights after the epoch and have no such gap.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.0), "mse")  # learns nothing
        >>> stop = nl.callbacks.EarlyStopping(monitor="loss", patience=3)
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, 2 * x, epochs=100, callbacks=[stop], verbose=0)
        >>> len(history.epoch)
        4
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        owner = "EarlyStopping"
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer(owner, "patience", patience, minimum=0)
        self.verbose = check_choice(owner, "verbose", verbose, (0, 1, 2))
        self.baseline = None if baseline is None else check_number(owner, "baseline", baseline)
        self.restore_best_weights = check_flag(owner, "restore_best_weights", restore_best_weights)
        self.start_from_epoch = check_integer(
            owner, "start_from_epoch", start_from_epoch, minimum=0
        )
        if self.restore_best_weights and not monitor.startswith("val_"):
            # As an attribute, so that other runs pay nothing for a hook in each batch.
            setattr(self, "on_train_batch_begin", self._before_batch)  # noqa: B010

    state_names = (
        *MonitorCallback.state_names,
        "wait",
        "stopped_epoch",
        "best_epoch",
        "best_weights",
        "_before",
    )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {"patience": 1, "min_delta": 0.05, "verbose": 1, "restore_best_weights": True},
            {"monitor": "loss", "mode": "max", "patience": 2, "start_from_epoch": 1},
            {"monitor": "loss", "mode": "max", "patience": 2, "baseline": 100.0},
        ]

    def _start(self) -> None:
        super()._start()
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Array] | None = None
        self._before: list[Array] | None = None  # weights before the only update of the epoch
        self._spare: list[Array] | None = None  # memory for the next ones

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_state` returned."""
        state = {"_before": None, **state}  # earlier versions did not have it
        for name in ("best_weights", "_before"):
            kept = state[name]
            own = [(weight.shape, weight.dtype) for weight in self.model.weights]
            if kept is not None and [(np.shape(w), getattr(w, "dtype", 0)) for w in kept] != own:
                raise ValueError(f"EarlyStopping: {name} are not weights of this model")
        super().set_state(state)

    def _before_batch(self, batch: int, logs: Logs | None = None) -> None:
        """Keep the weights before the first update of an epoch that may have a single one."""
        if batch == 0 and self.params["steps"] in (1, None) and self._is_of_training():
            self._before = self._copy_weights(self._before or self._spare)
            self._spare = None
        elif batch == 1:
            self._before, self._spare = None, self._before

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and stop training when the patience is used up."""
        current = self.value(epoch, logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self._keep_weights()
            if self.is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        self._before = self._spare = None
        if self.stopped_epoch and self.verbose:
            say(
                f"Epoch {self.stopped_epoch + 1}: {self.monitor} has not improved for {self.wait} "
                "epochs, training stopped"
            )
        if self.best_weights is not None:
            if self.verbose:
                say(f"The weights are those of the best epoch, {self.best_epoch + 1}, again")
            self.model.set_weights(self.best_weights)
            self.best_weights = None  # the model has them now

    def _keep_weights(self) -> None:
        if self._before is None:
            self.best_weights = self._copy_weights(self.best_weights)
        else:
            self.best_weights, self._before, self._spare = self._before, None, self.best_weights

    def _copy_weights(self, into: list[Array] | None) -> list[Array]:
        """Return a copy of the weights, in the memory of an earlier one if there is one."""
        if into is None:
            copied: list[Array] = self.model.get_weights()
            return copied
        for kept, weight in zip(into, self.model.weights, strict=True):
            np.copyto(kept, weight)
        return into
