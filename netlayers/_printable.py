"""Texts that a terminal shows as they are."""

from __future__ import annotations


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
