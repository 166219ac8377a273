"""Names, signatures, defaults and messages of what is registered."""

import hashlib
import inspect
import sys

import numpy as np
import pytest

import netlayers as nl
from netlayers import _suggestions, registry
from netlayers._tables import text_table
from netlayers.checks import (
    check_choice,
    check_custom_objects,
    check_dtype,
    check_flag,
    check_integer,
    check_list,
    check_name,
    check_number,
    check_path,
    check_shape,
    check_verbose,
    is_several,
    listed,
)
from netlayers.errors import FileError
from netlayers.random import KeyedStreams, Streams, keep_mask
from netlayers.registry import Configurable, constructor_arguments, must_define, register, resolve
from tests.golden import check_text, messages

ZERO = np.array(0.5)
KIND = "thing of this test"


class Thing(Configurable):
    def __init__(self, size=2, *, name="thing", inner=None, autocast=True):
        self.size, self.name, self.inner = size, name, inner

    @must_define()
    def use(self, x, y=2):
        raise NotImplementedError

    @must_define(unless="whole")
    def part(self):
        raise NotImplementedError

    def whole(self):
        return self.part()


class Whole(Thing):
    def use(self, x, y=2):
        return x

    def whole(self):
        return 1


class More(Whole):
    def __init__(self, more=3, **kwargs):
        super().__init__(**kwargs)
        self.more = more


class Nothing(Configurable):
    pass


class Keras(Thing):
    def call(self):
        pass


class Parts(Thing):
    def use(self, x):
        return x

    def part(self):
        return 3


class Factory:
    def __call__(self):
        return Whole(7)

    def __repr__(self):
        return "Factory()"


@pytest.fixture(autouse=True)
def known():
    for cls in (Whole, More, Parts):
        register(KIND, f"a_{cls.__name__.lower()}")(cls)
    registry.register_name(KIND, "function", Factory())
    yield
    registry._REGISTRY.pop(KIND)


def call(function, *args, **options):
    return lambda: function("Owner", "it", *args, **options)


def get(value):
    return lambda: resolve(KIND, value, Thing)


def of_file(value, **custom):
    def run():
        with registry.names_of_a_file(custom):
            resolve(KIND, value, Thing)

    return run


CHECKS = [
    ("a number", call(check_number, 1.5)),
    ("a text", call(check_number, "1")),
    ("true", call(check_number, True)),
    ("an array", call(check_number, np.ones(2))),
    ("an array of one", call(check_number, ZERO)),
    ("an array of one text", call(check_number, np.array("1"))),
    ("NaN", call(check_number, float("nan"))),
    ("the minimum", call(check_number, 1, minimum=1, below=2)),
    ("below the minimum", call(check_number, 0.9, minimum=1, below=2)),
    ("the upper bound", call(check_number, 2, minimum=1, below=2)),
    ("the maximum", call(check_number, 2, above=1, maximum=2)),
    ("above the maximum", call(check_number, 2.1, above=1, maximum=2)),
    ("the lower bound", call(check_number, 1, above=1, maximum=2)),
    ("an integer", call(check_integer, np.int8(3))),
    ("a half", call(check_integer, 0.5)),
    ("true as an integer", call(check_integer, True)),
    ("the least", call(check_integer, 2, minimum=2)),
    ("less", call(check_integer, 1, minimum=2)),
    ("a flag", call(check_flag, np.bool_(True))),
    ("1 as a flag", call(check_flag, 1)),
    ("a choice", call(check_choice, "a", ("a", "b"))),
    ("another choice", call(check_choice, "c", ("a", "b"))),
    ("an array as a choice", call(check_choice, np.ones(2), ("a", "b"))),
    ("a list", call(check_list, (1, 2), "numbers")),
    ("a text as a list", call(check_list, "ab", "numbers")),
    ("bytes as a list", call(check_list, b"ab", "numbers")),
    ("a number as a list", call(check_list, 3, "numbers")),
    ("a shape", call(check_shape, [None, 3])),
    ("a shape of None", call(check_shape, None)),
    ("a shape of 0", call(check_shape, (3, 0))),
    ("no path", call(check_path, "")),
    ("a path of zeros", call(check_path, "a\0b")),
    ("a number as a path", call(check_path, 3)),
    ("no folder", call(check_path, 3, folder=True)),
    ("verbose", lambda: check_verbose("fit", 3)),
    ("no name", lambda: check_name("Loss", "", "loss")),
    ("a name that is a number", lambda: check_name("Loss", 3, "loss")),
    ("half precision", lambda: check_dtype("Dense", "float16")),
    ("no dtype", lambda: check_dtype("Dense", "float")),
    ("None as a dtype", lambda: check_dtype("Dense", None)),
    ("custom objects", lambda: check_custom_objects("load", [1])),
    ("numbers as names", lambda: check_custom_objects("load", {1: 2})),
    ("no custom objects", lambda: check_custom_objects("load", None)),
    ("some custom objects", lambda: check_custom_objects("load", {"a": 2})),
]
NAMES = [
    ("an object", get(Whole())),
    ("a class", get(Whole)),
    ("a class that lacks methods", get(Thing)),
    ("an object that lacks methods", lambda: resolve(KIND, Thing(), Thing)),
    ("a class of Keras", get(Keras)),
    ("a name", get("whole")),
    ("a name in capitals", get(" WHOLE ")),
    ("a misspelt name", get("a_whol")),
    ("an unknown name", get("xyzzy")),
    ("another spelling", get("a-whole")),
    ("a long name", get("x" * 200)),
    ("a longer name", get("x" * 201)),
    ("a number", get(3)),
    ("a long list", get([1] * 100)),
    ("a dict", get({"class_name": "More", "config": {"more": 4}})),
    ("a dict without arguments", get({"class_name": "More"})),
    ("a dict without a name", get({"config": {}})),
    ("a dict of a number", get({"class_name": 3})),
    ("an unknown argument", get({"class_name": "More", "config": {"sise": 4}})),
    ("a function", get("function")),
    ("a function of a file", of_file("function")),
    ("a class of a file", of_file("Whole")),
    ("an own class of a file", of_file("Mine", Mine=Whole)),
    ("an own function of a file", of_file("Mine", Mine=print)),
    ("a class of another kind", of_file("Mine", Mine=Nothing)),
    ("a positional argument", lambda: Nothing(3)),
    ("a named argument", lambda: Nothing(size=3)),
    ("the moved module", lambda: nl.cheking),
]


def test_words_of_checks():
    check_text(__file__, "checks.txt", messages(CHECKS))


def test_words_of_names():
    check_text(__file__, "names.txt", messages(NAMES))


def test_moved_modules():
    for name in ("checking", "inspection", "rates", "replaying"):
        assert nl.__getattr__(name) is sys.modules[f"netlayers.{name}"]


def test_what_checks_return():
    assert [check_number("a", "b", v) for v in (1, 2.5, np.int8(3), ZERO)] == [1, 2.5, 3, 0.5]
    assert type(check_number("a", "b", np.float32(1))) is float
    assert type(check_integer("a", "b", np.int8(3))) is int
    assert check_flag("a", "b", np.bool_(False)) is False
    assert [check_verbose("a", v) for v in (True, False, 0, 1, 2, "auto")] == [1, 0, 0, 1, 2, 1]
    assert [listed(v) for v in (None, 3, [3], (3, 4), "ab")] == [[], [3], [3], [3, 4], ["ab"]]
    assert [check_name("a", v, "b") for v in (None, "c")] == ["b", "c"]
    assert check_shape("a", "b", np.int64(3)) == (3,)
    assert check_shape("a", "b", [None, 3]) == (None, 3)
    for shape, several in (
        ((), False), ([], False), ((3,), False), (((3,),), True), ([[3], [4]], True), (3, False),
    ):  # fmt: skip
        assert is_several(shape) is several


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    home = str(tmp_path)
    assert check_path("a", "b", "~", folder=True) == home
    assert check_path("a", "b", b"file") == "file"
    assert check_path("a", "b", tmp_path / "file") == f"{home}/file"
    assert check_path("a", "b", tmp_path / "none", folder=True) == f"{home}/none"
    for path, folder, expected, got in (
        (tmp_path / "file", True, "a folder", "a file"),
        (tmp_path, False, "an ordinary file", "a folder"),
    ):
        with pytest.raises(FileError) as raised:
            check_path("save", "filepath", path, folder=folder)
        assert str(raised.value) == f"{path}: filepath: expected {expected}, got {got}."


def test_arguments_of_classes():
    assert constructor_arguments(More) == {"more": 3, "size": 2, "name": "thing", "inner": None}
    assert str(inspect.signature(More)) == "(more=3, *, size=2, name='thing', inner=None)"
    assert constructor_arguments(Nothing) == {}
    made = More(4, size=(1, 2), inner=[Whole(), {"a": 1}])
    assert made.get_config() == {
        "more": 4, "size": (1, 2), "name": "thing",
        "inner": [{"class_name": "Whole", "config": {"size": 2, "name": "thing", "inner": None}},
                  {"a": 1}],
    }  # fmt: skip
    assert More.from_config({"more": 4, "size": 5}).get_config()["size"] == 5
    assert repr(made) == "More(more=4, size=(1, 2), inner=[Whole(), {'a': 1}])"
    assert repr(Whole(name="other")) == "Whole(name='other')"
    assert repr(Whole(name="whole")) == "Whole()"
    with pytest.raises(AttributeError, match=r"^__signature__$"):
        made.__signature__  # noqa: B018
    assert resolve(KIND, "function", Thing).size == 7
    assert resolve(KIND, {"class_name": "More", "config": {"more": 9}}, Thing).more == 9
    assert resolve(KIND, made, Thing) is made
    assert resolve(KIND, Parts, Thing).part() == 3
    assert [
        registry.snake_case(n)
        for n in ("MeanSquaredError", "ReLU", "GRU", "Conv2D", "AUC", "PReLULayer", "x")
    ] == ["mean_squared_error", "re_lu", "gru", "conv2d", "auc", "p_re_lu_layer", "x"]
    assert registry.shown_names(KIND) == ["a_more", "a_parts", "a_whole", "function", "more",
                                          "parts", "whole"]  # fmt: skip
    names = registry.registered(KIND)
    assert names["More"] is names["more"] is names["a_more"] is More
    names.clear()
    assert registry.registered(KIND)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("x", ["y"], ""),
        ("relu6", ["relu", "elu"], " Did you mean 'relu' or 'elu'?"),
        ("MAX-norm", ["min_norm", "max_norm"], " Did you mean 'max_norm'?"),
        ("aaaa", ["aaab", "aaac", "aaad", "aaae"], " Did you mean 'aaae' or 'aaad' or 'aaac'?"),
        ("a" * 100, ["a" * 99], f" Did you mean {'a' * 99!r}?"),
        ("a" * 101, ["a" * 100], ""),
        ("abcde", ["abcxy"], " Did you mean 'abcxy'?"),
        ("abcdef", ["abcxyz"], ""),
        ("ABCDE", ["abcde"], " Did you mean 'abcde'?"),
    ],
)
def test_suggestions(name, known, text):
    assert _suggestions.suggestion(name, known) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 198, repr("x" * 198)),
        ("x" * 199, "'" + "x" * 179 + "..."),
        ("'" * 250, '"' + "'" * 179 + "..."),
        ([1] * 65 + [100], repr([1] * 65 + [100])),
        ([1] * 65 + [1000], repr([1] * 65)[:180] + "..."),
    ],
    ids=lambda value: str(value)[:10],
)
def test_what_is_shown_of_a_value(value, text):
    assert _suggestions.shortened(value) == text


def test_tables():
    rows = [["name", "a", "bb"], ["x", "123", "4"], ["long name", "", ""]]
    assert text_table(rows) == ["name         a  bb", "x          123   4", "long name"]
    assert text_table(rows, left=2) == ["name       a    bb", "x          123   4", "long name"]


# Random numbers ----------------------------------------------------------------------------------


def test_streams():
    one, two = Streams(3), Streams(3)
    assert one.entropy == 3
    assert one.get("a") is one.get("a")
    assert one.get("a").random() == two.new("a").random()
    assert one.get("b").random() != one.new("c").random()
    assert Streams().entropy != Streams().entropy
    first = one.new("a")
    assert first is not one.new("a")
    assert first.bit_generator.state == two.new("a").bit_generator.state


def test_keyed_streams():
    """The numbers that docs and other processes rely on: those of Philox with this key."""
    streams = KeyedStreams(42)
    a, b = streams.get("layer/a"), streams.get("layer/a", 1)
    assert a is streams.get("layer/a")
    assert a is not b
    streams.rekey(step=7, shard=2)
    for call, rng in ((0, a), (1, b)):
        digest = hashlib.blake2b(f'[42, "layer/a", {call}]'.encode(), digest_size=16).digest()
        key = int.from_bytes(digest, "little")
        expected = np.random.Philox(key=key, counter=(7 << 192) + (2 << 128)).random_raw(9)
        assert rng.bit_generator.random_raw(9).tolist() == expected.tolist()
    again = streams.get("layer/b")
    streams.rekey(step=1, shard=0)
    rng = np.random.Generator(type(again.bit_generator)(0))
    rng.bit_generator.state = again.bit_generator.state
    assert again.random(5).tolist() == rng.random(5).tolist()
    with pytest.raises(OverflowError):
        streams.rekey(step=2**64, shard=0)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 70_001])
def test_a_mask_is_made_of_16_bits_for_each_entry(size):
    out = np.empty(size, bool)
    keep_mask(np.random.Generator(np.random.PCG64(0)), 20_000, out)
    bits = np.random.PCG64(0)
    words = bits.random_raw(-(-size // 4)).view(np.uint16)[:size]
    assert (out == (words >= 20_000)).all()
