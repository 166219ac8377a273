"""Elements of MathML, as text."""

import html
import re

GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon eta theta lambda mu rho sigma tau phi".split(),  # noqa: SIM905
        "αβγδεηθλμρστφ",
        strict=True,
    )
)
LETTERS = "A-Za-zα-ωΑ-ΡΤ-Ω∂µℓ"
SPACE = '<mspace width="0.17em"></mspace>'


class Part(str):
    """MathML of a part of a formula, and what is in its parentheses, if it is only these."""

    def __new__(cls, text, inner=None, kind=""):
        """Make a part of a kind: a name, number, call, group, sum or nothing in particular."""
        part = super().__new__(cls, text)
        part.inner, part.kind = inner, kind
        return part


def mi(text, upright=False):
    """Return a variable, or with ``upright`` the name of a function."""
    text = text.replace("\u0302", "")
    if upright or len(text) == 1:
        style = ' mathvariant="normal"' if upright and len(text) == 1 else ""
        return f"<mi{style}>{text}</mi>"
    return f'<mi class="word">{text}</mi>'


def mo(text, attributes=""):
    """Return an operator."""
    return f"<mo{attributes}>{html.escape(text)}</mo>"


def row(text):
    """Return MathML as one element."""
    return f"<mrow>{text}</mrow>"


def symbol(name, upright=False):
    """Return a name without its index."""
    hat = "\u0302" in name
    plain = name.replace("\u0302", "").replace("µ", "μ")
    if re.fullmatch(rf"d(?:[{LETTERS}]|{'|'.join(GREEK)})", plain):  # a gradient: dx, dgamma
        its = symbol(plain[1:] + "\u0302" * hat)
        return row(f"{mi('d')}{its}")
    text = mi(GREEK.get(plain, plain), upright)
    return f'<mover accent="true">{text}{mo("^")}</mover>' if hat else text
