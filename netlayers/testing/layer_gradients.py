"""Gradients of layers: alone and in a model, in both dtypes, with and without that of the input."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.checks import is_several
from netlayers.core.inputs import input_names, specs_of
from netlayers.core.penalties import collect_penalties
from netlayers.core.shapes import listed_shapes
from netlayers.gradient_check import check_gradients
from netlayers.layers import Dense, InputLayer
from netlayers.models import Sequential
from netlayers.testing.contract import Example, check
from netlayers.testing.layers import KINDS
from netlayers.testing.values import (
    built,
    close,
    copies,
    dense_gradients,
    gradient_like,
    inputs,
    listed,
    require,
    restart_streams,
    same,
    step,
)

_DERIVE = (
    "compare backward() with the derivative of forward(); netlayers.check_gradients(layer, x) "
    "shows the same table for your own data"
)


@check(*KINDS)
def gradients_are_derivatives(example: Example) -> None:
    """Check that every entry of each gradient is the derivative, at random weights."""
    layer = built(example)
    report = check_gradients(layer, inputs(layer, example.data[0]), max_entries=None)
    require(report.passed, "gradients within 1e-5 of the numerical ones", f"\n{report}", _DERIVE)
    specs = specs_of(layer)
    moving = [spec.dtype == "float" and spec.gradient for spec in specs]
    titles = ["input"] if len(specs) == 1 else [f"input {name}" for name in input_names(specs)]
    names = [name for name, moves in zip(titles, moving, strict=True) if moves]
    names += [p.path for p in layer.declared_parameters if p.trainable]
    count = len(listed_shapes(layer.output_shape))
    ways = [f" (output {i} alone)" for i in range(count) if count > 1]
    ways += [" (masked)"] if layer.takes_mask else []
    require(
        [row.name for row in report.rows] == [n + way for way in ("", *ways) for n in names]
        and all(row.checked == np.prod(row.shape) for row in report.rows),
        "every entry of the gradients of inputs and weights to be compared",
        f"\n{report}",
        "move the example away from points where the function has a corner",
    )


@check(*KINDS, when=lambda example: not example.make().random)
def float32_agrees_with_float64(example: Example) -> None:
    """Check that outputs and gradients in float32 are those in float64, up to rounding."""
    narrow, wide = built(example, "float32"), built(example, "float64")
    for mine, its in zip(narrow.weights, wide.weights, strict=True):
        its[...] = mine
    for seed in (1, 5):
        x = inputs(narrow, example.data[0], "float32", seed)
        exact = tuple(_widened(a) for a in x) if isinstance(x, tuple) else _widened(x)
        restart_streams(narrow)
        y = narrow.forward(x, training=True)
        got = copies(y)
        dy = gradient_like(y)
        got += [*copies(narrow.backward(dy)), *dense_gradients(narrow)]
        wide.reset_states()
        narrow.reset_states()
        wanted = copies(wide.forward(exact, training=True))
        wanted += copies(
            wide.backward(tuple(map(_widened, dy)) if isinstance(dy, tuple) else _widened(dy))
        )
        wanted += dense_gradients(wide)
        for a, b in zip(got, wanted, strict=True):
            close(
                [a],
                [b],
                "outputs and gradients of a float32 layer to be those of a float64 layer, up to "
                "rounding",
                "look for what depends on the dtype: a buffer, a constant, a branch",
                1e-3,
                1e-4 * (1 + float(np.abs(b).max(initial=0.0))),
            )


def _widened(a: Any) -> Any:
    return a.astype("float64") if a.dtype.kind == "f" else a


@check(*KINDS, when=lambda example: example.cls.can_skip_input_gradient)
def input_gradient_can_be_left_out(example: Example) -> None:
    """Check that input_gradient=False does not change the gradients of the weights."""
    layer = built(example)
    x = inputs(layer, example.data[0])
    step(layer, x)
    expected = dense_gradients(layer)
    restart_streams(layer)
    layer.reset_states()
    y = layer.forward(x, training=True)
    layer.backward(gradient_like(y), input_gradient=False)  # what it returns is not used
    same(
        dense_gradients(layer),
        expected,
        "the same gradients of the weights from backward(dy, input_gradient=False), which the "
        "first layer of a model is trained with, as from backward(dy)",
        "let input_gradient decide about dL/dx alone",
    )


@check(*KINDS)
def gradients_are_derivatives_in_a_model(example: Example) -> None:
    """Check that the gradients are right as first, middle and last layer of a model."""
    for place, model, shape in _models(example):
        x = inputs(model, shape)
        model.forward(x)
        rng = np.random.default_rng(4)
        for w in model.weights:
            if w.dtype.kind == "f":
                w += 0.3 * rng.normal(size=w.shape)
        statistics = model.parameters.statistics
        statistics[...] = np.abs(statistics) + 0.5
        dy, kept = gradient_like(model.forward(x)), statistics.copy()
        gradients = _training_step(model, x, dy, True)
        directions = [rng.normal(size=w.shape) for w in model.trainable_weights]
        slope = sum(np.vdot(g, d) for g, d in zip(gradients, directions, strict=True))
        numerical = _slope(model, x, dy, directions, float(slope))
        close(
            [slope],
            [numerical],
            "the derivative along a random direction of all weights of a model where the layer is "
            f"{place}, as central differences give it,",
            _DERIVE,
            1e-5,
            1e-7,
        )
        statistics[...] = kept  # in which a layer may remember where it was
        same(
            _training_step(model, x, dy, False),
            gradients,
            "the same gradients with model.backward(dy, input_gradient=False), as fit calls it, "
            f"where the layer is {place} in a model",
            "let input_gradient decide about dL/dx alone",
        )


def _training_step(model: Sequential, x: Any, dy: Any, input_gradient: bool) -> list[Any]:
    restart_streams(model)
    model.reset_states()
    model.forward(x, training=True)
    model.backward(dy, input_gradient=input_gradient)
    return dense_gradients(model)


def _slope(model: Sequential, x: Any, dy: Any, directions: list[Any], wanted: float) -> float:
    """Return the derivative of sum(dy * output) along a direction of the weights.

    Of several steps it is that which agrees best, since a corner may be near.
    """
    start = [np.array(w) for w in model.trainable_weights]

    def value(h: float) -> float:
        for w, old, d in zip(model.trainable_weights, start, directions, strict=True):
            w[...] = old + h * d
        restart_streams(model)
        model.reset_states()
        y, penalties = collect_penalties(model.forward, x, True)
        pairs = zip(listed(dy), listed(y), strict=True)
        return float(sum(np.vdot(a, b) for a, b in pairs) + sum(penalties))

    found = [(value(h) - value(-h)) / (2 * h) for h in (1e-5, 1e-6, 1e-7)]
    value(0.0)
    return min(found, key=lambda slope: abs(slope - wanted))


def _models(example: Example) -> list[tuple[str, Any, Any]]:
    """Return models with the layer in all places where other layers can stand beside it."""
    shape = example.data[0]
    layer = example.make(name="mine")
    spec = layer.input_spec
    plain_input = not isinstance(spec, tuple) and spec.dtype == "float" and not is_several(shape)
    output = built(example).compute_output_shape(shape)
    plain_output = not is_several(output) and len(output) > 1

    def around(before: bool, after: bool) -> Any:
        layers = [Dense(shape[-1], "tanh", name="before")] if before else []
        layers.append(example.make(name="mine"))
        layers += [Dense(2, "tanh", name="after")] if after else []
        return Sequential(layers, seed=0, dtype="float64")

    found = []
    if plain_output:
        found.append(("first", around(False, True), shape))
    if issubclass(example.cls, InputLayer):  # it stands before all others
        return found
    if plain_input:
        found.append(("last", around(True, False), shape))
    if plain_input and plain_output:
        found.append(("in the middle", around(True, True), shape))
    return found
