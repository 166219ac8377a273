"""Formulas in plain text, such as ``y = x W + b``, read into MathML.

- Factors stand next to each other, with a space: ``x W``; a call has none: ``f(x)``.
- `` / `` with spaces is a fraction of the factors before it and the one factor behind it. Without
  spaces, and where the scope of a sum would be lost, it stays a stroke.
- ``x[t]``, ``x_t`` and ``beta_1`` are indices, ``x^2``, ``x²`` and ``xᵀ`` powers; ``h-`` is the h
  of the step before; ``w -= d`` and ``m = m + d`` are assignments.
"""

import html
import re
from itertools import pairwise

from formula_signs import (
    BIG,
    CERTAIN,
    CODE,
    FENCES,
    FUNCTIONS,
    LIKELY,
    LOWERED,
    OF_WORDS,
    RAISED,
    RELATIONS,
    SIMPLE_INDEX,
    TOKEN,
    VARIABLE,
    WORDS,
)
from mathml import GREEK, SPACE, Part, mi, mo, row, symbol


class NoFormulaError(ValueError):
    """The text can not be read as a formula."""


class Parser:
    """Reads a formula from left to right; each method returns the MathML of what it has read."""

    def __init__(self, text):
        self.tokens, place = [], 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match or match.end() == place:
                raise NoFormulaError(text[place:])
            kind = match.lastgroup
            self.tokens.append((kind, match[kind], bool(match["space"])))
            place = match.end()
        self.place = 0
        self.bars = []  # absolute values and norms that are open
        self.flat = 0  # in exponents and indices: no fractions
        indices = re.findall(r"\[([^][]*)\]", text)
        self.lowers = all(SIMPLE_INDEX.fullmatch(index) for index in indices)

    def peek(self, ahead=0):
        """Return the text of a coming token, or an empty one."""
        at = self.place + ahead
        return self.tokens[at][1] if at < len(self.tokens) else ""

    def spaced(self, ahead=0):
        """Whether a space is before a coming token, or the end."""
        at = self.place + ahead
        return at >= len(self.tokens) or self.tokens[at][2]

    def kind(self):
        """Return the kind of the next token."""
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, expected=None):
        """Return the next token, and go on."""
        text = self.peek()
        if not text or (expected and text != expected):
            raise NoFormulaError(f"{expected} expected, got {text}")
        self.place += 1
        return text

    def formula(self):
        """Read all of it."""
        found = self.listed()
        if self.place < len(self.tokens):
            raise NoFormulaError(self.peek())
        return found

    def listed(self):
        """Read relations with commas between them."""
        found = self.relation()
        while self.peek() == ",":
            found += mo(self.take()) + '<mspace width="0.3em"></mspace>' + self.relation()
        return found

    def relation(self):
        """Read sums with ``=``, ``<`` and so on between them."""
        start = self.place
        found = self.sum()
        left = self.tokens[start : self.place]
        while self.peek() in RELATIONS or self.peek() in ("+=", "-="):
            sign = self.take()
            begun = self.place
            right = self.sum()
            parts = [text for _, text, _ in self.tokens[begun - 1 : self.place]]
            its = [text for above, text in pairwise(parts) if above != "/"]
            if sign in ("+=", "-="):
                if sign == "-=" and self._has_sum(begun):
                    right = row(mo("(") + right + mo(")"))
                minus = "−" if sign == "-=" else "+"
                found += mo("←") + found + mo(minus) + right
            elif sign == "=" and len(left) == 1 and left[0][1] in its:
                found += mo("←") + right  # w = w - d
            else:
                found += mo(RELATIONS[sign]) + right
        return found

    def _has_sum(self, begun):
        depth = 0
        for _, text, spaced in self.tokens[begun : self.place]:
            depth += (text in "([{") - (text in ")]}")
            if text in "+-" and spaced and not depth:
                return True
        return False

    def sum(self):
        """Read terms with signs between them."""
        found = ""
        if self.peek() in ("-", "+"):
            found = mo(self.take().replace("-", "−"), ' form="prefix"')
            if self.spaced():
                raise NoFormulaError("a sign without a number")
        if self.peek() == ":":
            return found + mo(self.take())
        if self.peek() == "..." and self.take():
            found += mo("⋯")
            if not self._starts_factor() and self.peek() != "+":
                return found
            if self.peek() == "+":
                found += mo(self.take())
        found += self.term()
        while self.peek() in ("+", "-", "mod"):
            if self.spaced() != self.spaced(1):
                raise NoFormulaError("a sign between words")
            sign = self.take()
            if sign == "mod":
                found += f"{SPACE}<mo>mod</mo>{SPACE}"
            else:
                found += mo(sign.replace("-", "−"))
            found += mo("⋯") if self.peek() == "..." and self.take() else self.term()
        return found

    def term(self):
        """Read factors; a stroke with spaces makes a fraction of those before it."""
        done, run, summed = "", [], False
        while True:
            if self._starts_factor():
                summed = summed or self.peek() in BIG
                run.append(self.factor())
            elif self.peek() == "..." and run:
                self.take()
                run.append(Part(mo("⋯")))
            elif self.peek() in ("·", "×", "⊙", "*") and run:
                done += self._product(run) + mo(self.take().replace("*", "∗"))
                run, summed = [], False
            elif self.peek() == "/":
                tight = not self.spaced()
                self.take()
                below = self._denominator()
                if self.flat or tight or not (run or not done) or self._loses(summed, below):
                    edge = ' lspace="0" rspace="0"' if tight else ""
                    above = self._product(run) + mo("/", edge) + below
                    run = [Part(above)]
                    continue
                if not run:
                    raise NoFormulaError("a fraction of nothing")
                above = run[0].inner if len(run) == 1 and run[0].inner else self._product(run)
                below = below.inner or below
                gap = SPACE if done else ""
                done += f"{gap}<mfrac>{row(above)}{row(below)}</mfrac>"
                run, summed = [], False
            else:
                break
        if not done and not run:
            raise NoFormulaError(f"a factor expected, got {self.peek()}")
        gap = SPACE if done and run and not done.endswith("</mo>") else ""
        return done + gap + self._product(run)

    @staticmethod
    def _loses(summed, below):
        """Whether a fraction would hide which of the factors a sum is over."""
        plain = below.kind in ("number", "group", "sum") or below in ("<mi>k</mi>", "<mi>n</mi>")
        return summed and not plain

    @staticmethod
    def _product(run):
        """Return factors next to each other."""
        found = ""
        for part in run:
            found += (SPACE if found else "") + part
        return found

    def _denominator(self):
        """Read one factor; of a sum or a function without parentheses, all that it applies to."""
        summed = self.peek() in BIG
        prefix = summed or (self.peek() in FUNCTIONS and self.peek(1) != "(")
        found = self.factor()
        while prefix and self._starts_factor():
            found = Part(found + SPACE + self.factor(), kind="sum" if summed else "")
        return Part(found, kind="sum") if summed else found

    def _starts_factor(self):
        text = self.peek()
        if text in ("|", "‖"):
            return text not in self.bars
        if text == "mod":
            return False
        return self.kind() in ("number", "name") or text in ("√", "∞", *FENCES, *BIG)

    def factor(self):
        """Read a number, name, call, group, root, sum sign or absolute value, with its indices."""
        kind, text, _ = self.tokens[self.place]
        if text in ("|", "‖"):
            return self.scripts(self._absolute())
        if text in FENCES:
            return self.scripts(self._group())
        if text == "√":
            return self.scripts(self._root())
        self.take()
        if text in BIG or text == "∞":
            return self.scripts(Part(mo(BIG.get(text, text)) if text in BIG else mi(text)))
        if kind == "number":
            return self.scripts(self._number(text))
        if text == "sqrt" and self.peek() == "(" and not self.spaced():
            return self.scripts(Part(f"<msqrt>{row(self._group().inner)}</msqrt>"))
        return self._name(text)

    def _number(self, text):
        digits, _, power = text.partition("e")
        found = f"<mn>{digits}</mn>"
        if power:
            minus = mo("−", ' form="prefix"') if power[0] == "-" else ""
            power = minus + f"<mn>{power.lstrip('+-')}</mn>"
            ten = f"<msup><mn>10</mn>{row(power)}</msup>"
            found = ten if digits == "1" else row(found + mo("·") + ten)
        return Part(found, kind="number")

    def _name(self, text):
        head, _, tail = text.partition("_")
        letter = head in GREEK or re.fullmatch("d?.\u0302?", head) or head[1:] in GREEK
        if "_" in tail or not tail or not ((letter and len(head) < 8) or len(tail) < 3):
            head, tail = text, ""
        called = self.peek() == "(" and not self.spaced()
        plain = head.replace("\u0302", "")
        called = called or (self.peek() == "'" and self.peek(1) == "(")
        upright = head in FUNCTIONS or (called and len(plain) > 1 and plain not in GREEK)
        below = ""
        if tail:
            is_text = len(tail) > 2
            below = f"<mn>{tail}</mn>" if tail.isdigit() else f"<mi>{tail}</mi>"
            below = f"<mtext>{tail}</mtext>" if is_text else below
            if len(tail) == 2 and tail.isalpha():
                below = "".join(mi(letter) for letter in tail)
        return self.scripts(Part(symbol(head, upright), kind="name"), below)

    def _group(self):
        start = self.take()
        end = FENCES[start]
        outside, self.bars = self.bars, []
        inner = "" if self.peek() == end else self.listed()
        self.bars = outside
        self.take(end)
        found = row(mo(start) + inner + mo(end))
        return Part(found, inner if start == "(" else None, "group")

    def _absolute(self):
        bar = self.take()
        self.bars.append(bar)
        inner = self.sum()
        self.take(bar)
        self.bars.pop()
        fence = ' fence="true" stretchy="true"'
        left = mo(bar, f'{fence} form="prefix"')
        return Part(row(left + inner + mo(bar, f'{fence} form="postfix"')), kind="group")

    def _root(self):
        self.take("√")
        if self.spaced():
            raise NoFormulaError("a root of nothing")
        if self.peek() == "(":
            inner = self._group().inner
        elif self.peek() in BIG:
            inner = self.factor() + self.factor()
        else:
            inner = self.factor()
        return Part(f"<msqrt>{row(inner)}</msqrt>")

    def scripts(self, base, below=""):
        """Read the indices, powers and arguments behind a base."""
        above = ""
        while self.place < len(self.tokens) and not self.spaced():
            kind, text, _ = self.tokens[self.place]
            if kind == "raised":
                above += "".join(self._script(RAISED[sign]) for sign in self.take())
            elif kind == "lowered":
                below += "".join(self._script(LOWERED[sign]) for sign in self.take())
            elif text == "'":
                self.take()
                above += mo("′")
            elif text == "-" and (self.spaced(1) or self.peek(1) in (")", "]", ",")):
                self.take()
                above += mo("−")
            elif text == "^":
                self.take()
                above += self._exponent()
            elif text == "_":
                self.take()
                below += self._braces() if self.peek() == "{" else symbol(self.take())
            elif text == "[":
                index = self._index()
                if not self.lowers or below:
                    base = Part(self._with(base, below, above) + row(mo("[") + index + mo("]")))
                    below = above = ""
                else:
                    below = index
            elif text == "(" and base.kind in ("name", "call"):
                head = self._with(base, below, above)
                base = Part(head + mo("\u2061") + self._group(), kind="call")
                below = above = ""
            else:
                break
        if not below and not above:
            return base
        return Part(self._with(base, below, above))

    @staticmethod
    def _script(sign):
        if sign == "⊤":
            return mi(sign, upright=True)
        return f"<mn>{sign}</mn>" if sign.isdigit() else mi(sign) if sign.isalpha() else mo(sign)

    @staticmethod
    def _with(base, below, above):
        if not below and not above:
            return base
        base = row(base) if base.kind in ("call", "group", "") else base
        if below and above:
            return f"<msubsup>{base}{row(below)}{row(above)}</msubsup>"
        kind, its = ("msub", below) if below else ("msup", above)
        return f"<{kind}>{base}{row(its)}</{kind}>"

    def _exponent(self):
        self.flat += 1
        if self.peek() == "{":
            found = self._braces()
        elif self.peek() == "(":
            found = self._group().inner
        elif self.peek() == "-":
            self.take()
            found = mo("−", ' form="prefix"') + self.factor()
        elif self.kind() == "number":
            found = self._number(self.take())
        else:
            found = symbol(self.take()) if self.kind() == "name" else ""
        self.flat -= 1
        if not found:
            raise NoFormulaError("an exponent expected")
        return found

    def _braces(self):
        self.take("{")
        self.flat += 1
        found = self.listed()
        self.flat -= 1
        self.take("}")
        return found

    def _index(self):
        self.take("[")
        self.flat += 1
        found = ""
        while self.peek() != "]":
            if self.peek() in (":", ","):
                found += mo(self.take())
            else:
                found += self.relation()
        self.take("]")
        self.flat -= 1
        return found


def mathml(text, display=False):
    """Return a literal as MathML, or ``None`` if it is no formula."""
    text = " ".join(text.split())
    if CODE.search(text) or WORDS.search(text):
        return None
    likely = LIKELY.search(text) and (VARIABLE.search(text) or OF_WORDS.search(text))
    if not likely and not CERTAIN.search(text):
        return None
    try:
        found = Parser(text).formula()
    except NoFormulaError:
        return None
    kind = ' display="block"' if display else ""
    return f'<math{kind} alttext="{html.escape(text)}"><mrow>{found}</mrow></math>'
