"""What is said of batches, sources, structures and class weights that are refused."""

import collections
import itertools

import numpy as np
import pytest

from netlayers.data import class_weights as weights
from netlayers.data import streams, structure
from netlayers.data.arrays import Column
from netlayers.data.class_weights import split_columns
from tests.golden import check_text, messages

X, Y = np.zeros((4, 2)), np.zeros((4, 1))
A, B = np.zeros(3), np.ones(3)


def batch(value, targets=True):
    return lambda: structure.unpack_batch("fit", value, targets)


def refuse(**arguments):
    return lambda: streams.refuse_arguments("fit", **arguments)


def one(x):
    return lambda: streams.refuse_stream("train_on_batch", x)


def read(source):
    return lambda: list(streams.inputs_of("fit", source))


SOURCES = [
    ("x and y", batch((X, Y))),
    ("x, y and weights", batch([X, Y, A])),
    ("an array", batch(X)),
    ("one array in a tuple", batch((X,))),
    ("four arrays", batch((X, Y, A, A))),
    ("a dict", batch({"a": X, "b": Y})),
    ("a dict of eleven", batch({f"k{i}": X for i in range(11)})),
    ("a list of numbers", batch([1, 2])),
    ("an empty list", batch([])),
    ("a list that ends with an array", batch([3, X])),
    ("a dict first", batch([{"a": X}, Y])),
    ("an input", batch(X, False)),
    ("an input in a tuple", batch((X,), False)),
    ("four for predict", batch((X, Y, A, A), False)),
    ("nothing for predict", batch((), False)),
    ("no arguments", refuse(batch_size=None, stratify=False, validation_split=0.0)),
    *(
        (name, refuse(**{name: value}))
        for name, value in {
            "y": Y,
            "sample_weight": A,
            "batch_size": 32,
            "validation_batch_size": 32,
            "validation_split": 0.5,
            "stratify": True,
            "drop_last": True,
        }.items()
    ),
    ("an array as a batch", one(X)),
    ("a generator as a batch", one(x for x in [X])),
    ("a function of nothing", read(lambda: 3)),
    ("an empty source", lambda: streams.unpack_first_batch("fit", [][:0] or iter([]))),
    ("the data end", lambda: streams.warn_exhausted("fit", "before epoch 2 of 3")),
]


def test_words_of_streams():
    check_text(__file__, "sources.txt", messages(SOURCES))


def arrays(value, names, what="input", argument="x"):
    return lambda: structure.arrays_by_name("fit", argument, value, names, what)


MANY = [f"i{n}" for n in range(11)]
STRUCTURES = [
    ("one", arrays(A, ["x"])),
    ("two for one", arrays([A, B], ["x"])),
    ("three outputs for one", arrays((A, B, A), ["y"], "output", "y")),
    ("a dict for one", arrays({"a": A}, ["x"])),
    ("one for two", arrays(A, ["a", "b"])),
    ("a list of one for two", arrays([A], ["a", "b"])),
    ("three for two", arrays([A, [B, A]], ["a", "b"])),
    ("a dict that lacks one", arrays({"a": A}, ["a", "b"])),
    ("a dict with one more", arrays({"a": A, "b": B, "c": B}, ["a", "b"])),
    ("a dict of others", arrays({"c": A}, ["a", "b"])),
    ("two in one entry", arrays({"a": [A, B], "b": B}, ["a", "b"])),
    ("a dict in a list", arrays([{"a": A}, B], ["a", "b"])),
    ("a dict in a dict", arrays({"a": {"c": A}, "b": B}, ["a", "b"])),
    ("none of ten", arrays({}, MANY[:10])),
    ("none of eleven", arrays({}, MANY)),
]


def test_words_of_a_structure():
    check_text(__file__, "structures.txt", messages(STRUCTURES))


def test_arrays_of_a_structure():
    for value, names, expected in (
        (A, ["x"], [A]),
        ([1, 2], ["x"], [[1, 2]]),
        ([[1, 2], [3, 4]], ["a", "b"], [[1, 2], [3, 4]]),
        ([A, [B, A]], ["a", "b", "c"], [A, B, A]),
        ({"b": [B], "a": A}, ["a", "b"], [A, B]),
        ({"a": [1, 2]}, ["a"], [[1, 2]]),
    ):
        found = structure.arrays_by_name("fit", "x", value, names)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert structure.label("x", "a", ["a"]) == "x"
    assert structure.label("x", "a", ["a", "b"]) == "x['a']"
    assert structure.is_array(A) is structure.holds_arrays([[A]]) is True
    assert structure.is_array(np.float64(1)) is structure.is_array(3) is False
    assert structure.holds_arrays([1, A]) is structure.holds_arrays([[]]) is False


def by_class(value, y, classes=None, ignored=None):
    return lambda: weights.class_weights("fit", value, np.asarray(y), classes, ignored)


def split(y, share):
    return lambda: weights.stratified_rows("fit", np.asarray(y), share)


ONE_HOT = np.eye(3)[[0, 1, 1, 2]]
CLASSES = [
    ("no dict", by_class([1, 2], [0, 1])),
    ("another word", by_class("equal", [0, 1])),
    ("three axes", by_class({0: 1}, np.zeros((2, 3, 4)))),
    ("a negative weight", by_class({0: -1}, [0, 1])),
    ("a weight of 0", by_class({0: 0}, [0, 1])),
    ("a weight that is text", by_class({0: "1"}, [0, 1])),
    ("an infinite weight", by_class({0: np.inf}, [0, 1])),
    ("a class that is text", by_class({"a": 1}, [0, 1])),
    ("true as a class", by_class({True: 1}, [0, 1])),
    ("half a class", by_class({0.5: 1}, [0, 1])),
    ("an infinite class", by_class({np.inf: 1}, [0, 1])),
    ("a class that is no number", by_class({np.float32(np.nan): 1}, [0, 1])),
    ("a negative class", by_class({-1: 1}, [0, 1])),
    ("the last class", by_class({2: 1}, [0, 1], 3)),
    ("a class too many", by_class({3: 1}, [0, 1], 3)),
    ("a column too many", by_class({3: 1}, ONE_HOT)),
    ("rows of two ones", by_class({0: 1}, ONE_HOT + np.eye(3)[2])),
    ("rows of a half", by_class({0: 1}, ONE_HOT / 2)),
    ("rows with a negative number", by_class({0: 1}, [[1, 1, -1], [0, 1, 0]])),
    ("a fraction", by_class({0: 1}, [0, 1.5, 2.5])),
    ("balanced fractions", by_class("balanced", [0, 1.5])),
    ("a number without axes", by_class({0: 1}, 3)),
    ("three axes balanced", by_class("balanced", np.zeros((2, 3, 4)))),
    ("one sample of each", split([0, 1, 2], 0.5)),
    ("a split of fractions", split([0.5, 1], 0.5)),
    ("nothing to train on", lambda: split_columns("fit", [Column(A, A.dtype)], 0.9)),
    ("the smallest share", lambda: split_columns("fit", [Column(A, A.dtype)], 1e-20)),
    ("something of both", lambda: split_columns("fit", [Column(A, A.dtype)], 0.34)),
]


def test_words_of_class_weights():
    check_text(__file__, "classes.txt", messages(CLASSES))


@pytest.mark.parametrize(
    ("value", "y", "options", "expected"),
    [
        ({0: 2.0, 2: 3.0}, [0, 1, 2, 0], {}, [2, 1, 3, 2]),
        ({0: 2.0}, [[0], [1]], {}, [2, 1]),
        ({0.0: 2.0, np.float32(1): 3.0}, [0.0, 1.0], {}, [2, 3]),
        ({1: 2.0}, ONE_HOT, {}, [1, 2, 2, 1]),
        ({0: 2.0}, [-1, 1], {}, [2, 1]),
        ({0: 2.0}, [-1, 0], {"ignored": -1}, [1, 2]),
        ({0: 2.0}, [-1, 0], {"ignored": 1}, [2, 2]),
        ("balanced", [0, 0, 0, 1], {}, [2 / 3, 2 / 3, 2 / 3, 2]),
        ("balanced", [5, 5, 7, 9], {"ignored": 9}, [0.75, 0.75, 1.5, 1]),
        ("balanced", ONE_HOT, {}, [4 / 3, 2 / 3, 2 / 3, 4 / 3]),
    ],
)
def test_class_weights_of_samples(value, y, options, expected):
    found = weights.class_weights("fit", value, np.asarray(y), **options)
    np.testing.assert_allclose(found, expected)
    given = np.arange(2.0 * len(found)).reshape(-1, 2)
    both = weights.times_class_weights("fit", value, np.asarray(y), given, **options)
    np.testing.assert_allclose(both, given * found[:, None])


@pytest.mark.parametrize(
    ("y", "share", "held"),
    [
        ([0, 0, 1, 1], 0.5, [1, 3]),
        ([0, 1, 0, 1, 2], 0.5, [2, 3]),
        ([0, 0, 0, 0, 0], 0.7, [1, 2, 3, 4]),
        ([0, 0, 1, 1, 1], 0.99, [1, 3, 4]),
        ([0, 0, 1, 1, 1], 0.01, [1, 4]),
    ],
)
def test_class_weights_and_stratified_rows(y, share, held):
    train, test = weights.stratified_rows("fit", np.array(y), share)
    assert test.tolist() == held
    assert train.tolist() == [i for i in range(len(y)) if i not in held]


class Rows(collections.UserList):
    pass


class Restarts:
    def __next__(self):
        raise StopIteration


class OneByOne:
    def __getitem__(self, i):
        raise IndexError


def test_streams_and_what_is_none():
    for value, expected in [
        (X, False),
        ([(X, Y)], True),
        ([(X,)], True),
        ([(X, Y, A)], True),
        ([(X, Y, A, A)], False),
        ([()], False),
        ([], False),
        ([X, Y], False),
        ([(X, Y), Y], False),
        ([([X, X], Y)], True),
        ([(X, 3), (3, X)], True),
        ([(3, X), (X, 3)], False),
        ([({"a": X}, Y)], True),
        ([(1, 2), (3, 4)], False),
        (Rows([(X, Y)]), True),
        (dict, False),
        ({"a": X}, False),
        (np.float32(1), False),
        (lambda: X, True),
        (Restarts(), True),
        (OneByOne(), True),
        (3, False),
    ]:
        assert streams.is_stream(value) is expected, value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (iter([1]), True),
        (map(str, []), True),
        ((x for x in []), True),
        (itertools.count(), True),
        (Restarts(), False),
        ([1], False),
        (range(3), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_streams_that_are_read_once(value, expected):
    assert streams.is_one_shot(value) is expected


def test_batches_of_streams():
    for given, targets, expected in (
        ((X, Y), True, (X, Y, None)),
        ([X, Y, A], True, (X, Y, A)),
        ([X, [1, 2]], True, (X, [1, 2], None)),
        ((X,), False, (X, None, None)),
        (X, False, (X, None, None)),
        ([1, 2], False, ([1, 2], None, None)),
        (({"a": X}, Y), False, ({"a": X}, Y, None)),
    ):
        found = structure.unpack_batch("fit", given, targets)
        assert all(a is b or a == b for a, b in zip(found, expected, strict=True))
    assert [x is X for x in streams.inputs_of("fit", [(X, Y)] * 3)] == [True] * 3
    assert [x is X for x in streams.inputs_of("fit", iter([]))] == []
    first = streams.unpack_first_batch("fit", lambda: iter([(X, Y), (Y, X)]))
    assert first[0] is X
    assert first[1] is Y
    assert first[2] is None
