r"""Formulas in a subset of LaTeX, converted to MathML and plain text.

A formula is made of letters, numbers, signs, ``{...}``, ``^``, ``_``, ``'``, ``\frac``, ``\mathrm``
and the names in ``SIGNS`` and ``FUNCTIONS``. It is LaTeX as it stands; MathML and text come from
the tree that :func:`parse` makes of it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from functools import lru_cache

# LaTeX name: the character, and whether it is an operator (the others are identifiers).
SIGNS = {
    "partial": ("∂", False),
    "odot": ("⊙", True),
    "cdot": ("·", True),
    "ast": ("∗", True),
    "times": ("×", True),
    "sum": ("∑", True),
    "leftarrow": ("←", True),
    "to": ("→", True),
    "top": ("ᵀ", False),
    "sigma": ("σ", False),
    "varphi": ("φ", False),
    "delta": ("δ", False),
    "eta": ("η", False),
    "alpha": ("α", False),
    "beta": ("β", False),
    "gamma": ("γ", False),
    "Delta": ("Δ", False),
    "ell": ("ℓ", False),
    "le": ("≤", True),
    "in": ("∈", True),
    "|": ("‖", False),
}
FUNCTIONS = {"exp", "log", "max", "min", "tanh"}
_SPACES = {",": "0.17em", " ": "0.3em", "quad": "1em"}
_RAISED = str.maketrans("0123456789+-=()Tn", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀⁿ")
_LOWERED = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.")


@dataclass
class Node:
    """A part of a formula.

    Attributes:
        kind: ``row``, ``frac``, ``sup``, ``sub``, ``id``, ``op``, ``prefix`` (a sign before a
            number), ``number``, ``function``, ``name`` or ``space``.
        text: the character or word, where there is one.
        parts: the nodes that it is made of.
    """

    kind: str
    text: str = ""
    parts: list[Node] = field(default_factory=list)


class _Parser:
    def __init__(self, latex: str) -> None:
        self.tokens = [t for t in _TOKEN.findall(latex) if not t.isspace()]
        self.raw = latex
        self.at = 0

    def row(self, closing: str = "") -> Node:
        parts: list[Node] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != closing:
            token = self.tokens[self.at]
            if token in "^_":
                self.at += 1
                parts[-1] = Node("sup" if token == "^" else "sub", "", [parts[-1], self.one()])
            elif token == "'":
                self.at += 1
                parts[-1] = Node("sup", "", [parts[-1], Node("op", "′")])
            else:
                node = self.one()
                if node.text == "−" and (not parts or parts[-1].kind == "op"):
                    node.kind = "prefix"
                parts.append(node)
        self.at += 1
        return parts[0] if len(parts) == 1 else Node("row", "", parts)

    def one(self) -> Node:
        token = self.tokens[self.at]
        self.at += 1
        if token == "{":
            return self.row("}")
        if token == "\\frac":
            return Node("frac", "", [self.one(), self.one()])
        if token == "\\mathrm":
            return self.word()
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return Node("number", token)
        return Node("id" if token.isalpha() else "op", token.replace("-", "−"))

    def word(self) -> Node:
        """Read an upright word in braces."""
        end = self.tokens.index("}", self.at)
        letters = self.tokens[self.at + 1 : end]
        self.at = end + 1
        text = "".join(t[1:] if t.startswith("\\") else t for t in letters)
        return Node("name", text)

    def command(self, name: str) -> Node:
        if name in FUNCTIONS:
            return Node("function", name)
        if name in _SPACES:
            return Node("space", name)
        if name in ("left", "right"):
            return self.one()
        character, operator = SIGNS[name]
        return Node("op" if operator else "id", character)


@lru_cache(maxsize=1024)
def parse(latex: str) -> Node:
    """Return the tree of a formula.

    Raises:
        KeyError: it holds a name that is not known here.
    """
    return _Parser(latex.replace(r"\operatorname", r"\mathrm")).row()


def to_mathml(latex: str, block: bool = False) -> str:
    """Return a formula as a ``<math>`` element; the LaTeX is its text for readers without MathML.

    Example:
        >>> from netlayers.trace.math import to_mathml
        >>> to_mathml("x^2")
        '<math><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    display = ' displaystyle="true"' if block else ""
    return f"<math{display}>{_mathml(parse(latex))}</math>"


def _mathml(node: Node) -> str:
    parts = "".join(map(_mathml, node.parts))
    text = html.escape(node.text)
    if node.kind == "row":
        return f"<mrow>{parts}</mrow>"
    if node.kind == "frac":
        return f"<mfrac>{parts}</mfrac>"
    if node.kind == "sub" and node.parts[0].kind == "sup":  # both at the same letter
        (base, above), below = node.parts[0].parts, node.parts[1]
        return f"<msubsup>{_mathml(base)}{_mathml(below)}{_mathml(above)}</msubsup>"
    if node.kind in ("sup", "sub"):
        return f"<m{node.kind}>{parts}</m{node.kind}>"
    if node.kind == "space":
        return f'<mspace width="{_SPACES[node.text]}"/>'
    if node.kind == "function":
        return f"<mi>{text}</mi><mo>&#x2061;</mo>"
    if node.kind == "name":
        return f'<mi mathvariant="normal">{text}</mi>'
    if node.kind == "prefix":
        return f'<mo form="prefix">{text}</mo>'
    if node.text == "′":
        return '<mo lspace="0" rspace="0">′</mo>'
    if node.text == "ᵀ":
        return '<mi mathvariant="normal">T</mi>'
    return {"id": "<mi>{}</mi>", "number": "<mn>{}</mn>"}.get(node.kind, "<mo>{}</mo>").format(text)


def to_text(latex: str) -> str:
    r"""Return a formula as plain text.

    Example:
        >>> from netlayers.trace.math import to_text
        >>> to_text(r"\frac{\partial L}{\partial W^{(1)}} = {a^{(0)}}^\top \frac{1}{n} x_2")
        '∂L/∂W¹ = a⁰ᵀ 1/n x₂'
    """
    return re.sub(" +", " ", _text(parse(latex))).strip()


def _text(node: Node) -> str:
    if node.kind == "row":
        return _row_text(node.parts)
    if node.kind == "frac":
        above, below = map(_text, node.parts)
        return f"{_closed(above)}/{_closed(below)}"
    if node.kind in ("sup", "sub"):
        base, small = map(_text, node.parts)
        if small in ("′", "ᵀ"):
            return base + ("'" if small == "′" else small)
        if node.kind == "sup" and re.fullmatch(r"\([0-9]+\)", small):  # of a layer
            small = small[1:-1]
        plain = small.replace(" ", "")
        moved = plain.translate(_RAISED if node.kind == "sup" else _LOWERED)
        if any(a == b for a, b in zip(plain, moved, strict=True)):
            small = small if len(small) == 1 else f"({small})"
            return f"{base}{'^' if node.kind == 'sup' else '_'}{small}"
        return base + moved
    if node.kind == "space":
        return "   " if node.text == "quad" else " "
    return node.text


def _row_text(parts: list[Node]) -> str:
    text = ""
    for i, part in enumerate(parts):
        piece = _text(part)
        before = parts[i - 1] if i else Node("op", "(")
        sign = part.kind == "op" and piece in "=+−⊙·∗×←→≤∈>"
        if sign:
            piece = f" {piece} "
        elif not _touching(text, before, part, piece):
            piece = f" {piece}"
        text += piece
    return text


def _touching(text: str, before: Node, part: Node, piece: str) -> bool:
    """Whether no space stands between a row so far and its next piece."""
    if not text or text[-1] in "([|‖∂Δ− " or piece[0] in ")],‖" or before.text == ",":
        return before.text != ","
    if piece[0] == "|":
        return True
    if piece[0] == "(":
        return before.kind in ("function", "name") or text[-1] in "'φσ"
    return before.kind == "number" and part.kind == "id"


def _closed(text: str) -> str:
    return f"({text})" if " " in text else text
