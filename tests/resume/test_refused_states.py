"""States and settings that a part of a run refuses before it takes anything of them."""

from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, layers
from netlayers.saving.settings import restore_settings
from netlayers.saving.state import architecture, compile_settings
from netlayers.training.state import check_like

SCORES, POSITIVE = np.zeros((3, 1)), np.zeros((3, 1), bool)
EXACT, BINNED = {}, {"num_thresholds": 4}


@pytest.mark.parametrize(
    ("arguments", "counts", "chunks"),
    [
        (EXACT, None, [[SCORES, False, None]]),
        (EXACT, None, [[SCORES, POSITIVE[:2], None]]),
        (EXACT, None, [[SCORES.T, POSITIVE.T, None]]),
        (EXACT, None, [[SCORES[:, 0], POSITIVE[:, 0], None]]),
        (EXACT, None, [[SCORES, POSITIVE]]),
        (EXACT, None, [[SCORES, POSITIVE, np.ones((1, 3))]]),
        (EXACT, np.zeros((5, 2)), []),
        (BINNED, np.zeros((2, 5)), []),
        (BINNED, np.zeros((1, 5, 2)), []),
        ({**BINNED, "multi_label": True}, np.zeros((5, 2)), []),
    ],
)
def test_the_scores_of_an_auc(arguments, counts, chunks):
    metric = nl.metrics.AUC(**arguments)
    with pytest.raises(ValueError, match=r"not scores|not enough values"):
        metric.set_state({"_counts": counts, "_chunks": chunks})
    assert metric.get_state() == {"_counts": None, "_chunks": []}


@pytest.mark.parametrize("arguments", [EXACT, BINNED, {**BINNED, "multi_label": True}])
@pytest.mark.parametrize("weight", [None, np.arange(3.0)])
def test_an_auc_takes_what_it_gave(arguments, weight):
    rng = np.random.default_rng(0)
    y, scores = rng.random((3, 2)) > 0.5, rng.random((3, 2))
    if arguments is EXACT:
        y, scores = y[:, :1], scores[:, :1]
    metric, again = nl.metrics.AUC(**arguments), nl.metrics.AUC(**arguments)
    metric.update_state(y, scores, weight)
    again.set_state(metric.get_state())
    np.testing.assert_equal(again.result(), metric.result())


def compiled():
    parts = [layers.Dense(2), layers.GaussianNoise(0.1), layers.Dense(1)]
    model = nl.Sequential(parts, seed=0)
    model.compile(nl.optimizers.Adam(), "mse")
    model.fit(np.ones((4, 3)), np.ones(4), batch_size=2, verbose=0)
    return model


@pytest.mark.parametrize("change", [lambda w: w.astype("i4"), lambda w: w[:1], lambda w: "w"])
def test_the_best_weights_of_a_model(change):
    stop = callbacks.EarlyStopping("loss", restore_best_weights=True)
    stop.set_model(compiled())
    stop.on_train_begin()
    weights = stop.model.get_weights()
    state = stop.get_state() | {"best_weights": weights}
    stop.set_state(state)
    state["best_weights"] = [change(weights[0]), *weights[1:]]
    with pytest.raises(ValueError, match="not weights of this model"):
        stop.set_state(state)


@pytest.mark.parametrize("column", ["steps", "epochs", "values"])
@pytest.mark.parametrize("wrong", [[1], [1, [1]], [1, "a"], 3])
def test_the_table_of_a_gradient_monitor(column, wrong):
    monitor = callbacks.GradientMonitor()
    model = compiled()
    model.fit(np.ones((4, 3)), np.ones(4), batch_size=2, callbacks=[monitor], verbose=0)
    monitor.on_train_begin()
    columns = len(monitor._pairs())
    state = monitor.get_state() | {
        "step": 2,
        "steps": [1, 2],
        "epochs": [0, 0],
        "values": [[0.5, 1]] * columns,
    }
    monitor.set_state(state)
    state[column] = [wrong] * columns if column == "values" else wrong
    with pytest.raises((ValueError, TypeError)):
        monitor.set_state(state)
    assert monitor.steps == [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 1}, "steps that do not increase"),
        ({"steps": [0, 3]}, "steps that do not increase"),
        ({"steps": [2, 2]}, "steps that do not increase"),
        ({"first": 3}, "starts at place 3"),
        ({"first": -1}, "starts at place -1"),
        ({"values": [[0.5, 1]]}, "1 columns, expected"),
    ],
)
def test_places_in_the_table_of_a_gradient_monitor(change, message):
    monitor = callbacks.GradientMonitor()
    compiled().fit(np.ones((4, 3)), np.ones(4), batch_size=2, callbacks=[monitor], verbose=0)
    monitor.on_train_begin()
    values = [[0.5, 1]] * len(monitor._pairs())
    state = {"step": 3, "steps": [1, 3], "epochs": [0, 1], "values": values, "first": 1}
    state |= {"new_epoch": False, "time_steps": []}
    monitor.set_state(state)
    with pytest.raises(ValueError, match=message):
        monitor.set_state(state | {"steps": [1, 2], "values": values} | change)
    assert monitor.get_state() == state


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (2, "learning_rate_multiplier", "Residual"),
        (2, "learning_rate_multiplier", -1.0),
        (2, "learning_rate_multiplier", None),
        (2, "units", 3),
        (2, "units", -1),
        (2, "use_bias", False),
        (None, "amsgrad", True),
        (None, "beta_1", 7.0),
        (None, "use_ema", True),
        (None, "epsilon", "small"),
    ],
)
def test_a_setting_that_is_refused_leaves_those_before_it(layer, name, value):
    model = compiled()
    description = {"model": architecture("", model), "compile": compile_settings("", model)}
    parts = [part["config"] for part in description["model"]["config"]["layers"]]
    rule = description["compile"]["optimizer"]["config"]
    parts[0]["trainable"], parts[1]["stddev"], rule["weight_decay"] = False, 0.3, 0.1
    (rule if layer is None else parts[layer])[name] = value
    before = model.get_config(), model.optimizer.get_config()
    with pytest.raises((nl.errors.ConfigurationError, nl.errors.FileError)):
        restore_settings("", description, model)
    assert (model.get_config(), model.optimizer.get_config()) == before


@pytest.mark.parametrize("fresh", [0, True, 0.5, "a", [1], {"a": 1}, np.ones(2)])
def test_nothing_in_place_of_a_value(fresh):
    check_like("its", fresh, fresh, late=True)
    with pytest.raises(ValueError, match="its is None, expected a value like"):
        check_like("its", None, fresh)
    if isinstance(fresh, int):
        with pytest.raises(ValueError, match="its: a is None"):
            check_like("its", {"a": None}, {"a": fresh}, late=True)
    else:  # what a file told this process, and the other not yet
        check_like("its", {"a": [None]}, {"a": [fresh]}, late=True)
    check_like("its", None, None)


@pytest.mark.parametrize("fresh", [0, 0.5])
@pytest.mark.parametrize("stored", [2**63, -(10**400), True])
def test_numbers_that_no_run_counts_to(fresh, stored):
    check_like("its", 2**63 - 1, fresh)
    with pytest.raises(ValueError, match="expected a value like"):
        check_like("its", stored, fresh)


def test_a_value_of_a_gradient_monitor_that_is_no_float():
    monitor = callbacks.GradientMonitor()
    state = {"step": 1, "steps": [1], "epochs": [0], "values": [[10**400]], "first": 0}
    with pytest.raises(OverflowError):
        monitor.set_state(state | {"new_epoch": False})


@pytest.fixture
def table(tmp_path):
    """The table of a run that is resumed, with two lines."""
    path = tmp_path / "table.csv"
    path.write_text("epoch,loss\n0,0.5\n1,0.25\n")
    logger = callbacks.CSVLogger(path)
    logger.set_params({"resumed": True})
    logger.on_train_begin()
    yield logger
    logger.on_train_end()


@pytest.mark.parametrize("columns", [["epoch", 1], ["loss", ["a"]], [None]])
def test_the_columns_of_a_table(table, columns):
    with pytest.raises(ValueError, match="columns without names"):
        table.set_state({"length": 11, "columns": columns})


def test_a_table_of_a_negative_length(table):
    with pytest.raises(ValueError, match="a file of -1 bytes"):
        table.set_state({"length": -1, "columns": ["epoch", "loss"]})


@pytest.mark.filterwarnings("ignore:.*has no column for epoch:UserWarning")
def test_a_table_without_the_epoch_is_compared_line_by_line(table):
    table.set_state({"length": 11, "columns": ["loss", "mae"]})
    table.on_epoch_end(0, {"loss": 0, "mae": 0.5})
    table.on_epoch_end(1, {"loss": 1, "mae": 0.3})
    lines = Path(table.filename).read_text().splitlines()
    assert lines == ["epoch,loss", "0,0.5", "1,0.25", "1,0.3"]
