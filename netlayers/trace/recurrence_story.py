"""The steps of a recurrent layer: unrolled in time, forward and backward."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.several import listed
from netlayers.trace.formulas import documented, shown_name
from netlayers.trace.steps import Line, Shown, Step, by, several

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace, TimeStep
    from netlayers.trace.steps import Symbols

# Of a longer series, the first half of so many steps is shown, and the last half.
MOST_STEPS = 6

# By cell, for each line of a time step: a formula, the values that go in, those that come out.
# ``<x>`` stands for the symbol of x, ``<h->`` for that of h one step before, σ for the activation
# of the gates, φ for the other one.
_SUMS = (r"<z> = <x> <W> + <h-> <U> <+b>", "x h-", "z")
FORWARD: dict[str, list[tuple[str, str, str]]] = {
    "SimpleRNNCell": [_SUMS, (r"<h> = φ(<z>)", "", "h")],
    "LSTMCell": [
        _SUMS,
        (r"<i> = σ(z_i),\ <f> = σ(z_f),\ <g> = φ(z_g),\ <o> = σ(z_o)", "", "i f g o"),
        (r"<c> = <f> \odot <c-> + <i> \odot <g>", "c-", "c"),
        (r"<h> = <o> \odot φ(<c>)", "a", "h"),
    ],
    "GRUCell": [
        (r"<p> = <x> <W> <+b>", "x", "p"),
        (r"<q> = <h-> <U> <+b'>", "h-", "q"),
        (r"<z> = σ(p_z + q_z),\ <r> = σ(p_r + q_r)", "", "z r"),
        (r"<s> = <r> \odot q_g,\ <g> = φ(p_g + <s>)", "", "s g"),
        (r"<h> = <z> \odot <h-> + (1 - <z>) \odot <g>", "", "h"),
    ],
}
# The same backward, with gradients in place of values; ``<h+>`` is the part of the step behind.
BACKWARD: dict[str, list[tuple[str, str, str]]] = {
    "SimpleRNNCell": [
        (r"∂<z> = ∂<h> \odot φ'(<z>)", "h", "z"),
        (r"∂<x> = ∂<z> <W>^\top,\ ∂<h-> = ∂<z> <U>^\top", "", "x h-"),
    ],
    "LSTMCell": [
        (r"∂<c> = ∂<c>\ \mathrm{<behind>} + ∂<h> \odot <o> \odot φ'(<c>)", "c+", "c"),
        (r"∂<i> = ∂<c> \odot <g>,\ ∂<f> = ∂<c> \odot <c->", "", "i f"),
        (r"∂<g> = ∂<c> \odot <i>,\ ∂<o> = ∂<h> \odot φ(<c>)", "", "g o"),
        (r"∂z_i = ∂<i> \odot σ'(z_i),\ ∂z_g = ∂<g> \odot φ'(z_g),\ \mathrm{...}", "", "z"),
        (
            r"∂<x> = ∂<z> <W>^\top,\ ∂<h-> = ∂<z> <U>^\top,\ ∂<c-> = ∂<c> \odot <f>",
            "",
            "x h- c-",
        ),
    ],
    "GRUCell": [
        (
            r"∂<z> = ∂<h> \odot (<h-> - <g>),\ ∂<g> = ∂<h> \odot (1 - <z>)",
            "",
            "z g",
        ),
        (r"∂<s> = ∂p_g = ∂<g> \odot φ'(p_g + <s>),\ ∂<r> = ∂<s> \odot q_g", "", "s r"),
        (r"∂p_z = ∂q_z = ∂<z> \odot σ'(p_z + q_z),\ ∂q_g = ∂<s> \odot <r>", "", "p q"),
        (
            r"∂<x> = ∂<p> <W>^\top,\ ∂<h-> = ∂<h> \odot <z> + ∂<q> <U>^\top",
            "",
            "x h-",
        ),
    ],
}
# Where r multiplies the state before the product (reset_after=False).
RESET_BEFORE = {
    r"<q> = <h-> <U> <+b'>": r"<q> = <h-> U_{zr}",
    r"<s> = <r> \odot q_g": r"<s> = (<r> \odot <h->) U_g",
    r"∂<r> = ∂<s> \odot q_g": r"∂<r> = ∂<s> U_g^\top \odot <h->",
    r",\ ∂q_g = ∂<s> \odot <r>": "",
    r"+ ∂<q> <U>^\top": r"+ ∂<q> U_{zr}^\top + ∂<s> U_g^\top \odot <r>",
}
COLUMNS = {
    "LSTMCell": " The columns of z are those of the gates i, f, g and o, one after the other.",
    "GRUCell": " The columns of p and q are those of z, r and g, one after the other.",
}


class Unrolled:
    """Makes the steps of a recurrent layer.

    Args:
        symbols: symbols of arrays.
        r: the record of the layer.
    """

    def __init__(self, symbols: Symbols, r: LayerTrace) -> None:
        self.symbols, self.r = symbols, r
        self.layer: Any = r.layer
        self.kind = type(self.layer.cell).__name__
        self.title = type(self.layer).__name__

    # Forward ---------------------------------------------------------------------------------

    def forward(self) -> Iterator[Step]:
        """Yield the steps of the forward pass."""
        r, symbols = self.r, self.symbols
        weights = [Shown(symbols.weight(name, r), w.before) for name, w in r.weights.items()]
        items: list[Shown | str] = [Shown(x.symbol, x.value, True) for x in symbols.inputs(r)]
        items += weights
        y = several(symbols.out(r), r.y)
        code = documented(self.layer, "forward")
        if not r.time_steps:
            note = self._why_not()
            lines = [Line("", [*items, r"\to", *y], code, note)]
            yield Step("forward", self.title, r.name, r.number, "", lines)
            return
        count = len(r.time_steps)
        text = f"The same weights are used in each of {count} steps." + COLUMNS.get(self.kind, "")
        notes = [
            "The series is read from its end: step 1 is its last one." * self.layer.go_backwards,
            self._names_of_activations(),
        ]
        note = " ".join(filter(None, notes))
        yield Step("forward", self.title, r.name, r.number, text, [Line("", items, "", note)])
        for step in self._shown():
            yield self._step_forward(step)
        last = r.time_steps[-1]
        whole = "h_1, ..., h_T" if self.layer.return_sequences else "h_T"
        its: list[Shown | str] = [Shown(self._symbol("h", last.number), last.values["h"], True)]
        text = f"The output is {'the state after each step' * self.layer.return_sequences}"
        text += "" if self.layer.return_sequences else "the state after the last step"
        line = Line("", [*its, r"\to", *y])
        yield Step("forward", f"Output: {whole}", r.name, r.number, f"{text}.", [line])

    def _step_forward(self, step: TimeStep) -> Step:
        r, t = self.r, step.number
        lines = []
        for formula, given, made in FORWARD[self.kind]:
            items: list[Shown | str] = [self._value(name, step) for name in given.split()]
            items += [r"\to"] * bool(items) + [self._value(name, step) for name in made.split()]
            lines.append(Line(self._formula(formula), items))
        title = f"Step {t} of {len(r.time_steps)}"
        text = "The input of the step and the state before it make the new state."
        if t == 1:
            text += " Before the first step, the state is 0." * (not self._starts())
        if step.absent is not None and step.absent.any():
            lines[-1].note = _absent(step.absent, "the state stays as it was")
        return Step("forward", title, r.name, r.number, text, lines, t)

    # Backward --------------------------------------------------------------------------------

    def backward(self) -> Iterator[Step]:
        """Yield the steps of the backward pass."""
        r, symbols = self.r, self.symbols
        y = symbols.out(r)
        dy = [Shown(by(its.symbol), its.value) for its in several(y, r.dy)]
        dx = [
            Shown(by(its.symbol), d)
            for its, d in zip(symbols.inputs(r), listed(r.dx), strict=False)
            if d is not None
        ]
        title = f"Back through {self.title}"
        gradients = [
            Shown(symbols.part(symbols.weight(name, r), w, r.call), w.parts[r.call])
            for name, w in r.weights.items()
            if r.call in w.parts
        ]
        if not r.time_steps:
            items: list[Shown | str] = [*dy, r"\to", *dx, *gradients]
            lines = [Line("", items, documented(self.layer, "backward"), self._why_not())]
            yield Step("backward", title, r.name, r.number, "", lines)
            return
        text = (
            "Backpropagation through time: from the last step to the first, each hands the "
            "gradient of its state to the step before."
        )
        yield Step("backward", title, r.name, r.number, text, [Line("", [*dy])])
        for step in reversed(self._shown()):
            if step.gradients:
                yield self._step_backward(step)
        lines = [self._weight_line(shown) for shown in gradients]
        lines += [Line("", [d]) for d in dx]
        text = "The steps share their weights: what each gives to the gradient is added up."
        if not gradients:
            text = "The weights are frozen; the gradient passes through them."
        yield Step("backward", "Gradients, all steps", r.name, r.number, text, lines)

    def _step_backward(self, step: TimeStep) -> Step:
        r, t = self.r, step.number
        h = self._symbol("h", t)
        parts = [self._gradient(name, step) for name in ("y", "h+") if self._arrives(name, step)]
        sums: list[Shown | str] = []
        for part in parts:
            sums += ["+", part]
        sums = [*sums[1:], "=" if len(parts) > 1 else r"\to", Shown(by(h), step.gradients["h"])]
        lines = [Line(items=sums)]
        for formula, given, made in BACKWARD[self.kind]:
            seen = [name for name in given.split() if self._arrives(name, step)]
            items: list[Shown | str] = [self._gradient(name, step) for name in seen]
            items += [r"\to"] * bool(items) + [self._gradient(name, step) for name in made.split()]
            lines.append(Line(self._formula(formula), items))
        size = np.linalg.norm(step.gradients["h"].ravel())
        text = (
            "The gradient of the state: what its output got"
            if "y" in step.gradients
            else "The gradient of the state: what came back from the step behind"
        )
        text += " and what came back from the step behind" * (len(parts) > 1)
        text += f". Its norm is {size:.3g}."
        if step.absent is not None and step.absent.any():
            lines[-1].note = _absent(step.absent, "the gradient of the state passes by")
        title = f"Step {t} of {len(r.time_steps)}"
        return Step("backward", title, r.name, r.number, text, lines, t)

    def _weight_line(self, shown: Shown) -> Line:
        """Return the line of the gradient of a weight, with its formula."""
        r = self.r
        names = [name for name in r.weights if self.symbols.weight(name, r) in shown.symbol]
        first, second = ("p", "q") if self.kind == "GRUCell" else ("z", "z")
        plain = self.kind != "GRUCell" or self.layer.cell.reset_after
        formulas = {
            "kernel": rf"\sum_t <x>^\top ∂<{first}>",
            "recurrent_kernel": rf"\sum_t <h->^\top ∂<{second}>" if plain else "",
            "bias": rf"\sum_t ∂<{first}>" if self.kind != "GRUCell" or not plain else "",
        }
        formula = formulas.get(names[-1], "") if names else ""
        return Line(f"{shown.symbol} = {self._formula(formula)}" if formula else "", [shown])

    # Symbols ---------------------------------------------------------------------------------

    def _shown(self) -> list[TimeStep]:
        return shown_steps(self.r)

    def _value(self, name: str, step: TimeStep) -> Shown:
        symbol = self._symbol(name, step.number)
        return Shown(symbol, step.values[name], name.endswith("-") and step.number > 1)

    def _gradient(self, name: str, step: TimeStep) -> Shown:
        t = step.number
        if name == "y":
            return Shown(rf"{by(self._symbol('y', t))}", step.gradients[name])
        if name.endswith("+"):
            symbol = rf"{by(self._symbol(name[:-1], t))}\ \mathrm{{from\ step}}\ {t + 1}"
            return Shown(symbol, step.gradients[name], t < len(self.r.time_steps))
        if name.endswith("-"):
            symbol = rf"{by(self._symbol(name, t))}\ \mathrm{{from\ step}}\ {t}"
            return Shown(symbol, step.gradients[name])
        return Shown(by(self._symbol(name, t)), step.gradients[name], name == "h")

    def _arrives(self, name: str, step: TimeStep) -> bool:
        """Whether there is such a gradient: behind the last step there may be none."""
        its = step.gradients.get(name)
        return its is not None and (step is not self.r.time_steps[-1] or bool(its.any()))

    def _symbol(self, name: str, t: int | str) -> str:
        """Return the symbol of a value at step t; ``h-`` is that of one step before."""
        if name.endswith("-"):
            name, t = name[:-1], f"{t}-1" if isinstance(t, str) else t - 1
        if name == "a":
            return rf"{self._phi}({self._symbol('c', t)})"
        whole = self.symbols.inputs(self.r)[0].symbol if name == "x" else ""
        return f"{whole or self.symbols.of(name, self.r)}_{{{t}}}"

    def _formula(self, formula: str) -> str:
        """Put symbols at step t in a formula."""
        r = self.r
        if not getattr(self.layer.cell, "reset_after", True):
            for before, after in RESET_BEFORE.items():
                formula = formula.replace(before, after)
        bias = self.layer.cell.use_bias
        b = self.symbols.weight("bias", r)
        second = bias and getattr(self.layer.cell, "reset_after", False)
        first = rf"{b}_{{1}}" if second else b
        put_in = {"W": self.symbols.weight("kernel", r)}
        put_in |= {"U": self.symbols.weight("recurrent_kernel", r)}
        put_in |= {"+b": f"+ {first}" if bias else "", "+b'": rf"+ {b}_{{2}}" if second else ""}
        put_in["behind"] = r"from\ step\ t+1"

        def replaced(found: re.Match[str]) -> str:
            name = found[2]
            symbol = put_in[name] if name in put_in else self._symbol(name, "t")
            return by(symbol) if found[1] else f"{{{symbol}}}" if found[3] else symbol

        formula = re.sub(r"(∂?)<([^>]+)>(\^\\top)?", lambda m: replaced(m) + (m[3] or ""), formula)
        formula = re.sub(r"∂([pqz]_[zrgifo])", lambda m: by(m[1]), formula)
        formula = formula.replace("U_g^", "{U_g}^").replace("U_{zr}^", "{U_{zr}}^")
        formula = formula.replace("φ(", rf"{self._phi}(").replace("φ'", rf"{self._slope}'")
        return formula.replace("σ", r"\sigma")

    @property
    def _phi(self) -> str:
        return r"\tanh " if shown_name(self.layer.cell.activation) == "tanh" else r"\varphi"

    @property
    def _slope(self) -> str:
        return r"\tanh" if shown_name(self.layer.cell.activation) == "tanh" else r"\varphi"

    def _names_of_activations(self) -> str:
        cell = self.layer.cell
        names = [("φ", cell.activation, "tanh")]
        if self.kind != "SimpleRNNCell":
            names.append(("σ", cell.recurrent_activation, "sigmoid"))
        said = [f"{sign} is {shown_name(its)}" for sign, its, usual in names
                if shown_name(its) != usual]  # fmt: skip
        return f"{', '.join(said)}." if said else ""

    def _starts(self) -> bool:
        """Whether the first state is one that was given or kept."""
        return bool(self.r.states) or isinstance(self.r.x, tuple)

    def _why_not(self) -> str:
        cell = self.layer.cell
        if cell.random and self.kind in FORWARD:
            return "The steps are not shown one by one: dropout changes what the weights meet."
        return f"The steps are not shown one by one: {type(cell).__name__} has no equations here."


def shown_steps(r: LayerTrace) -> list[TimeStep]:
    """Return the time steps that are shown: the first and the last of a long series."""
    steps = r.time_steps
    if len(steps) <= MOST_STEPS:
        return steps
    return steps[: MOST_STEPS // 2] + steps[-(MOST_STEPS // 2) :]


def _absent(absent: Array, what: str) -> str:
    rows = ", ".join(map(str, np.flatnonzero(absent)))
    return f"The mask leaves this step out in row {rows}: {what}."
