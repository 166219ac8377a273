"""A trace as a story: one step after the other, each with its formulas and arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.inspection.trace_formulas import (
    activation_formula,
    documented,
    loss_formula,
    shown_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.inspection.tracing import LayerTrace, LossTrace, OptimizerTrace, WeightTrace

SYMBOLS = {"kernel": "W", "bias": "b", "gamma": r"\gamma", "beta": r"\beta", "alpha": r"\alpha"}


@dataclass
class Shown:
    """An array under its symbol.

    Attributes:
        symbol: in LaTeX.
        value: the array.
        again: it, or its transpose, was shown in an earlier step.
    """

    symbol: str
    value: Array
    again: bool = False


@dataclass
class Line:
    """A formula with its numbers.

    Attributes:
        formula: in LaTeX, or nothing.
        items: arrays, and between them signs in LaTeX.
        code: the formula as the class documents it, where there is no LaTeX.
        note: a sentence.
    """

    formula: str = ""
    items: list[Shown | str] = field(default_factory=list)
    code: str = ""
    note: str = ""

    @property
    def arrays(self) -> list[Shown]:
        """The arrays, without the signs."""
        return [item for item in self.items if isinstance(item, Shown)]


@dataclass
class Step:
    """One step of the story.

    Attributes:
        phase: ``"start"``, ``"forward"``, ``"loss"``, ``"backward"`` or ``"update"``.
        title: what happens.
        name: path of the layer; nothing for the loss.
        number: its number, 0 for none.
        text: a sentence that says what to see.
        lines: formulas and arrays.
    """

    phase: str
    title: str
    name: str = ""
    number: int = 0
    text: str = ""
    lines: list[Line] = field(default_factory=list)


def by(symbol: str) -> str:
    """Return dL/dsymbol in LaTeX."""
    return rf"\frac{{\partial L}}{{\partial {symbol}}}"


class Story:
    """Makes the steps of a trace.

    Args:
        top: record of the model.
        loss: what the loss did.
        optimizer: what the optimizer did.
    """

    def __init__(self, top: LayerTrace, loss: LossTrace, optimizer: OptimizerTrace) -> None:
        self.top, self.loss, self.optimizer = top, loss, optimizer
        self.numbered = sorted((r for r in top.walk() if r.number), key=lambda r: r.number)
        # Symbols by the identity of the arrays: where an array came from is what it is called.
        self.x = self.numbered[0].x if self.numbered else top.x  # in the dtype of the model
        self.symbols: dict[int, str] = {id(self.x): "x"}
        for record in self.numbered:
            if record.y is not record.x or record.kind != "other":
                self.symbols[id(record.y)] = self.out(record)
        if loss.fused:
            self.symbols[id(loss.y_pred)] = self.out(self.numbered[-1])

    def steps(self) -> list[Step]:
        """Return all steps."""
        rest = (self._forward, self._loss, self._backward, self._update)
        steps = [self._start(), *(step for part in rest for step in part())]
        seen: set[int] = set()
        for shown in (s for step in steps for line in step.lines for s in line.arrays):
            shown.again = shown.again or id(shown.value) in seen
            seen.add(id(shown.value))
        return steps

    # Symbols ---------------------------------------------------------------------------------

    def out(self, record: LayerTrace) -> str:
        """Return the symbol of an output."""
        last = record is self.numbered[-1]
        if record.kind == "dense" and _linear(record) and last and self._logits:
            return self.of("z", record)
        return self.of("a" if record.kind in ("dense", "activation") else "y", record)

    @property
    def _logits(self) -> bool:
        return bool(getattr(self.loss.loss, "from_logits", False)) and not self.loss.fused

    def of(self, letter: str, record: LayerTrace) -> str:
        """Return a letter with the number of a layer: ``W^{(1)}``."""
        return f"{letter}^{{({record.number})}}"

    def weight(self, name: str, record: LayerTrace) -> str:
        """Return the symbol of a weight."""
        plain = name.replace("_", r"\_")
        return self.of(SYMBOLS.get(name, rf"\mathrm{{{plain}}}"), record)

    def into(self, record: LayerTrace) -> str:
        """Return the symbol of an input."""
        return self.symbols.get(id(record.x), self.of("x", record))

    # Forward ---------------------------------------------------------------------------------

    def _start(self) -> Step:
        count = sum(w.before.size for r in self.top.walk() for w in r.weights.values())
        n = len(self.loss.y_true)
        samples = "1 sample" if n == 1 else f"{n} samples"
        lines = [Line(items=[Shown("x", _array(self.x)), Shown("t", self.loss.y_true)])]
        if self.loss.sample_weight is not None:
            weights = Shown(r"\mathrm{weight}", self.loss.sample_weight)
            lines.append(Line(items=[weights], note="The weights of the samples."))
        return Step(
            "start",
            "The batch",
            text=f"{samples}, one in each row: inputs x and targets t. The network has "
            f"{count:,} numbers to learn.",
            lines=lines,
        )

    def _forward(self) -> Iterator[Step]:
        for r in self.numbered:
            if r.kind == "dense":
                yield self._sums(r)
                if not _linear(r):
                    yield self._activated(r)
            elif r.kind == "activation":
                yield self._activated(r)
            else:
                yield self._other_forward(r)

    def _sums(self, r: LayerTrace) -> Step:
        z = self.out(r) if _linear(r) else self.of("z", r)
        x, w, b = self.into(r), self.weight("kernel", r), self.weight("bias", r)
        bias = "bias" in r.weights
        items: list[Shown | str] = [
            Shown(x, _array(r.x)),
            r"\cdot",
            Shown(w, r.weights["kernel"].before),
        ]
        if bias:
            items += ["+", Shown(b, r.weights["bias"].before)]
        items += ["=", Shown(z, _array(r.z))]
        formula = f"{z} = {x} {w}" + (f" + {b}" if bias else "")
        text = "Each neuron sums up its inputs, each times its weight"
        text += ", and adds its bias." if bias else "."
        return Step("forward", "Weighted sums", r.name, r.number, text, [Line(formula, items)])

    def _activated(self, r: LayerTrace) -> Step:
        z = self._argument(r)
        a = self.out(r)
        value, _ = activation_formula(r.activation, z, a)
        name = shown_name(r.activation)
        code = documented(r.activation, "forward") if r"\varphi" in value else ""
        items: list[Shown | str] = [Shown(z, _array(r.z), again=True), r"\to"]
        items.append(Shown(a, _array(r.y)))
        text = f"The activation ({name}) turns each sum into the output of its neuron."
        if getattr(r.activation, "axis", None) is not None:
            text = f"The activation ({name}) turns the sums of a row into outputs together."
        line = Line(f"{a} = {value}", items, code)
        return Step("forward", f"Activation: {name}", r.name, r.number, text, [line])

    def _argument(self, r: LayerTrace) -> str:
        return self.into(r) if r.kind == "activation" else self.of("z", r)

    def _other_forward(self, r: LayerTrace) -> Step:
        y, x = self.out(r), self.into(r)
        items: list[Shown | str] = [Shown(x, _array(r.x), again=True)]
        for part in r.parts:
            last = _last(part)
            if last.y is not r.x:
                items.append(Shown(self.symbols.get(id(last.y), y), _array(last.y), again=True))
        items += [r"\to", Shown(y, _array(r.y))]
        for name, w in r.weights.items():
            items.insert(-2, Shown(self.weight(name, r), w.before))
        line = Line("", items, documented(r.layer, "forward"))
        title = type(r.layer).__name__
        text = "What comes out of the parts is put together." if r.parts else ""
        return Step("forward", title, r.name, r.number, text, [line])

    # Loss ------------------------------------------------------------------------------------

    def _loss(self) -> Iterator[Step]:
        loss = self.loss
        final = self.numbered[-1] if self.numbered else None
        a = self.symbols.get(id(loss.y_pred)) or (self.out(final) if final else "x")
        p, lines = a, []
        if loss.probabilities is not None and not loss.fused:
            p = "p"
            link = getattr(loss.loss, "link", "softmax") or "softmax"
            text = f"The loss takes z, and applies the {link} itself."
            shown = [Shown(a, loss.y_pred, again=True), r"\to", Shown(p, loss.probabilities)]
            lines.append(Line(rf"p = \mathrm{{{link}}}({a})", shown, note=text))
        weighted = loss.sample_weight is not None
        value, gradient = loss_formula(loss.loss, p, loss.fused, weighted)
        items: list[Shown | str] = [
            Shown(p, loss.y_pred if p == a else _array(loss.probabilities), again=True),
            Shown("t", loss.y_true, again=True),
        ]
        if loss.samples is not None:
            items += [r"\to", Shown(r"\ell", loss.samples)]
        total = "L" if not loss.penalty else "L_{0}"
        items += ["=" if loss.samples is None else r"\to", Shown(total, np.float64(loss.value))]
        code = "" if value else _loss_documented(loss.loss, "forward")
        note = "" if value else "l is the loss of a sample, p its prediction, t its target."
        lines.append(Line(f"{total} = {value}" if value else "", items, code, note))
        if loss.penalty:
            sums = [Shown("L_{0}", np.float64(loss.value), True), "+"]
            sums += [Shown("R", np.float64(loss.penalty)), "=", Shown("L", np.float64(loss.total))]
            lines.append(Line("L = L_{0} + R", sums, note="R are the penalties of regularizers."))
        name = getattr(loss.loss, "name", type(loss.loss).__name__).replace("_", " ")
        text = "How far the outputs are from the targets, as one number."
        yield Step("loss", f"Loss: {name}", text=text, lines=lines)
        yield self._loss_gradient(a, p, gradient)

    def _loss_gradient(self, a: str, p: str, gradient: str | None) -> Step:
        loss = self.loss
        last = self.numbered[-1] if self.numbered else None
        target = a
        text = "The backward pass starts here: how L changes with each output."
        if loss.fused and last is not None:
            z = self._argument(last)
            text = (
                "Two factors of the chain rule, multiplied by hand: the derivative of the loss by "
                f"{shown_name(last.activation)}'s output and that output's by z. What is left is "
                "prediction minus target, exact also where a probability rounds to 0 or 1."
            )
            target = z
        formula = f"{by(target)} = {gradient}" if gradient else ""
        if loss.fused and gradient:
            formula = rf"{by(target)} = {by(a)} \cdot \frac{{\partial {a}}}{{\partial {target}}}"
            formula += f" = {gradient}"
        code = "" if gradient else _loss_documented(loss.loss, "backward")
        note = "" if gradient or not code else "dl is the factor of a sample's loss in L."
        shown = loss.y_pred if p == a else _array(loss.probabilities)
        items: list[Shown | str] = [Shown(p, shown, again=True), Shown("t", loss.y_true, True)]
        items += [r"\to", Shown(by(target), loss.gradient)]
        return Step(
            "loss", "Where the error starts", text=text, lines=[Line(formula, items, code, note)]
        )

    # Backward --------------------------------------------------------------------------------

    def _backward(self) -> Iterator[Step]:
        yield from self._back(self.top)

    def _back(self, r: LayerTrace) -> Iterator[Step]:
        if r.kind in ("chain", "other"):
            for part in reversed(r.parts):
                yield from self._back(part)
        if not r.number:
            return
        if r.kind == "other":
            yield self._other_backward(r)
            return
        if not r.fused and not (r.kind == "dense" and _linear(r)):
            yield self._through_activation(r)
        if r.kind == "dense":
            yield self._through_weights(r)

    def _through_activation(self, r: LayerTrace) -> Step:
        z, a = self._argument(r), self.out(r)
        _, slope = activation_formula(r.activation, z, a)
        name = shown_name(r.activation)
        if r.slope is None:
            items: list[Shown | str] = [Shown(by(a), _array(r.dy)), r"\to"]
            items.append(Shown(by(z), _array(r.dz)))
            text = "The outputs hang together, so the error passes through all slopes at once."
            line = Line("", items, documented(r.activation, "backward"))
            return Step("backward", f"Back through {name}", r.name, r.number, text, [line])
        f = r"\sigma" if name == "sigmoid" else r"\varphi"
        value = rf"{f}'({z})"
        items = [Shown(by(a), _array(r.dy)), r"\odot", Shown(value, r.slope)]
        items += ["=", Shown(by(z), _array(r.dz))]
        lines = [Line(rf"{by(z)} = {by(a)} \odot {value}", items)]
        known = documented(r.activation, "backward") if slope is None else ""
        lines.insert(0, Line(f"{value} = {slope}" if slope else "", code=known))
        text = "What comes from above, times the slope of the activation: the error δ of each sum."
        return Step("backward", f"Back through {name}", r.name, r.number, text, lines)

    def _through_weights(self, r: LayerTrace) -> Step:
        z = self.out(r) if _linear(r) else self.of("z", r)
        x, w, b = self.into(r), self.weight("kernel", r), self.weight("bias", r)
        dz = Shown(by(z), _array(r.dz), again=True)
        inputs, kernel = r.weights["kernel"], _array(r.x)
        lines = []
        rows = kernel.reshape(-1, kernel.shape[-1])
        if inputs.gradient is not None:
            top = f"{{{x}}}" + r"^\top"
            lines.append(
                Line(
                    rf"{by(w)} = {top} {by(z)}",
                    [Shown(top, rows.T, True), r"\cdot", dz, "=", Shown(by(w), inputs.gradient)],
                )
            )
            if "bias" in r.weights and r.weights["bias"].gradient is not None:
                db = Shown(by(b), r.weights["bias"].gradient)
                lines.append(Line(rf"{by(b)} = \sum {by(z)}", [dz, r"\to", db]))
        top = f"{{{w}}}" + r"^\top"
        if r.dx is not None:
            back: list[Shown | str] = [dz, r"\cdot", Shown(top, inputs.before.T, True), "="]
            lines.append(Line(rf"{by(x)} = {by(z)} {top}", [*back, Shown(by(x), r.dx)]))
        text = (
            "A weight's gradient is its input times the error behind it, summed over the samples. "
            "The error goes on through the same weights, from their ends to their starts."
        )
        if inputs.gradient is None:
            text = "The weights are frozen; the error passes through them."
        return Step("backward", "Gradients of the weights", r.name, r.number, text, lines)

    def _other_backward(self, r: LayerTrace) -> Step:
        y, x = self.out(r), self.into(r)
        items: list[Shown | str] = [Shown(by(y), _array(r.dy), again=bool(r.parts))]
        for part in r.parts:
            if part.x is r.x and part.dx is not None:
                items.append(Shown(by(x), part.dx, again=True))
        if r.dx is not None:
            items += [r"\to", Shown(by(x), r.dx)]
        lines = [Line("", items, documented(r.layer, "backward"))]
        for name, w in r.weights.items():
            if w.gradient is not None:
                lines.append(Line("", [Shown(by(self.weight(name, r)), w.gradient)]))
        text = "The input went several ways: its gradients are put together." if r.parts else ""
        title = f"Back through {type(r.layer).__name__}"
        return Step("backward", title, r.name, r.number, text, lines)

    # Update ----------------------------------------------------------------------------------

    def _update(self) -> Iterator[Step]:
        o = self.optimizer
        if not o.updated:
            yield Step("update", "No update", text=_why_not(o.optimizer))
            return
        for r in self.numbered:
            if r.weights:
                yield self._changed(r)
        yield self._end()

    def _changed(self, r: LayerTrace) -> Step:
        o, lines = self.optimizer, []
        plain = _plain_descent(o.optimizer, r.layer)
        rate = o.learning_rate * r.layer.learning_rate_multiplier * r.layer.outer_multiplier
        for name, w in r.weights.items():
            symbol = self.weight(name, r)
            new = Shown(rf"{symbol} \mathrm{{new}}", w.after)
            if w.gradient is None:
                why = "kept" if np.array_equal(w.before, w.after) else "moved by the forward pass"
                why = why if r.layer.trainable else "frozen"
                old = Shown(symbol, w.before, again=r.kind == "dense")
                lines.append(Line("", [old, r"\to", new], note=f"{name}: {why}."))
                continue
            lines += list(self._gradient(symbol, w))
            items: list[Shown | str] = []
            used = _array(w.used)
            g = by(symbol) if np.array_equal(used, _array(w.gradient)) else f"g_{{{symbol}}}"
            if plain:
                items = [r"-\eta \cdot", Shown(g, used, again=True), "="]
            items.append(Shown(rf"\Delta {symbol}", w.change))
            formula = rf"\Delta {symbol} = -\eta {g}" if plain else ""
            code = "" if plain else documented(o.optimizer, "class")
            lines.append(Line(formula, items, code))
            sums: list[Shown | str] = [Shown(symbol, w.before, again=True), "+"]
            sums += [Shown(rf"\Delta {symbol}", w.change, again=True), "=", new]
            lines.append(Line(rf"{symbol} \leftarrow {symbol} + \Delta {symbol}", sums))
        kind = type(o.optimizer).__name__
        text = f"{kind} with the learning rate η = {rate:.6g}: each weight goes downhill."
        return Step("update", "Update of the weights", r.name, r.number, text, lines)

    def _gradient(self, symbol: str, w: WeightTrace) -> Iterator[Line]:
        """Yield what became of a gradient before the optimizer's rule used it."""
        o = self.optimizer
        dw, g = by(symbol), f"g_{{{symbol}}}"
        gradient, used = _array(w.gradient), _array(w.used)
        total = gradient
        items: list[Shown | str] = [Shown(dw, gradient, again=True)]
        if w.penalty is not None:
            total = gradient + w.penalty
            items += ["+", Shown(rf"\frac{{\partial R}}{{\partial {symbol}}}", w.penalty)]
            note = "The gradient of the penalty is added."
            yield Line("", [*items, "=", Shown(g, total)], note=note)
        if not np.array_equal(total, used):
            note = "The mean with the gradients gathered before."
            if o.norm is not None:
                note = f"Clipped ({_limit(o.optimizer)}); the norm of all gradients is {o.norm:.6g}."
            before = dw if total is gradient else g
            yield Line("", [Shown(before, total, again=True), r"\to", Shown(g, used)], note=note)

    def _end(self) -> Step:
        loss = self.loss
        items: list[Shown | str] = [Shown(r"L", np.float64(loss.before)), r"\to"]
        items.append(Shown(r"L \mathrm{new}", np.float64(loss.after)))
        text = (
            "The loss of the same batch, as test_on_batch gives it, with the old weights and "
            "with the new ones."
        )
        return Step("update", "After the step", text=text, lines=[Line("", items)])


def _array(array: Array | None) -> Array:
    assert array is not None
    return array


def _linear(r: LayerTrace) -> bool:
    return type(r.activation).__name__ == "Linear"


def _last(r: LayerTrace) -> LayerTrace:
    """Return what made the output of a chain."""
    return _last(r.parts[-1]) if r.kind == "chain" and r.parts else r


def _loss_documented(loss: Any, direction: str) -> str:
    """Return the documented formula of a loss: of logits, of probabilities, or of samples."""
    kinds = ["logits"] if getattr(loss, "from_logits", False) else ["probabilities"]
    for kind in [*kinds, "samples"]:
        text = documented(loss, f"{direction}_{kind}")
        if text and "Choose" not in text:
            return text
    return documented(loss, direction)


def _plain_descent(optimizer: Any, layer: Any) -> bool:
    """Whether the update is the learning rate times the gradient, and nothing else."""
    plain = type(optimizer).__name__ == "SGD" and not optimizer.momentum
    free = all(p.constraint is None for p in layer.slots)
    return plain and free and not optimizer.weight_decay and not optimizer.use_ema


def _limit(optimizer: Any) -> str:
    names = ("clipnorm", "clipvalue", "global_clipnorm")
    return ", ".join(f"{n}={getattr(optimizer, n):g}" for n in names if getattr(optimizer, n))


def _why_not(optimizer: Any) -> str:
    every = getattr(optimizer, "gradient_accumulation_steps", None)
    if every and optimizer.accumulated:
        return f"The gradients are gathered: {optimizer.accumulated} of {every} batches."
    return "A gradient was not finite, and the optimizer leaves such updates out."
