"""What ``fit`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.training.events import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs


class History(Callback):
    """The logs of every whole epoch.

    Attributes:
        history: ``{"loss": [...], "accuracy": [...], "val_loss": [...], ...}``, one entry an epoch.
        epoch: numbers of the epochs.
        params: settings of the run.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
