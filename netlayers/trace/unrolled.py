"""The picture of a recurrent layer, unrolled in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.trace.drawing import Times, group, text
from netlayers.trace.math import to_text
from netlayers.trace.numbers import DOTS, number_format
from netlayers.trace.recurrence_story import shown_steps

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace

WIDTH, HEIGHT, BETWEEN, MARGIN = 50, 44, 16, 10  # of the box of a step
ABOVE, BELOW = 50, 22  # room for the name and x, and for the gradient


def unrolled_size(r: LayerTrace) -> tuple[float, float]:
    """Return width and height of the picture."""
    count = len(shown_steps(r)) + _is_cut(r)
    return 2 * MARGIN + count * (WIDTH + BETWEEN) - BETWEEN, ABOVE + HEIGHT + BELOW


def unrolled(r: LayerTrace, times: Times, x: float, y: float) -> str:
    """Return the picture of a layer whose left middle is (x, y): a box for each time step.

    In a box stands the norm of the state, and under it the norm of its gradient.
    """
    width, height = unrolled_size(r)
    top = y - height / 2
    name = f"{r.name.rpartition('/')[2]}: ‖h‖ and ‖∂L/∂h‖"
    parts = [
        f'<rect class="frame" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="10"/>',
        text(x + 8, top + 14, name[: int(width / 6.5)], "frame-name", title=r.name),
    ]
    left, up = x + MARGIN, top + ABOVE
    middle = up + HEIGHT / 2
    steps = shown_steps(r)
    nodes = []
    for i, step in enumerate(steps):
        if i:
            cut = step.number != steps[i - 1].number + 1
            parts.append(_wire(left - BETWEEN, middle, left, middle, r.number))
            if cut:
                parts.append(text(left + WIDTH / 2, middle + 5, DOTS, "value"))
                left += WIDTH + BETWEEN
                parts.append(_wire(left - BETWEEN, middle, left, middle, r.number))
        center = left + WIDTH / 2
        parts.append(text(center, up - 18, to_text(f"x_{{{step.number}}}"), "kind"))
        parts.append(_wire(center, up - 14, center, up, r.number))
        h = step.values["h"]
        nodes.append(
            f'<rect x="{left:.1f}" y="{up:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        )
        nodes.append(text(center, up + 17, to_text(f"h_{{{step.number}}}"), "name"))
        nodes.append(text(center, up + 35, _norm(h), "value", times.of(h), f"‖h‖ = {_size(h)}"))
        if step.gradients:
            d = step.gradients["h"]
            title = f"‖∂L/∂h‖ = {_size(d)}"
            nodes.append(text(center, up + HEIGHT + 14, _norm(d), "grad", times.of(d), title))
        left += WIDTH + BETWEEN
    return "".join(parts) + group(r.number, times, r, nodes)


def _is_cut(r: LayerTrace) -> bool:
    return len(shown_steps(r)) < len(r.time_steps)


def _size(a: Array) -> float:
    return float(np.linalg.norm(a.ravel().astype(np.float64)))


def _norm(a: Array) -> str:
    size = _size(a)
    return str(number_format(np.asarray(size), 2)(size))


def _wire(x: float, y: float, u: float, v: float, number: int) -> str:
    return f'<path class="wire" data-l="{number}" d="M{x:.1f} {y:.1f} L{u:.1f} {v:.1f}"/>'
