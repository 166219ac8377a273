"""Files of version 2: buffers of any dtype, states, assets, and layers that are used twice."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import FileError
from netlayers.layers.graph import Graph
from netlayers.saving import StoredFile, restore, save_model, write_file
from netlayers.saving.rollback import unchanged_on_error
from tests.saving.golden import v2_cases as cases

L = nl.layers


def version(path):
    with StoredFile(path) as file:
        return file.version


def load(path):
    return nl.load_model(path, cases.CUSTOM)


# Round trips --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_comes_back_and_goes_on(path, dtype):
    model = cases.train(cases.model(dtype), 3)
    model.save(path)
    assert version(path) == 2
    again = load(path)
    assert cases.state(again) == cases.state(model)
    assert cases.state(again)["states"]["memory/steps"] is not None
    again.save(path.with_name("again"))
    assert path.with_name("again").read_bytes() == path.read_bytes()
    assert cases.state(cases.train(again, 3)) == cases.state(cases.train(model, 3))


def test_names_of_the_arrays(path):
    model = cases.train(cases.model(), 1)
    model.save(path)
    with StoredFile(path) as file:
        dtypes = {name: entry.dtype.name for name, entry in file.entries.items()}
        assert file.description["built"] == {"": [[None, 4], [None, 4]]}
        assert file.description["states"] == ["memory/state.h", "memory/state.steps"]
        assert file.description["assets"] == {
            "words/asset.words": "texts",
            "words/asset.blob": "bytes",
        }
        words = file.read("words/asset.words").tobytes().decode()
    assert {name: dtypes[name] for name in dtypes if "." in name or "table" in name} == {
        "table/count": "int64",
        "table/seen": "bool",
        "table/table": "float32",
        "table/total": "float64",
        "memory/state.h": "float32",
        "memory/state.steps": "int64",
        "words/asset.words": "uint8",
        "words/asset.blob": "uint8",
        "optimizer.m": "float32",
        "optimizer.v": "float32",
    }
    assert words.count("\n") == len(cases.WORDS) - 1


def test_any_reader_of_safetensors_opens_it(path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = cases.train(cases.model(), 1)
    model.save(path)
    arrays = safetensors.load_file(path)
    np.testing.assert_array_equal(arrays["table/seen"], model.layers[2].seen)
    assert arrays["table/seen"].dtype == bool


def test_before_the_first_batch_there_are_no_states(path):
    model = cases.model()
    model.save(path)
    again = load(path)
    assert all(state.value is None for state in again.layers[3].states.values())
    assert cases.state(cases.train(again, 2)) == cases.state(cases.train(model, 2))


@pytest.mark.parametrize(
    ("layers", "needed"),
    [
        ([L.Dense(4)], 1),
        ([cases.Memory()], 1),
        ([cases.Words()], 1),
        ([cases.Table()], 2),
        ([Graph([L.Dense(4)], [(0, [(0, None)])])], 2),
        ([cases.Gate(), L.Dense(2)], 2),
    ],
    ids=["plain", "no state yet", "no words yet", "dtypes", "calls", "inputs"],
)
def test_a_file_that_needs_nothing_new_is_of_version_1(path, layers, needed):
    layers = [type(layer).from_config(layer.get_config()) for layer in layers]
    model = nl.Sequential(layers, seed=0)
    model.build([(None, 4)] * 2 if isinstance(layers[0], cases.Gate) else (None, 4))
    model.save(path)
    assert version(path) == needed
    load(path)


def test_weights_alone_leave_states_and_assets_out(path):
    model = cases.train(cases.model(), 2)
    model.save_weights(path)
    assert version(path) == 2
    whole = path.with_name("whole")
    model.save(whole)
    for file in (path, whole):
        other = cases.model()
        other.layers[1].words = ["mine"]
        other.load_weights(file)
        before, after = cases.state(model), cases.state(other)
        assert after["weights"] == before["weights"]
        assert after["states"] == {"memory/h": None, "memory/steps": None}
        assert other.layers[1].words == ["mine"]


def test_an_unbuilt_model_has_its_words(path):
    words = cases.Words()
    words.words = ["a"]
    nl.Sequential([words, L.Dense(2)]).save(path)
    assert load(path).layers[0].get_assets() == {"words": ["a"], "blob": b""}
    restored = nl.Sequential([cases.Words(), L.Dense(2)])
    restore(path, restored)
    assert restored.layers[0].words == ["a"]


# Back into a living model -------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 8, 5])
def test_put_back_into_a_living_model(path, batch):
    model = cases.train(cases.model(), 2)
    save_model(model, path)
    other = cases.model()
    if batch is not None:
        x = tuple(a[:batch].astype(np.float32) for a in cases.INPUT)
        other.forward(x, training=True)
    other.layers[1].words = ["another"]
    restore(path, other)
    assert cases.state(other) == cases.state(model)
    assert cases.state(cases.train(other, 2)) == cases.state(cases.train(model, 2))


def test_states_go_back_to_none(path):
    model = cases.model()
    save_model(model, path)
    cases.train(model, 1)
    restore(path, model)
    assert cases.state(model)["states"] == {"memory/h": None, "memory/steps": None}


def refusing(layer, words):
    """Let a layer refuse assets, half way."""

    def set_assets(assets):
        layer.words = ["half"]
        layer.set_assets = type(layer).set_assets.__get__(layer)
        raise KeyError("no")

    layer.set_assets = set_assets


def test_all_or_nothing(path):
    model = cases.train(cases.model(), 2)
    model.save(path)
    cases.train(model, 1)
    before = cases.state(model)
    refusing(model.layers[1], ["half"])
    with pytest.raises(FileError, match="assets: expected assets of layer 'words', got KeyError"):
        restore(path, model)
    assert cases.state(model) == before


@pytest.mark.parametrize("batch", [None, 8, 3])
def test_rollback(batch):
    model = cases.train(cases.model(), 2) if batch is not None else cases.model()
    if batch == 3:
        model.reset_states()
    before = cases.state(model)

    def fail():
        x = tuple(a[: batch or 8].astype(np.float32) for a in cases.INPUT)
        model.forward(x, training=True)
        model.parameters.values[...] += 1
        model.layers[1].set_assets({"words": ["x"]})
        assert cases.state(model) != before
        raise Cut

    with pytest.raises(Cut), unchanged_on_error(model):
        fail()
    after = cases.state(model)
    for name, generator in before.pop("streams").items():  # those made meanwhile may stay
        assert after["streams"][name] == generator
    after.pop("streams")
    assert after == before


# Names within the model that is saved -------------------------------------------------------------


def test_a_part_is_saved_as_it_would_be_alone(path):
    """Weights, states, assets, and random streams of calls: by names within the part."""

    def inner():
        graph = Graph([L.Dropout(0.5)], [(0, [(0, None)]), (0, [(1, None)])])
        words = cases.Words()
        words.words = ["a"]
        layers = [L.Dense(4), cases.Table(), cases.Memory(), words, graph, L.Dropout(0.5)]
        return nl.Sequential(layers, name="inner", seed=1)

    x = cases.INPUT[0].astype(np.float32)
    alone, part = inner(), inner()
    alone.build((None, 4))
    outer = nl.Sequential([part, L.Dense(1)], seed=2)
    outer.build((None, 4))
    for model in (alone, part):
        model.compile(nl.optimizers.AdamW(weight_decay=0.1), "mse")
        model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    for _ in range(3):
        outer.forward(x, training=True)
        alone.forward(x, training=True)
    files = []
    for model in (alone, part):
        model.save(path)
        with StoredFile(path) as file:
            files.append((file.description, list(file.entries)))
        again = load(path)
        restore(path, model)
        for _ in range(3):
            expected = model.forward(x, training=True)
            np.testing.assert_array_equal(again.forward(x, training=True), expected)
        again.save(path.with_name("again"))
        with StoredFile(path.with_name("again")) as file:
            assert list(file.entries) == files[-1][1]
    (a, names), (b, others) = files
    assert names == others
    assert "dense/kernel" in names
    for key in ("weights", "states", "assets", "built", "model"):
        assert a[key] == b[key]
    assert a["optimizer"]["not_decayed"] == b["optimizer"]["not_decayed"] == ["dense/bias"]
    restore(path, alone)  # and from one into the other
    alone.save(path)
    restore(path, part)
    for _ in range(3):
        expected = part.forward(x, training=True).copy()
        np.testing.assert_array_equal(alone.forward(x, training=True), expected)


def test_a_layer_of_two_models_draws_on(path):
    common = L.Dropout(0.5, name="common")
    models = [nl.Sequential([L.Dense(3), common, L.Dropout(0.1)], seed=i) for i in range(2)]
    x = np.ones((16, 4), np.float32)
    for model in models:
        model.build((None, 4))
        model.forward(x, training=True)
    for model in models:
        model.save(path)
        assert version(path) == 1
        again = nl.load_model(path)
        for _ in range(3):
            expected = model.forward(x, training=True)
            np.testing.assert_array_equal(again.forward(x, training=True), expected)


def test_two_arrays_of_one_name_are_refused(path):
    model = nl.Sequential([L.Dense(2, name="extra.x")])
    model.build((None, 3))
    with pytest.raises(FileError, match="each name once"):
        save_model(model, path, arrays={"x/kernel": np.ones(3)})


# What cannot be written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "match"),
    [(("a",), "list of strings"), (["a", 3], "list of strings"), (["\ud800"], "list of strings")],
)
def test_assets_that_are_none(path, words, match):
    layer = cases.Words()
    layer.get_assets = lambda: {"words": words}
    with pytest.raises(FileError, match=match):
        nl.Sequential([layer]).save(path)
    assert not path.exists()


def test_assets_that_are_too_large(path, monkeypatch):
    monkeypatch.setattr("netlayers.saving.values.MAX_ASSET", 20)
    monkeypatch.setattr("netlayers.saving.values.MAX_TEXTS", 2)
    layer = cases.Words()
    for words, match in ((["a" * 30], "20 bytes"), (["a"] * 3, "2 strings")):
        layer.words = words
        with pytest.raises(FileError, match=match):
            nl.Sequential([layer]).save(path)


def test_booleans_need_version_2(path):
    write_file(path, {"x": np.array([True, False])}, {})
    assert version(path) == 2
    with StoredFile(path) as file:
        assert file.read("x").tolist() == [True, False]


# A run --------------------------------------------------------------------------------------------


class Cut(Exception):
    pass


@pytest.mark.parametrize("cut", [2, 3, 5])
def test_a_stateful_run_goes_on_within_an_epoch(tmp_path, cut):
    x = cases.numbers(5, 32, 4)

    def script(folder, cut=None):
        words = cases.Words()
        words.words = ["a", "b"]
        graph = Graph([L.Dense(4), L.Dropout(0.5)], [(0, [(0, None)]), (1, [(1, None)])])
        layers = [words, cases.Table(), cases.Memory(), graph, L.Dense(1)]
        model = nl.Sequential(layers, seed=0)
        model.compile("adam", "mse")
        seen = []

        def stop(batch, logs):
            seen.append(batch)
            if len(seen) == cut:
                raise Cut

        class Knife(nl.callbacks.LambdaCallback):
            pass

        backup = nl.callbacks.BackupAndRestore(tmp_path / folder, save_freq=1)
        knife = Knife(on_train_batch_end=stop)
        model.fit(x, x[:, 0], 8, epochs=2, callbacks=[backup, knife], verbose=0)
        return model

    whole = script("a")
    with pytest.raises(Cut):
        script("b", cut)
    assert cases.state(script("b")) == cases.state(whole)
    assert whole.layers[2].states["steps"].value.tolist() == [8] * 8


def test_copies(path):
    model = cases.train(cases.model(), 2)
    assert cases.state(copy.deepcopy(model))["weights"] == cases.state(model)["weights"]
