"""Tables and pictures in HTML, as notebooks show them."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from netlayers._printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A notebook must not take a dollar sign in a name for the start of a formula.
PLAIN = 'class="tex2jax_ignore mathjax_ignore"'
_CELL = "padding:2px 10px;white-space:nowrap;"
_RULE = "border-top:1px solid rgba(128,128,128,.6);"


def escaped(text: str) -> str:
    """Return a text in which nothing is a tag, an entity, a quote or a control character.

    Example:
        >>> from netlayers._html import escaped
        >>> escaped('<b onclick="x">')
        '&lt;b onclick=&quot;x&quot;&gt;'
    """
    return html.escape(printable(text))


def html_table(rows: Sequence[Sequence[str]], left: int = 1, rules: Iterable[int] = ()) -> str:
    """Return a table; the first row holds the titles of the columns.

    Args:
        rows: the cells, as texts.
        left: number of leading columns that are left-aligned; the others are right-aligned.
        rules: rows with a line above.
    """
    lines = []
    ruled = set(rules)
    for i, row in enumerate(rows):
        cells = []
        for j, cell in enumerate(row):
            style = _CELL + f"text-align:{'left' if j < left else 'right'};"
            style += _RULE if i in ruled else ""
            tag = "th" if i == 0 else "td"
            indent = len(cell) - len(cell.lstrip(" "))
            text = "&nbsp;" * indent + escaped(cell.lstrip(" "))
            cells.append(f'<{tag} style="{style}">{text}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head, body = lines[0], "\n".join(lines[1:])
    return (
        f'<table {PLAIN} style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def paragraph(text: str) -> str:
    """Return a text as a paragraph."""
    return f"<p {PLAIN}>{escaped(text)}</p>"


def shown_width(png: bytes) -> int:
    """Return how many pixels wide a page shows a picture: half of its own, so that it is sharp."""
    return int.from_bytes(png[16:20], "big") // 2


def picture(png: bytes | None, text: str) -> str:
    """Return a picture, which the page contains; nothing where there is none.

    Args:
        png: the picture.
        text: what a reader hears who does not see it.
    """
    if png is None:
        return ""
    data = base64.b64encode(png).decode()
    style = f"width:{shown_width(png)}px;max-width:100%;height:auto"
    return f'<img style="{style}" alt="{escaped(text)}" src="data:image/png;base64,{data}">'
