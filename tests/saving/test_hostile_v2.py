"""Files of version 2 that lie about states, assets, calls and dtypes."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import FileError
from tests.saving import mutations
from tests.saving.golden import v2_cases


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "every"
    model = v2_cases.train(v2_cases.model(), 2)
    model.save(path)
    return model, path.read_bytes()


def refuses(path, whole, change, match, living=True):
    """Under right checksums: both readers refuse the file, and the living model is as it was."""
    model, data = whole
    entries, description, body = mutations.opened(data)
    body = change(entries, description, body) or body
    description = mutations.with_checksums(entries, description, body)
    path.write_bytes(mutations.sealed(entries, description, body))
    before = v2_cases.state(model)
    with pytest.raises(FileError, match=match):
        nl.load_model(path, v2_cases.CUSTOM)
    if living:  # whose architecture and shapes are its own
        with pytest.raises(FileError, match=match):
            nl.saving.restore(path, model)
        assert v2_cases.state(model) == before


def claimed(name, **values):
    def change(entries, description, body):
        entries[name].update(values)

    return change


def described(key, value):
    def change(entries, description, body):
        description[key] = value

    return change


def rewritten(name, data):
    """Replace the bytes of an array by others of its length."""

    def change(entries, description, body):
        start, stop = entries[name]["data_offsets"]
        new = data * (stop - start) if len(data) == 1 else data.ljust(stop - start, b" ")
        return body[:start] + new[: stop - start] + body[stop:]

    return change


def emptied(name, shape):
    """Let an array hold nothing, in a shape that may be anything."""

    def change(entries, description, body):
        start, stop = entries[name]["data_offsets"]
        entries[name].update(shape=shape, data_offsets=[start, start])
        for entry in entries.values():
            if entry["data_offsets"][0] >= stop:
                entry["data_offsets"] = [n - (stop - start) for n in entry["data_offsets"]]
        return body[:start] + body[stop:]

    return change


H, STEPS = "memory/state.h", "memory/state.steps"
WORDS, BLOB = "words/asset.words", "words/asset.blob"
LIES = {
    "a huge state": (claimed(H, shape=[2**40, 4], data_offsets=[0, 2**44]), H),
    "rows of another shape": (claimed(H, shape=[4, 8]), f"{H}: expected shape"),
    "rows of more axes": (claimed(H, shape=[8, 4, 1]), f"{H}: expected shape"),
    "no rows": (claimed(H, shape=[32]), f"{H}: expected shape"),
    "a state of another dtype": (claimed(H, dtype="I32"), f"{H}: expected shape"),
    "an integer state that is none": (claimed(STEPS, dtype="F64"), f"{STEPS}: expected shape"),
    "a state of nothing, too large to count": (emptied(H, [2**47, 2**47, 0]), H),
    "a state that is a number": (emptied(STEPS, [0, 4]), STEPS),
    "a state of no layer": (described("states", [H, STEPS, "dense/state.h"]), "states"),
    "a state that is a weight": (described("states", [H, STEPS, "table/table"]), "states"),
    "a state that is not listed": (described("states", [H]), "extra one"),
    "a state twice": (described("states", [H, H, STEPS]), "states"),
    "states that are no list": (described("states", {H: 1}), "states"),
    "an asset that is not listed": (described("assets", {WORDS: "texts"}), "extra one"),
    "an asset of no layer": (
        described("assets", {WORDS: "texts", BLOB: "bytes", "dense/asset.x": "bytes"}),
        "assets",
    ),
    "an asset of another kind": (described("assets", {WORDS: "code", BLOB: "bytes"}), "assets"),
    "an asset of bytes that are texts": (
        described("assets", {WORDS: "texts", BLOB: "texts"}),
        "JSON list of strings",
    ),
    "assets that are a list": (described("assets", [WORDS, BLOB]), "assets"),
    "an asset in rows": (claimed(BLOB, shape=[16, 16]), "array of bytes"),
    "an asset of numbers": (claimed(BLOB, dtype="I8"), "array of bytes"),
    "texts that are nested": (rewritten(WORDS, b"[[[[[[[["), "JSON list of strings"),
    "texts that are numbers": (rewritten(WORDS, b"[1,\n2]"), "JSON list of strings"),
    "texts with more on a line": (rewritten(WORDS, b'["a",[],\n"b"]'), "JSON list of strings"),
    "texts of half characters": (rewritten(WORDS, b"\xff"), "JSON list of strings"),
    "booleans that are 2": (rewritten("table/seen", b"\2"), "bytes 0 and 1"),
    "booleans that are numbers": (claimed("table/seen", dtype="U8"), "table/seen: expected shape"),
    "counts that are floats": (claimed("table/count", dtype="F64"), "table/count: expected shape"),
    "version 3": (described("format_version", 3), "format_version: expected 1 or 2"),
    "version 2.0": (described("format_version", 2.0), "format_version"),
    "version true": (described("format_version", True), "format_version"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies(whole, tmp_path, lie):
    refuses(tmp_path / "file", whole, *LIES[lie])


@pytest.mark.parametrize(
    "shapes", [[None, 4], [[None, 4], 3], [None, [None, 4]], [[[None, 4]], [None, 4]], [[], []]]
)
def test_inputs_that_lie(whole, tmp_path, shapes):
    change = described("built", {"": shapes})
    refuses(tmp_path / "file", whole, change, "model|built", living=False)


def test_a_model_that_version_1_has_no_words_for(whole, tmp_path):
    change = described("format_version", 1)
    refuses(tmp_path / "file", whole, change, "dtype|version", living=False)


def graph(description):
    return description["model"]["config"]["layers"][4]["config"]


CALLS = {
    "a call of no layer": [[2, [[0, None]]]],
    "a call that refers forward": [[0, [[2, None]]], [0, [[1, None]]]],
    "a call of itself": [[0, [[1, None]]]],
    "a negative source": [[0, [[-1, None]]]],
    "a negative layer": [[-1, [[0, None]]]],
    "a negative place": [[0, [[0, -1]]]],
    "a source of 10^400": [[0, [[10**400, None]]]],
    "no sources": [[0, []]],
    "sources that are no pairs": [[0, [0]]],
    "a call that is a number": [0],
    "calls that are a text": "0",
    "calls that are nothing": None,
    "true for a layer": [["0", [[0, None]]]],
}


@pytest.mark.parametrize("lie", CALLS)
def test_calls_that_lie(whole, tmp_path, lie):
    def change(entries, description, body):
        graph(description)["calls"] = CALLS[lie]

    refuses(tmp_path / "file", whole, change, "model", living=False)


@pytest.mark.parametrize("outputs", [[[5, None]], [[0, -3]], 7])
def test_outputs_that_lie(whole, tmp_path, outputs):
    def change(entries, description, body):
        graph(description)["outputs"] = outputs

    refuses(tmp_path / "file", whole, change, "model", living=False)


def test_networks_that_would_run_for_ever(whole, tmp_path):
    def change(entries, description, body):
        layer = {"class_name": "ReLU", "config": {}}
        for _ in range(20):
            calls = [[0, [[i, None]]] for i in range(8)]
            layer = {"class_name": "Graph", "config": {"layers": [layer], "calls": calls}}
        description["model"] = {"class_name": "Sequential", "config": {"layers": [layer]}}

    refuses(tmp_path / "file", whole, change, "uses of layers", living=False)


def test_every_flipped_bit_is_found(whole, tmp_path):
    _, data = whole
    path = tmp_path / "file"
    for place in [*range(0, len(data), 23), *range(len(data) - 1500, len(data), 7)]:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(FileError), nl.saving.StoredFile(path) as file:
            file.check_rest()


def test_a_layer_that_refuses_its_assets(whole, tmp_path):
    model, _ = whole
    path = tmp_path / "file"
    other = v2_cases.model()
    other.layers[1].words = ["x"] * 1001
    other.save(path)
    before = v2_cases.state(model)
    for load in (
        lambda: nl.load_model(path, v2_cases.CUSTOM),
        lambda: nl.saving.restore(path, model),
    ):
        with pytest.raises(FileError, match="too many words"):
            load()
    assert v2_cases.state(model) == before
    assert np.isfinite(model.parameters.values).all()
