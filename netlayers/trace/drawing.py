"""Elements of the picture of a trace, and the steps in which they appear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import escaped
from netlayers.arrays.several import listed
from netlayers.trace.numbers import number_format

if TYPE_CHECKING:
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import Step, TraceView


class Times:
    """In which step, counted from 1, what is computed first.

    Args:
        steps: the steps of a trace.
    """

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._first: dict[int, int] = {}  # by the identity of an array
        for i, step in enumerate(steps, 1):
            for shown in (s for line in step.lines for s in line.arrays):
                self._first.setdefault(id(shown.value), i)

    def values(self, record: LayerTrace | None) -> int:
        """Return the step of the outputs of a layer; of the inputs of the model for ``None``."""
        if record is None:
            return 1
        found = self.of(record.y)
        return found if found else max(self._of(record, "forward"), default=1)

    def gradients(self, record: LayerTrace) -> int:
        """Return the step in which the gradient has reached a layer."""
        found = self.of(record.dz) or self.of(record.dy)
        steps = self._of(record, "backward")
        return found if found else min(steps, default=len(self._steps) + 1)

    @property
    def loss(self) -> int:
        """The step of the loss."""
        return min((i for i, s in enumerate(self._steps, 1) if s.phase == "loss"), default=1)

    def of(self, value: Any) -> int:
        """Return the step in which an array, or the last of several, appears; 0 for none."""
        return max((self._first.get(id(a), 0) for a in listed(value) if a is not None), default=0)

    def _of(self, record: LayerTrace, phase: str) -> list[int]:
        its = enumerate(self._steps, 1)
        return [i for i, s in its if s.number == record.number and s.phase == phase]


def svg(kind: str, width: float, height: float, label: str, parts: list[str]) -> str:
    """Return a picture of ``kind`` ``"broad"`` or ``"slim"``."""
    arrow = (
        f'<defs><marker id="arrow-{kind}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" '
        'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        '<path d="M0 1 L10 5 L0 9 z"/></marker></defs>'
    )
    return (
        f'<svg class="net {kind}" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escaped(label)}">'
        + arrow
        + "".join(parts)
        + "</svg>"
    )


def text(x: float, y: float, words: str, kind: str = "", since: int = 0, title: str = "") -> str:
    """Return a text, which appears in the step ``since``."""
    when = f' data-from="{since}"' if since else ""
    known = f"<title>{escaped(title)}</title>" if title else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{when}>{known}{escaped(words)}</text>'


def group(number: int, times: Times, record: LayerTrace | None, parts: list[str]) -> str:
    """Return what is drawn of a layer, with the steps in which it is reached."""
    since = times.values(record)
    back = f' data-back="{times.gradients(record)}"' if record is not None else ""
    return f'<g class="nodes" data-l="{number}" data-since="{since}"{back}>{"".join(parts)}</g>'


def drawn_loss(
    x: float,
    y: float,
    starts: list[tuple[float, float]],
    trace: TraceView,
    times: Times,
    down: bool = False,
) -> str:
    """Return the box of the loss, with wires from what it takes, to its left or its top."""
    value = number_format(np.asarray(trace.loss.total), 3)(trace.loss.total)
    to = (x + 6, y - 26) if down else (x - 32, y)
    parts = [
        f'<path class="wire" data-l="loss" d="M{u:.1f} {v:.1f} L{to[0]:.1f} {to[1]:.1f}"/>'
        for u, v in starts
    ]
    parts += [
        f'<rect x="{x - 32:.1f}" y="{y - 26:.1f}" width="76" height="52" rx="9"/>',
        text(x + 6, y - 4, "loss L", "name"),
        text(x + 6, y + 15, value, "value", times.loss),
    ]
    since = f'data-since="{times.loss}" data-back="{times.loss + 1}"'
    return f'<g class="nodes" data-l="loss" {since}>{"".join(parts)}</g>'
