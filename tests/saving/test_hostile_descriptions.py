"""Descriptions of impossible models: one exception, and no code is run."""

import json
import sys
import time
import tracemalloc

import pytest

import netlayers as nl
from netlayers.errors import FileError
from netlayers.saving.description import SIZES
from tests.saving import mutations
from tests.saving.hostile import lying, refuses

# Descriptions that lie --------------------------------------------------------------------------


def dense(**config):
    return {"class_name": "Dense", "config": config}


def chain(*layers, name="Sequential"):
    return {"class_name": name, "config": {"layers": list(layers)}}


def deep(levels):
    layer = dense(units=1)
    for _ in range(levels):
        layer = chain(layer, name="Residual")
    return chain(layer)


ARCHITECTURES = {
    "a layer of 10^12 units": chain(dense(units=10**12)),
    "a layer of 10^400 units": chain(dense(units=10**400)),
    "many large layers": chain(*[dense(units=10**5)] * 200),
    "a million layers": chain(*[{"class_name": "ReLU"}] * 10**6),
    "ten thousand layers": chain(*[{"class_name": "ReLU"}] * 10**4),
    "wide and deep": chain(*[chain(*[chain(*[dense(units=1)] * 20)] * 5)] * 5),
    "40 levels": deep(40),
    "250 levels": deep(250),
    "5000 levels": "[" * 5000,
    "inputs in inputs": chain(
        {"class_name": "Input", "config": {"shape": [10**6]}},
        chain({"class_name": "Input", "config": {"shape": [10**6]}}, dense(units=10**7)),
    ),
    "a reshaped input": chain(
        {"class_name": "Reshape", "config": {"target_shape": [2**30, -1]}}, dense(units=5)
    ),
    "a repeated input": chain(
        {"class_name": "Flatten", "config": {}},
        {"class_name": "RepeatVector", "config": {"n": 10**12}},
        {"class_name": "Flatten", "config": {}},
        dense(units=10**6),
    ),
    "wrong arguments": chain(dense(units="3", activation=7)),
    "unknown arguments": chain(dense(units=3, code="import os")),
    "no arguments": chain(dense()),
    "arguments in a list": {"class_name": "Sequential", "config": [1, 2]},
    "a class that is none": {"class_name": "os.system", "config": {"command": "true"}},
    "a class in a list": {"class_name": ["Dense"], "config": {}},
    "no class": {"config": {}},
    "a text": "Sequential",
    "nothing": None,
    "an activation that is a layer": chain(
        dense(units=3, activation={"class_name": "Sequential", "config": {}})
    ),
    "an initializer that is none": chain(
        dense(units=3, kernel_initializer={"class_name": "Dense", "config": {"units": 3}})
    ),
    "a layer and no model": dense(units=6),
    "other units": chain(dense(units=5)),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_hostile_architecture(files, path, name):
    """Refused in seconds, before memory is taken."""
    architecture = ARCHITECTURES[name]
    entries, description, body = mutations.opened(files["plain"][1])
    description["model"] = architecture
    if isinstance(architecture, str) and architecture.startswith("["):
        description = json.dumps({**description, "model": 0}).replace(
            '"model": 0', f'"model": {architecture}{"]" * len(architecture)}'
        )
    data = mutations.sealed(entries, description, body)
    tracemalloc.start()
    start = time.process_time()
    try:
        refuses(path, data)
    finally:
        took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert took < 20  # tracemalloc makes everything several times slower
    assert peak < 3 * len(data) + (64 << 20)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("built", {"": [None, 10**12]}),
        ("built", {"": [None, 4], "dense": [None, 4], "nowhere": [None, 4]}),
        ("built", {}),
        ("built", {"": "4"}),
        ("built", [4]),
        ("weights", []),
        ("weights", ["dense/kernel"] * 2),
        ("weights", 3),
        ("random", {}),
        ("random", {"entropy": -1, "streams": {}, "layers": {}}),
        ("random", {"entropy": "x", "streams": {}, "layers": {}}),
        ("random", {"entropy": 1, "streams": {"shuffle": {}}, "layers": {}}),
        ("random", {"entropy": 1, "streams": {}, "layers": {"9.rng": {}}}),
        ("compile", None),
        ("compile", {"optimizer": "adam", "loss": "mse"}),
        ("compile", {"optimizer": "adam", "loss": "mse", "metrics": ["exec"]}),
        ("compile", {"optimizer": "adam", "loss": {"custom": "open"}, "metrics": []}),
        ("compile", {"optimizer": "adam", "loss": {"custom": 3}, "metrics": []}),
        ("compile", {"optimizer": "sgd", "loss": "mse", "metrics": []}),
        ("compile", {"optimizer": 3, "loss": None, "metrics": []}),
        (
            "compile",
            {
                "optimizer": "adam",
                "loss": "mse",
                "metrics": [{"class_name": "AUC", "config": {"num_thresholds": 10**11}}],
            },
        ),
        ("optimizer", {}),
        ("optimizer", None),
    ],
)
def test_a_description_that_lies(files, path, key, value):
    match = {"built": "built|dense/kernel", "compile": "compile|optimizer"}.get(key, key)
    refuses(path, lying(files, lambda e, d: d.update({key: value})), match)


def with_metrics(number, **config):
    metrics = [{"class_name": "AUC", "config": {**config, "name": f"m{i}"}} for i in range(number)]
    return lambda entries, description: description["compile"].update(metrics=metrics)


def test_many_thresholds_are_refused_before_memory_is_taken(files, path):
    data = lying(files, with_metrics(200, num_thresholds=10**6))
    assert len(data) < 40_000
    tracemalloc.start()
    try:
        error = refuses(path, data, "compile: expected num_thresholds of at most 2000000 together")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert error.place == "compile"
    path.write_bytes(lying(files, with_metrics(2, num_thresholds=10**6)))
    assert len(nl.load_model(path)._metrics) == 2


def test_a_model_that_no_reader_accepts_is_not_written(path):
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    many = [nl.metrics.AUC(num_thresholds=10**6, name=f"m{i}") for i in range(3)]
    model.compile("sgd", "bce", metrics=many)
    model.build((None, 2))
    with pytest.raises(FileError, match="num_thresholds of at most 2000000 together"):
        model.save(path)
    assert not path.exists()


KINDS = ("layer", "loss", "metric", "optimizer", "initializer", "regularizer", "constraint")


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_that_takes_memory_is_counted(kind):
    """A class whose constructor takes memory by an argument names it in ``SIZES``."""
    for cls in {c for c in nl.registry.registered(kind).values() if isinstance(c, type)}:
        if not cls.__module__.startswith("netlayers."):
            continue
        for example in cls.examples():
            given = example if isinstance(example, dict) else example[0]
            whole = [n for n, v in given.items() if type(v) is int and n not in SIZES]
            for name in whole:
                tracemalloc.start()
                try:
                    cls(**{**given, name: 10**6})
                except nl.errors.NetlayersError:
                    pass
                finally:
                    peak = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
                assert peak < 1 << 20, (cls, name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("iterations", -1),
        ("iterations", 2**70),
        ("iterations", True),
        ("skipped", 1.5),
        ("accumulated", None),
        ("denominators", 1.5),
        ("denominators", {"first": 1.0, "sum": -1.0}),
        ("learning_rate_factor", -1),
        ("learning_rate_factor", {"$float": "nan"}),
        ("learning_rate_factor", 10**400),
        ("not_decayed", ["(a+)+$"]),
        ("not_decayed", "bias"),
        ("vectors", ["m"]),
        ("vectors", []),
    ],
)
def test_counters_that_lie(files, path, key, value):
    refuses(path, lying(files, lambda e, d: d["optimizer"].update({key: value})), "optimizer")


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", {"state": 2**128, "inc": 1}), ("uinteger", 2**32), ("bit_generator", "MT19937")],
)
def test_random_states_that_lie(files, path, key, value):
    def lie(entries, description):
        description["random"]["streams"]["shuffle"][key] = value

    refuses(path, lying(files, lie), "shuffle: expected a state of PCG64")


# Code that is not run ---------------------------------------------------------------------------


def test_a_registered_function_is_not_called(files, path):
    called = []

    @nl.register("metric", "trap")
    def trap(*args, **kwargs):
        called.append((args, kwargs))
        return 0.0

    for metric in ({"class_name": "trap", "config": {"x": 1}}, {"class_name": "trap"}):

        def lie(entries, description, metric=metric):
            description["compile"]["metrics"] = [metric]

        refuses(path, lying(files, lie), "trap")
    assert not called


def test_nothing_is_imported_by_name(files, path):
    before = set(sys.modules)
    for name in ("antigravity.x", "this", "netlayers.datasets.mnist.load_data", "__main__.x"):
        refuses(path, lying(files, lambda e, d, n=name: d.update(model=chain({"class_name": n}))))
    assert set(sys.modules) - before <= {"difflib"}


def test_own_classes_are_found_in_custom_objects_alone(files, path):
    class Mine(nl.layers.Layer):
        def forward(self, x, training=False):
            return self.prepare(x)

    model = chain({"class_name": "Mine", "config": {}})
    data = lying(files, lambda e, d: d.update(model=model), "unbuilt")
    refuses(path, data, "unknown layer 'Mine'")
    assert type(nl.load_model(path, {"Mine": Mine}).layers[0]) is Mine
    with pytest.raises(FileError, match="expected the name of a Layer class"):
        nl.load_model(path, {"Mine": print})
