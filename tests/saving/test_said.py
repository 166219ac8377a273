"""What saving and loading say of models, settings, assets and folders, word for word."""

import json
import os

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.errors import BusyError, FileError
from netlayers.saving import StoredFile, atomic, load_model, values, write_file
from netlayers.saving.lock import _NAME as NAME
from netlayers.saving.lock import FolderLock
from netlayers.saving.names import built_layers, layers_by_path, paths_of, weights_of
from netlayers.saving.rollback import unchanged_on_error
from netlayers.saving.state import compile_settings, named, unnamed
from tests.golden import check_text, messages
from tests.saving import mutations


def model(*units, **options):
    parts = [layers.Dense(n, name=f"d{i}") for i, n in enumerate(units)]
    its = nl.Sequential(parts, seed=0, name="net", **options)
    its.build((None, 2))
    return its


def check(name, cases, path):
    folder = os.path.dirname(path)
    said = messages(cases).replace(str(path), "PATH").replace(str(folder), "FOLDER")
    check_text(__file__, name, said)


def test_weights_of_models(path):
    model(1, 2, 3).save_weights(path)
    whole = model(1, 2, 3)
    fewer, others = model(1, 2), model(2, 2, 3)
    wide = model(2, 3, 1)
    unbuilt = nl.Sequential([layers.Dense(1)], name="unbuilt")
    bad = model(1)
    bad.layers[0].bias[...] = np.nan
    full = path.with_name("full")
    cases = [
        ("whole", lambda: whole.load_weights(path)),
        ("fewer layers", lambda: fewer.load_weights(path)),
        ("fewer layers skipped", lambda: fewer.load_weights(path, skip_mismatch=True)),
        ("others", lambda: others.load_weights(path)),
        ("others skipped", lambda: others.load_weights(path, skip_mismatch=True)),
        ("six skipped", lambda: wide.load_weights(path, skip_mismatch=True)),
        ("more layers", lambda: model(1, 2, 3, 1).load_weights(path)),
        ("more layers skipped", lambda: model(1, 2, 3, 1).load_weights(path, skip_mismatch=True)),
        ("strict", lambda: model(1, 2, 3, dtype="float64").load_weights(path, strict=True)),
        ("strict skipped", lambda: model(1, dtype="float64").load_weights(path, True, strict=True)),
        ("converted", lambda: model(1, 2, 3, dtype="float64").load_weights(path)),
        ("not built", lambda: unbuilt.load_weights(path)),
        ("not built to save", lambda: unbuilt.save_weights(full)),
        ("a flag", lambda: whole.load_weights(path, skip_mismatch=1)),
        ("another flag", lambda: whole.load_weights(path, strict=1)),
        ("to overwrite", lambda: whole.save_weights(path, overwrite="no")),
        ("not finite", lambda: whole.save_weights(path, allow_nonfinite="no")),
        ("not to overwrite", lambda: whole.save(path, overwrite=False)),
        ("a folder", lambda: whole.save(path.parent)),
        ("no model", lambda: load_model(path)),
        ("compile", lambda: load_model(path, compile=1)),
        ("safe mode", lambda: load_model(path, safe_mode=1)),
        ("custom objects", lambda: load_model(path, [1])),
        ("a number", lambda: load_model(3)),
        ("NaN in a new file", lambda: bad.save_weights(full)),
        ("NaN in an old file", lambda: bad.save_weights(full)),
        ("NaN in a model", lambda: bad.save(full)),
        ("NaN all the same", lambda: bad.save(full, allow_nonfinite=True)),
        ("no string", lambda: nl.models.model_from_json(3)),
        ("no JSON", lambda: nl.models.model_from_json("")),
        ("custom objects in JSON", lambda: nl.models.model_from_json("{}", 3)),
        ("another kind", lambda: write_file(path, {}, {"kind": "x"})),
        ("of another kind", lambda: whole.load_weights(path)),
    ]
    check("weights.txt", cases, path)
    large = model(1, dtype="float64")
    large.layers[0].kernel[0] = 1e39
    large.save_weights(path)
    check("large.txt", [("too large", lambda: model(1).load_weights(path))], path)
    large.layers[0].kernel[1] = np.inf
    large.save_weights(path, allow_nonfinite=True)
    model(1).load_weights(path)


def first(y, z):
    return 0.0


class Method:
    def __call__(self, y, z):
        return 0.0

    def score(self, y, z):
        return 0.0


def test_settings_in_a_state():
    def other(y, z):
        return 1.0

    def same(y, z):
        return 2.0

    same.__name__ = other.__name__ = "first"
    thing = Method()
    its = model(1)
    mean = nl.metrics.MeanMetricWrapper(first, "mine")

    def settings(**options):
        def run():
            its.compile(**{"optimizer": "sgd", "loss": "mse", **options})
            raise KeyError(json.dumps(compile_settings("PATH", its)["metrics"]))

        return run

    cases = [
        ("one", settings(metrics=[first])),
        ("twice", settings(metrics=[first, first])),
        ("two of a name", settings(metrics=[first, other])),
        ("two of a name, weighted", settings(metrics=[first], weighted_metrics=[other])),
        ("methods of an object", settings(metrics=[thing.score, thing.score])),
        ("methods of two objects", settings(metrics=[thing.score, Method().score])),
        ("named", settings(metrics=[mean, "mae", nl.metrics.AUC()])),
        ("a wrapped one of the name", settings(metrics=[mean, other])),
        ("none of this name", lambda: unnamed("PATH", "loss", "loss", {"custom": "x" * 90}, {})),
        ("no string", lambda: unnamed("PATH", "loss", "loss", {"custom": 3}, {})),
        ("a class", lambda: unnamed("PATH", "m", "metric", {"custom": "AUC"}, {})),
    ]
    check_text(__file__, "settings.txt", messages(cases).replace("KeyError: ", "= "))
    assert named("PATH", mean) == {"custom": "first", "name": "mine"}
    assert named("PATH", "mse") == "mse"
    assert named("PATH", Method) == {"class_name": "Method", "config": {}}
    assert named("PATH", first) == {"custom": "first"}
    assert unnamed("PATH", "m", "metric", "mae", {}) == "mae"
    assert unnamed("PATH", "m", "metric", {"custom": "a"}, {"a": first}) is first
    assert unnamed("PATH", "m", "loss", {"custom": "a", "name": "b"}, {"a": first}) is first
    wrapped = unnamed("PATH", "m", "metric", {"custom": "a", "name": "b"}, {"a": first})
    assert (wrapped.fn, wrapped.name) == (first, "b")


class Words(layers.Layer):
    def __init__(self, words=(), **more):
        super().__init__(**more)
        self.words = words

    def forward(self, x, training=False):
        return self.prepare(x)

    def get_assets(self):
        return {"words": self.words} if self.words else {}

    def set_assets(self, assets):
        if assets.get("words") == ["bad"]:
            raise ValueError("a bad word")
        self.words = assets.get("words", [])


def test_assets_among_the_values(path, monkeypatch):
    its = nl.Sequential([layers.Dense(1), Words(["a", "b\n", "é"], name="words")], name="net")
    its.build((None, 2))
    its.save(path)
    custom = {"Words": Words}
    _, description, _ = mutations.opened(path.read_bytes())
    name = "words/asset.words"
    assert description["assets"] == {name: "texts"}
    assert load_model(path, custom).layers[1].words == ["a", "b\n", "é"]

    def written(data, kind="texts", **changes):
        def run():
            write_file(path, {**arrays, name: np.frombuffer(data, np.uint8)},
                       {**description, "assets": {name: kind}, **changes})  # fmt: skip
            return load_model(path, custom)

        return run

    with StoredFile(path) as file:
        arrays = {n: file.read(n) for n in file.entries if n != name}
    for data, kind, expected in (
        (b'["a",\n"b"]', "texts", ["a", "b"]), (b"[]", "texts", []), (b"xy", "bytes", b"xy"),
        (b'[""]', "texts", [""]),
    ):  # fmt: skip
        assert written(data, kind)().layers[1].words == expected
    monkeypatch.setattr(values, "MAX_TEXTS", 3)
    monkeypatch.setattr(values, "MAX_ASSET", 40)
    cases = [
        ("three", written(b'["a",\n"b",\n"c"]')),
        ("four", written(b'["a",\n"b",\n"c",\n"d"]')),
        ("no list", written(b'{"a"}')),
        ("no end", written(b'["a"')),
        ("a number", written(b'["a",\n3,\n"b"]')),
        ("two in a line", written(b'["a","b"]')),
        ("no text", written(b'["\\ud800"]')),
        ("other bytes", written(b'["\xff"]')),
        ("half a text", written(b'["a",\n"b,\n"]')),
        ("no comma", written(b'["a" \n"b"]')),
        ("a long line", lambda: values._texts("PATH", "n", b'["' + b"a" * 90 + b',\n"b"]')),
        ("a long start", lambda: values._texts("PATH", "n", b"a" * 90)),
        ("another kind", written(b"[]", "numbers")),
        ("40 bytes", written(b'["' + b"a" * 36 + b'"]')),
        ("41 bytes", written(b'["' + b"a" * 37 + b'"]')),
        ("a bad word", written(b'["bad"]')),
        ("of no layer", written(b"[]", assets={"dense/asset.words": "texts", name: "texts"})),
        ("no array", written(b"[]", assets={name: "texts", "words/asset.more": "texts"})),
        ("numbers", lambda: (arrays.update({"words/asset.n": np.ones(2)}),
                             written(b"[]", assets={name: "texts", "words/asset.n": "bytes"})())),
        ("a number to save", lambda: values._packed("PATH", "n", 3)),
        ("numbers to save", lambda: values._packed("PATH", "n", [3])),
        ("three to save", lambda: values._packed("PATH", "n", ["a"] * 3)),
        ("four to save", lambda: values._packed("PATH", "n", ["a"] * 4)),
        ("numbers in a model", lambda: nl.Sequential([Words([3], name="w")]).save(path)),
        ("many bytes in a model", lambda: nl.Sequential([Words(["a" * 50], name="w")]).save(path)),
    ]  # fmt: skip
    check("assets.txt", cases, path)
    for size, fits in ((36, True), (37, False)):
        its.layers[1].words = ["a" * size]
        said = messages([("", lambda: values.assets_of("PATH", its))])
        assert (said == ": passes") is fits


# Names -------------------------------------------------------------------------------------------


def test_names_of_parts():
    inner = nl.Sequential([layers.Dense(1, name="a")], name="inner")
    residual = layers.Residual([layers.Dense(2, name="b")], name="res")
    its = nl.Sequential([residual, inner], name="net")
    part = inner.layers[0]
    assert layers_by_path(its)["inner/a"] is part
    assert list(layers_by_path(its))[:2] == ["", "res"]
    assert [layers_by_path(t).get(n) is part for t, n in ((inner, "a"), (its, "a"))] == [
        True,
        False,
    ]
    assert paths_of(residual)[id(residual.layers[0])] == "res/b"
    assert paths_of(part) == {id(part): "a", id(part.activation): part.activation.path}
    assert list(built_layers(its)) == []
    part.build((None, 2))
    assert built_layers(its) == {"inner/a": part}
    assert list(weights_of("PATH", its)) == ["inner/a/kernel", "inner/a/bias"]
    its.build((None, 2))
    assert built_layers(its) == {"": its}
    assert list(weights_of("PATH", inner)) == ["a/kernel", "a/bias"]
    assert list(weights_of("PATH", part)) == ["a/kernel", "a/bias"]
    other = nl.Sequential([inner], name="other")
    assert paths_of(other)[id(part)] == "inner/a"


# Folders -----------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


@posix
def test_locks(tmp_path):
    folder = tmp_path / "new"
    lock = FolderLock("Backup", str(folder))
    assert (folder / NAME).read_bytes() == b"%d\n" % os.getpid()
    with pytest.raises(BusyError) as raised:
        FolderLock("Backup", str(folder))
    assert str(raised.value) == (
        f"Backup: the folder {str(folder)!r} is in use: a run of process {os.getpid()} (this one) "
        "keeps its backups there. Wait until that has ended, or end it; or give this run a folder "
        "of its own."
    )
    for holder, words in ((b"17\n", "process 17"), (b"", "another process"), (b"\xff", "another")):
        assert f"a run of {words}" in str(lock._busy("Backup", holder))
    assert "this one" not in str(lock._busy("Backup", b"17\n"))
    lock.release()
    assert not folder.exists()
    lock.release()
    folder.mkdir()
    again = FolderLock("Backup", str(folder))
    again.close()
    assert (folder / NAME).exists()
    again.release()
    last = FolderLock("Backup", str(folder))
    last.release()
    assert not folder.exists()  # there was nothing in it but a lock
    folder.mkdir()
    FolderLock("Backup", str(folder)).release()
    assert list(folder.iterdir()) == []
    (folder / "file").touch()
    (folder / NAME).write_bytes(b"a longer text than a number\n")
    last = FolderLock("Backup", str(folder))
    assert (folder / NAME).read_bytes() == b"%d\n" % os.getpid()
    last.release()
    assert [path.name for path in folder.iterdir()] == ["file"]


@posix
def test_atomic_files_that_cannot_be_locked(tmp_path, monkeypatch):
    taken = []

    def fail(descriptor, path):
        taken.append(descriptor)
        raise KeyError("mine")

    monkeypatch.setattr(atomic, "_locked", fail)
    with pytest.raises(KeyError):
        atomic._create(str(tmp_path), "name")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(taken[0])

    class Locks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(descriptor, how):
            raise errors.pop()

    monkeypatch.undo()
    monkeypatch.setattr(atomic, "fcntl", Locks)
    errors = [OSError(), BlockingIOError()]
    assert atomic._locked(3, "x") is False
    assert atomic._locked(3, "x") is True
    monkeypatch.setattr(atomic, "fcntl", None)
    assert atomic._locked(3, "x") is True


def test_rollback_of_a_layer_without_streams():
    layer = layers.Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()

    def spoil():
        with unchanged_on_error(layer):
            layer.kernel[...] = 7
            raise KeyError

    with pytest.raises(KeyError):
        spoil()
    assert (layer.kernel == before[0]).all()


def test_rebuilding_what_a_file_says_is_built(path):
    """An Input layer builds a model at once; one that only waits for its shape is not."""
    its = nl.Sequential([layers.Input((2,)), layers.Dense(1, name="d")], name="net")
    its.save(path)
    entries, description, body = mutations.opened(path.read_bytes())
    for built, shown in (({"d": [None, 2]}, "dict of 1"), ({}, "dict of 0")):
        now = {**description, "built": built}
        path.write_bytes(mutations.sealed(entries, now, body))
        with pytest.raises(FileError, match=f"built: expected the layers that .*, got {shown}"):
            load_model(path)


def test_the_state_of_gathered_gradients(path):
    its = model(1)
    its.compile(nl.optimizers.SGD(gradient_accumulation_steps=2), "mse")
    for version in (2, 1, 2):
        its.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
        its.save(path)
        with StoredFile(path) as file:
            assert file.version == version


def test_rebuilding_the_state_of_what_is_not_decayed(path):
    """Weights are named as the model is, alone or within another."""
    its = model(1, 2)
    its.compile(nl.optimizers.AdamW(), "mse")
    its.optimizer.exclude_from_weight_decay(var_names=["bias"])
    its.save(path)
    nl.Sequential([its], name="outer").build((None, 2))
    its.optimizer.exclude_from_weight_decay(var_names=["kernel"])
    nl.saving.restore(path, its)
    patterns = [pattern.pattern for pattern in its.optimizer._undecayed]
    assert patterns == ["^net/d0/bias$", "^net/d1/bias$"]
    unbuilt = nl.Sequential([layers.Dense(1)])
    unbuilt.compile(its.optimizer, "mse")
    with pytest.raises(FileError) as raised:
        unbuilt.save(path)
    assert str(raised.value) == (
        f"{path}: optimizer: expected the names of weights, got a model not built. Build the model "
        "first, with build(input_shape) or by a first batch."
    )
