"""Texts that a terminal shows as they are."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""Return a text without control characters: they are written as in ``repr``.

    Names may come from a file, and an escape sequence in one could clear the screen of a terminal,
    or hide what follows.

    Example:
        >>> from netlayers._printable import printable
        >>> print(printable("dense\x1b[2J"))
        dense\x1b[2J
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character.

    Example:
        >>> from netlayers._printable import cells
        >>> cells("loss"), cells("損失")
        (4, 4)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
