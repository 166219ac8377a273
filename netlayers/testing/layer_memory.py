"""Which arrays a layer writes to, and what it carries over from one batch to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.core.calls import generators_of
from netlayers.core.layer import Layer
from netlayers.testing.contract import Example, check
from netlayers.testing.layers import KINDS
from netlayers.testing.values import (
    FLOATS,
    bits,
    built,
    copies,
    dense_gradients,
    forward,
    gradient_like,
    inputs,
    listed,
    require,
    restart_streams,
    same,
    step,
    with_rows,
)

_KEEP = "keep what backward() reads in self.cache, set where training is True and nowhere else"


@check(*KINDS)
def given_arrays_are_unchanged(example: Example) -> None:
    """Check that neither forward() nor backward() writes to an array that it is given."""
    for dtype in FLOATS:
        layer = built(example, dtype)
        x = inputs(layer, example.data[0], dtype)
        before = bits(listed(x))
        for training in (False, True):
            y = layer.forward(x, training=training)
            require(
                bits(listed(x)) == before,
                f"forward(x, training={training}) to leave x as it is",
                "other numbers in x after it",
                "write into self.buffer(name, shape, training), not into x",
            )
        dy = gradient_like(y)
        dy_before = bits(listed(dy))
        layer.backward(dy)
        for name, array, kept in (("x", x, before), ("dy", dy, dy_before)):
            require(
                bits(listed(array)) == kept,
                f"backward(dy) to leave {name} as it is",
                f"other numbers in {name} after it",
                "write into self.buffer(name, shape), not into the arrays that are given",
            )
        for a in (*listed(x), *listed(dy)):  # and none is written to in between
            a.flags.writeable = False
        layer.forward(x)
        layer.forward(x, training=True)
        layer.backward(dy)


@check(*KINDS)
def inference_output_is_the_callers(example: Example) -> None:
    """Check that what forward() returns at inference is never written to again."""
    layer = built(example)
    y = listed(layer.forward(inputs(layer, example.data[0])))
    kept = [a.copy() for a in y]
    layer.forward(inputs(layer, example.data[0], seed=7))
    step(layer, inputs(layer, example.data[0], seed=8))
    same(
        y,
        kept,
        "the output of forward(x) to keep its numbers through later calls",
        "return a new array at inference: self.buffer(name, shape, training) makes one",
    )


@check(*KINDS)
def inference_changes_nothing(example: Example) -> None:
    """Check that inference leaves weights, statistics, gradients and generators alone."""
    layer = built(example)
    step(layer, inputs(layer, example.data[0]))

    def kept() -> list[Any]:
        return [*map(np.array, layer.weights), *dense_gradients(layer)]

    before, streams = kept(), _streams(layer)
    forward(layer, inputs(layer, example.data[0], seed=7))
    same(
        kept(),
        before,
        "weights, running statistics and gradients to stay as they are at inference",
        "update running statistics with training=True alone",
    )
    require(
        _streams(layer) == streams,
        "inference to draw no random number",
        "generators that have moved on",
        "draw with training=True alone",
    )


def _streams(layer: Layer) -> list[Any]:
    return [g.bit_generator.state for g in generators_of(layer).values()]


@check(*KINDS)
def inference_between_forward_and_backward(example: Example) -> None:
    """Check that inference between forward() and backward() changes no gradient."""
    shape = example.data[0]
    layer, fresh = built(example), built(example)
    x, other = inputs(layer, shape), inputs(layer, with_rows(shape, 7), seed=7)

    def infer() -> None:
        layer.reset_states()
        layer.forward(other)

    same(
        step(layer, x, between=infer),
        step(fresh, x),
        "the gradients of the batch that went through forward(training=True), whatever inference "
        "there was since",
        _KEEP,
    )


@check(*KINDS)
def batches_do_not_depend_on_earlier_ones(example: Example) -> None:
    """Check that a training step after others of other sizes is that of a new layer."""
    shape = example.data[0]
    layer = built(example, "float32")
    for i, rows in enumerate((7, 3, 7, 1, 3)):
        x = inputs(layer, with_rows(shape, rows), "float32", 5 + i)
        fresh = built(example, "float32")
        for mine, its in zip(layer.weights, fresh.weights, strict=True):
            its[...] = mine  # running statistics have moved on
        same(
            step(layer, x),
            step(fresh, x),
            f"outputs and gradients of a batch of {rows} after {i} other batches to be those of a "
            "new layer",
            "overwrite each gradient (self.d_w[...] = ..., not +=), and let nothing but weights, "
            "statistics and states last from batch to batch",
        )


@check(*KINDS)
def two_calls_keep_apart(example: Example) -> None:
    """Check that two calls of one layer (new_call) each go back through their own forward pass."""
    layer, fresh = built(example), built(example)
    xs = [inputs(layer, example.data[0], seed=seed) for seed in (1, 5)]
    expected = [step(fresh, x) for x in xs]
    _interleaved(
        [layer, layer.new_call()],
        [layer, layer],
        xs,
        expected,
        "backward() of each of two calls of a layer to belong to the forward() of that call",
    )


@check(*KINDS)
def two_layers_keep_apart(example: Example) -> None:
    """Check that two layers of the class share no array."""
    layers = [built(example), built(example)]
    xs = [inputs(layers[0], example.data[0], seed=seed) for seed in (1, 5)]
    expected = [step(built(example), x) for x in xs]
    _interleaved(
        layers, layers, xs, expected, "two layers of the class not to see each other's batches"
    )


def _interleaved(
    calls: list[Any], layers: list[Any], xs: list[Any], expected: list[Any], promise: str
) -> None:
    outputs = []
    for call, layer, x in zip(calls, layers, xs, strict=True):
        restart_streams(layer)
        layer.reset_states()
        outputs.append(call.forward(x, training=True))
    for call, layer, y, wanted in zip(calls, layers, outputs, expected, strict=True):
        kept = copies(y)
        dx = call.backward(gradient_like(y))
        same(
            [*kept, *copies(dx), *dense_gradients(layer)],
            wanted,
            promise,
            "use self.buffer() and self.cache, not attributes of the class, globals or arrays "
            "made in __init__",
        )
