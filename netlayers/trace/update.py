"""The update in a trace: how gradients and weights change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.optimizers import SGD, MultiOptimizer
from netlayers.trace.formulas import documented
from netlayers.trace.records import parameters_of
from netlayers.trace.steps import Line, Shown, Step, Symbols, by, present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers.core.layer import Layer
    from netlayers.optimizers import Optimizer
    from netlayers.trace.records import LayerTrace, WeightTrace


def update_steps(symbols: Symbols) -> Iterator[Step]:
    """Yield the steps of the update."""
    o = symbols.optimizer
    if not o.updated:
        yield Step("update", "No update", text=_why_not(o.optimizer))
        return
    for r in symbols.numbered:
        if r.weights and r.call == 1:
            yield _changed(symbols, r)
    yield _end(symbols)


def _changed(symbols: Symbols, r: LayerTrace) -> Step:
    o, lines = symbols.optimizer, []
    plain = _plain_descent(o.optimizer, r.layer)
    used_by: list[str] = []
    rate = o.learning_rate * r.layer.learning_rate_multiplier * r.layer._outer_multiplier
    for name, w in r.weights.items():
        symbol = symbols.weight(name, r)
        new = Shown(rf"{symbol}\ \mathrm{{new}}", w.after)
        if w.gradient is None:
            why = "kept" if np.array_equal(w.before, w.after) else "moved by the forward pass"
            why = why if r.layer.trainable else "frozen"
            old = Shown(symbol, w.before)
            lines.append(Line("", [old, r"\to", new], note=f"{name}: {why}."))
            continue
        lines += list(_gradient(symbols, symbol, w))
        items: list[Shown | str] = []
        used = present(w.used)
        g = by(symbol) if np.array_equal(used, present(w.gradient)) else f"g_{{{symbol}}}"
        if plain:
            items = [r"-\eta \cdot", Shown(g, used, again=True), "="]
        items.append(Shown(rf"\Delta {symbol}", w.change))
        formula = rf"\Delta {symbol} = -\eta {g}" if plain else ""
        rule: Any = o.optimizer
        if isinstance(rule, MultiOptimizer):
            rule = rule.optimizer_of(parameters_of(r.layer)[name])
            used_by.append(f"{name} by {type(rule).__name__}")
        code = "" if plain else documented(rule, "class")
        lines.append(Line(formula, items, code))
        sums: list[Shown | str] = [Shown(symbol, w.before), "+"]
        sums += [Shown(rf"\Delta {symbol}", w.change, again=True), "=", new]
        lines.append(Line(rf"{symbol} \leftarrow {symbol} + \Delta {symbol}", sums))
    kind = type(o.optimizer).__name__
    text = f"{kind} with the learning rate η = {rate:.6g}: each weight goes downhill."
    if isinstance(o.optimizer, MultiOptimizer):
        text = f"{kind}: {', '.join(used_by) or 'no weight'}."
    return Step("update", "Update of the weights", r.name, r.number, text, lines)


def _gradient(symbols: Symbols, symbol: str, w: WeightTrace) -> Iterator[Line]:
    """Yield what became of a gradient before the optimizer's rule used it."""
    o = symbols.optimizer
    dw, g = by(symbol), f"g_{{{symbol}}}"
    gradient, used = present(w.gradient), present(w.used)
    if len(w.parts) > 1:
        sums: list[Shown | str] = []
        for number, part in sorted(w.parts.items()):
            sums += ["+", Shown(symbols.part(symbol, w, number), part)]
        note = f"The layer is used {len(w.parts)} times; its gradients are added up."
        yield Line("", [*sums[1:], "=", Shown(dw, gradient)], note=note)
    total = gradient
    items: list[Shown | str] = [Shown(dw, gradient)]
    if w.penalty is not None:
        total = gradient + w.penalty
        items += ["+", Shown(rf"\frac{{\partial R}}{{\partial {symbol}}}", w.penalty)]
        note = "The gradient of the penalty is added."
        yield Line("", [*items, "=", Shown(g, total)], note=note)
    if not np.array_equal(total, used):
        note = "The mean with the gradients accumulated before."
        if o.norm is not None:
            note = f"Clipped ({_limit(o.optimizer)}); the norm of all gradients is {o.norm:.6g}."
        before = dw if total is gradient else g
        yield Line("", [Shown(before, total), r"\to", Shown(g, used)], note=note)


def _end(symbols: Symbols) -> Step:
    loss = symbols.loss
    items: list[Shown | str] = [Shown(r"L", np.asarray(loss.before)), r"\to"]
    items.append(Shown(r"L\ \mathrm{new}", np.asarray(loss.after)))
    text = (
        "The loss of the same batch, as test_on_batch gives it, with the old weights and "
        "with the new ones."
    )
    return Step("update", "After the step", text=text, lines=[Line("", items)])


def _plain_descent(optimizer: Optimizer, layer: Layer) -> bool:
    """Whether the update is the learning rate times the gradient, and nothing else."""
    plain = type(optimizer) is SGD and not optimizer.momentum
    free = all(p.constraint is None for p in layer.declared_parameters)
    return plain and free and not optimizer.weight_decay and not optimizer.use_ema


def _limit(optimizer: Optimizer) -> str:
    names = ("clipnorm", "clipvalue", "global_clipnorm")
    return ", ".join(f"{n}={getattr(optimizer, n):g}" for n in names if getattr(optimizer, n))


def _why_not(optimizer: Optimizer) -> str:
    every = getattr(optimizer, "gradient_accumulation_steps", None)
    if every and optimizer.accumulated:
        return f"The gradients are accumulated: {optimizer.accumulated} of {every} batches."
    return "A gradient was not finite, and the optimizer leaves such updates out."
