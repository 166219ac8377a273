"""A trace as plain text."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING

from netlayers._printable import printable
from netlayers.trace.math import to_text as formula_text
from netlayers.trace.numbers import cut
from netlayers.trace.steps import PHASES

if TYPE_CHECKING:
    from netlayers.trace.steps import Line, Shown, Step, TraceView

WIDTH = 100
BETWEEN = "  │  "


def to_text(trace: TraceView) -> str:
    """Return a trace as text; arrays stand beside each other, and each is shown once."""
    lines = [f"One training step of {trace.name!r}"]
    phase = ""
    # What a layer does in one direction stands together, but for its time steps.
    said: list[str] = []
    for _, together in itertools.groupby(
        trace.steps, key=lambda s: (s.phase, s.number or id(s), s.time)
    ):
        steps = list(together)
        if not steps[0].time:
            said = []
        if steps[0].phase != phase:
            phase = steps[0].phase
            lines += ["", f"──── {PHASES[phase].upper()} ".ljust(WIDTH, "─")]
        lines += _together(steps, trace, said)
    return "\n".join(printable(line.rstrip()) for line in lines)


def _together(steps: list[Step], trace: TraceView, known: list[str]) -> list[str]:
    """Return the lines of some steps; formulas that are known are left out, others added to it."""
    lines = []
    first = steps[0]
    if first.phase != "start":
        place = f"{first.number} {first.name}: " if first.number else ""
        lines += ["", place + "; ".join(step.title for step in steps)]
    if first.phase in ("start", "update") or "multiplied" in first.text:
        lines += [f"  {part}" for part in _wrapped(first.text)]
    said: list[str] = []
    every = [line for step in steps for line in step.lines]
    for line in every:
        said += [part for part in _says(line) if part not in said and part not in known]
    known += said
    shown = [item for line in every for item in line.arrays if not item.again]
    return [*lines, *(f"  {part}" for part in said), *_beside([_block(i, trace) for i in shown])]


def _says(line: Line) -> list[str]:
    said = [formula_text(line.formula)] if line.formula else []
    return [*said, *_wrapped(line.code), *_wrapped(line.note)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 4, break_long_words=False, break_on_hyphens=False)


def _block(shown: Shown, trace: TraceView) -> list[str]:
    """Return the lines of an array: symbol and shape, numbers, and what is known of the rest."""
    seen = cut(shown.value, trace.rows, trace.columns, trace.digits)
    symbol = formula_text(shown.symbol)
    if shown.value.ndim == 0:
        return [f"{symbol} = {seen.rows[0][0]}"]
    shape = " × ".join(map(str, shown.value.shape))
    widths = [max(len(row[j]) for row in seen.rows) for j in range(len(seen.rows[0]))]
    lines = [f"{symbol}  ({shape})"]
    lines += [" ".join(t.rjust(w) for t, w in zip(r, widths, strict=True)) for r in seen.rows]
    if seen.facts:
        lines.append("  ".join(f"{name} {value}" for name, value in seen.facts.items()))
    return lines


def _beside(blocks: list[list[str]]) -> list[str]:
    """Put blocks beside each other, as many as the width holds."""
    lines: list[str] = []
    row: list[list[str]] = []
    used = 0
    for block in [*blocks, None]:
        width = 0 if block is None else max(map(len, block))
        if row and (block is None or used + width > WIDTH - 4):
            lines += _joined(row)
            row, used = [], 0
        if block is not None:
            row.append(block)
            used += width + len(BETWEEN)
    return lines


def _joined(row: list[list[str]]) -> list[str]:
    height = max(map(len, row))
    widths = [max(map(len, block)) for block in row]
    return [
        "    "
        + BETWEEN.join(
            (block[i] if i < len(block) else "").ljust(w)
            for block, w in zip(row, widths, strict=True)
        )
        for i in range(height)
    ]
