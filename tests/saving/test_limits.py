"""Limits of descriptions to the last value, keys that come twice, names of classes, open files."""

import os

import numpy as np
import pytest

import netlayers as nl
from netlayers import registry
from netlayers.errors import ArgumentTypeError, ConfigurationError, FileError
from netlayers.saving import atomic, description, format
from tests.golden import check_text
from tests.snapshots import outcome

saving = nl.saving


def test_sizes_of_texts(monkeypatch):
    monkeypatch.setattr(description, "MAX_CONTAINERS", 4)
    monkeypatch.setattr(description, "MAX_VALUES", 3)
    monkeypatch.setattr(description, "MAX_BYTES", 40)
    lines = []
    for text in (
        "[[[[", "[[[[[", "{{{{", "{{{{{", "[[{{", "[[[{{", "[{{{{", ",,,", ",,,,", "[],{},,",
        "x" * 40, "x" * 41, "", "]]]]]]", "}}}}}}",
    ):  # fmt: skip
        for given in (text, text.encode()):
            said = outcome(lambda g=given: description.check_size("file", "here", g))
            lines.append(f"{given!r}: {said}")
    check_text(__file__, "limits of texts.txt", "\n".join(lines))


def configuration(sizes):
    layers = [{"class_name": "Dense", "config": {"units": n, "name": "d"}} for n in sizes]
    return {"class_name": "Sequential", "config": {"layers": layers}}


def test_sizes_that_a_configuration_asks_for(monkeypatch):
    name = description.SIZES[0]
    monkeypatch.setattr(description, "MAX_SIZES", 10)

    def asked(*sizes):
        layers = [{"class_name": "X", "config": {name: n}} for n in sizes]
        value = {"class_name": "Sequential", "config": {"layers": layers}}
        return outcome(lambda: description.check_configurations("file", "here", value))

    for sizes in ((10,), (4, 6), (10, 0), (10, -5), (-100, 10), (True,) * 11, (11.5,), ("11",)):
        assert asked(*sizes) == "None", sizes
    for sizes in ((11,), (4, 7), (11, -5), (-5, 11), (5, 5, 1), (0, 11)):
        assert "of at most 10 together" in asked(*sizes), sizes


def test_the_key_that_comes_twice_is_named():
    for text, twice in (
        ('{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        ('{"a": 1, "b": 2, "b": 3, "a": 4}', "'b' twice"),
        ('{"c": {"x": 1, "y": 1, "y": 2}}', "'y' twice"),
    ):
        with pytest.raises(FileError, match=twice):
            description.from_text("file", "here", text)
    assert description.from_text("file", "here", '{"a": {"a": 1}}') == {"a": {"a": 1}}


def test_what_json_refuses_is_named_by_its_place():
    class Odd(nl.layers.Layer):
        def get_config(self):
            return {**super().get_config(), "odd": object()}

        def forward(self, x, training=False):
            return x

    model = nl.Sequential([nl.layers.Dense(2), Odd(name="odd")], name="net")
    with pytest.raises(FileError, match=r"^to_json: model: .*odd.*get_config\(\) must return"):
        saving.model_to_json(model)


def test_names_of_classes_and_functions(monkeypatch):
    def first(w):
        return 0.0

    def second(w):
        return 0.0

    known = {kind: dict(names) for kind, names in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", known)
    saving.register_keras_serializable("tests", "own")(first)
    assert saving.get_registered_name(first) == "tests>own"
    assert saving.get_registered_object("tests>own") is first
    assert saving.get_registered_name(second) == "second"
    assert saving.get_registered_name(nl.layers.Dense) == "Dense"
    assert saving.get_registered_object("second") is None
    assert saving.get_registered_object("second", {"second": second}) is second
    for wrong in (3, None, "first"):
        with pytest.raises(ArgumentTypeError, match="obj must be a class or a function"):
            saving.get_registered_name(wrong)
    with pytest.raises(ArgumentTypeError, match="name must be a string"):
        saving.get_registered_object(first)


def test_a_class_of_the_user_is_of_the_kind_that_it_is_derived_from():
    kinds = {
        "layer": nl.layers.Layer, "loss": nl.losses.Loss, "metric": nl.metrics.Metric,
        "regularizer": nl.regularizers.Regularizer, "initializer": nl.initializers.Initializer,
        "constraint": nl.constraints.Constraint, "optimizer": nl.optimizers.Optimizer,
    }  # fmt: skip
    for kind, base in kinds.items():
        own = type("Own", (base,), {"__init__": lambda self, **kwargs: None})
        for module in (kind, None, "keras.somewhere"):
            described = {"module": module, "class_name": "Own", "config": {}}
            read = saving.deserialize_keras_object(described, {"Own": own})
            assert type(read) is own, (kind, module)
        with pytest.raises(ConfigurationError, match="no kinds of object have the class name"):
            saving.deserialize_keras_object({"class_name": "Own", "config": {}})


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_files_that_are_removed_or_left_are_closed(tmp_path):
    for content in (b"", b"abc"):
        descriptor, path = atomic._create(str(tmp_path), "name")
        descriptor.write(content)
        descriptor.flush()
        before = len(os.listdir("/proc/self/fd"))
        atomic.remove_abandoned(str(tmp_path))
        assert os.path.exists(path)  # its writer lives
        assert len(os.listdir("/proc/self/fd")) == before
        descriptor.close()
        atomic.remove_abandoned(str(tmp_path))
        assert not os.path.exists(path)
        assert len(os.listdir("/proc/self/fd")) == before - 1


def test_files_are_the_same_whatever_was_there_before(tmp_path):
    model = nl.Sequential([nl.Input((3,)), nl.layers.Dense(2)], seed=0)
    found = set()
    for name in ("a", "b"):
        path = tmp_path / f"{name}.safetensors"
        if name == "b":
            path.write_bytes(b"x" * 100_000)
        model.save(path)
        found.add(path.read_bytes())
    assert len(found) == 1
    np.testing.assert_array_equal(nl.load_model(path).get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(("count", "place"), [(1, "header"), (5, "description")])
def test_what_is_too_long_to_be_written_is_named(count, place, monkeypatch):
    description_of = {"values": list(range(count))}
    monkeypatch.setattr(description, "MAX_VALUES", 3)
    with pytest.raises(FileError, match=rf"my\.file.*{place}.*at most 3 values"):
        format._header("my.file", {f"a{i}": {"dtype": "F32"} for i in range(5)}, description_of)
