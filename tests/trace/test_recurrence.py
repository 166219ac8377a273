"""Recurrent layers in a trace: unrolled in time, with all gates and gradients."""

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
RANDOM = {"bias_initializer": "random_normal"}
CASES = {
    "simple": (L.SimpleRNN, {}),
    "relu": (L.SimpleRNN, {"activation": "relu", "return_sequences": True}),
    "no bias": (L.SimpleRNN, {"use_bias": False, "go_backwards": True}),
    "lstm": (L.LSTM, {}),
    "lstm all": (L.LSTM, {"return_sequences": True, "go_backwards": True}),
    "lstm other": (L.LSTM, {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}),
    "lstm state": (L.LSTM, {"return_state": True, "return_sequences": True}),
    "lstm stateful": (L.LSTM, {"stateful": True}),
    "gru": (L.GRU, {"return_sequences": True}),
    "gru before": (L.GRU, {"reset_after": False}),
    "gru no bias": (L.GRU, {"use_bias": False}),
}
MASKS = {"no mask": None, "mask": [[1, 1, 1, 0], [0, 1, 0, 1]]}


def traced(layer, mask=None, **options):
    """The trace of a model with this layer, with numbers that do not depend on its weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3))
    if mask is not None:
        x[~np.array(mask, bool)] = 0
    series = nl.Input((4, 3), batch_size=2)
    y = layer(L.Masking()(series) if mask is not None else series)
    ends = [L.Dense(1)(its) for its in (y if isinstance(y, (list, tuple)) else [y])]
    model = nl.Model(series, ends if len(ends) > 1 else ends[0], seed=1, dtype="float64")
    model.compile("sgd", "mse")
    targets = [rng.normal(size=(2, *its.shape[1:])) for its in ends]
    if layer.stateful:
        model.train_on_batch(x, targets[0])
    return model, model.trace(x, targets if len(ends) > 1 else targets[0], **options)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("case", CASES)
def test_the_steps_make_the_output_and_the_gradients(case, mask):
    cls, arguments = CASES[case]
    bias = {} if "no bias" in case else RANDOM
    layer = cls(2, **bias, **arguments, name="it", zero_output_for_mask=case != "lstm all")
    _, trace = traced(layer, mask)
    r = trace["it"]
    steps = r.time_steps
    assert [step.number for step in steps] == [1, 2, 3, 4]
    close = {"rtol": 1e-12, "atol": 1e-14}
    h = np.stack([step.values["h"] for step in steps], axis=1)
    absent = np.zeros((2, 4), bool) if mask is None else ~np.array(mask, bool)
    if layer.go_backwards:
        absent = absent[:, ::-1]
    y, *states = r.y if isinstance(r.y, tuple) else (r.y,)
    expected = np.where(absent[:, :, None] & layer.zero_output_for_mask, 0, h)
    np.testing.assert_allclose(y, expected if layer.return_sequences else expected[:, -1], **close)
    for name, state in zip("hc", states, strict=False):
        np.testing.assert_allclose(state, steps[-1].values[name], **close)
    if layer.stateful:
        assert steps[0].values["c-"].any()
    order = slice(None, None, -1) if layer.go_backwards else slice(None)
    dx = np.stack([step.gradients["x"] for step in steps], axis=1)[:, order]
    np.testing.assert_allclose(r.dx, dx, **close)
    first, second = ("p", "q") if "gru" in case else ("z", "z")
    d = {name: [step.gradients[name] for step in steps] for name in (first, second)}
    kernel = sum(s.values["x"].T @ dz for s, dz in zip(steps, d[first], strict=True))
    np.testing.assert_allclose(r.weights["kernel"].gradient, kernel, **close)
    recurrent = sum(s.values["h-"].T @ dz for s, dz in zip(steps, d[second], strict=True))
    if case == "gru before":
        reset = (s.values["r"] * s.values["h-"] for s in steps)
        g = sum(a.T @ s.gradients["s"] for a, s in zip(reset, steps, strict=True))
        recurrent = np.concatenate([recurrent, g], axis=1)
    np.testing.assert_allclose(r.weights["recurrent_kernel"].gradient, recurrent, **close)
    assert len(r.weights) == len(layer.declared_parameters) == 3 - ("no bias" in case)


def test_the_weights_of_a_cell_are_learned_in_the_trace_too():
    layer = L.RNN(L.LSTMCell(2, kernel_regularizer="l2"), name="it")
    model, trace = traced(layer)
    r = trace["it"]
    assert len(r.time_steps) == 4
    assert "The network has 51 numbers to learn" in trace.text()
    assert r.weights["kernel"].penalty is not None
    before = {p.name: p.value.copy() for p in layer.declared_parameters}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3))
    model.train_on_batch(x, rng.normal(size=(2, 1)))
    for p in layer.declared_parameters:
        np.testing.assert_array_equal(r.weights[p.name].before, before[p.name])
        np.testing.assert_array_equal(r.weights[p.name].after, p.value)
    titles = [(step.phase, step.title) for step in trace.steps if step.name == "it"]
    assert titles == [
        ("forward", "RNN"),
        *(("forward", f"Step {t} of 4") for t in (1, 2, 3, 4)),
        ("forward", "Output: h_T"),
        ("backward", "Back through RNN"),
        *(("backward", f"Step {t} of 4") for t in (4, 3, 2, 1)),
        ("backward", "Gradients, all steps"),
        ("update", "Update of the weights"),
    ]


def test_the_text_says_each_formula_once_and_names_other_activations():
    text = traced(L.LSTM(2, activation="relu", name="it"))[1].text()
    assert text.count("c¹ₜ = f¹ₜ ⊙ c¹ₜ₋₁ + i¹ₜ ⊙ g¹ₜ") == 1
    assert "φ is ReLU." in text
    assert "h¹ₜ = o¹ₜ ⊙ φ(c¹ₜ)" in text
    text = traced(L.GRU(2, reset_after=False, name="it"))[1].text()
    assert "s¹ₜ = (r¹ₜ ⊙ h¹ₜ₋₁) U_g" in text


def test_masked_steps_and_those_of_a_series_read_backwards_are_named():
    steps = traced(L.LSTM(2, name="it", go_backwards=True), MASKS["mask"])[1].steps
    its = [step for step in steps if step.name == "it"]
    assert "read from its end" in its[0].lines[0].note
    first, last = (step for step in its if step.title == "Step 1 of 4")  # forward and backward
    assert first.lines[-1].note.startswith("The mask leaves this step out in row 0: the state")
    assert last.lines[-1].note.endswith("row 0: the gradient of the state passes by.")


@pytest.mark.parametrize(
    ("layer", "note"),
    [
        (L.LSTM(2, dropout=0.5, seed=1, name="it"), "dropout changes what the weights meet"),
        (L.RNN([L.GRUCell(2), L.LSTMCell(2)], name="it"), "StackedRNNCells has no equations here"),
    ],
)
def test_layers_that_are_not_unrolled_say_why(layer, note):
    _, trace = traced(layer)
    r = trace["it"]
    assert r.time_steps == []
    assert note in trace.text()
    names = {p.name for p in layer.declared_parameters}
    assert {name.rpartition("/")[2] for name in r.weights} == names
    assert len(r.weights) == len(layer.declared_parameters)
    assert all(w.gradient.any() for w in r.weights.values())


def test_long_series_are_shown_at_both_ends():
    model = nl.Sequential([L.SimpleRNN(2, name="it"), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    trace = model.trace(np.ones((1, 20, 1)), [[1.0]])
    assert len(trace["it"].time_steps) == 20
    shown = [step.time for step in trace.steps if step.time and step.phase == "forward"]
    assert shown == [1, 2, 3, 18, 19, 20]
    assert trace.html().count(">…<") >= 2  # between the boxes, in both pictures


def test_a_bidirectional_layer_is_drawn_as_two_branches():
    model = nl.Sequential([L.Bidirectional(L.SimpleRNN(2), merge_mode="mul"), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    trace = model.trace(np.ones((1, 3, 1)), [[1.0]])
    forward, backward = trace["bidirectional"].parts
    assert len(forward.time_steps) == len(backward.time_steps) == 3
    html = trace.html()
    assert ">×</text>" in html
    assert 'data-l="skip' not in html  # not a skip connection


def test_frozen_layers_pass_the_gradient_on():
    layer = L.GRU(2, trainable=False, name="it")
    _, trace = traced(layer)
    last = next(step for step in trace.steps if step.title == "Gradients, all steps")
    assert last.text.startswith("The weights are frozen")
    assert len(last.lines) == 1  # dL/dx
