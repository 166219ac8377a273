"""The table of a model's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.models.sequential import Sequential


def print_summary(model: Sequential, line_length: int | None, write: Callable[[str], Any]) -> None:
    """Write the table, line by line."""
    rows = [("Layer (type)", "Output shape", "Parameters")]
    for layer in model.layers:
        shape = "?" if layer.output_shape is None else str(layer.output_shape)
        count = f"{layer.count_params():,}" if layer.built else "not built"
        frozen = "" if layer.trainable else ", frozen"
        rows.append((f"{layer.name} ({type(layer).__name__}{frozen})", shape, count))
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(3)]
    if line_length is not None:
        widths[0] += max(0, line_length - sum(widths))
    write(f'Model: "{model.name}"')
    for i, (name, shape, count) in enumerate(rows):
        write(f"{name:<{widths[0]}}{shape:<{widths[1]}}{count:>{widths[2]}}")
        if i == 0:
            write("-" * sum(widths))
    write("-" * sum(widths))
    if model.built:
        total, trainable = model.count_params(), sum(w.size for w in model.trainable_weights)
        size = total * model._dtype.itemsize / 1024
        write(f"{total:,} parameters ({size:,.1f} KiB), {trainable:,} of them trainable")
    else:
        write("Not built yet: the shapes follow from the first data, or from layers.Input.")
