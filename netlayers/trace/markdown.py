r"""A trace as Markdown with LaTeX.

Formulas stand in ``math`` fences, where neither a ``_`` nor a ``\\`` means anything to Markdown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netlayers._printable import printable
from netlayers.trace.numbers import DOTS, Cut, cut
from netlayers.trace.steps import PHASES

if TYPE_CHECKING:
    from netlayers.trace.steps import Line, Shown, TraceView

# An equation of matrices with more columns of numbers is written one matrix a line.
WIDEST = 9


def to_markdown(trace: TraceView) -> str:
    """Return a trace as Markdown."""
    lines = [f"# One training step of {_code(trace.name)}"]
    phase = ""
    for step in trace.steps:
        if step.phase != phase:
            phase = step.phase
            lines += ["", f"## {PHASES[phase]}"]
        if phase != "start":
            place = f"{step.number} {_code(step.name)}: " if step.number else ""
            lines += ["", f"### {place}{step.title}"]
        if step.text:
            lines += ["", step.text]
        for line in step.lines:
            lines += _line(line, trace)
    return "\n".join(lines) + "\n"


def _line(line: Line, trace: TraceView) -> list[str]:
    lines = ["", line.note] if line.note else []
    if line.code:
        lines += ["", _code(line.code)]
    if line.formula:
        lines += ["", *_math(line.formula)]
    seen = [cut(a.value, trace.rows, trace.columns, trace.digits) for a in line.arrays]
    if not seen:
        return lines
    if sum(len(s.rows[0]) for s in seen) <= WIDEST and all(s.whole for s in seen):
        cuts = iter(seen)
        items = [i if isinstance(i, str) else _under(i, next(cuts)) for i in line.items]
        return [*lines, "", *_math(" ".join(items))]
    for shown, its in zip(line.arrays, seen, strict=True):
        if its.whole and shown.again and shown.value.size > 1:
            continue  # in an equation that is too wide, what was shown before is left out
        shape = r" \times ".join(map(str, shown.value.shape))
        known = r",\ ".join(rf"\text{{{name}}} = {_tex(v)}" for name, v in its.facts.items())
        known = rf" \quad ({shape};\ {known})" if known else ""
        lines += ["", *_math(f"{shown.symbol} = {_matrix(its)}{known}")]
    return lines


def _code(text: str) -> str:
    """Return a code span, in which tags are text; longer quotes enclose those of the text."""
    text = printable(text)
    longest = max(map(len, re.findall("`+", text)), default=0)
    quote, space = "`" * (longest + 1), " " if longest else ""
    return f"{quote}{space}{text}{space}{quote}"


def _math(latex: str) -> list[str]:
    return ["```math", latex, "```"]


def _under(shown: Shown, seen: Cut) -> str:
    if shown.value.ndim == 0:
        return rf"\underset{{{shown.symbol}}}{{{_tex(seen.rows[0][0])}}}"
    return rf"\underset{{{shown.symbol}}}{{{_matrix(seen)}}}"


def _matrix(seen: Cut) -> str:
    rows = [" & ".join(map(_tex, row)) for row in seen.rows]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _tex(text: str) -> str:
    """Return a number in LaTeX: ``1.2e-05`` stays, upright, so that it can be read as it is."""
    if text == DOTS:
        return r"\cdots"
    return text if text.lstrip("-")[0].isdigit() and "e" not in text else rf"\text{{{text}}}"
