"""Curves of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._printable import printable
from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import (
    COLOURS,
    DASHES,
    MARKERS,
    REFERENCE,
    matplotlib,
    new_plots,
    plain_ticks,
    save,
    set_title,
    shared_legend,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

ON_LOG_SCALE = ("learning_rate",)


def plot_history(
    history: Mapping[str, Sequence[Any]],
    epochs: Mapping[str, Sequence[int]],
    metrics: Sequence[str] | None,
    log_scale: bool,
    to_file: str | os.PathLike[str] | None,
) -> Any:
    """Plot the curves of a history over epochs; see ``History.plot``."""
    check_flag("plot", "log_scale", log_scale)
    curves = _curves(history)
    names = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    if metrics is None:
        names = [name for name in names if "/" not in name]  # excludes values of single layers
    else:
        chosen = [metrics] if isinstance(metrics, str) else list(metrics)
        for name in chosen:
            if name not in names:
                raise ConfigurationError(
                    f"History.plot: there is no curve {name!r}; use one of {', '.join(names)}."
                )
        names = chosen
    # The loss first, the learning rate last.
    names.sort(key=lambda name: (name != "loss", name in ON_LOG_SCALE))
    if not names:
        raise ConfigurationError("History.plot: there is nothing to plot; no epoch is complete.")
    figure, plots = new_plots(len(names))
    best = best_epoch(curves, epochs)
    entries: dict[str, Any] = {}
    for name, axes in zip(names, plots, strict=True):
        for k, prefix in enumerate(("", "val_")):
            values = curves.get(prefix + name)
            if values is not None:
                _draw(axes, epochs[prefix + name], values, k)
        set_title(axes, printable(name.replace("_", " ")))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(integer=True))
        if log_scale or name in ON_LOG_SCALE:
            _log_axis(axes)
        if best is not None and len(curves[best[0]]) > 1:
            label = f"epoch {best[1] + 1}, the lowest {best[0]}"
            axes.axvline(best[1] + 1, color=REFERENCE, linestyle=":", linewidth=1.2, label=label)
        entries |= {line.get_label(): line for line in axes.lines}
    if len(entries) > 1:
        shared_legend(figure, entries)
    return save(figure, to_file)


def best_epoch(
    history: Mapping[str, Sequence[Any]], epochs: Mapping[str, Sequence[int]]
) -> tuple[str, int, float] | None:
    """Return the epoch with the lowest validation loss, without validation the lowest loss.

    Args:
        history: single numbers by name.
        epochs: the epochs of each name, from 0.

    Returns:
        The name of the loss, the epoch and the loss; ``None`` if all are NaN.
    """
    name = "val_loss" if "val_loss" in history else "loss"
    values = np.asarray(history.get(name, []), np.float64)
    if np.isnan(values).all():
        return None
    best = int(np.nanargmin(values))
    return name, epochs[name][best], float(values[best])


def _draw(axes: Any, epochs: Sequence[int], values: Any, kind: int) -> None:
    numbers = [epoch + 1 for epoch in epochs]  # as in the progress bar
    axes.plot(
        numbers,
        values,
        color=COLOURS[kind],
        linestyle=DASHES[kind],
        marker=MARKERS[kind] if len(values) <= 30 else "",
        markersize=3.5,
        label=("train", "validation")[kind],
    )


def _log_axis(axes: Any) -> None:
    """Use a logarithmic axis unless a value is not positive or all are equal."""
    shown = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    shown = shown[np.isfinite(shown)]
    if not shown.size or shown.min() <= 0 or shown.min() == shown.max():
        return
    axes.set_yscale("log")
    if shown.max() < 100 * shown.min():  # 0.2 and 0.5 rather than powers of ten
        plain_ticks(axes.yaxis)


def _curves(history: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the entries with scalar values, as arrays."""
    curves = {}
    for name, values in history.items():
        array = np.asarray(values) if all(np.ndim(v) == 0 for v in values) else None
        if array is not None and array.dtype.kind in "biuf" and array.size:
            curves[name] = array.astype(np.float64)
    return curves
