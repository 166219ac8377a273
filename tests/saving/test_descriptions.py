"""What a description may hold, and how it is refused: to the last allowed value."""

import json
import math
import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import FileError
from netlayers.saving import StoredFile, description, write_file
from netlayers.saving.description import Section, check_configurations, from_text, short, to_text
from tests.golden import check_text, messages
from tests.saving import mutations

SECTION = Section("file", "here", {
    "flag": True, "zero": 0, "most": 2**63 - 1, "more": 2**63, "less": -1, "half": 0.5,
    "huge": 1e300, "large": 9e299, "long": 10**400, "text": "a", "texts": ["a", "b"],
    "twice": ["a", "a"], "mixed": ["a", 1], "section": {"a": 1}, "nan": math.nan, "none": None,
})  # fmt: skip


def test_entries_of_a_section():
    cases = []
    for method in ("count", "number", "text", "texts", "section"):
        for key in (*SECTION.values, "missing"):

            def run(method=method, key=key):
                found = getattr(SECTION, method)(key)
                raise KeyError(f"{type(found).__name__} {getattr(found, 'values', found)}")

            cases.append((f"{method} {key}", run))
    cases += [
        ("a flag", lambda: SECTION.get("flag", bool, "a flag")),
        ("a number as a flag", lambda: SECTION.get("zero", bool, "a flag")),
        ("a place", lambda: SECTION.section("section").section("a")),
        ("no section", lambda: Section("file", "here", [1])),
    ]
    check_text(__file__, "sections.txt", messages(cases).replace("KeyError: ", "= "))
    inner = SECTION.section("section")
    assert (inner.path, inner.place, inner.values) == ("file", "here: section", {"a": 1})
    assert str(inner.fail("b", "c", "Try again.")) == (
        "file: here: section: b: expected c, got nothing. Try again."
    )


class Odd:
    def __repr__(self):
        return "odd"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**200 - 1, str(2**200 - 1)),
        (2**200, "an integer of 201 bits"),
        ({"a": 1, "b": 2}, "dict of 2"),
        ([1, 2, 3], "list of 3"),
        ("x" * 78, repr("x" * 78)),
        ("x" * 79, repr("x" * 79)[:60] + "... (81 characters)"),
        (ValueError("x" * 400), "x" * 400),
        (ValueError("x" * 401), "x" * 380 + "... (401 characters)"),
        (Odd(), "odd"),
        (None, "None"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_messages_show(value, text):
    assert short(value) == text


def test_plain_data():
    value = {
        "n": np.int8(3), "b": np.bool_(True), "f": np.float32(0.5), "t": (1, 2), "none": None,
        "a": np.arange(3), "flags": np.array([True]), "nan": math.nan, "inf": [-math.inf, math.inf],
        "true": True, "é": "ü", "nested": {"x": {"y": []}},
    }  # fmt: skip
    text = to_text("file", "here", value)
    assert text.isascii()
    assert ", " not in text
    assert json.loads(text)["inf"] == [{"$float": "-inf"}, {"$float": "inf"}]
    found = from_text("file", "here", text)
    assert math.isnan(found.pop("nan"))
    assert found == {
        "n": 3, "b": True, "f": 0.5, "t": [1, 2], "none": None, "a": [0, 1, 2], "flags": [True],
        "inf": [-math.inf, math.inf], "true": True, "é": "ü", "nested": {"x": {"y": []}},
    }  # fmt: skip
    assert [type(found[k]) for k in ("n", "b", "f")] == [int, bool, float]


def wide(count):
    return {"layers": [{"class_name": "ReLU"}] * count}


def deep(levels, inner=None):
    layer = inner or {"class_name": "Dense"}
    for _ in range(levels):
        layer = {"class_name": "Residual", "layers": [layer]}
    return layer


def called(count, times, inner=None):
    calls = [[0, "x"]] * times
    return {"class_name": "Graph", "layers": [inner or {"class_name": "Dense"}] * count,
            "calls": calls}  # fmt: skip


def text(value):
    return lambda: to_text("file", "here", value)


def read(value):
    return lambda: from_text("file", "here", value)


def configured(value):
    return lambda: check_configurations("file", "model", value)


NESTED = "[" * 200 + "]" * 200
PLAIN = [
    ("an object", text({"a": Odd()})),
    ("an object deeper", text({"a": [{"b": Odd()}]})),
    ("a number as a key", text({1: 2})),
    ("a reserved key", text({"a": {"$float": 1}})),
    ("a key that is no text", text({"\ud800": 1})),
    ("no text", text("\ud800")),
    ("a complex number", text(1j)),
    ("an array of texts", text(np.array(["a"]))),
    ("the longest integer", text(2**14_284 - 1)),
    ("too long an integer", text(2**14_284)),
    ("too long an integer inside", text([{"a": [-(2**14_284)]}])),
    ("twice a name", read('{"a": 1, "b": 2, "a": 3}')),
    ("no word", read('{"$float": "none"}')),
    ("a word that is a number", read('{"$float": 3}')),
    ("two words", read('{"$float": "nan", "x": 3}')),
    ("an infinite number", read("[1e999]")),
    ("a NaN", read("[NaN]")),
    ("-Infinity", read("-Infinity")),
    ("no JSON", read("")),
    ("half a pair", read('["\\ud800"]')),
    ("half a pair as a key", read('{"\\ud800": 1}')),
    ("199 levels", read(NESTED[1:-1])),
    ("200 levels", read(NESTED)),
    ("the most bytes", read('"' + "x" * ((8 << 20) - 2) + '"')),
    ("a byte more", read('"' + "x" * ((8 << 20) - 1) + '"')),
    ("the most lists", read("[" + "[]," * 99_998 + "{}]")),
    ("a list more", read("[" + "[]," * 99_999 + "{}]")),
    ("the most values", read("[" + "0," * 300_000 + "0]")),
    ("a value more", read("[" + "0," * 300_001 + "0]")),
    ("the widest", configured([wide(4000)])),
    ("too wide", configured([wide(4001)])),
    ("deep", configured([deep(74)])),
    ("too deep", configured([deep(75)])),
    ("many uses", configured([called(1, 49_999)])),
    ("too many uses", configured([called(1, 50_000)])),
    ("uses of uses", configured([called(1, 223, called(1, 223))])),
    ("too many uses of uses", configured([called(1, 224, called(1, 224))])),
]


def test_what_is_plain():
    check_text(__file__, "plain.txt", messages(PLAIN))


@pytest.mark.parametrize(
    ("layers", "calls", "uses"),
    [
        ([3], [[0]], 2),
        ([3], [[0], [0]], 3),
        ([3, 3], [[0], [1], [1], [1]], 5),
        ([3], [[1], [1]], 2),
        ([3], [[-1], [-1]], 2),
        ([3], [[True], [True], [False]], 2),
        ([3], [[], "x", 3, [0.0], [0]], 2),
        (3, [[0], [0]], 1),
    ],
    ids=str,
)
def test_uses_of_layers(layers, calls, uses):
    parts = [{"class_name": "Dense"} for _ in layers] if isinstance(layers, list) else layers
    item, known = {"class_name": "Graph", "layers": parts, "calls": calls}, {}
    for value in (calls, parts):
        if isinstance(value, list):
            for inner in value:
                known[id(inner)] = int(isinstance(inner, dict))
            known[id(value)] = sum(known[id(inner)] for inner in value)
    assert description._count_uses(item, known) == uses


def test_uses_of_what_is_no_layer():
    layer = {"class_name": "Dense"}
    assert description._count_uses({"a": 1}, {}) == 0
    assert description._count_uses(layer, {}) == 1
    assert description._count_uses([layer, 3], {id(layer): 4}) == 4
    assert description._count_uses([layer], {id(layer): 10**9}) == 100_000


def test_texts():
    assert description.is_text("é") is True
    for value in (3, None, b"a", "\ud800"):
        assert description.is_text(value) is False


# Files -------------------------------------------------------------------------------------------


def test_the_format_of_a_file(path):
    arrays = {"b": np.zeros((2, 3), "f4"), "a": np.ones(2), "c": np.array([1], "i2")}
    write_file(path, arrays, {"x": 1})
    data = path.read_bytes()
    entries, found, body = mutations.opened(data)
    assert (len(data) - len(body)) % 64 == 0
    assert list(entries) == ["a", "b", "c"]
    assert entries["a"] == {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
    assert entries["b"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]}
    assert entries["c"] == {"dtype": "I16", "shape": [1], "data_offsets": [40, 42]}
    assert (found["format_version"], found["x"], list(found["checksums"])) == (1, 1, list(entries))
    assert found["library"] == {"name": "netlayers", "version": nl.__version__}
    assert found["numpy"] == np.__version__
    header = data[8 : len(data) - len(body)]
    assert header.startswith(b'{"__metadata__":{"checksum":"')
    assert b'"format":"netlayers","description":"' in header
    write_file(path, {"flags": np.array([True]), "x": np.ones(2)}, {})
    with StoredFile(path) as file:
        assert file.version == 2
    write_file(path, {"flags": np.array([True, False])}, {})
    with StoredFile(path) as file:
        assert (file.version, file.section.values["format_version"]) == (2, 2)
        assert file.read("flags").tolist() == [True, False]
        assert file._unread == set()
    entries, found, _ = mutations.opened(path.read_bytes())
    now = mutations.with_checksums(entries, found, b"\0\2")
    path.write_bytes(mutations.sealed(entries, now, b"\0\2"))
    with StoredFile(path) as file, pytest.raises(FileError) as raised:
        file.read("flags")
    error = raised.value
    assert error.place == "flags"
    assert (error.expected, error.got) == ("booleans as the bytes 0 and 1", "others")
    write_file(path, {}, {})
    with StoredFile(path) as file:
        assert file.entries == {}
        file.check_rest()
    with pytest.raises(ValueError, match="closed"):
        file._file.read()


@pytest.mark.parametrize("starts", [True, False])
def test_the_format_without_another_thread(path, monkeypatch, starts):
    class Thread:
        ident = 1 if starts else None

        def __init__(self, target, name):
            assert name == "netlayers-checksums"
            self.join = target if starts else None

        def start(self):
            if not starts:
                raise RuntimeError("no new threads at the end of the process")

    with monkeypatch.context() as patch:
        patch.setattr("netlayers.saving.format.threading.Thread", Thread)
        write_file(path, {"x": np.arange(3.0)}, {})
        with StoredFile(path) as file:
            assert file.read("x").tolist() == [0, 1, 2]
        Thread.start = Thread.join = lambda self: None
        monkeypatch.setattr(Thread, "__init__", lambda self, target, name: None)
        with pytest.raises(RuntimeError) as raised:
            write_file(path, {"x": np.arange(3.0)}, {})
        said = "netlayers: the checksums of a file could not be computed."
        assert str(raised.value) == said


def test_arrays_in_the_format(path):
    write_file(path, {"x": np.arange(6.0).reshape(2, 3), "y": np.ones(2, "f4")}, {})
    with StoredFile(path) as file:
        cases = [
            ("whole", lambda: file.check("x", (2, 3), np.dtype("f8"))),
            ("any float", lambda: file.check("y", (2,), np.dtype("f8"), any_float=True)),
            ("another float", lambda: file.check("y", (2,), np.dtype("f8"))),
            ("no float", lambda: file.check("y", (2,), np.dtype("i4"), any_float=True)),
            ("another shape", lambda: file.check("x", (3, 2), np.dtype("f8"))),
            ("another array", lambda: file.check("z", (3, 2), np.dtype("f8"))),
            ("another to read", lambda: file.read("z")),
            ("into another shape", lambda: file.read("x", np.empty((3, 2)))),
            ("into another type", lambda: file.read("y", np.empty(2))),
        ]
        said = messages(cases).replace(f"{path}: ", "")
        out = np.empty((2, 3))
        assert file.read("x", out) is out
        assert file._unread == {"y"}
    check_text(__file__, "arrays.txt", said)


def test_the_header_of_the_format(path):
    write_file(path, {"x": np.arange(3.0)}, {"numpy": "2.0", "library": "x"})  # of any version
    data = path.read_bytes()
    entries, found, body = mutations.opened(data)
    size = int.from_bytes(data[:8], "little")

    def opened(data):
        def run():
            path.write_bytes(data)
            StoredFile(path).__exit__(None, None, None)

        return run

    def length(n):
        return opened(n.to_bytes(8, "little") + data[8:])

    def entry(**values):
        return opened(mutations.sealed({"x": {**entries["x"], **values}}, found, body))

    def edited(edit):
        return opened(mutations.sealed(entries, found, body, edit))

    cases = [
        ("whole", opened(data)),
        ("seven bytes", opened(data[:7])),
        ("eight bytes", opened(data[:8])),
        ("the shortest header", length(29 + 64 + 2)),
        ("too short a header", length(29 + 64 + 1)),
        ("a header of the rest", length(len(data) - 8)),
        ("a header of more", length(len(data) - 7)),
        ("a header of less", length(size - 64)),
        ("too long a header", opened(((8 << 20) + 1).to_bytes(8, "little") + bytes(9 << 20))),
        ("the longest header", opened((8 << 20).to_bytes(8, "little") + bytes(9 << 20))),
        ("another start", opened(data[:8] + b" " + data[9:])),
        ("another checksum", opened(data[:40] + b"x" + data[41:])),
        ("another character", edited(lambda t: t.replace("netlayers", "é", 1))),
        ("another format", edited(lambda t: t.replace('"netlayers"', '"others"', 1))),
        ("more metadata", edited(lambda t: t.replace('"format"', '"a": 1, "format"', 1))),
        ("32 axes", entry(shape=[3] + [1] * 31)),
        ("33 axes", entry(shape=[3] + [1] * 32)),
        ("a size of 2^48 - 1", entry(shape=[2**48 - 1])),
        ("a size of 2^48", entry(shape=[2**48])),
        ("2^58 numbers", entry(shape=[2**29, 2**29])),
        ("2^59 numbers", entry(shape=[2**29, 2**30])),
        ("2^59 numbers of none", entry(shape=[0, 2**29, 2**30])),
        ("a number in a list", entry(shape=3)),
        ("three places", entry(data_offsets=[0, 24, 24])),
        ("four places", entry(data_offsets=[0, 24, 24, 24])),
        ("a place less", entry(data_offsets=[1, 24])),
        ("a later place", entry(data_offsets=[1, 25])),
        ("an unknown type", entry(dtype="BF16")),
        ("booleans in version 1", entry(dtype="BOOL", shape=[24])),
        ("more in an entry", entry(more=1)),
        ("a number for an entry", opened(mutations.sealed({"x": 3}, found, body))),
        ("no entry", opened(mutations.sealed({}, found, body))),
        ("a byte more", opened(data + b"\0")),
        ("a byte less", opened(data[:-1])),
    ]
    said = messages(cases).replace(f"{path}: ", "").replace(str(path), "PATH")
    check_text(__file__, "headers.txt", re.sub(r"[0-9a-fx]{64}", "DIGEST", said))
