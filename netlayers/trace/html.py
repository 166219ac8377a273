"""A trace as a self-contained HTML page."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from netlayers._html import escaped
from netlayers.arrays.several import listed
from netlayers.trace.math import to_mathml, to_text
from netlayers.trace.numbers import DOTS, cut, full
from netlayers.trace.picture import picture
from netlayers.trace.steps import PHASES, first_number, last_of

if TYPE_CHECKING:
    from netlayers.trace.records import LayerTrace
    from netlayers.trace.steps import Line, Shown, Step, TraceView
    from netlayers.trace.story import Story


def to_html(trace: TraceView, story: Story) -> str:
    """Return a trace as a page; see :meth:`netlayers.trace.trace.Trace.html`."""
    template = (resources.files(__package__) / "page.html").read_text("utf-8")
    carriers = _carriers(trace, story)
    sections = [_section(trace, step, i + 1, carriers[i]) for i, step in enumerate(trace.steps)]
    filled = {
        "title": escaped(f"One training step of {trace.name}"),
        "picture": picture(trace, story),
        "ticks": "".join(_tick(step, i + 1) for i, step in enumerate(trace.steps)),
        "sections": "\n".join(sections),
        "count": str(len(trace.steps)),
    }
    # Cut at the marks first, so that nothing in a name can pass for one.
    first, *pieces = template.split("{{")
    page = [first]
    for piece in pieces:
        name, _, rest = piece.partition("}}")
        page += [filled[name], rest]
    return "".join(page)


def _tick(step: Step, i: int) -> str:
    label = escaped(f"Step {i}: {PHASES[step.phase]}, {step.title}")
    return f'<a href="#step={i}" class="{step.phase}" aria-label="{label}" title="{label}"></a>'


def _carriers(trace: TraceView, story: Story) -> list[str]:
    """Return for each step which edges carry something, and at the end which way.

    Back through an activation the gradient comes from the layers behind, or from the loss.
    """
    found = []
    by_number = {r.number: r for r in story.numbered}
    losses = [i for i, step in enumerate(trace.steps) if step.phase == "loss"]
    starts = len(trace.loss.by_output)  # steps in which an error starts
    for i, step in enumerate(trace.steps):
        r, way = by_number.get(step.number), "ahead"
        edges = [str(step.number or "")]
        joins = r is not None and r.kind == "other" and bool(r.parts)
        if joins:
            edges.append(f"skip{step.number}")
        if step.phase == "loss":
            edges, way = ["loss"], "back" if i in losses[-starts:] else "ahead"
        elif step.phase == "backward":
            way = "back"
            if r and joins:
                edges = [*(str(first_number(part)) for part in r.parts), f"skip{r.number}"]
            elif r and step.title.startswith("Back through"):
                edges = _takers(r, story) or ["loss"]
        elif step.phase in ("start", "update"):
            way = "still"
        found.append(" ".join([*edges, way]))
    return found


def _takers(record: LayerTrace, story: Story) -> list[str]:
    """Return the edges by which the output of a layer goes on."""
    found = []
    for other in story.numbered:
        parts = other.parts if other.kind == "other" else []
        taken = [id(a) for a in listed(other.x) if a is not None]
        if any(last_of(part) is record for part in parts):
            found.append(str(other.number))
        elif other is not record and id(record.y) in taken:
            found.append(f"skip{other.number}" if parts else str(other.number))
    return found


def _section(trace: TraceView, step: Step, i: int, carrier: str) -> str:
    place = step.number if step.number else {"start": 0, "loss": "loss"}.get(step.phase, "")
    edges, _, way = carrier.rpartition(" ")
    name = f'<span class="layer">{step.number} · {escaped(step.name)}</span>'
    lines = "\n".join(_line(line, trace) for line in step.lines)
    return (
        f'<section class="step {step.phase}" id="step={i}" data-l="{place}" '
        f'data-phase="{step.phase}" data-e="{edges}" data-way="{way}" tabindex="-1">\n'
        f'<p class="where"><span class="phase">{PHASES[step.phase]}</span>'
        f"{name if step.number else ''}</p>\n"
        f"<h2>{escaped(step.title)}</h2>\n"
        f'<p class="text">{escaped(step.text)}</p>\n{lines}\n</section>'
    )


def _line(line: Line, trace: TraceView) -> str:
    parts = []
    if line.note:
        parts.append(f'<p class="note">{escaped(line.note)}</p>')
    if line.code:
        parts.append(f"<p><code>{escaped(line.code)}</code></p>")
    if line.formula:
        parts.append(f'<div class="formula">{to_mathml(line.formula, block=True)}</div>')
    items, signs = [], ""
    for item in line.items:  # a sign stays with what it stands before
        if isinstance(item, str):
            signs += f'<span class="sign">{to_mathml(item)}</span>'
        else:
            items.append(f'<div class="term">{signs}{_array(item, trace)}</div>')
            signs = ""
    if items:
        parts.append(f'<div class="equation">{"".join(items)}</div>')
    return f'<div class="line">{"".join(parts)}</div>'


def _array(shown: Shown, trace: TraceView) -> str:
    value = np.asarray(shown.value)
    seen = cut(value, trace.rows, trace.columns, trace.digits)
    symbol = to_text(shown.symbol)
    largest, signed = 0.0, value.dtype.kind in "fi"
    if value.dtype.kind == "f":
        largest = float(np.abs(value[np.isfinite(value)]).max(initial=0))
    rows = []
    for texts, places in zip(seen.rows, seen.places, strict=True):
        cells = []
        for text, place in zip(texts, places, strict=True):
            if place is None:
                cells.append(f'<td class="dots">{DOTS}</td>')
                continue
            number = value[place]
            index = f"[{', '.join(map(str, place))}]" if place else ""
            tint = f' style="--v:{abs(float(number)) / largest:.2f}"' if number and largest else ""
            kind = ' class="minus"' if signed and number < 0 else ""
            title = escaped(f"{symbol}{index} = {full(number)}")
            cells.append(f'<td{kind}{tint} title="{title}">{text}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    shape = " × ".join(map(str, value.shape))
    facts = " · ".join(f"{name} {text}" for name, text in seen.facts.items())
    under = f'<span class="shape">{shape}</span>' if shape else ""
    known = f'<span class="facts">{facts}</span>' if facts else ""
    again = " again" if shown.again else ""
    label = escaped(f"{symbol}, {shape or 'a number'}")
    return (
        f'<figure class="array{again}" data-symbol="{escaped(symbol)}">'
        f'<figcaption>{to_mathml(shown.symbol, block=True)}{under}</figcaption><div class="scroll">'
        f'<table aria-label="{label}"><tbody>{"".join(rows)}</tbody></table></div>{known}</figure>'
    )
