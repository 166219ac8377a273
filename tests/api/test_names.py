"""Names, which a file may choose too, command no terminal, page or spreadsheet."""

import csv

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import CSVLogger, GradientMonitor
from netlayers.errors import ConfigurationError, FileError

X = np.ones((4, 2), "float32")
Y = X[:, :1]


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "\x9b2J", "a\u202eb", "", 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda name: nl.Sequential([], name=name),
        lambda name: nl.layers.Dense(1, name=name),
        lambda name: nl.losses.MeanSquaredError(name=name),
        lambda name: nl.losses.Dice(name=name),
        lambda name: nl.metrics.MeanSquaredError(name=name),
        lambda name: nl.metrics.Mean(name=name),
        lambda name: nl.optimizers.Adam(name=name),
        lambda name: nl.optimizers.schedules.CosineDecay(0.1, 9, name=name),
        lambda name: nl.optimizers.schedules.Noam(4, name=name),
    ],
)
def test_names_are_printable(make, name):
    with pytest.raises(ConfigurationError, match="name must "):
        make(name)
    make("größe 5 \u2192 \u4e2d")


@pytest.mark.parametrize("old", ["dense", "sequential"])
def test_a_file_with_another_name_is_refused(tmp_path, old):
    model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(1, name="dense")])
    text = model.to_json()
    assert f'"{old}"' in text
    with pytest.raises((FileError, ConfigurationError), match="printable") as caught:
        nl.models.model_from_json(text.replace(f'"{old}"', r'"\u001b[31mred"'))
    assert str(caught.value).isprintable()


def test_tags_in_a_trace_stay_text():
    name = "a``<img src=x>"
    model = nl.Sequential([nl.layers.Dense(1, name=name)], name=name)
    model.compile("sgd", "mse")
    trace = model.trace(X, Y)
    lines = [line for line in trace.markdown().splitlines() if "<img" in line]
    assert len(lines) == 4
    for line in lines:
        assert "``` a``<img src=x> ```" in line, line
    assert "<img" not in trace.html()


def run(callback, **arguments):
    names = ("=1+1", "+x", "-x", "@x", "plain")
    model = nl.Sequential([nl.layers.Dense(1, name="=cmd()")], seed=0)
    metrics = [nl.metrics.MeanSquaredError(name=name) for name in names]
    model.compile("sgd", "mse", metrics=metrics)
    return model.fit(X, Y, callbacks=[callback], verbose=0, **arguments)


def test_no_cell_of_a_log_is_a_formula(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path))
    run(CSVLogger(path, append=True))
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 3
    assert sorted(rows[0])[:4] == ["'+x", "'-x", "'=1+1", "'@x"]
    assert rows[1][1:] == rows[2][1:]
    assert "NA" not in rows[2][:7]


def test_no_cell_of_a_monitor_is_a_formula(tmp_path):
    path = tmp_path / "norms.csv"
    run(GradientMonitor(csv=path))
    with open(path, newline="") as file:
        assert {row["layer"] for row in csv.DictReader(file)} == {"'=cmd()"}
