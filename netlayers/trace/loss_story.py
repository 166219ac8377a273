"""The loss in a trace: how far the outputs are from the targets, and where the error starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.trace.formulas import documented, loss_formula, shown_name
from netlayers.trace.steps import Line, Shown, Step, Symbols, by, present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.trace.records import LossTrace


def loss_steps(symbols: Symbols) -> Iterator[Step]:
    """Yield the steps of the loss: of each output its value, their sum, then the gradients."""
    every = [_OutputStory(symbols, name, its) for name, its in symbols.loss.by_output.items()]
    for story in every:
        yield story.value()
    if symbols.loss.parts:
        yield _sum(symbols)
    for story in every:
        yield story.gradient()


def _sum(symbols: Symbols) -> Step:
    loss = symbols.loss
    total = "L" if not loss.penalty else "L_{0}"
    items: list[Shown | str] = []
    terms = []
    for name, its in loss.parts.items():
        symbol = symbols.loss_symbol("L", name)
        factor = "" if its.weight == 1 else rf"{its.weight:g} \cdot "
        terms.append(factor + symbol)
        items += ["+", *([rf"{its.weight:g} \cdot"] if factor else [])]
        items.append(Shown(symbol, np.asarray(its.value), again=True))
    items = [*items[1:], "=", Shown(total, np.asarray(loss.value))]
    lines = [Line(f"{total} = {' + '.join(terms)}", items), *_penalty(loss)]
    return Step("loss", "The sum", text="The sum of the losses is minimized.", lines=lines)


def _penalty(loss: LossTrace) -> Iterator[Line]:
    if loss.penalty:
        sums: list[Shown | str] = [Shown("L_{0}", np.asarray(loss.value), True), "+"]
        sums += [Shown("R", np.asarray(loss.penalty)), "=", Shown("L", np.asarray(loss.total))]
        yield Line("L = L_{0} + R", sums, note="R are the penalties of regularizers.")


class _OutputStory:
    """Tells of the loss of one output.

    Args:
        symbols: the symbols of the arrays.
        name: name of the output; nothing if there is one.
        loss: what its loss did.
    """

    def __init__(self, symbols: Symbols, name: str, loss: LossTrace) -> None:
        self.symbols, self.name, self.loss = symbols, name, loss
        self.maker = symbols.maker(loss)
        known = symbols.symbols.get(id(loss.y_pred))
        self.a = known or (symbols.out(self.maker) if self.maker else "x")
        self.t = symbols.loss_symbol("t", name)
        self.applies = loss.probabilities is not None and not loss.fused  # a softmax of its own
        self.p = symbols.loss_symbol("p", name) if self.applies else self.a
        weighted = loss.sample_weight is not None
        self.formulas = loss_formula(loss.loss, self.p, loss.fused, weighted, self.t)
        self.of = f" of {name}" if name else ""

    def value(self) -> Step:
        """Return the step of its value."""
        loss, a, p, lines = self.loss, self.a, self.p, []
        if self.applies:
            link = getattr(loss.loss, "link", "softmax") or "softmax"
            text = f"The loss takes z, and applies the {link} itself."
            shown: list[Shown | str] = [Shown(a, loss.y_pred, again=True), r"\to"]
            shown.append(Shown(p, present(loss.probabilities)))
            lines.append(Line(rf"{p} = \mathrm{{{link}}}({a})", shown, note=text))
        value, _ = self.formulas
        items: list[Shown | str] = [self._predicted, Shown(self.t, loss.y_true)]
        if loss.samples is not None:
            items += [r"\to", Shown(r"\ell", loss.samples)]
        total = self.symbols.loss_symbol("L", self.name) if self.name else "L"
        if loss.penalty:
            total = "L_{0}"
        items += ["=" if loss.samples is None else r"\to", Shown(total, np.asarray(loss.value))]
        code = "" if value else _documented(loss.loss, "forward")
        note = "" if value else "l is the loss of a sample, p its prediction, t its target."
        lines.append(Line(f"{total} = {value}" if value else "", items, code, note))
        lines += _penalty(loss)
        kind = getattr(loss.loss, "name", type(loss.loss).__name__).replace("_", " ")
        text = f"How far the outputs{self.of} are from the targets, as one number."
        return Step("loss", f"Loss{self.of}: {kind}", text=text, lines=lines)

    @property
    def _predicted(self) -> Shown:
        loss = self.loss
        values = present(loss.probabilities) if self.applies else loss.y_pred
        return Shown(self.p, values)

    def gradient(self) -> Step:
        """Return the step of its gradient."""
        loss, a, target = self.loss, self.a, self.a
        _, gradient = self.formulas
        text = "The backward pass starts here: how L changes with each output."
        if loss.fused and self.maker is not None:
            target = self.symbols.argument(self.maker)
            text = (
                "Two factors of the chain rule, multiplied by hand: the derivative of the loss by "
                f"{shown_name(self.maker.activation)}'s output and that output's by z. What is "
                "left is prediction minus target, exact also where a probability rounds to 0 or 1."
            )
        if gradient and loss.weight != 1:
            gradient = rf"{loss.weight:g} \cdot {gradient}"
        formula = f"{by(target)} = {gradient}" if gradient else ""
        if loss.fused and gradient:
            formula = rf"{by(target)} = {by(a)} \cdot \frac{{\partial {a}}}{{\partial {target}}}"
            formula += f" = {gradient}"
        code = "" if gradient else _documented(loss.loss, "backward")
        note = "" if gradient or not code else "dl is the factor of a sample's loss in L."
        items: list[Shown | str] = [self._predicted, Shown(self.t, loss.y_true)]
        items += [r"\to", Shown(by(target), loss.gradient)]
        title = f"Where the error{self.of} starts"
        lines = [Line(formula, items, code, note)]
        return Step("loss", title, text=text, lines=lines)


def _documented(loss: Any, direction: str) -> str:
    """Return the documented formula of a loss: of logits, of probabilities, or of samples."""
    kinds = ["logits"] if getattr(loss, "from_logits", False) else ["probabilities"]
    for kind in [*kinds, "samples"]:
        text = documented(loss, f"{direction}_{kind}")
        if text and "Choose" not in text:
            return text
    return documented(loss, direction)
