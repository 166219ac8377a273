"""What conversions make of sparse matrices, and checks of rows that are not in memory."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp

from netlayers.arrays import checks, convert, frames, sparse
from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.spec import FLOAT
from netlayers.errors import DataError
from tests.golden import check_text
from tests.snapshots import outcome

F4 = np.dtype("f4")
DENSE = np.array([[0, 1.5, 0], [0, 0, 0], [-2, 0, 70000.0]])


def of(dtype, make=sp.csr_array):
    matrix = make(DENSE.clip(0, 200) if np.dtype(dtype).kind in "ub" else DENSE)
    matrix.data = matrix.data.astype(dtype)
    return matrix


MATRICES = {
    **{d: of(d) for d in ("f4", "f8", ">f4", ">f8", "i4", ">i8", "u1", "?", "c8")},
    "f2": sp.csr_array(DENSE.clip(-9, 9).astype("f4")),
    "csc": of("f4", sp.csc_array), "coo": of("f8", sp.coo_matrix), "lil": sp.lil_matrix(DENSE),
    "one axis": sp.coo_array(DENSE[0]), "empty": sp.csr_array((0, 3)), "dense": DENSE,
    "dense f4": np.asfortranarray(DENSE.astype("f4")), "list": DENSE.tolist(), "text": ["a"],
    "huge": sp.csr_array(DENSE * 1e60), "huge dense": DENSE * 1e60,
}  # fmt: skip
MATRICES["f2"].data = MATRICES["f2"].data.astype("f2")


def told(found):
    if sparse.is_sparse(found):
        parts = [part.tolist() for part in (found.data, found.indices, found.indptr)]
        return f"{found.format} {found.shape} {found.data.dtype.str} {parts}"
    order = "C" if found.flags.c_contiguous else "F"
    return f"{found.dtype.str} {order} {found.tolist()}"


def test_sparse_matrices_as_inputs():
    lines = []
    for title, value in MATRICES.items():
        lines.append(f"{title}: {sparse.is_sparse(value)}")
        for dtype in map(np.dtype, ("f4", "f8")):
            kept = []

            def convert(value=value, dtype=dtype, kept=kept):
                found = sparse.as_input("fit", value, dtype)
                kept.append("the same" if found is value else "new")
                return told(found)

            found = outcome(convert)
            lines.append(f"  {dtype} {kept} {found}")
        if sparse.is_sparse(value):
            lines.append(f"  csr {outcome(lambda v=value: told(sparse.as_csr('fit', v)))}")
    check_text(__file__, "of sparse matrices.txt", "\n".join(lines))


def test_which_matrices_are_malformed():
    def changed(**parts):
        matrix = sp.csr_array(DENSE)
        for name, values in parts.items():
            setattr(matrix, name, np.array(values))
        return matrix

    lines = []
    for parts in (
        {}, {"indptr": [0, 1, 1]}, {"indptr": [0, 1, 1, 3, 3]}, {"indptr": [1, 1, 1, 3]},
        {"indptr": [0, 2, 1, 3]}, {"indptr": [0, 1, 1, 4]}, {"indptr": [0, 1, 1, 2]},
        {"indptr": [-1, 1, 1, 3]}, {"indices": [1, 0, 3]}, {"indices": [1, 0, -1]},
        {"indices": [1, 0, 2, 9]}, {"indices": [1, 0]}, {"indices": [2, 2, 2]}, {"data": [1.0]},
        {"indptr": [0, 0, 0, 0], "indices": [9], "data": [1.0]}, {"indices": [3, 0, 2]},
        {"indptr": []}, {"indices": [-1, 0, 2]}, {"data": [1.0, 2, 3, 4]},
    ):  # fmt: skip
        matrix = changed(**parts)
        said = outcome(lambda m=matrix: told(checks.checked_input("f", "x", m, FLOAT, F4)))
        lines.append(f"{parts}: {sparse.is_malformed(matrix)} {said}")
    check_text(__file__, "malformed.txt", "\n".join(lines))


def test_products_with_sparse_matrices():
    x, w = sp.csr_array(DENSE.astype("f4")), np.array([[1, 2], [3, 4], [5, 6]], "f4")
    for out in (np.full((3, 2), 9, "f4"), np.full((2, 3), 9, "f4").T):
        sparse.dot(x, w, out)
        np.testing.assert_allclose(out, x.toarray() @ w)
        sparse.dot_transposed(x, w, out)
        np.testing.assert_allclose(out, x.toarray().T @ w)


def test_libraries_that_are_not_loaded(monkeypatch):
    value = sp.csr_array(DENSE)
    for name in ("scipy.sparse", "pandas"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert sparse.is_sparse(value) is False
    assert frames.is_frame([1]) is False


def test_names_of_columns():
    class Frame:
        __array__ = np.ones(3).__array__

        def __init__(self, columns):
            self.columns = columns

    for columns, expected in (
        (["a", "b"], ["a", "b"]), ([], None), ([1, "b"], None), (["a", None], None), (3, None),
        (("a",), ["a"]), (None, None),
    ):  # fmt: skip
        assert frames.column_names(Frame(columns)) == expected


class Source:
    """An array that is read by rows."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.reads = 0

    def __getitem__(self, rows):
        self.reads += 1
        return self.values[rows]


def test_rows_are_read_in_one_go():
    source = Source(np.arange(20.0))
    for count in (1, 2):
        found = LazyRows(source, 5).take(np.array([3, 1, 3, 0]))
        np.testing.assert_array_equal(found, [8, 6, 8, 5])
        assert source.reads == count


def test_a_row_of_more_entries_than_are_looked_at_in_one_go():
    values = np.zeros((3, (1 << 20) + 1), "f2")
    assert convert.first_non_finite_row(values) is None
    values[1, -1] = np.nan
    assert convert.first_non_finite_row(values) == 1
    assert convert.first_non_finite_row(values, nan=False) is None


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
@pytest.mark.parametrize("wanted", ["f4", "f8"])
def test_rows_that_are_not_in_memory(dtype, wanted):
    values = np.ones((20, 2), dtype)
    for rows in (values, LazyRows(Source(values)), LazyRows(Source(values), 3, 9)):
        assert checks.check_values("fit", "x", rows, np.dtype(wanted)) is None
    if dtype == "i4":
        return
    values[7, 1], values[12, 0] = np.nan, np.inf
    for rows, first in ((LazyRows(Source(values)), 7), (LazyRows(Source(values), 5, 20), 2)):
        with pytest.raises(DataError, match=f"fit: x contains NaN; .* row {first} "):
            checks.check_values("fit", "x", rows, np.dtype(wanted))
        with pytest.raises(DataError, match=f"fit: x contains an infinite .* row {first + 5} "):
            checks.check_values("fit", "x", rows, np.dtype(wanted), mask_nan=True)
    assert checks.check_values("fit", "y", LazyRows(Source(values), 0, 12), F4, True) is None
