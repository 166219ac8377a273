"""A model as text: JSON in the form that was asked for, and the rows of the summary."""

import json

import numpy as np

import netlayers as nl
from netlayers.layers import BatchNormalization, Dense, Input, Normalization


def lines(model, **options):
    found = []
    model.summary(print_fn=found.append, **options)
    return [line.split() for line in found]


def row(model, name):
    (cells,) = (cells for cells in lines(model) if cells and cells[0] == name)
    return cells[-3:]  # parameters, bytes, trainable


def test_json_takes_the_arguments_of_json():
    model = nl.Sequential([Dense(2, "relu", name="first"), Dense(1)])
    plain, indented = model.to_json(), model.to_json(indent=2)
    assert "\n" not in plain
    assert indented.startswith('{\n  "')
    assert json.loads(indented) == json.loads(plain)
    assert model.to_json(separators=(";", "=")).count("=") == plain.count(":")
    assert list(json.loads(model.to_json(sort_keys=True))) == sorted(json.loads(plain))


def test_the_summary_of_a_layer_with_only_statistics():
    norm = BatchNormalization(center=False, scale=False, name="norm")
    adapted = Normalization(name="adapted")
    adapted.adapt(np.arange(12.0).reshape(4, 3))
    model = nl.Sequential([Input((3,), name="x"), adapted, norm, Dense(2, name="dense")])
    assert row(model, "norm") == ["6", "24", "no"]
    assert row(model, "x") == ["0", "0", "-"]
    assert row(model, "adapted")[-1] in ("-", "no")
    assert row(model, "dense") == ["8", "32", "yes"]
    norm.trainable = False
    assert row(model, "norm") == ["6", "24", "no"]


def test_the_summary_of_frozen_layers_and_of_parts():
    inner = nl.Sequential([Dense(2, name="a"), Dense(2, name="b")], name="inner")
    model = nl.Sequential([Input((3,)), inner, Dense(1, name="last")])
    assert row(model, "inner")[-1] == "yes"
    inner.layers[0].trainable = False
    assert row(model, "inner")[-1] == "partly"
    inner.layers[1].trainable = False
    assert row(model, "inner")[-1] == "no"
    assert row(model, "last")[-1] == "yes"
    table = lines(model, expand_nested=True)
    assert [cells[0] for cells in table if cells and "(Dense)" in cells] == ["a", "b", "last"]


def test_the_totals():
    model = nl.Sequential([Input((3,)), BatchNormalization(), Dense(2)], name="net")
    names = {"Total": ["20", "80"], "Trainable": ["14", "56"]}
    found = {cells[0]: cells[1:] for cells in lines(model) if cells}
    assert {name: found[name] for name in names} == names
    assert ["Not", "trainable", "6", "24"] in lines(model)
    model.compile("adam", "mse")
    assert not any(cells[:1] == ["Optimizer"] for cells in lines(model))
    model.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)
    assert ["Optimizer", "state", "28", "112"] in lines(model)


def test_the_width_of_the_table():
    model = nl.Sequential([Input((3,)), Dense(2)])
    found = []
    model.summary(print_fn=found.append)
    width = len(found[2])
    assert set(found[2]) == {"-"}
    assert max(len(line) for line in found[1:]) <= width
    for length in (1, width, width + 1, width + 17):
        wide = []
        model.summary(line_length=length, print_fn=wide.append)
        assert len(wide[2]) == max(length, width)
    narrow = []
    model.summary(show_trainable=False, print_fn=narrow.append)
    assert "Trainable" not in narrow[1].split()
    assert len(narrow[2]) == width - len("  Trainable")
    loose = []
    nl.Sequential([Dense(2, trainable=False)]).summary(print_fn=loose.append)
    assert loose[-1].startswith("Not built yet")
    assert loose[3].split()[-4:] == ["?", "not", "built", "no"]


def test_connections_are_wrapped(capsys):
    inputs = [nl.Input((1,), name=f"a_feature_{i}") for i in range(12)]
    joined = nl.layers.Concatenate()(inputs)
    model = nl.Model(inputs, nl.layers.Dense(1)(joined))
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    start = next(i for i, line in enumerate(lines) if line.startswith("concatenate"))
    column = lines[1].index("Connected to")
    end = next(i for i, line in enumerate(lines) if line.startswith("dense"))
    assert "".join(f"{line[column:]} " for line in lines[start:end]).strip() == ", ".join(
        f"a_feature_{i}" for i in range(12)
    )
    model.summary(line_length=160)
    assert max(map(len, capsys.readouterr().out.splitlines())) == 160
