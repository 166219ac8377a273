"""What is said of values that are no numbers, of sparse matrices, and of columns of frames."""

import numpy as np
import pytest

from netlayers.arrays import checks, convert, foreign, frames, sparse
from netlayers.arrays.complex_step import ComplexStep
from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.spec import InputSpec
from tests.golden import check_text, messages

F32, F64 = np.dtype("f4"), np.dtype("f8")
NAN, INF = float("nan"), float("inf")


def array(value):
    return lambda: convert.as_array("fit", "x", value)


def kind(value, kind):
    return lambda: convert.check_kind("fit", "x", np.asarray(value), kind)


def text(value):
    return lambda: convert.as_text("fit", "x", value)


def finite(value, first=0):
    return lambda: convert.check_finite("fit", "x", np.array(value, float), first)


def values(value, dtype=F32):
    return lambda: checks.check_values("fit", "x", np.asarray(value), dtype)


def behind(count):
    return lambda: checks.check_values("fit", "x", np.append(np.zeros(count), 1e39), F32)


def digits(value, argument="x", dtype=F32):
    return lambda: checks.warn_of_lost_digits("fit", argument, np.asarray(value), dtype)


def rows(x, **others):
    return lambda: checks.check_rows("fit", x, others)


def ones(*counts):
    return tuple(np.ones((n, 2)) for n in counts)


class Sparse:
    toarray = None


HUGE = np.arange(8.0) + 2**31
CASES = [
    ("text", array(["a"])),
    ("bytes", array([b"a"])),
    ("text among objects", array(np.array([None, "a"], object))),
    ("bytes among objects", array(np.array([b"a"], object))),
    ("objects", array([None, {}])),
    ("numbers and None", array([1, None])),
    ("None alone", array([None])),
    ("complex", array([1j])),
    ("dates", array(np.array(["2020"], "M8[D]"))),
    ("a foreign sparse matrix", array(Sparse())),
    ("masked", array(np.ma.array([1, 2, 3], mask=[1, 0, 1]))),
    ("none masked", array(np.ma.array([1, 2, 3], mask=[0, 0, 0]))),
    ("integers", kind([[1, 2], [3, 4]], "integer")),
    ("whole numbers", kind([[1.0, -2.0]], "integer")),
    ("a fraction in row 1", kind([[1, 2], [3, 4.5]], "integer")),
    ("a fraction alone", kind(0.5, "integer")),
    ("an infinite integer", kind([1, INF], "integer")),
    ("the largest integer", kind([2.0**63 - 1024], "integer")),
    ("too large an integer", kind([2.0**63], "integer")),
    ("too small an integer", kind([-(2.0**63)], "integer")),
    ("booleans", kind([True], "boolean")),
    ("0 and 1", kind([0, 1.0], "boolean")),
    ("2 as a boolean", kind([[0, 1], [1, 2]], "boolean")),
    ("booleans as integers", kind([True], "integer")),
    ("numbers as text", text([1.5])),
    ("text and a number", text(np.array(["a", 3], object))),
    ("text and None", text(np.array(["a", None], object))),
    ("texts", text(np.array(["a", "b"], object))),
    ("NaN", finite([[1, 2], [NAN, INF], [NAN, NAN]])),
    ("infinite", finite([[1, 2], [3, INF]], 10)),
    ("one NaN", finite(NAN)),
    ("finite", finite([1.0])),
    ("too large for float32", values([1.0, 1e39])),
    ("too large in the second block", behind(1 << 20)),
    ("too large in one block", behind((1 << 20) - 1)),
    ("too large for float64", values([1.0, 1e39], F64)),
    ("a NaN in float64", values([1.0, NAN])),
    ("a NaN in float32", values(np.array([1.0, NAN], "f4"))),
    ("integers as values", values([1, 2**40])),
    ("too large a number", lambda: convert.as_float("fit", "x", np.array([1e39]), F32)),
    ("an infinite number", lambda: convert.as_float("fit", "x", np.array([INF, 1e39]), F32)),
    ("lost digits", digits(HUGE)),
    ("lost digits of y", digits(HUGE, "y")),
    ("lost digits of y[0]", digits(HUGE, "y[0]")),
    ("lost digits in column 1", digits(np.stack([np.arange(8.0), HUGE], axis=1))),
    ("lost digits in column 2", digits(np.stack([HUGE * 0, HUGE * 0, HUGE], axis=1))),
    ("one column", digits(HUGE[:, None])),
    ("kept digits", digits(HUGE, dtype=F64)),
    ("equal numbers", digits(np.full(8, 2.0**31 + 1))),
    ("integers that lose digits", digits(HUGE.astype("i8"))),
    ("a single value", lambda: checks.checked_input("fit", "x", 3.0, InputSpec(), F32)),
    ("no rows", rows(np.ones((0, 2)), y=np.ones((0, 1)))),
    ("other rows of y", rows(np.ones((4, 2)), y=np.ones(3), sample_weight=np.ones(4))),
    ("other rows of weights", rows(np.ones((4, 2)), y=np.ones(4), sample_weight=np.ones(3))),
    ("a weight without rows", rows(np.ones((4, 2)), y=np.ones(4), sample_weight=np.ones(()))),
    ("an input of other rows", rows(ones(4, 3, 4), y=np.ones(4), sample_weight=None)),
    ("an empty input after another", rows(ones(4, 0), y=np.ones(4))),
    ("an empty input before another", rows(ones(0, 4), y=np.ones(4))),
    ("a target of other rows", rows(np.ones((4, 2)), y=ones(3, 4), sample_weight=None)),
    ("equal rows", rows(ones(4, 4), y=ones(4, 4), sample_weight=np.ones(4))),
]  # fmt: skip


def test_words_of_convert_and_checks():
    check_text(__file__, "values.txt", messages(CASES))


def known(names, *known):
    return lambda: frames.check_names("predict", "x", list(names), list(known))


MANY = [f"c{i}" for i in range(21)]
NAMES = [
    ("the same", known("ab", "a", "b")),
    ("missing", known("a", "a", "b")),
    ("new", known("abc", "a", "b")),
    ("missing and new", known("ac", "a", "b", "d")),
    ("another order", known("abdc", "a", "b", "c", "d")),
    ("twice", known("aab", "a", "b")),
    ("twenty missing", known("", *MANY[:20])),
    ("more missing", known("", *MANY)),
]


def test_columns_of_frames_have_names():
    check_text(__file__, "columns.txt", messages(NAMES))


def test_columns_of_frames():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": ["x"], "b": [1.0], "c": ["y"]})
    missing = pandas.DataFrame({"a": [1, None, None], "b": [2, 3, None]}, dtype="Int64")
    cases = [
        ("a frame", lambda: frames.frame_values("fit", "x", table)),
        ("a series", lambda: frames.frame_values("fit", "y", table["a"])),
        ("missing", lambda: frames.frame_values("fit", "x", missing)),
        ("missing in one", lambda: frames.frame_values("fit", "y", missing["a"])),
    ]
    said = messages(cases).replace("(str)", "(object)")  # of newer versions of pandas
    check_text(__file__, "frames.txt", said)
    assert frames.column_names(table) == ["a", "b", "c"]
    assert frames.column_names(table.rename(columns={"b": 3})) is None
    assert frames.column_names(table["a"]) is None
    assert frames.column_names(np.ones(3)) is None
    assert frames.is_frame(table) is frames.is_frame(table["a"]) is True
    assert frames.is_frame(np.ones(3)) is frames.is_frame([3]) is False
    whole = pandas.DataFrame({"a": [1, 2], "b": [True, False]})
    assert frames.frame_values("fit", "x", whole).tolist() == [[1, 1], [2, 0]]
    assert frames.frame_values("fit", "x", whole[[]]).dtype == "f8"
    packed = whole.astype(pandas.SparseDtype("int8"))
    assert frames.frame_values("fit", "x", packed).dtype == "i1"


def test_sparse_checks():
    scipy = pytest.importorskip("scipy.sparse")
    whole = scipy.csr_matrix(np.array([[0.0, 1, 0], [2, 0, 3]]))

    def changed(dtype=F64, **parts):
        matrix = whole.copy()
        for name, value in parts.items():
            object.__setattr__(matrix, name, np.array(value, getattr(whole, name).dtype))
        return lambda: checks.checked_input("fit", "x", matrix, InputSpec(), dtype)

    class Plain:
        owner, takes_sparse = "layer 'plain'", False

    cases = [
        ("whole", changed()),
        ("a start that is not 0", changed(indptr=[1, 1, 3])),
        ("starts that go back", changed(indptr=[0, 4, 3])),
        ("too few starts", changed(indptr=[0, 3])),
        ("a column too far", changed(indices=[1, 0, 3])),
        ("a negative column", changed(indices=[1, 0, -1])),
        ("too few columns", changed(indices=[1, 0])),
        ("too few numbers", changed(data=[1.0, 2])),
        ("more numbers than entries", changed(data=[1.0, 2, 3, NAN], indices=[1, 0, 2, 9])),
        ("NaN", changed(data=[1, NAN, INF])),
        ("infinite", changed(data=[1, 2, -INF])),
        ("too large", changed(F32, data=[1, 1e39, 2])),
        ("no entries", lambda: checks.checked_input(
            "fit", "x", scipy.csr_matrix((2, 3)), InputSpec(), F32)),
        ("for integers", lambda: checks.checked_input(
            "fit", "x", whole, InputSpec(dtype="integer"), F32)),
        ("complex", lambda: sparse.as_csr("fit", whole * 1j)),
        ("for a layer", lambda: sparse.refuse_sparse(Plain())),
    ]  # fmt: skip
    if hasattr(scipy, "coo_array"):
        line = scipy.coo_array(np.arange(3.0))
        cases.append(("one axis", lambda: sparse.as_csr("fit", line)))
    check_text(__file__, "sparse.txt", messages(cases))


@pytest.mark.parametrize(
    ("given", "spec", "dtype"),
    [
        (">f4", InputSpec(), "f4"),
        ("f8", InputSpec(), "f4"),
        ("f8", InputSpec(keeps_precision=True), "f8"),
        (">i8", InputSpec(keeps_precision=True), "i8"),
        ("f2", InputSpec(keeps_precision=True), "f4"),
        ("i4", InputSpec(dtype="boolean"), "?"),
        ("f4", InputSpec(dtype="integer"), "i8"),
        ("?", InputSpec(dtype="integer"), "i8"),
        (">u2", InputSpec(dtype="integer"), "u2"),
        ("U3", InputSpec(dtype="string"), "U3"),
    ],
)
def test_convert_to_dtypes_of_kinds(given, spec, dtype):
    found = convert.kind_dtype(np.dtype(given), spec, F32)
    assert (found, found.isnative) == (np.dtype(dtype), True)
    array = np.ones((2, 3), given).T
    converted = convert.as_kind("fit", "x", array, spec, F32)
    assert type(converted) is np.ndarray
    assert converted.dtype == found
    assert converted.flags.c_contiguous
    assert converted.shape == (3, 2)
    np.testing.assert_array_equal(converted, array.astype(dtype))


def test_convert_what_needs_no_conversion():
    exact = np.ones((2, 2), "f4")
    assert convert.as_float("fit", "x", exact, F32) is exact
    assert convert.as_kind("fit", "x", exact, InputSpec(), F32) is exact
    assert convert.in_order(exact) is exact
    assert convert.in_order(exact[:, ::-1]).flags.c_contiguous
    step = exact.astype(complex).view(ComplexStep)
    assert convert.as_float("fit", "x", step, F32) is step
    for word in (np.array(["a"], object), np.array([b"a"])):
        assert convert.as_text("fit", "x", word) is word
    other = convert.as_float("fit", "x", np.ones((2, 3)).T, F32)
    assert other.flags.c_contiguous
    assert other.dtype == F32


def test_foreign_rows_of_a_part(monkeypatch):
    class File:
        def __init__(self, values):
            self.values, self.shape, self.dtype = values, values.shape, values.dtype

        def __getitem__(self, rows):
            if not isinstance(rows, slice):
                raise TypeError("slices alone")
            return self.values[rows]

    values = np.arange(40).reshape(20, 2)
    whole = LazyRows(File(values))
    assert (len(whole), whole.ndim, whole.shape) == (20, 2, (20, 2))
    some = whole.part(5, 15).part(2, 9)
    assert (len(some), some.shape, some.dtype) == (7, (7, 2), values.dtype)
    np.testing.assert_array_equal(some[1:3], values[8:10])
    np.testing.assert_array_equal(np.asarray(some), values[7:14])
    assert np.asarray(some, "f4").dtype == "f4"
    monkeypatch.setattr(foreign, "_DENSE", 0)  # otherwise a range is read
    rows = np.array([6, 0, 3, 3, 1])
    for _ in range(2):  # then it is known that it takes no list of rows
        np.testing.assert_array_equal(some.take(rows), values[7:14][rows])
        assert not some._fancy_indexing
