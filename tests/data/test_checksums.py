"""Checksums by which a run that goes on knows its data again."""

import zlib

import numpy as np
import pytest
from scipy import sparse

from netlayers.data.arrays import ArrayData, Column
from netlayers.data.sparse_columns import SparseColumn

ROWS = np.arange(5)


def data(x, y=None, **more):
    columns = [SparseColumn(x, "f4") if sparse.issparse(x) else Column(x, "f4"), None, None]
    if y is not None:
        columns[1] = Column(y, "f4")
    return ArrayData(columns, 8, **more).fingerprint()["checksum"]


def test_the_bytes_of_a_small_array():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    expected = zlib.crc32(x.astype("<f8").tobytes()), zlib.crc32(y.astype("<i8").tobytes())
    assert data(x, y) == {
        "x": f"{expected[0]:08x}",
        "y": f"{expected[1]:08x}",
        "sample_weight": None,
    }


@pytest.mark.parametrize("shape", [(5,), (5, 4), (5, 60, 70), (5, 0)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?"])
def test_layout_and_byte_order_do_not_matter(shape, dtype):
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    wide = np.zeros((*shape, 2), dtype)
    wide[..., 1] = x
    for other in (np.asfortranarray(x), x.astype(x.dtype.newbyteorder(">")), wide[..., 1]):
        assert Column(other, "f4").checksum(ROWS) == Column(x, "f4").checksum(ROWS)


@pytest.mark.parametrize("place", [0, 1023, 4500, 8976, 9999])
def test_other_values_in_a_sampled_place(place):
    x = np.zeros((200, 10_000), np.uint8)
    before = data(x)["x"]
    x[199, place] = 1
    assert data(x)["x"] != before
    csr = sparse.csr_matrix(np.ones((200, 10_000), np.uint8))
    before = data(csr)["x"]
    csr.data[199 * 10_000 + place] = 2
    assert data(csr)["x"] != before


def test_sparse_places_count_and_their_type_does_not():
    x = sparse.csr_matrix(np.diag([1.0, 2.0, 0.0, 4.0]))
    moved = x.copy()
    moved.indices[:] = moved.indices[::-1]
    assert data(moved) != data(x)
    wide = x.copy()
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    assert data(wide) == data(x)


def test_the_rows_that_a_class_balance_or_split_chose():
    x = np.arange(10.0)[:, None]
    chosen = np.array([7, 2, 9])
    assert data(x, rows=chosen)["x"] == data(x[chosen])["x"]
    assert data(x[:1])["x"] != data(x[1:2])["x"]


def test_it_reads_little(monkeypatch):
    """64 rows of 3 × 1024 entries of x, and 64 of y; x has 400 MB."""
    read = []

    def crc(entries, before):
        read.append(entries.nbytes)
        return before

    monkeypatch.setattr("netlayers.data.fingerprints._crc", crc)
    data(np.zeros((1000, 100_000), np.float32))  # no memory is taken before it is read
    assert sum(read) <= 64 * (3 * 1024 + 1) * 4
    assert len(read) > 64
