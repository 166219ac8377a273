"""A trace as a story: the batch, forward, the loss, backward, the update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.arrays.several import listed
from netlayers.trace.convolution_story import back_through_kernel, convolved
from netlayers.trace.formulas import activation_formula, documented, shown_name
from netlayers.trace.loss_story import loss_steps
from netlayers.trace.recurrence_story import Unrolled
from netlayers.trace.steps import (
    Line,
    Shown,
    Step,
    Symbols,
    by,
    last_of,
    linear,
    present,
    several,
)
from netlayers.trace.update import update_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array
    from netlayers.trace.records import LayerTrace


class Story(Symbols):
    """Makes the steps of a trace."""

    def steps(self) -> list[Step]:
        """Return all steps."""
        steps = [self._start(), *self._forward(), *self._loss(), *self._backward()]
        steps += update_steps(self)
        seen: set[int] = set()
        for shown in (s for step in steps for line in step.lines for s in line.arrays):
            shown.again = shown.again or id(shown.value) in seen
            seen.add(id(shown.value))
        return steps

    # Forward ---------------------------------------------------------------------------------

    def _start(self) -> Step:
        records = [r for r in self.top.walk() if r.call == 1]
        count = sum(w.before.size for r in records for w in r.weights.values())
        by_output = self.loss.by_output
        n = len(next(iter(by_output.values())).y_true)
        samples = "1 sample" if n == 1 else f"{n} samples"
        targets = [
            Shown(self.loss_symbol("t", name), its.y_true) for name, its in by_output.items()
        ]
        lines = [Line(items=[*several("x", self.x), *targets])]
        weights = {
            name: its.sample_weight
            for name, its in by_output.items()
            if its.sample_weight is not None
        }
        if weights:
            symbol = r"\mathrm{weight}"
            shown = [Shown(self.loss_symbol(symbol, n), w) for n, w in weights.items()]
            lines.append(Line(items=[*shown], note="The weights of the samples."))
        return Step(
            "start",
            "The batch",
            text=f"{samples}, one in each row: inputs x and targets t. The network has "
            f"{count:,} numbers to learn.",
            lines=lines,
        )

    def _forward(self) -> Iterator[Step]:
        for r in self.numbered:
            if r.sums_up:
                if r.kind == "dense":
                    yield self._sums(r)
                else:
                    yield from convolved(self, r)
                if not linear(r):
                    yield self._activated(r)
            elif r.kind == "activation":
                yield self._activated(r)
            elif r.kind == "recurrent":
                yield from Unrolled(self, r).forward()
            else:
                yield self._other_forward(r)

    def _sums(self, r: LayerTrace) -> Step:
        z = self.out(r) if linear(r) else self.of("z", r)
        x, w, b = self.into(r), self.weight("kernel", r), self.weight("bias", r)
        bias = "bias" in r.weights
        items: list[Shown | str] = [
            Shown(x, present(r.x)),
            r"\cdot",
            Shown(w, r.weights["kernel"].before),
        ]
        if bias:
            items += ["+", Shown(b, r.weights["bias"].before)]
        items += ["=", Shown(z, present(r.z))]
        formula = f"{z} = {x} {w}" + (f" + {b}" if bias else "")
        text = "Each neuron sums up its inputs, each times its weight"
        text += ", and adds its bias." if bias else "."
        return Step("forward", "Weighted sums", r.name, r.number, text, [Line(formula, items)])

    def _activated(self, r: LayerTrace) -> Step:
        z = self.argument(r)
        a = self.out(r)
        value, _ = activation_formula(r.activation, z, a)
        name = shown_name(r.activation)
        code = documented(r.activation, "forward") if r"\varphi" in value else ""
        items: list[Shown | str] = [Shown(z, present(r.z)), r"\to"]
        items.append(Shown(a, present(r.y)))
        text = f"The activation ({name}) turns each sum into the output of its neuron."
        if getattr(r.activation, "axis", None) is not None:
            text = f"The activation ({name}) turns the sums of a row into outputs together."
        line = Line(f"{a} = {value}", items, code)
        return Step("forward", f"Activation: {name}", r.name, r.number, text, [line])

    def _other_forward(self, r: LayerTrace) -> Step:
        y = self.out(r)
        items: list[Shown | str] = [Shown(x.symbol, x.value) for x in self.inputs(r)]
        for part in r.parts:
            last = last_of(part)
            if last.y is not r.x:
                its = several(self.symbols.get(id(last.y), y), last.y)
                items += [Shown(a.symbol, a.value) for a in its]
        items += [Shown(self.weight(name, r), w.before) for name, w in r.weights.items()]
        items += [r"\to", *several(y, r.y)]
        line = Line("", items, documented(r.layer, "forward"))
        title = type(r.layer).__name__
        text = "What comes out of the parts is put together." if r.parts else ""
        return Step("forward", title, r.name, r.number, text, [line])

    # Loss ------------------------------------------------------------------------------------

    def _loss(self) -> Iterator[Step]:
        yield from loss_steps(self)

    # Backward --------------------------------------------------------------------------------

    def _backward(self) -> Iterator[Step]:
        yield from self._back(self.top)

    def _back(self, r: LayerTrace) -> Iterator[Step]:
        if r.kind in ("chain", "graph", "other"):
            for part in reversed(r.parts):
                yield from self._back(part)
        if not r.number or (r.dy is None and r.dz is None):
            return  # also of an output that has no loss
        steps = list(self._back_through(r))
        users = self._users(r)
        if len(users) > 1:
            names = f"{', '.join(users[:-1])} and {users[-1]}"
            steps[0].text += f" The output went to {names}: their gradients are added."
        yield from steps

    def _users(self, r: LayerTrace) -> list[str]:
        """Return the layers whose gradients are added up to that of an output, if there are any."""
        users = [it for it in self.numbered if it.dx is not None and _takes(it, r)]
        passed = any(r.dy is dx for it in users for dx in listed(it.dx))  # as it is, by one layer
        return [] if passed else [it.name for it in users]

    def _back_through(self, r: LayerTrace) -> Iterator[Step]:
        if r.kind == "other":
            yield self._other_backward(r)
            return
        if r.kind == "recurrent":
            yield from Unrolled(self, r).backward()
            return
        if not r.fused and not (r.sums_up and linear(r)):
            yield self._through_activation(r)
        if r.kind == "dense":
            yield self._through_weights(r)
        elif r.kind == "convolution":
            yield from back_through_kernel(self, r)

    def _through_activation(self, r: LayerTrace) -> Step:
        z, a = self.argument(r), self.out(r)
        _, slope = activation_formula(r.activation, z, a)
        name = shown_name(r.activation)
        if r.slope is None:
            items: list[Shown | str] = [Shown(by(a), present(r.dy)), r"\to"]
            items.append(Shown(by(z), present(r.dz)))
            text = "The outputs hang together, so the error passes through all slopes at once."
            line = Line("", items, documented(r.activation, "backward"))
            return Step("backward", f"Back through {name}", r.name, r.number, text, [line])
        f = r"\sigma" if name == "sigmoid" else r"\varphi"
        value = rf"{f}'({z})"
        items = [Shown(by(a), present(r.dy)), r"\odot", Shown(value, r.slope)]
        items += ["=", Shown(by(z), present(r.dz))]
        lines = [Line(rf"{by(z)} = {by(a)} \odot {value}", items)]
        known = documented(r.activation, "backward") if slope is None else ""
        lines.insert(0, Line(f"{value} = {slope}" if slope else "", code=known))
        text = "What comes from above, times the slope of the activation: the error δ of each sum."
        return Step("backward", f"Back through {name}", r.name, r.number, text, lines)

    def _through_weights(self, r: LayerTrace) -> Step:
        z = self.out(r) if linear(r) else self.of("z", r)
        x, w, b = self.into(r), self.weight("kernel", r), self.weight("bias", r)
        dz = Shown(by(z), present(r.dz), again=True)
        inputs, kernel = r.weights["kernel"], present(r.x)
        lines = []
        rows = kernel.reshape(-1, kernel.shape[-1])
        part = inputs.parts.get(r.call)
        if part is not None:
            dw = self.part(w, inputs, r.call)
            top = f"{{{x}}}" + r"^\top"
            lines.append(
                Line(
                    rf"{dw} = {top} {by(z)}",
                    [Shown(top, rows.T, True), r"\cdot", dz, "=", Shown(dw, part)],
                )
            )
            if "bias" in r.weights and r.call in r.weights["bias"].parts:
                bias = r.weights["bias"]
                db = Shown(self.part(b, bias, r.call), bias.parts[r.call])
                lines.append(Line(rf"{db.symbol} = \sum {by(z)}", [dz, r"\to", db]))
        top = f"{{{w}}}" + r"^\top"
        if r.dx is not None:
            back: list[Shown | str] = [dz, r"\cdot", Shown(top, inputs.before.T, True), "="]
            lines.append(Line(rf"{by(x)} = {by(z)} {top}", [*back, Shown(by(x), r.dx)]))
        text = (
            "A weight's gradient is its input times the error behind it, summed over the samples. "
            "The error goes on through the same weights, from their ends to their starts."
        )
        if part is None:
            text = "The weights are frozen; the error passes through them."
        return Step("backward", "Gradients of the weights", r.name, r.number, text, lines)

    def _other_backward(self, r: LayerTrace) -> Step:
        outputs = _beside(several(self.out(r), r.y), r.dy)
        items: list[Shown | str] = [Shown(by(y.symbol), d) for y, d in outputs]
        inputs = self.inputs(r)
        ways = [part.dx for part in r.parts if part.x is r.x and part.dx is not None]
        items += [Shown(by(x.symbol), d) for way in ways for x, d in _beside(inputs, way)]
        if beside := _beside(inputs, r.dx):
            items += [r"\to", *(Shown(by(x.symbol), d) for x, d in beside)]
        lines = [Line("", items, documented(r.layer, "backward"))]
        for name, w in r.weights.items():
            if r.call in w.parts:
                symbol = self.part(self.weight(name, r), w, r.call)
                lines.append(Line("", [Shown(symbol, w.parts[r.call])]))
        text = "The input went several ways: its gradients are put together." if r.parts else ""
        title = f"Back through {type(r.layer).__name__}"
        return Step("backward", title, r.name, r.number, text, lines)


def _takes(record: LayerTrace, source: LayerTrace) -> bool:
    """Whether a layer is given an output of another one."""
    made = {id(a) for a in listed(source.y) if a is not None}
    return record is not source and any(id(a) in made for a in listed(record.x))


def _beside(shown: list[Shown], gradients: Any) -> list[tuple[Shown, Array]]:
    """Return arrays with their gradients, those that have one."""
    pairs = zip(shown, listed(gradients), strict=False)
    return [(array, d) for array, d in pairs if d is not None]
