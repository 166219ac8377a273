"""What recurrent layers and cells do with every form of input, mask, state and gradient."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.layers.recurrent_cell import state_shapes
from tests.golden import check_text
from tests.snapshots import numbers, numpy_kernels, outcome, shown  # noqa: F401

L = nl.layers
STEPS = {"return_sequences": True, "return_state": True}
X, MASK = numbers(3, 4, 2), np.array([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1]], bool)


SHAPES = [(3, 4, 2), (None, None, 2), (3, 2), (3, 0, 2), (3, 4, 5), (3, 4, 2, 1), (3, 4, None)]
SHAPES.append(((3, 4, 2), (3, 9)))


class Wide(L.RNNCell):
    """A cell of a user, whose output is wider than its state."""

    state_size = 2
    output_size = 3

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 3), input_shape[1]

    def build(self, input_shape):
        self.add_weight("w", (2, 3), initializer="ones")

    def forward(self, x, training=False):
        x, h = self.prepare(x)
        h = 0.5 * h + x
        if training:
            self.cache.h = h
        return h @ self.w, h

    def backward(self, dy):
        self.d_w[...] = self.cache.h.T @ dy[0]
        dh = dy[0] @ self.w.T + dy[1]
        return dh, 0.5 * dh


def bidirectional(merge, **options):
    return L.Bidirectional(L.LSTM(2, **options), merge_mode=merge)


LAYERS = {
    "simple": lambda: L.SimpleRNN(2, unroll=True),
    "simple by step": lambda: L.SimpleRNN(2, "sigmoid", **STEPS, zero_output_for_mask=True),
    "lstm": lambda: L.LSTM(2, return_state=True, dropout=0.3, seed=1),
    "lstm backwards": lambda: L.LSTM(2, **STEPS, go_backwards=True, unit_forget_bias=False),
    "lstm by step": lambda: L.LSTM(2, return_sequences=True, recurrent_dropout=0.3, seed=2),
    "gru": lambda: L.GRU(2, zero_output_for_mask=True, use_bias=False),
    "gru before": lambda: L.GRU(2, **STEPS, reset_after=False, implementation=1),
    "gru by step": lambda: L.GRU(2, recurrent_activation="hard_sigmoid", dropout=0.4, seed=3,
                                 recurrent_dropout=0.5, **STEPS),
    "gru before by step": lambda: L.GRU(2, "relu", reset_after=False, return_sequences=True),
    "stateful": lambda: L.GRU(2, stateful=True, return_sequences=True),
    "frozen": lambda: L.LSTM(2, trainable=False, return_sequences=True),
    "stacked": lambda: L.RNN([L.GRUCell(3), L.LSTMCell(2, dropout=0.2, seed=4)], **STEPS),
    "wide": lambda: L.RNN(Wide(), **STEPS),
    "wide, the last": lambda: L.RNN(Wide(), stateful=True),
    "concat": lambda: bidirectional("concat", **STEPS),
    "sum": lambda: bidirectional("sum", return_sequences=True),
    "mul": lambda: bidirectional("mul", return_state=True),
    "ave": lambda: bidirectional("ave", go_backwards=True, return_sequences=True),
    "both": lambda: bidirectional(None, **STEPS),
    "both, the last": lambda: bidirectional(None),
    "other way": lambda: L.Bidirectional(
        L.GRU(2), "concat", backward_layer=L.SimpleRNN(3, go_backwards=True)
    ),
}  # fmt: skip


def made(name):
    layer = LAYERS[name]()
    layer._set_dtype(np.dtype("float64"))
    layer.build((None, None, 2))
    for i, p in enumerate(layer.declared_parameters):
        p.value[...] = 0.8 * numbers(*p.shape, first=float(i))
    return layer


def states(layer):
    shapes = layer._state_shapes()
    return [0.5 * numbers(3, *shape, first=3.0 + i) for i, shape in enumerate(shapes)]


def trained(name, mask=None, given=False, without=(), twice=False, **options):
    """Outputs, gradients and states; ``without`` are outputs that no gradient arrives at."""
    layer = made(name)
    x = (X, *states(layer)) if given else X
    if twice:
        layer.forward(x, training=True, mask=mask)
    y = layer.forward(x, training=True, mask=mask)
    y = [a.copy() for a in y] if isinstance(y, tuple) else y.copy()
    each = y if isinstance(y, list) else [y]
    dy = [None if i in without else numbers(*a.shape, first=9.0 + i) for i, a in enumerate(each)]
    d = layer.backward(tuple(dy) if isinstance(y, list) else dy[0], **options)
    kept = [s.value for s in layer.states.values()]
    return ["y", *each, "dx", *(d if isinstance(d, tuple) else (d,)), "dW", *layer.gradients, *kept]


def words(values):
    return " / ".join(v if isinstance(v, str) else shown(v) for v in values)


@pytest.mark.parametrize("name", LAYERS)
def test_values_gradients_shapes_and_refusals(name):
    layer = made(name)
    count = len(layer._state_shapes())
    outputs = layer.compute_output_shape((3, 4, 2))
    several = len(outputs) if isinstance(outputs[0], tuple) else 1
    cases = {
        "plain": {}, "masked": {"mask": MASK}, "all": {"mask": MASK | True},
        "first missing": {"mask": MASK & (np.arange(4) > 0)}, "none": {"mask": MASK & False},
        "given states": {"given": True}, "masked, given": {"mask": MASK, "given": True},
        "a mask for each": {"mask": (MASK, *[None] * count), "given": True},
        "twice": {"twice": True}, "without dx": {"input_gradient": False, "given": True},
    }  # fmt: skip
    if several > 1:
        for i in range(several):
            cases[f"without {i}"] = {"without": (i,), "mask": MASK}
        cases["first alone"] = {"without": tuple(range(1, several)), "given": True}
        cases["last alone"] = {"without": tuple(range(several - 1))}
    lines = [f"{title}: {words(trained(name, **options))}" for title, options in cases.items()]
    flags = ("random", "same_in_training", "takes_mask", "supports_masking", "input_spec")
    lines += [f"{flag}: {getattr(layer, flag)}" for flag in flags]
    lines.append(f"states: {[s.shape for s in layer.states.values()]} {layer._state_shapes()}")
    new = LAYERS[name]()
    with_states = ((3, 4, 2), *((3, *s) for s in layer._state_shapes()))
    for shape in (*SHAPES, with_states):
        for what in ("compute_output_shape", "check_input_shape"):
            lines.append(f"{what}{shape}: {outcome(lambda w=what, s=shape: getattr(layer, w)(s))}")
        lines.append(f"build{shape}: {outcome(lambda s=shape: LAYERS[name]().build(s))}")
    for mask in (None, MASK, (MASK, *[None] * count)):
        lines.append(f"compute_mask({shown(mask)}): {shown(layer.compute_mask(X, mask))}")
    given = states(layer)
    calls = {
        "training": lambda: layer(X, True), "list": lambda: layer(X.tolist()),
        "states": lambda: layer(X, initial_state=given), "by place": lambda: layer(X, given),
        "in x": lambda: layer([X, *given]), "tuple": lambda: layer((X, *given), training=False),
        "one alone": lambda: layer(X, initial_state=given[0]),
        "too many": lambda: layer(X, initial_state=[*given, given[0]]),
        "other rows": lambda: layer(X, initial_state=[a[:2] for a in given]),
        "other units": lambda: layer(X, initial_state=[np.ones((3, 9))] * count),
        "mask": lambda: layer(X, mask=MASK), "a short mask": lambda: layer(X, mask=MASK[:, :3]),
        "a mask of a list": lambda: layer(X, mask=MASK.tolist()),
        "no steps": lambda: layer(X[:, :0]), "no rows": lambda: layer(X[:0]),
        "two axes": lambda: layer(X[0]), "float32": lambda: layer(X.astype("float32")),
        "of a new one": lambda: new(X, initial_state=[np.ones((3, 9))] * count),
        "again": lambda: layer(X),
        "reset": lambda: (layer.reset_state(), layer(X))[1],
        "wrong dy": lambda: (layer.forward(X, training=True), layer.backward(X[0, 0])),
    }  # fmt: skip
    lines += [f"{title}: {outcome(call)}" for title, call in calls.items()]
    check_text(__file__, f"recurrent {name}.txt", "\n".join(lines))


def test_arguments_that_are_refused():
    lstm, gru, rnn = L.LSTM(2), L.GRU(2), L.RNN
    back = L.GRU(2, go_backwards=True)
    cases = {
        "units 0": lambda: L.LSTM(0), "units 2.5": lambda: L.GRUCell(2.5),
        "dropout 1": lambda: L.GRU(2, dropout=1), "dropout < 0": lambda: L.GRU(2, dropout=-0.1),
        "recurrent_dropout": lambda: L.LSTMCell(2, recurrent_dropout=1.0),
        "use_bias": lambda: L.LSTM(2, use_bias=1), "seed": lambda: L.LSTM(2, seed=-1),
        "unused bias": lambda: L.LSTM(2, use_bias=False, bias_initializer="ones").build((1, 2, 3)),
        "unused regularizer": lambda: L.GRU(2, use_bias=False, bias_regularizer="l2").build(
            (1, 2, 3)
        ),
        "activity": lambda: L.LSTM(2, activity_regularizer="l1"),
        "flags": [
            lambda n=n: L.GRU(2, **{n: 1})
            for n in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll",
                      "zero_output_for_mask", "reset_after")
        ],
        "unit_forget_bias": lambda: L.LSTM(2, unit_forget_bias="no"),
        "implementation": [lambda i=i: L.GRU(2, implementation=i) for i in (0, 1, 2, 3)],
        "cells": [
            lambda c=c: rnn(c)
            for c in ([L.GRUCell(1), L.Dense(2)], Sized(0), Sized([2, [3]]), Sized((2, 3)),
                      Sized((2, 0)), Sized("2"), Sized([2, 0]), None)
        ],
        "sizes": [
            lambda s=s: state_shapes(Sized(s))
            for s in (3, [2, 1], [[2], (3, 4)], np.int32(2), (), -1, 2.0, [2, None])
        ],
        "bidirectional": [
            lambda a=a: L.Bidirectional(*a)
            for a in ((L.Dense(2),), (lstm, "max"), (lstm, "concat", None, L.GRU(2)),
                      (lstm, "concat", None, L.Dense(2)), (gru, "concat", None, back),
                      (gru, "sum", None, L.GRU(2, go_backwards=True, return_state=True)),
                      (gru, "sum", None, L.GRU(2, go_backwards=True, stateful=True)),
                      (gru, "sum", None, L.GRU(2, go_backwards=True, return_sequences=True)),
                      (back, "sum", None, gru), (None,))
        ],
        "names": lambda: str([x.name for x in L.Bidirectional(L.LSTM(2, name="forward_x")).layers]),
        "weights": lambda: str(with_weights()),
        "masking": [lambda v=v: L.Masking(v) for v in ("0", None, True, np.nan)],
        "attributes": [lambda n=n: getattr(made("lstm"), n, "none") for n in ("units", "no", "_x")],
    }  # fmt: skip
    lines = []
    for title, calls in cases.items():
        for i, call in enumerate(calls if isinstance(calls, list) else [calls]):
            said = outcome(call)
            lines.append(f"{title} {i}: {said.partition(' object at')[0]}")
    check_text(__file__, "recurrent refused.txt", "\n".join(lines))


class Sized(L.RNNCell):
    def __init__(self, state_size):
        super().__init__()
        self.state_size = state_size


def with_weights():
    layer = made("concat")
    other = L.Bidirectional(L.LSTM(2), weights=layer.get_weights())
    other.build((None, 4, 2))
    same = all(map(np.allclose, other.get_weights(), layer.get_weights()))
    return same, other._given_weights, "weights" in other.get_config(), sorted(other.get_config())


CELLS = {
    "simple": lambda: L.SimpleRNNCell(2), "relu": lambda: L.SimpleRNNCell(2, "relu"),
    "lstm": lambda: L.LSTMCell(2, dropout=0.4, seed=0), "gru": lambda: L.GRUCell(2),
    "gru before": lambda: L.GRUCell(2, reset_after=False, use_bias=False),
    "gates": lambda: L.GRUCell(2, recurrent_dropout=0.4, seed=1),
    "gates, before": lambda: L.GRUCell(2, recurrent_dropout=0.4, seed=1, reset_after=False),
    "gates of lstm": lambda: L.LSTMCell(2, recurrent_dropout=0.4, dropout=0.1, seed=1),
    "stacked": lambda: L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(2)]), "wide": Wide,
}  # fmt: skip


def of_cell(name):
    cell, new, x = CELLS[name](), CELLS[name](), X[:, 0]
    shapes = state_shapes(cell)
    given = [numbers(3, *s, first=1.0) for s in shapes]
    cell._set_dtype(np.dtype("float64"))
    cell((x, *given))
    for i, p in enumerate(cell.declared_parameters):
        p.value[...] = numbers(*p.shape, first=float(i))
    yield f"{name}: {cell.output_size} {cell.state_size} {cell.input_spec}"
    yield from (f"  {words(cell.forward((x, *given), training))}" for training in (False, True))
    dy = [numbers(*a.shape, first=5.0) for a in cell.forward((x, *given), True)]
    yield f"  {words([*cell.backward(tuple(dy)), *cell.gradients])}"
    calls = {
        "call": lambda: cell(x, given),
        "tuple": lambda: cell((x, *given)),
        "one": lambda: cell(x, given[0]),
        "more": lambda: cell(x, [*given, given[0]]),
        "rows": lambda: cell(x, [a[:2] for a in given]),
        "features": lambda: cell(x[:, :1], given),
        "axes": lambda: cell(X, given),
        "states": lambda: cell(x, [np.ones((3, 7))] * len(given)),
        "mask": lambda: cell(x, given, mask=MASK),
        "shape": lambda: str(cell.compute_output_shape(((3, 2), *((3, *s) for s in shapes)))),
        "wrong dy": lambda: cell.backward((dy[0][:1], *dy[1:])),
        "build": lambda: new.build((3, 2)),
        "unknown": lambda: new.build(((3, None), (3, 2))),
    }
    yield from (f"  {t}: {outcome(lambda c=call: words(flat(c())))}" for t, call in calls.items())


def test_cells_alone():
    lines = [line for name in CELLS for line in of_cell(name)]
    check_text(__file__, "recurrent cells.txt", "\n".join(lines))


def flat(value):
    return [b for a in value for b in flat(a)] if isinstance(value, (tuple, list)) else [value]
