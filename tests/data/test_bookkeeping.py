"""How many batches there are, which rows they have, and what a resumed run compares."""

import zlib

import numpy as np
import pytest
from scipy import sparse

from netlayers.data import arrays, fingerprints
from netlayers.data.arrays import ArrayData, Column, Columns, LazyColumn, column
from netlayers.data.batch import is_ready_input, ready_batch
from netlayers.data.cursor import Cursor, Position
from netlayers.data.sparse_columns import SparseColumn
from netlayers.data.streams import Stream

F4 = np.dtype("f4")
X = np.arange(20.0, dtype=F4).reshape(10, 2)


def data(count=10, size=4, **options):
    return ArrayData([Column(X[:count], F4), None, None], size, **options)


@pytest.mark.parametrize(
    ("options", "steps", "rows", "sizes"),
    [
        ({}, 3, 10, [4, 4, 2]),
        ({"count": 8}, 2, 8, [4, 4]),
        ({"drop_last": True}, 2, 8, [4, 4]),
        ({"drop_last": True, "size": 3}, 3, 9, [3, 3, 3]),
        ({"drop_last": True, "size": 7}, 1, 7, [7]),
        ({"steps": 2}, 2, 8, [4, 4]),
        ({"steps": 9}, 3, 10, [4, 4, 2]),
        ({"steps": 4, "continuous": True}, 4, 10, [4, 4, 2, 4]),
        ({"continuous": True}, 3, 10, [4, 4, 2]),
        ({"rows": np.array([5, 1, 3])}, 1, 3, [3]),
        ({"rows": np.arange(9)}, 3, 9, [4, 4, 1]),
        ({"size": 10}, 1, 10, [10]),
    ],
    ids=str,
)
def test_numbers_of_batches_of_arrays(options, steps, rows, sizes):
    its = data(**options)
    assert (its.steps, its.rows) == (steps, rows)
    for _ in range(2 if "continuous" not in options else 1):
        assert [batch.size for batch in its.batches()] == sizes
    assert its.ready() is True
    assert its.row().shape == (1, 2)


def test_rows_in_batches_of_arrays():
    chosen = np.array([7, 2, 9])
    found = [batch.inputs.tolist() for batch in data(size=2, rows=chosen).batches()]
    assert found == [X[[7, 2]].tolist(), X[[9]].tolist()]
    three = [Column(X, F4), Column(X[:, 0], F4), Column(X[:, 1], F4)]
    for options in ({}, {"rows": np.arange(10)}):
        batches = ArrayData(three, 4, **options).batches()
        batch = [next(batches), next(batches)][1]
        for found, all_rows in zip(batch, (X, X[:, 0], X[:, 1]), strict=False):
            np.testing.assert_array_equal(found, all_rows[4:8])


def test_later_batches_of_arrays():
    its = data(size=3)
    assert [b.inputs[0, 0] for b in its.batches()] == [0, 6, 12, 18]
    state = its.get_state(2)
    assert state == {"order": None, "count": 2, "source": None}
    again = data(size=3)
    again.set_state(state, 2)
    assert [b.inputs[0, 0] for b in again.batches(2)] == [12, 18]
    assert again.get_state() == {"order": None, "count": 0, "source": None}
    again.set_state({"order": None, "count": 0, "source": None})
    assert [b.inputs[0, 0] for b in again.batches()] == [0, 6, 12, 18]


def test_a_fingerprint_of_arrays():
    weights = Column(np.ones(10), F4)
    both = column((X, X[:, :1].astype("i4")), (F4, np.dtype("i8")))
    its = ArrayData([both, Column(X[:, 0], F4), weights], 4, np.random.default_rng(0), steps=2)
    found = its.fingerprint()
    crc = [c.checksum(np.arange(10)) for c in both.columns]
    assert found["checksum"].pop("x") == f"{zlib.crc32(repr(crc).encode()):08x}"
    assert all(len(digits) == 8 for digits in found.pop("checksum").values())
    assert found == {
        "kind": "rows", "rows": 10, "batch_size": 4, "steps": 2, "shuffle": True,
        "columns": [[["float32", [2]], ["int32", [1]]], ["float32", []], ["float64", []]],
    }  # fmt: skip
    other = data(drop_last=True).fingerprint()
    assert (other["drop_last"], other["shuffle"], other["columns"][1:]) == (True, False, [None] * 2)
    assert its.reproducibility_warning() is None


def test_the_rows_in_a_checksum_of_arrays(monkeypatch):
    seen = []
    monkeypatch.setattr(Column, "checksum", lambda self, rows: seen.append(rows.tolist()) or 0)
    data().fingerprint()
    ArrayData([Column(np.zeros(64), F4), None, None], 4).fingerprint()
    ArrayData([Column(np.zeros(1000), F4), None, None], 4).fingerprint()
    assert seen[:2] == [list(range(10)), list(range(64))]
    assert (len(seen[2]), seen[2][0], seen[2][1], seen[2][-1]) == (64, 0, 15, 999)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (3072, [(0, 3072)]),
        (3073, [(0, 1024), (1024, 2048), (2049, 3073)]),
        (5000, [(0, 1024), (1988, 3012), (3976, 5000)]),
    ],
)
def test_the_parts_of_a_long_row_of_arrays(size, parts):
    assert [(s.start, s.stop) for s in fingerprints.checksum_slices(size)] == parts
    dense = np.random.default_rng(0).normal(size=(2, size))
    expected = zlib.crc32(b"".join(dense[1, a:b].tobytes() for a, b in parts))
    assert Column(dense, F4).checksum([1]) == expected
    matrix = sparse.csr_matrix(dense)
    crc = 0
    for a, b in parts:
        crc = zlib.crc32(np.arange(a, b).astype("<i8").tobytes(), crc)
        crc = zlib.crc32(dense[1, a:b].tobytes(), crc)
    assert SparseColumn(matrix, F4).checksum([1]) == crc


class Lazy:
    shape, dtype = X.shape, X.dtype

    def __getitem__(self, rows):
        return X[rows]


def test_columns_of_arrays_of_each_kind():
    lazy = arrays.LazyRows(Lazy())
    rows = np.array([3, 1])
    for values, kind in ((X, Column), (lazy, LazyColumn), (sparse.csr_matrix(X), SparseColumn)):
        its = column(values, np.dtype("f8"))
        assert type(its) is kind
        assert its.rows == 10
        for read, expected in (
            (lambda c: c.slice(2, 5), X[2:5]),
            (lambda c: c.part(2, 8).slice(1, 3), X[3:5]),
            (lambda c: c.take(rows), X[rows]),
            (lambda c: c.gather([slice(3, 4), rows], 3).slice(0, 3), X[[3, *rows]]),
        ):
            found = read(its)
            assert found.dtype == "f8"
            found = found.toarray() if sparse.issparse(found) else found
            np.testing.assert_array_equal(found, expected)
    assert column((X,), F4).rows == 10
    with pytest.raises(ValueError, match="zip"):
        column((X, lazy), (F4,))
    two = column((X, lazy), F4)
    assert type(two) is Columns
    assert two.rows == 10
    assert two.values == (two.columns[0].values, lazy)
    assert [type(c) for c in two.part(1, 3).columns] == [Column, LazyColumn]
    assert two.part(1, 3).rows == 2
    held = two.gather([slice(0, 6), np.array([7, 9])], 8)
    assert [c.shape for c in held.slice(0, 4)] == [c.shape for c in held.take(np.arange(4))]
    assert [c.values[-1].tolist() for c in held.columns] == [X[9].tolist()] * 2
    assert [z.shape for z in ArrayData([two, None, None], 4).row()] == [(1, 2), (1, 2)]
    np.testing.assert_array_equal(lazy.take(rows), X[rows])
    assert column(lazy, F4).checksum(rows) == Column(X, F4).checksum(rows)


# What is checked fast ----------------------------------------------------------------------------


class Model:
    _steps, _dtype, _row = object(), F4, (2,)


@pytest.mark.parametrize(
    ("change", "batch", "inputs"),
    [
        ({}, True, True),
        ({"_steps": None}, False, True),
        ({"sample_weight": np.ones(10)}, False, True),
        ({"class_weight": {0: 1}}, False, True),
        ({"x": X.tolist()}, False, False),
        ({"x": X.astype("f8")}, False, False),
        ({"x": X[:, :1].copy()}, False, False),
        ({"x": X[:0], "y": X[:0]}, False, False),
        ({"x": np.asfortranarray(X)}, False, False),
        ({"x": np.full((10, 2), np.nan, F4)}, False, False),
        ({"x": np.full((10, 2), 1e30, F4)}, False, False),
        ({"y": np.float32(1) * np.ones(())}, False, True),
        ({"y": X[:9]}, False, True),
        ({"y": X[:, 0]}, False, True),
        ({"y": X.astype("f8")}, False, True),
        ({"y": np.full((10, 1), np.inf, F4)}, False, True),
        ({"y": np.ones(10, "i8")}, True, True),
        ({"y": np.ones(10, "u1")}, True, True),
        ({"y": np.ones(10, bool)}, True, True),
        ({"y": np.ones(10, "U1")}, False, True),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_batch_that_needs_no_other_check(change, batch, inputs):
    model = Model()
    model._steps = change.get("_steps", model._steps)
    given = {"x": X, "y": X, **change}
    given.pop("_steps", None)
    found = ready_batch(model, given.pop("x"), **given)
    assert (found is not None) == batch
    if batch:
        assert found == (X, found.targets, None, 10)
    assert is_ready_input(model, change.get("x", X)) is inputs


# Positions ---------------------------------------------------------------------------------------


def test_positions_of_a_cursor():
    cursor = Cursor()
    assert cursor.between is None
    assert cursor.active is False
    cursor.begin(Position("a", 3), 2)
    assert cursor.active is True
    assert cursor.after(2) == Position("a", 3)
    assert cursor.after(4) == Position("a", 5)
    cursor.mark(3, Position("b", 0, "s"))
    cursor.mark(4, Position("b", 1, "t"))
    assert cursor.after(3) == Position("b", 0, "s")
    assert cursor.after(6) == Position("b", 3, "t")
    with pytest.raises(AssertionError, match="the position after 2 batches is unknown"):
        cursor.after(2)
    assert cursor.between == Position("a", 3)
    cursor.end(4)
    assert (cursor.between, cursor.active) == (Position("b", 1, "t"), False)
    cursor.begin(Position("c"))
    assert cursor.after(1) == Position("c", 1)
    place = Position({"a": 1}, 1, "s")
    assert Position.from_state(place.get_state()) == place
    for wrong in (Position("a", 1), Position(None, -1), Position(None, True), Position(3, 0)):
        with pytest.raises(ValueError, match="not the position in data: count"):
            Position.from_state(wrong.get_state())


class Source:
    def __init__(self, hooks=(), **methods):
        for name in hooks:
            setattr(self, name, lambda: None)

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return [i, i][i < 3 or 9]


class Counted:
    def __iter__(self):
        return iter(range(3))


class Unsized(Counted):
    def __len__(self):
        raise TypeError("the wrapped object has none")


class Stateful(Counted):
    def get_state(self):
        return {"n": 1}

    def set_state(self, state):
        pass


class Half(Counted):
    """Tells where it is, and cannot be told."""

    def get_state(self):
        return {"n": 1}


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("source", "options", "steps", "shown", "warning"),
    [
        (Source(), {}, 3, ("Source", 3, None, False), None),
        (Source(), {"rng": RNG}, 3, ("Source", 3, None, True), None),
        (Source(), {"steps": 2}, 2, ("Source", 3, 2, False), None),
        (Source(["on_epoch_end"]), {}, 3, ("Source", 3, None, False),
         "Source has a hook that runs between epochs"),
        (Source(["on_epoch_begin"]), {}, 3, ("Source", 3, None, False),
         "Source has a hook that runs between epochs"),
        (Source(["get_state"]), {}, 3, ("Source", 3, None, False), None),
        (Counted(), {"rng": RNG}, None, ("Counted", None, None, False),
         "Counted has no get_state() and set_state()"),
        (Unsized(), {}, None, ("Unsized", None, None, False),
         "Unsized has no get_state() and set_state()"),
        (Stateful(), {}, None, ("Stateful", None, None, False), None),
        (Half(), {}, None, ("Half", None, None, False), "Half has no get_state() and set_state()"),
    ],
)  # fmt: skip
def test_what_is_known_of_streams(source, options, steps, shown, warning):
    stream = Stream("fit", source, lambda batch: batch, read_ahead=0, **options)
    assert (stream.steps, stream.rows) == (steps, None)
    names = ("kind", "batches", "steps", "shuffle")
    assert stream.fingerprint() == dict(zip(names, shown, strict=True))
    assert stream.reproducibility_warning() == warning


def test_the_state_of_streams():
    stream = Stream("fit", Stateful(), lambda batch: batch, read_ahead=0)
    assert list(stream.batches()) == [0, 1, 2]
    state = {"order": None, "count": 2, "source": {"n": 1}, "steps": 3}
    assert stream.get_state(2) == state
    assert stream.get_state() == {**state, "count": 0}
    assert list(stream.batches()) == [0, 1, 2]
    other = Stream("fit", Counted(), lambda batch: batch, read_ahead=0)
    other.set_state({"order": None, "count": 1, "source": None, "steps": 3}, 1)
    assert (other.steps, list(other.batches(1))) == (3, [1, 2])
