"""Names in messages about unknown ones: what came, and what may have been meant."""

from __future__ import annotations

import re
from typing import Any


def shortened(value: Any) -> str:
    """Return a shortened repr for messages: a name from a file may be megabytes long."""
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 200 else f"{text[:180]}..."


def suggestion(name: str, known: Any) -> str:
    """Return `` Did you mean 'relu'?``, or an empty string if no known name is similar."""
    import difflib  # needed only for errors

    if len(name) > 100:  # comparing it would take too long
        return ""
    letters = [re.sub(r"[\W_]", "", n.lower()) for n in (name, *known)]
    # Another spelling of the same name comes first.
    close = [n for n, its in zip(known, letters[1:], strict=True) if its == letters[0]]
    close = close[:1] or difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
