"""Watching layers while fit runs: where the values come from, and where they go."""

import copy
import csv
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.callbacks import BackupAndRestore, Callback, CSVLogger, GradientMonitor
from netlayers.diagnostics.layer_statistics import MEASURES, StepMeasures
from netlayers.errors import ConfigurationError, NonFiniteError

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


def make(optimizer="adam"):
    model = nl.Sequential(
        [layers.Dense(6, "tanh", name="a"), layers.Dropout(0.2), layers.Dense(1, name="b")], seed=0
    )
    model.compile(optimizer, "mse")
    return model


def fit(model, *callbacks, **more):
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, **more}
    return model.fit(X, Y, callbacks=list(callbacks), **options)


def test_values_are_those_of_the_steps():
    monitor = GradientMonitor(every=4)
    model = make()
    fit(model, monitor, shuffle=False)
    assert monitor.steps == [1, 4, 8, 12]
    assert monitor.epochs == [0, 0, 1, 2]
    twin = make()
    twin.build((None, 4))
    measures = StepMeasures(twin, twin.optimizer)
    expected = {}
    for step in range(1, 16):
        rows = slice((step - 1) % 5 * 8, ((step - 1) % 5 + 1) * 8)
        with measures:
            twin.train_on_batch(X[rows], Y[rows])
        expected[step] = copy.deepcopy(measures.values)
    assert set(monitor.values) == set(MEASURES)
    assert list(monitor.values["activation_mean"]) == ["a", "dropout", "b"]
    for measure, its in monitor.values.items():
        for path, values in its.items():
            assert values == [expected[step][measure][path] for step in monitor.steps]


def test_by_epoch_and_into_the_history():
    monitor = GradientMonitor(measures=["gradient_norm", "dead"])
    history = fit(make(), monitor).history
    assert monitor.steps == [1, 6, 11]
    assert history["a/gradient_norm"] == monitor.values["gradient_norm"]["a"]
    every = GradientMonitor(every=1, layers="b", measures="update_ratio")
    history = fit(make(), every).history
    assert list(every.values["update_ratio"]) == ["b"]
    means = np.reshape(every.values["update_ratio"]["b"], (3, 5)).mean(axis=1)
    np.testing.assert_allclose(history["b/update_ratio"], means)


def test_training_is_the_same_to_the_bit():
    watched, alone = make(), make()
    fit(watched, GradientMonitor(every=2))
    fit(alone)
    for a, b in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_line_of_an_epoch_and_the_curves_are_without_it(capsys):
    fit(make(), GradientMonitor(), verbose=2, epochs=1)
    out = capsys.readouterr().out
    assert "loss" in out
    assert "gradient_norm" not in out


def test_the_file(tmp_path):
    path = tmp_path / "layers.csv"
    monitor = GradientMonitor(every=5, csv=path)
    log = CSVLogger(tmp_path / "log.csv")
    history = fit(make(), monitor, log).history
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "layer", *MEASURES]
    assert [r["step"] for r in rows[::3]] == ["1", "5", "10", "15"]
    for measure in MEASURES:
        for layer in ("a", "dropout", "b"):
            found = [r[measure] for r in rows if r["layer"] == layer]
            values = monitor.values[measure].get(layer, [float("nan")] * 4)
            assert found == ["" if v != v else repr(v) for v in values]
    with open(tmp_path / "log.csv", newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["a/saturated"]) == history["a/saturated"][0]
    assert "val_loss" in first
    assert not [name for name in first if name.startswith("val_a/")]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monitor = GradientMonitor(every=5, measures=["gradient_norm"])
    board = nl.callbacks.TensorBoard(tmp_path, update_freq=5)
    fit(make(), monitor, board)
    events = loading.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    found = events.Scalars("a/gradient_norm")
    assert [e.step for e in found] == [5, 10, 15]
    np.testing.assert_allclose(
        [e.value for e in found], monitor.values["gradient_norm"]["a"][1:], rtol=1e-6
    )


class Stop(Callback):
    part_of_run = False

    def __init__(self, at):
        self.at = at

    def on_train_batch_begin(self, batch, logs=None):
        self.at -= 1
        if self.at < 0:
            raise RuntimeError("killed")


@pytest.mark.parametrize("every", ["epoch", 2, 50])
def test_a_run_that_goes_on_has_the_same_table(tmp_path, every):
    whole = GradientMonitor(every, csv=tmp_path / "whole.csv")
    whole_history = fit(make(), whole, BackupAndRestore(tmp_path / "one", save_freq=1)).history
    parts = GradientMonitor(every, csv=tmp_path / "parts.csv")
    with pytest.raises(RuntimeError, match="killed"):
        fit(make(), parts, Stop(8), BackupAndRestore(tmp_path / "two", save_freq=3))
    parts = GradientMonitor(every, csv=tmp_path / "parts.csv")
    history = fit(make(), parts, BackupAndRestore(tmp_path / "two", save_freq=3)).history
    assert parts.steps == whole.steps
    assert parts.epochs == whole.epochs
    assert str(parts.values) == str(whole.values)
    assert str(history) == str(whole_history)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_step_that_fails_is_measured_and_nothing_stays_behind():
    model = make("sgd")
    model.build((None, 4))
    model.layers[2].kernel[0] = np.inf
    monitor = GradientMonitor(every=1)
    before = [set(vars(layer)) for layer in model._flatten_layers()]
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError):
        fit(model, monitor)
    assert monitor.steps == [1]
    assert monitor.values["nonfinite"]["b"][0] > 0
    assert all(type(t).__module__.endswith("transforms") for t in model.optimizer.transforms)
    for names, layer in zip(before, model._flatten_layers(), strict=True):
        assert not {"forward", "backward"} & (set(vars(layer)) - names)


def test_a_second_run_starts_anew_and_it_can_be_copied():
    monitor = GradientMonitor(every=5)
    fit(make(), monitor)
    once = copy.deepcopy(monitor.values)
    fit(make(), monitor)
    assert monitor.steps == [1, 5, 10, 15]
    assert str(monitor.values) == str(once)
    assert str(pickle.loads(pickle.dumps(monitor)).values) == str(once)


def test_refuses():
    for wrong in ({"every": 0}, {"every": "batch"}, {"measures": ["size"]}, {"layers": []}):
        with pytest.raises(ConfigurationError, match="GradientMonitor"):
            GradientMonitor(**wrong)
    with pytest.raises(ConfigurationError, match="'a', 'dropout', 'b'"):
        fit(make(), GradientMonitor(layers=["c"]))


def test_lbfgs_has_no_steps():
    model = nl.Sequential([layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match="no steps to measure"):
        model.fit_lbfgs(X, Y, callbacks=[GradientMonitor()], verbose=0)


def test_a_measure_is_drawn():
    pytest.importorskip("matplotlib")
    monitor = nl.callbacks.GradientMonitor(every=2)
    model = nl.Sequential([nl.layers.Dense(4, "tanh"), nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(32, 3))
    with pytest.raises(ConfigurationError, match="no values of 'gradient_norm' to plot"):
        monitor.plot()
    model.fit(x, x.sum(axis=1), 8, epochs=2, callbacks=[monitor], verbose=0)
    lines = monitor.plot("weight_norm").axes[0].get_lines()
    for line, values in zip(lines, monitor.values["weight_norm"].values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), monitor.steps)
        np.testing.assert_array_equal(line.get_ydata(), values)
    with pytest.raises(ConfigurationError, match=r"GradientMonitor: measure must be .*'norm'"):
        monitor.plot("norm")
