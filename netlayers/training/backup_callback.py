"""What a run asks of the callback that writes its backups."""

from __future__ import annotations

from typing import Any

from netlayers.training.callback import Callback


class BackupCallback(Callback):
    """Base class of a callback that writes backups; its hooks run after those of all others.

    ``run`` is the :class:`netlayers.training.trainer.Run`.
    """

    part_of_run = False

    def find(self, run: Any) -> bool:
        """Look for a backup of an earlier process; if there is one, move ``run`` there."""
        raise NotImplementedError

    def begun(self, run: Any) -> None:
        """After ``on_train_begin`` of a new run."""

    def restore(self, run: Any) -> None:
        """Restore the run from the backup."""
        raise NotImplementedError

    def after_batch(self, run: Any) -> None:
        """After a batch and the hooks of all callbacks."""

    def after_epoch(self, run: Any) -> None:
        """After an epoch and the hooks of all callbacks."""

    def interrupted(self, run: Any) -> None:
        """After a signal that ends the run, between two steps."""

    def finished(self, run: Any) -> None:
        """After a run that was not interrupted."""

    def close(self, run: Any) -> None:
        """After a run, however it ended."""
