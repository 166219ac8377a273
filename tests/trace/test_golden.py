"""What a trace looks like, in each of its forms, is what is kept in ``golden``."""

import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.data.batch import Batch
from netlayers.layers.graph import Graph
from netlayers.trace.trace import trace_batch
from tests.golden import check_text
from tests.user_layers import Gate

L = nl.layers


def numbers(shape, first=0.0):
    """Numbers without any rule to them, and none of them near 0."""
    count = np.prod(shape)
    return (np.round(np.sin(first + 2.3 * np.arange(1, count + 1)), 2) + 0.005).reshape(shape)


def fixed(model, shape):
    """The model with weights that do not depend on random numbers."""
    model.build(shape)
    model.parameters.values[...] = 0.7 * numbers(model.parameters.size, first=1.0)
    for p in model.parameters.all:
        if p.statistic:
            p.value[...] = np.abs(numbers(p.shape)) + 0.5
    return model


def plain():
    layers = [L.Dense(2, "sigmoid", name="hidden"), L.Dense(1, name="out")]
    model = fixed(nl.Sequential(layers, name="2-2-1", dtype="float64"), (None, 2))
    model.compile(nl.optimizers.SGD(0.5, clipnorm=1e-3), "mse")
    return model.trace(numbers((2, 2)), [0.01, 0.99], [1.0, 0.5], digits=6)


def nested():
    block = L.Residual([L.LayerNormalization(), L.Dense(3, "relu", kernel_regularizer="l1")])
    halves = L.Parallel([L.Dense(1, "tanh"), nl.Sequential([L.Dense(2, "gelu"), L.ELU()])])
    layers = [L.Dense(3, "tanh"), block, halves, L.Dense(3, "softmax", name="a_b")]
    model = fixed(nl.Sequential(layers, name="middle <b>", dtype="float64"), (None, 3))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.trace(numbers((4, 3)), [0, 2, 1, 1])


def wide():
    names = [L.Dense(30, "relu"), L.Dropout(0.0), L.BatchNormalization(), L.Dense(11)]
    model = fixed(nl.Sequential(names, name="wide", dtype="float64"), (None, 40))
    model.compile(nl.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01), "huber")
    model.layers[0].trainable = False
    return model.trace(numbers((20, 40)), numbers((20, 11)), rows=4, columns=4, digits=3)


def several():
    layers = [L.Flatten(), L.Dense(4, "leaky_relu", kernel_constraint="maxnorm"), L.Rescaling(2.0)]
    layers += [L.PReLU(), L.Dense(1, "sigmoid")]
    model = fixed(nl.Sequential(layers, name="shapes", dtype="float64"), (None, 2, 2))
    optimizer = nl.optimizers.RMSprop(0.01, gradient_accumulation_steps=2, use_ema=True)
    model.compile(optimizer, "binary_crossentropy")
    return model.trace(numbers((3, 2, 2)), [[0], [1], [1]])


def wired():
    calls = [(0, [(0, None)]), (1, [(1, None)]), (1, [(2, None)]), (2, [(3, None), (1, None)])]
    calls.append((3, [(4, None)]))
    f = L.Dense(3, "tanh", name="f", kernel_regularizer="l2")
    graph = Graph([L.Dense(3, name="first"), f, Gate(), L.Dense(1, name="g")], calls, name="net")
    model = fixed(nl.Sequential([graph], name="wired", dtype="float64"), (None, 3))
    model.compile(nl.optimizers.Adam(0.1), nl.losses.MeanAbsoluteError("sum"))
    return trace_batch(
        model._make_steps((2, 1)), Batch(numbers((2, 3)), numbers((2, 1), 5.0), None, 2)
    )


def halved():
    """Outputs that are narrower than the sums they are computed from."""
    layers = [L.Dense(4, "glu", name="half"), L.Dense(1, name="out")]
    model = fixed(nl.Sequential(layers, name="halved", dtype="float64"), (None, 3))
    model.compile("sgd", "mse")
    return model.trace(numbers((2, 3)), numbers((2, 1), 5.0))


def outputs():
    """Two inputs and three outputs, one of which has no loss; a shared layer and a penalty."""
    x, z = nl.Input((2,), name="x"), nl.Input((3,), name="z")
    h = L.Dense(3, "tanh", name="h", kernel_regularizer="l2")
    joined = L.Concatenate(name="joined")([x, z])
    twice = h(L.Dense(3, name="first")(joined) + h(z))
    ends = [L.Dense(1, name="size"), L.Dense(3, "softmax", name="a_kind"), L.Dense(2, name="free")]
    model = nl.Model([x, z], [end(twice) for end in ends], name="outputs", dtype="float64")
    fixed(model, [(None, 2), (None, 3)])
    loss = {"size": "mse", "a_kind": "sparse_categorical_crossentropy"}
    model.compile(nl.optimizers.SGD(0.1), loss, loss_weights={"size": 0.5})
    targets = {"size": numbers((4,), 5.0), "a_kind": [0, 2, 1, 1]}
    return model.trace({"x": numbers((4, 2)), "z": numbers((4, 3), 2.0)}, targets)


def unrolled():
    """Recurrent layers of one unit, two time steps."""
    layers = [L.SimpleRNN(1, return_sequences=True), L.GRU(1, return_sequences=True), L.LSTM(1)]
    model = fixed(nl.Sequential(layers, name="unrolled", dtype="float64"), (None, 2, 1))
    model.compile("sgd", "mse")
    return model.trace(numbers((2, 2, 1)), numbers((2, 1), 5.0))


TRACES = (halved, plain, nested, wide, several, wired, outputs, unrolled)


@pytest.fixture(scope="module", params=TRACES, ids=lambda f: f.__name__)
def trace(request):
    return request.param.__name__, request.param()


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_form(trace, form):
    name, it = trace
    text = getattr(it, form)()
    if form == "html":  # the page around it is a file of the package
        picture = re.search(r"<svg.*</svg>", text, flags=re.S)[0]
        check_text(__file__, f"{name}.svg", re.sub(r"(<(?:g|path|rect|text)\b)", r"\n\1", picture))
        text = re.sub(r"<(style|script|svg).*?</\1>", "", text, flags=re.S)
        text = "".join(re.split(r"(?=<section)", text)[:6])
    check_text(__file__, f"{name}.{form}", text)
    if form == "text":
        check_text(__file__, f"{name}.repr", f"{it!r}\n{len(it.steps)}")
