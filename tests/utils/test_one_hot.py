"""One-hot rows, as Keras's to_categorical gives them."""

import numpy as np
import pytest

from netlayers.errors import ConfigurationError, DataError
from netlayers.utils.one_hot import to_categorical


def test_one_hot_rows():
    np.testing.assert_array_equal(to_categorical([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(to_categorical([[1], [2]]), [[0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(to_categorical([[0, 1]]), [[[1, 0], [0, 1]]])
    assert to_categorical(np.array([1.0, 0.0])).dtype == np.float32
    assert to_categorical(np.zeros(0, int), 4).shape == (0, 4)


@pytest.mark.parametrize("x", [[-1], [0.5], [3], ["a"], [float("nan")]])
def test_what_is_no_class(x):
    with pytest.raises(DataError, match="to_categorical"), np.errstate(invalid="ignore"):
        to_categorical(x, 3)
    with pytest.raises(ConfigurationError, match="num_classes"):
        to_categorical([0], 0)


def test_more_classes_than_memory_holds():
    for count in (2**50, 2**62):
        with pytest.raises(MemoryError) as raised:
            to_categorical([0], num_classes=count)
        assert str(raised.value) == (
            f"to_categorical: rows of num_classes={count} numbers do not fit in memory."
        )
