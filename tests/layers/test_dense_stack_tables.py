"""Where a stack of Dense layers keeps its weights and outputs: tables for the compiled kernels."""

from functools import partial

import numpy as np

import netlayers as nl
from netlayers.layers.dense_stack import Layout, SkipConnection, _places, kind_of
from tests.golden import check_text
from tests.snapshots import outcome

Dense = nl.layers.Dense
STACKS = {
    "two": lambda: ([Dense(3, "relu"), Dense(2)], {}),
    "no bias": lambda: (
        [Dense(4, "tanh", use_bias=False), Dense(1, "sigmoid"), Dense(5, "softmax")],
        {},
    ),
    "frozen first": lambda: (
        [Dense(3, "relu", trainable=False), Dense(3), Dense(3, "tanh")],
        {2: (2, 0)},
    ),
    "all frozen": lambda: ([Dense(2, trainable=False), Dense(2, trainable=False)], {1: (1, 1)}),
    "skips": lambda: (
        [Dense(4), Dense(6, "relu"), Dense(4), Dense(9), Dense(4)],
        {2: (2, 0), 4: (2, 1)},
    ),
    "a skip around all": lambda: ([Dense(5), Dense(4), Dense(3)], {2: (3, 0)}),
    "last not compiled": lambda: ([Dense(3, "relu"), Dense(2, "gelu")], {}),
}


def test_layouts():
    lines = []
    for name, make in STACKS.items():
        for dtype in ("float32", "float64"):
            layers, skips = make()
            first = nl.layers.Dense(2, name="before")
            model = nl.Sequential([first, *layers], dtype=dtype, seed=0)
            model.build((None, 3))
            connections = {i: SkipConnection(None, *its) for i, its in skips.items()}
            vector = layers[0]._vector
            layout = Layout(layers, connections, vector)
            lines.append(f"{name} {dtype}: {layout.row} {layout.widest} {layout.lowest}")
            lines.append(f"  {layout.nothing.shape} {layout.nothing.dtype} {layout._units}")
            if dtype == "float64":
                tables = [*layout.tables, *layout.passing]
                lines += [f"  {t.dtype} {t.tolist()}" for t in tables]
            for rows in (3, 2, 5, 1, 5):
                memory, outputs, scratch, ones = layout.buffers(rows)
                begins = [y.ctypes.data - memory.ctypes.data for y in outputs]
                sizes = [a.shape for a in (memory, scratch, ones, *outputs)]
                lines.append(f"  {rows}: {sizes} {begins} {ones.sum()} {sorted(layout._buffers)}")
            assert not layout.is_old(vector)
            vector.version = object()
            assert layout.is_old(vector)
            assert Layout(layers, connections, vector).is_old(first._vector) is False
            for rows in range(6, 30):
                layout.buffers(30 - rows)
            lines.append(f"  {sorted(layout._buffers)}")
    check_text(__file__, "layouts of stacks.txt", "\n".join(lines))


def test_places_and_kinds():
    lines = []
    for count in range(1, 6):
        several = ({}, {1: 0}, {2: 1}, {count - 1: 0}, {1: 0, 3: 2}, {1: 1, 4: 0})
        lines += [
            f"{count} {starts}: {outcome(partial(_places, count, starts))}" for starts in several
        ]
    names = ("relu", "linear", "tanh", "gelu", "softmax", "leaky_relu", "sigmoid", None)
    lines += [f"{name}: {kind_of(Dense(2, name))}" for name in names]
    limited = [nl.activations.ReLU(max_value=6.0), nl.activations.ReLU(threshold=1.0)]
    limited += [nl.activations.ReLU(), nl.activations.LeakyReLU(0.1)]
    lines += [f"{activation!r}: {kind_of(Dense(2, activation))}" for activation in limited]
    check_text(__file__, "places of stacks.txt", "\n".join(lines))


SHAPES = ((None, 3), (None, 4, 3), (None, 4), (2, 4, 5), (2, None, 3), (2,))


def test_a_wrapper_checks_shapes_as_its_layer_does():
    lines = []
    for make in (lambda: Dense(2), lambda: nl.layers.Conv1D(2, 2)):
        for wrap in (nl.layers.SpectralNormalization, nl.layers.Wrapper):
            layer = wrap(make())
            layer(np.ones((1, 4, 3)))
            said = {s: outcome(partial(layer.check_input_shape, s)) for s in SHAPES}
            lines += [f"{wrap.__name__} {shape}: {its}" for shape, its in said.items()]
    check_text(__file__, "shapes of wrappers.txt", "\n".join(lines))


def test_weights_of_values():
    from netlayers.losses.given import expand_weights
    from netlayers.metrics.base import broadcast_weights

    metric, lines = nl.metrics.Mean(name="m"), []
    for of in ((), (3,), (3, 2), (3, 2, 4)):
        for shape in ((), (1,), (3,), (2,), (3, 1), (3, 2), (3, 1, 1), (1, 2), (3, 2, 1), (3, 2, 4),
                      (3, 1, 4), (2, 1), (3, 2, 4, 1)):  # fmt: skip
            weight = np.arange(np.prod(shape, dtype=int) * 1.0).reshape(shape)
            said = outcome(lambda w=weight, s=of: broadcast_weights(metric, w, s))
            expanded = expand_weights(weight, of)
            expanded = None if expanded is None else (expanded.shape, expanded.flags.owndata)
            lines.append(f"{shape} for {of}: {said} {expanded}")
    odd = (-1.0, [1, -2, 3], [1, np.nan, 2], [1, np.inf, 2], "a", None, [[1], [2]])
    lines += [f"{w}: {outcome(partial(broadcast_weights, metric, w, (3,)))}" for w in odd]
    check_text(__file__, "weights of values.txt", "\n".join(lines))
