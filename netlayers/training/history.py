"""What ``fit`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.training.callback import Callback

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Logs
    from netlayers.models.lbfgs import LBFGSResult


class History(Callback):
    """The logs of every whole epoch.

    Attributes:
        history: ``{"loss": [...], "accuracy": [...], "val_loss": [...], ...}``, one entry an epoch.
        epoch: numbers of the epochs.
        params: settings of the run.
        lbfgs: how a run of ``fit_lbfgs`` ended; ``None`` for one of ``fit``.
    """

    lbfgs: LBFGSResult | None = None

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._when: dict[str, list[int]] = {}  # the epochs of each name: not all are in every one

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._when.setdefault(name, []).append(epoch)

    def get_state(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"history": self.history, "epoch": self.epoch, "when": self._when}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on after these epochs."""
        self.history, self.epoch, self._when = state["history"], state["epoch"], state["when"]

    def plot(
        self,
        to_file: str | os.PathLike[str] | None = None,
        metrics: Sequence[str] | str | None = None,
        log_scale: bool = False,
    ) -> Any:
        """Draw the curves of loss, metrics and learning rate, training and validation together.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).
            metrics: the names to draw, without ``val_``; by default all that are single numbers,
                but not those of single layers (``dense/gradient_norm``).
            log_scale: logarithmic axes, where all values are above zero; the learning rate has
                one in any case.

        Returns:
            The ``matplotlib.figure.Figure``; a notebook shows it.

        Raises:
            ConfigurationError: matplotlib is not installed (``pip install "netlayers[plot]"``), or
                there is no such curve.
        """
        from netlayers.plotting.history import plot_history

        names = [metrics] if isinstance(metrics, str) else metrics
        return plot_history(self.history, self._when, names, log_scale, to_file)
