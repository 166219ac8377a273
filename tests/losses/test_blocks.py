"""The blocks in which the targets of a data set are checked, and the shapes they are held to."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataError


class Noted(nl.losses.MeanSquaredError):
    """Notes what it checks; refuses the block in which a target is negative."""

    def targets(self, y_true, shape, dtype):
        self.seen.append((y_true.shape, shape, np.dtype(dtype).name))
        if (y_true[:1] < 0).any():
            raise DataError("a negative one.")
        return y_true


def seen(y, output_shape, **options):
    loss = Noted(**options)
    loss.seen = []
    loss.check_targets(y, output_shape)
    return loss.seen


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((5, 2), [5]),
        ((1 << 20,), [1 << 20]),
        (((1 << 20) + 3,), [1 << 20, 3]),
        (((1 << 19) + 1, 2), [1 << 19, 1]),
        ((3, 1 << 19), [2, 1]),
        ((2, (1 << 20) + 1), [1, 1]),
        ((2, 1 << 21), [1, 1]),
        ((3, 0), [3]),
        ((0, 3), []),
    ],
)
def test_blocks_have_about_a_million_targets(shape, rows):
    found = seen(np.broadcast_to(0.0, shape), (None, *shape[1:]))
    assert [its[0] for its in found] == [(n, *shape[1:]) for n in rows]
    assert {its[2] for its in found} <= {"float64"}


@pytest.mark.parametrize(
    ("targets", "outputs", "expected"),
    [
        ((4,), (None, 3), (4, 3)),
        ((4,), (None, None), (4, 1)),
        ((4, 2), (None, None), (4, 2)),
        ((4, 2), (None, None, 3), (4, 2, 3)),
        ((4, 2), (None, 5, None), (4, 5, 1)),
    ],
)
def test_unknown_sizes_are_those_of_the_targets(targets, outputs, expected):
    ((_, shape, _),) = seen(np.zeros(targets), outputs)
    assert shape == expected


def test_an_error_says_in_which_rows():
    y = np.zeros(((1 << 20) + 7,), np.int8)
    y[1 << 20] = -1
    with pytest.raises(DataError) as raised:
        seen(y, (None, 1))
    assert str(raised.value) == "a negative one. (Found in rows 1048576 to 1048582.)"
