"""Blocks of large arrays, arrays of other libraries, and tuples of arrays."""

import numpy as np
import pytest

from netlayers.arrays import several
from netlayers.arrays.checks import as_data
from netlayers.arrays.foreign import LazyRows, blocks, is_lazy, numpy_dtype, numpy_of


@pytest.mark.parametrize(
    ("shape", "starts"),
    [
        (((1 << 20) + 1,), [0, 1 << 20]),
        ((1 << 20,), [0]),
        ((5, 1 << 19), [0, 2, 4]),
        ((2, 1 << 21), [0, 1]),
        ((5, 0), [0]),
        ((3, 2, 1 << 18), [0, 2]),
    ],
)
def test_blocks(shape, starts):
    values = np.broadcast_to(np.float32(1), shape)
    found = list(blocks(values))
    assert [start for start, _ in found] == starts
    assert sum(len(block) for _, block in found) == shape[0]


class Rows:
    shape, dtype = (3, 2), np.dtype("f4")

    def __getitem__(self, rows):
        return np.ones(self.shape, self.dtype)[rows]


def made(**attributes):
    return type("Made", (Rows,), attributes)()


def test_what_is_read_when_it_is_sliced():
    assert is_lazy(Rows()) is True
    for other in (
        np.ones(3), [1], made(shape=[3, 2]), made(shape=()), made(dtype="f4"), made(to_numpy=1),
        made(toarray=1), made(__dlpack__=1), made(__array_interface__=1),
    ):  # fmt: skip
        assert is_lazy(other) is False
    assert numpy_of(Rows()).tolist() == [[1, 1]] * 3
    assert type(as_data("fit", "x", Rows())) is LazyRows
    whole = np.ones(3)
    assert as_data("fit", "x", whole) is whole


class Tensor:
    def __init__(self, kind, calls=()):
        self.dtype, self.calls = kind, list(calls)

    def detach(self):
        return Tensor(self.dtype, [*self.calls, "detach"])

    def float(self):
        return Tensor("torch.float32", [*self.calls, "float"])


class Packed:
    def __dlpack__(self, **options):
        return np.arange(3).__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


def test_arrays_of_other_libraries():
    assert numpy_of(Tensor("torch.float32")).calls == ["detach"]
    assert numpy_of(Tensor("torch.bfloat16")).calls == ["detach", "float"]
    assert numpy_of(Packed()).tolist() == [0, 1, 2]
    plain = [1, 2]
    assert numpy_of(plain) is plain
    bare = np.zeros(2, "V4")
    assert numpy_dtype(bare) is bare
    floats = np.zeros(2, "f2")
    assert numpy_dtype(floats) is floats


def test_several_arrays():
    good, bad = np.ones((2, 3)), np.array([[1, 2, 3], [4, np.inf, 6]])
    whole = np.arange(6)
    assert several.listed(good)[0] is good
    assert several.listed((good, bad))[1] is bad
    assert several.finite((good, None, whole)) is True
    assert several.finite((good, bad)) is False
    assert several.first_bad((good, None, bad, bad))[0] == 2
    assert several.first_bad((good, None)) == (0, None)
    assert several.float_numbers((whole, None)) is None
    assert several.float_numbers((whole, good)) is good
    assert several.float_numbers((good, whole, bad)).tolist() == [1] * 6 + [1, 2, 3, 4, np.inf, 6]
    assert several.row_of(good, 1).shape == (1, 3)
    assert several.row_of(None, 1) is None
    rows = several.row_of((whole, None), 2)
    assert (rows[0].tolist(), rows[1]) == ([2], None)
    assert several.first_of((None, whole, good)) is whole
