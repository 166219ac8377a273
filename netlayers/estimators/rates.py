"""When training ends, and the learning rates, as in scikit-learn's multilayer perceptrons."""

from __future__ import annotations

from typing import Any

from netlayers.callbacks import Callback, LearningRateScheduler

_LOWEST_RATE = 1e-6


def inverse_scaling(first: float, power: float, samples: int) -> LearningRateScheduler:
    """Return the rate first / t^power, where t - 1 samples have been used when an epoch begins."""
    return LearningRateScheduler(lambda epoch: first / (epoch * samples + 1) ** power)


class Plateau(Callback):
    """Ends the training when the loss no longer falls, or first divides the rate by 5.

    An epoch improves the loss if it is by ``tol`` below the smallest one before, however slowly
    that one was reached; ``EarlyStopping`` compares with the last improvement.

    Args:
        tol: smallest improvement that counts.
        patience: the epochs without one that are allowed.
        adaptive: divide the rate by 5 until it is at most 1e-6, and only then end.
    """

    def __init__(self, tol: float, patience: int, adaptive: bool) -> None:
        super().__init__()
        self.tol = tol
        self.patience = patience
        self.adaptive = adaptive

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier run."""
        self.best = float("inf")
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare the loss with the smallest one."""
        loss = logs["loss"]
        self.wait = 0 if loss <= self.best - self.tol else self.wait + 1
        self.best = min(self.best, loss)
        if self.wait > self.patience:
            self.wait = 0
            optimizer = self.model.optimizer
            if self.adaptive and optimizer.learning_rate > _LOWEST_RATE:
                optimizer.learning_rate = optimizer.learning_rate / 5
            else:
                self.model.stop_training = True
