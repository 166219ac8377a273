"""Ending a run that no longer gets better."""

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
        min_delta: a gain of no more than this does not count.
        patience: epochs without a gain until the run ends. The first epoch never ends it.
        verbose: 1 says when it stopped and what was restored.
        mode: ``"min"``, ``"max"``, or ``"auto"`` for the direction of the loss or metric.
        baseline: only values better than this start the patience again.
        restore_best_weights: at the end of training, however it ended, take the weights (and
            running statistics) of the best epoch again.
        start_from_epoch: epochs before this one, counted from 0, are not looked at.

    Attributes:
        best: best value, ``None`` if there was none.
        best_epoch: its epoch, counted from 0.
        stopped_epoch: the epoch that ended the run, 0 if it went on to its end.

    A value that is not finite is never the best, also not the first. (In Keras the first value is
    the best whatever it is, so a NaN stays it for ever, and its weights are restored.)

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

    state_names = (
        *MonitorCallback.state_names,
        "wait",
        "stopped_epoch",
        "best_epoch",
        "best_weights",
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

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and stop when the patience is at its end."""
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
        """Take the best weights again."""
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
        if self.best_weights is None:
            self.best_weights = self.model.get_weights()
        else:  # into the same memory
            for kept, weight in zip(self.best_weights, self.model.weights, strict=True):
                np.copyto(kept, weight)
