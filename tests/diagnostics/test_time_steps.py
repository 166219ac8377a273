"""The gradient at each time step of recurrent layers: measured, told of, drawn."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import GradientMonitor
from netlayers.diagnostics.layer_statistics import StepMeasures
from netlayers.diagnostics.time_steps import time_ratio
from netlayers.errors import ConfigurationError

L = nl.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 5, 2)), RNG.normal(size=(4, 1))


def made(layer, **options):
    model = nl.Sequential([layer, *options.pop("after", []), L.Dense(1)], seed=0, dtype="float64")
    model.compile("sgd", "mse", **options)
    return model


def measured(model, x=X, y=Y):
    model.build(x.shape)
    step = StepMeasures(model, model.optimizer)
    with step:
        model.train_on_batch(x, y)
    return step


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (L.SimpleRNN(3, name="it"), "z"),
        (L.LSTM(3, name="it", go_backwards=True), "z"),
        (L.GRU(3, name="it"), "p"),
        (L.RNN(L.GRUCell(3, reset_after=False), name="it"), "p"),
    ],
)
def test_norms_are_those_of_the_trace(layer, name):
    model = made(layer)
    steps = model.trace(X, Y)["it"].time_steps
    found = measured(model)
    expected = [np.linalg.norm(step.gradients[name]) for step in steps]
    np.testing.assert_allclose(found.time_steps["it"], expected, rtol=1e-12)
    ratio = expected[0] / expected[-1]
    assert found.values["time_ratio"] == {"it": pytest.approx(ratio, rel=1e-12)}
    assert found.paths == ["it", "dense"]  # the cell is a part of the layer
    assert found.values["activation_std"]["it"] > 0
    assert found.values["gradient_norm"]["it"] > 0
    assert "dead" not in found.values or "it" not in found.values["dead"]


def test_cells_that_are_called_step_by_step():
    model = made(L.RNN(L.SimpleRNNCell(3, activation="softsign"), name="it"))
    steps = model.trace(X, Y)["it"].time_steps
    expected = [np.linalg.norm(step.gradients["h"]) for step in steps]
    np.testing.assert_allclose(measured(model).time_steps["it"], expected, rtol=1e-12)
    stacked = measured(made(L.RNN([L.GRUCell(2), L.LSTMCell(2)], name="it")))
    assert stacked.time_steps["it"].shape == (5,)
    assert (stacked.time_steps["it"] > 0).all()


def test_masked_steps_and_both_directions():
    x = X.copy()
    x[:, 3:] = 0
    masked = nl.Sequential([L.Masking(), L.Bidirectional(L.LSTM(2)), L.Dense(1)], seed=0)
    masked.compile("sgd", "mse")
    found = measured(masked, x)
    forward, backward = found.time_steps.values()
    assert list(found.time_steps) == ["bidirectional/forward_lstm", "bidirectional/backward_lstm"]
    np.testing.assert_array_equal(forward > 0, [True, True, True, False, False])
    np.testing.assert_array_equal(backward > 0, [False, False, True, True, True])
    ratio = found.values["time_ratio"]["bidirectional/forward_lstm"]
    assert ratio == pytest.approx(forward[0] / forward[2])


def test_ratio_without_gradients():
    assert np.isnan(time_ratio(np.zeros(3)))
    assert time_ratio(np.array([2.0, 8.0, 4.0, 0.0])) == 0.5


def test_monitor_keeps_and_draws_the_time_steps(tmp_path):
    monitor = GradientMonitor(every=1)
    model = made(L.LSTM(3, name="it"))
    history = model.fit(X, Y, batch_size=2, epochs=2, callbacks=[monitor], verbose=0)
    assert [norms.shape for norms in monitor.time_steps["it"]] == [(5,)] * 4
    ratios = [norms[0] / norms[-1] for norms in monitor.time_steps["it"]]
    np.testing.assert_allclose(monitor.values["time_ratio"]["it"], ratios)
    assert len(history.history["it/time_ratio"]) == 2
    # The state takes them along.
    other = GradientMonitor(every=1)
    made(L.LSTM(3, name="it")).fit(X, Y, epochs=1, callbacks=[other], verbose=0)
    other.set_state(monitor.get_state())
    np.testing.assert_array_equal(other.time_steps["it"], monitor.time_steps["it"])
    other.set_state({k: v for k, v in monitor.get_state().items() if k != "time_steps"})
    assert [norms.size for norms in other.time_steps["it"]] == [0] * 4
    broken = monitor.get_state()
    broken["time_steps"][0].pop()
    with pytest.raises(ValueError, match="different lengths"):
        other.set_state(broken)
    pytest.importorskip("matplotlib")
    figure = monitor.plot_time_steps("it", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    lines, cells = figure.axes[:2]
    assert [line.get_label() for line in lines.lines] == ["1", "2", "3", "4"]
    np.testing.assert_allclose(lines.lines[3].get_ydata(), monitor.time_steps["it"][3])
    drawn = cells.collections[0].get_array().reshape(5, 4)
    np.testing.assert_allclose(drawn, np.transpose(monitor.time_steps["it"]))


def test_nothing_to_draw():
    monitor = GradientMonitor()
    with pytest.raises(ConfigurationError, match="no time steps were measured"):
        monitor.plot_time_steps()
    made(L.LSTM(3, name="it")).fit(X, Y, callbacks=[monitor], verbose=0)
    with pytest.raises(ConfigurationError, match="layer must be one of 'it', got 'lstm'"):
        monitor.plot_time_steps("lstm")
    none = GradientMonitor(measures=["gradient_norm"])
    made(L.LSTM(3)).fit(X, Y, callbacks=[none], verbose=0)
    assert none.time_steps == {}


@pytest.mark.parametrize(
    ("layer", "clips", "advice"),
    [
        (L.SimpleRNN(8, recurrent_initializer="zeros"), {}, "LSTM, recurrent_initializer='orth"),
        (L.LSTM(8, unit_forget_bias=False), {}, "a larger bias of the forget gate"),
        (L.GRU(8), {}, "LSTM, a larger bias of the update gate"),
    ],
)
def test_advice_against_vanishing_gradients(layer, clips, advice):
    x = RNG.normal(size=(64, 60, 2))
    report = made(layer, **clips).diagnose(x, x[:, 0, 0], verbose=0)
    (finding,) = (f for f in report.findings if f.illness == "vanishing gradient over time")
    assert finding.layer == layer.path
    assert finding.severity == "warning"
    assert finding.advice.startswith(advice)
    norms = report.time_steps[layer.path]
    assert finding.evidence["reached"] == (norms > 1e-3 * norms.max()).sum()
    assert "over time" in str(report)


@pytest.mark.parametrize("clips", [False, True])
def test_advice_against_exploding_gradients(clips):
    wide = nl.initializers.RandomNormal(stddev=0.6)
    model = made(L.SimpleRNN(24, recurrent_initializer=wide))
    model.compile(nl.optimizers.Adam(global_clipnorm=1.0 if clips else None), "mse")
    x = RNG.normal(size=(64, 50, 2))
    report = model.diagnose(x, x[:, 0, 0], verbose=0)
    (finding,) = (f for f in report.findings if f.illness == "exploding gradient over time")
    assert finding.severity == ("warning" if clips else "serious")
    assert ("clipping by global_clipnorm" in finding.advice) is not clips
    assert "recurrent_initializer='orthogonal'" in finding.advice


@pytest.mark.parametrize("cls", [L.SimpleRNN, L.LSTM])
def test_dropout_of_the_input_takes_part(cls):
    layer = cls(3, dropout=0.5, seed=1, name="it")
    model = made(layer)
    found = measured(model, X[:1, :1], Y[:1])
    bias = layer.d_bias  # of one sample and step, dL/dz itself
    assert found.time_steps["it"] == pytest.approx([np.linalg.norm(bias)], rel=1e-12)
    assert (layer.d_kernel == 0).all(axis=1).any()  # a feature was dropped


def test_states_of_the_batch_before_take_part():
    model = nl.Sequential([L.LSTM(3, stateful=True, name="it"), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build(X.shape)
    first = measured(model).time_steps["it"]
    model.layers[0].reset_states()
    model.train_on_batch(X, Y)
    trace = model.trace(X, Y)["it"].time_steps
    expected = [np.linalg.norm(step.gradients["z"]) for step in trace]
    np.testing.assert_allclose(measured(model).time_steps["it"], expected, rtol=1e-5)
    assert not np.allclose(first, expected, rtol=1e-3)


def test_steps_with_recurrent_dropout_are_called_one_by_one():
    found = measured(made(L.GRU(3, recurrent_dropout=0.4, name="it"))).time_steps["it"]
    assert found.shape == (5,)
    assert (found > 0).all()
