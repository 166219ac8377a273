"""All that the files of various models hold, line by line; a second file holds the same."""

import json
import os
import re
import zlib
from functools import partial

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.core.calls import generators_of
from netlayers.layers.graph import Graph
from netlayers.saving import StoredFile, load_model, restore, save_weights
from tests.golden import check_text, messages
from tests.saving import mutations
from tests.saving.golden import v2_cases
from tests.snapshots import numbers

X, Y = numbers(6, 4).astype("f4"), numbers(6, 1, first=1.0).astype("f4")


def scaled(z):
    return z * 2.0


def spread(y, z):
    return abs(y - z).mean(axis=-1)


class Drifting(nl.losses.MeanSquaredError):
    """A loss with a state of its own."""

    def __init__(self, **more):
        super().__init__(**more)
        self.seen = np.zeros(2)

    def get_state(self):
        return {"seen": self.seen, "count": 3}

    def set_state(self, state):
        self.seen = state["seen"]


CUSTOM = {**v2_cases.CUSTOM, "scaled": scaled, "spread": spread, "Drifting": Drifting}


def chain(*parts, shape=(None, 4), **options):
    its = nl.Sequential(list(parts), name="net", **{"seed": 0, **options})
    if shape is not None:
        its.build(shape)
    return its


def trained(*parts, steps=1, optimizer="sgd", loss="mse", x=X, y=Y, undecayed=(), **options):
    its = chain(*parts, shape=None)
    its.compile(optimizer, loss, **options)
    if undecayed:
        its.optimizer.exclude_from_weight_decay(var_names=undecayed)
    for _ in range(steps):
        its.train_on_batch(x, y)
    return its


def adapted():
    layer = L.Normalization()
    layer.adapt(X)
    return chain(layer, L.Dense(1), shape=None)


def shared_dropout():
    drop = L.Dropout(0.5, name="drop")
    its = chain(L.Dense(3), drop, L.Residual([L.Dense(3, name="in")], name="res"))
    other = nl.Sequential([L.Dense(4), drop], name="other", seed=5)
    other.build((None, 4))
    other.forward(X, training=True)
    return its


def two_outputs():
    x = nl.Input((4,), name="x")
    its = nl.Model(x, [L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)], name="net", seed=0)
    its.compile("sgd", ["mse", nl.losses.Huber(0.5)], metrics=[["mae"], []], loss_weights=[1, 0.5])
    its.train_on_batch(X, [Y, Y])
    return its


def of_frame():
    pandas = pytest.importorskip("pandas")
    its = trained(L.Dense(1), steps=0)
    its.fit(pandas.DataFrame(X, columns=list("abcd")), Y, verbose=0)
    return its


def half_accumulated():
    optimizer = nl.optimizers.Adam(0.01, gradient_accumulation_steps=4)
    return trained(L.Dense(1, kernel_regularizer="l2"), optimizer=optimizer, steps=3)


def inner():
    its = chain(L.Dense(2, name="d"), L.Dropout(0.5, name="r"))
    nl.Sequential([its, L.Dense(1)], name="outer", seed=1).build((None, 4))
    return its


def keyed():
    rate = nl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    optimizer = nl.optimizers.AdamW(rate, weight_decay=0.1, use_ema=True, amsgrad=True)
    return trained(
        L.Dense(2, "relu"), L.Dense(1), optimizer=optimizer, steps=2, undecayed=["bias"],
        metrics=["mae", spread, nl.metrics.RootMeanSquaredError(name="rms")],
        weighted_metrics=["mse"], steps_per_execution=3,
    )  # fmt: skip


MODELS = {
    "not built": lambda: chain(L.Dense(1), shape=None),
    "built": lambda: chain(L.Dense(2), L.BatchNormalization(), dtype="float64"),
    "a layer alone": lambda: L.Dense(2, name="alone"),
    "compiled": lambda: trained(L.Dense(1), steps=0, optimizer="adam"),
    "trained": keyed,
    "accumulated": half_accumulated,
    "with functions": lambda: chain(
        L.Dense(2, activation=scaled), L.Lambda(scaled, gradient=scaled)
    ),
    "a function as loss": lambda: trained(L.Dense(1), loss=spread, steps=0),
    "adapted": adapted,
    "random": lambda: chain(L.Dropout(0.1), L.GaussianNoise(0.1, seed=3), L.Dense(1)),
    "shared": shared_dropout,
    "inside": inner,
    "tables": lambda: trained(v2_cases.Table(name="t"), L.Dense(1)),
    "memory": lambda: trained(v2_cases.Memory(name="m"), L.Dense(1)),
    "memory not used": lambda: chain(v2_cases.Memory(name="m"), L.Dense(1)),
    "words": lambda: v2_cases.train(v2_cases.model(), 1),
    "calls": lambda: chain(
        Graph([L.Dense(4), L.Dropout(0.5)], [(0, [(0, None)]), (1, [(1, None)]), (1, [(2, None)])])
    ),
    "several inputs": lambda: chain(v2_cases.Gate(), shape=[(None, 4), (None, 4)]),
    "two outputs": two_outputs,
    "a state of a class": lambda: trained(L.Dense(1), loss=Drifting()),
    "columns": of_frame,
    "one axis": lambda: chain(L.Embedding(3, 2), L.Flatten(), shape=(None, 1)),
    "no sizes": lambda: chain(L.Rescaling(2.0), shape=(None,)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def shortened(value):
    """Shorten the states of generators, and configurations to their classes."""
    if isinstance(value, dict):
        if "config" in value:
            return [value["class_name"], *filter(None, map(classes, value["config"].values()))]
        if "bit_generator" in value:
            return f"{value['bit_generator']} {zlib.crc32(repr(value).encode()):08x}"
        return {key: shortened(its) for key, its in value.items()}
    return [shortened(its) for its in value] if isinstance(value, list) else value


def classes(value):
    """Return what a value of a configuration says of other objects."""
    if isinstance(value, dict):
        return shortened(value) if "config" in value else None
    return [c for c in map(classes, value) if c] if isinstance(value, list) else None


def contents(path):
    """Return the lines for a file: its description by entry, its arrays in their order."""
    with StoredFile(path) as file:
        shown = {k: v for k, v in file.description.items() if k not in ("library", "numpy")}
        assert list(shown.pop("checksums")) == list(file.entries)
        lines = [f"  {key}: {json.dumps(shortened(its))}" for key, its in shown.items()]
        for name, entry in file.entries.items():
            values = file.read(name).astype(float)
            total = f"{values.sum():.4f} {np.abs(values).sum():.4f}"
            lines.append(f"  [{name}] {entry.dtype} {entry.shape} {entry.start} {total}")
    return lines


@pytest.fixture(scope="module")
def models():
    return {title: make() for title, make in MODELS.items()}


def test_contents_of_files(models, path):
    lines = []
    for title, model in models.items():
        lines.append(title)
        nl.saving.save_model(model, path, extra=[title])
        lines += contents(path)
        again = load_model(path, CUSTOM)
        first = path.read_bytes()
        nl.saving.save_model(again, path, extra=[title])
        same = path.read_bytes() == first  # not where another model's streams are drawn from
        lines.append(f"  saved again: {'the same bytes' if same else 'others'}")
        if model.built:
            save_weights(model, path, extra={"a": 1})
            lines += ["  weights alone", *(f"  {line}" for line in contents(path))]
    text = re.sub(r'"version": "[^"]*"', '"version": ""', "\n".join(lines))
    check_text(__file__, "contents of files.txt", text)


def disturb(model):
    """Change all that a training step changes."""
    for part in model._flatten_layers():
        for state in part.states.values():
            state.value = None if state.value is None else state.value[:2] + 1
        if hasattr(part, "words"):
            part.words = ["other"]
    for p in model.declared_parameters:
        if p.value is not None:
            p.value[...] = ~p.value if p.value.dtype == bool else p.value + 1
    for generator in {**generators_of(model), **model._streams._generators}.values():
        generator.random(3)
    if getattr(model, "optimizer", None) is not None:
        optimizer = model.optimizer
        optimizer.iterations, optimizer.skipped, optimizer.accumulated = 7, 8, 1
        optimizer.denominators, optimizer.learning_rate_factor = [2.0, 4.0], 0.125
        for vector in optimizer.state.values():
            vector += 1
        if model.built:
            optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_restoring(models, path):
    other = path.with_name("other")
    for title in ("built", "compiled", "trained", "accumulated", "random", "tables", "memory",
                  "memory not used", "words", "calls", "inside", "two outputs"):  # fmt: skip
        model = models[title]
        nl.saving.save_model(model, path, arrays={"a": np.arange(2.0)}, extra={"b": 1})
        disturb(model)
        nl.saving.save_model(model, other, arrays={"a": np.arange(2.0)}, extra={"b": 1})
        assert other.read_bytes() != path.read_bytes()
        arrays, extra = restore(path, model)
        assert (list(arrays), arrays["a"].tolist(), extra) == (["a"], [0, 1], {"b": 1})
        nl.saving.save_model(model, other, arrays=arrays, extra=extra)
        assert other.read_bytes() == path.read_bytes(), title


def test_what_a_file_says_beside_the_model(models, path):
    """Entries of version 2 in a file of version 1, and arrays that nothing asks for."""
    cases = []

    def changed(title, name, edit, load=lambda: load_model(path, CUSTOM)):
        def run():
            nl.saving.save_model(models[title], path)
            entries, description, body = mutations.opened(path.read_bytes())
            body = bytearray(body)
            edit(entries, description, body)
            path.write_bytes(mutations.sealed(entries, description, bytes(body)))
            load()

        cases.append((f"{name} of {title}", run))

    def of_version_1(entries, description, body):
        description["format_version"] = 1

    for title in ("memory", "words", "accumulated", "a state of a class", "calls", "trained"):
        changed(title, "version 1", of_version_1)
        again = partial(restore, path, models[title])
        changed(title, "version 1 restored", of_version_1, again)

    def not_compiled(entries, description, body):
        del description["compile"]
        start, _ = entries["optimizer.m"]["data_offsets"]
        body[start] ^= 1

    changed("trained", "a changed array that nothing asks for", not_compiled)
    changed("trained", "the same restored", not_compiled, lambda: restore(path, models["trained"]))

    def many_thresholds(entries, description, body):
        metric = {"class_name": "AUC", "config": {"num_thresholds": 1_500_000}}
        description["compile"]["metrics"] = [metric, metric]

    changed("trained", "many thresholds", many_thresholds)
    for value in (0, 1, 2.5, "3", None, True):

        def steps(entries, description, body, value=value):
            description["compile"]["steps_per_execution"] = value

        changed("compiled", f"steps_per_execution={value}", steps)
    for value in ({}, "mae", [["mae"]], ["no such"], [3], [{"custom": "spread"}], [None]):

        def metrics(entries, description, body, value=value):
            description["compile"]["metrics"] = value

        changed("compiled", f"metrics={value}", metrics)
    for value in ([], ["a"], [None], [["a"], None], [["a", 1]], [3], {"a": 1}, None):

        def columns(entries, description, body, value=value):
            description["columns"] = value

        changed("compiled", f"columns={value}", columns)
    said = messages(cases).replace(str(path), "PATH")
    said = re.sub(r"[0-9a-f]{64}", "DIGEST", said)
    check_text(__file__, "beside the model.txt", said)
