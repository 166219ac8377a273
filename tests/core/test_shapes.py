"""Shapes as messages show them, and the hints of messages."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.shapes import any_batch, checked_shape, listed_shapes, shape_hint, shown_shape


@pytest.mark.parametrize(
    ("shape", "shown", "batch", "count"),
    [
        ((None, 784), "(batch, 784)", (None, 784), 1),
        ((5, 3), "(batch, 3)", (None, 3), 1),
        ((None,), "(batch)", (None,), 1),
        ((None, None, 4), "(batch, any, 4)", (None, None, 4), 1),
        (((2, 3), (2, 5, 1)), "(batch, 3) and (batch, 5, 1)", ((None, 3), (None, 5, 1)), 2),
        (((None, None),), "(batch, any)", ((None, None),), 1),
    ],
)
def test_shapes(shape, shown, batch, count):
    assert shown_shape(shape) == shown
    assert any_batch(shape) == batch
    assert len(listed_shapes(shape)) == count
    assert (
        checked_shape("owner", "shape", [list(s) for s in shape] if count > 1 else shape) == shape
    )


@pytest.mark.parametrize(
    ("expected", "shape", "start"),
    [
        ((None, 3), (3,), "Add an axis: x[:, None] for samples"),
        ((None, 3, 4), (3, 4), "For a single sample, add the batch axis: x[None, ...]."),
        ((None, 3, 4), (3,), "For a single sample, add the batch axis"),
        ((None, 3), (5, 3, 1), "Reshape it: x.reshape(len(x), 3)."),
        ((None, None, 4), (5, 3, 4, 1), "Reshape it: x.reshape(len(x), -1, 4)."),
        ((None, 3), (5, 4), "Change the data, or the input shape"),
        ((None,), (5, 4), "Reshape it"),
    ],
)
def test_hints(expected, shape, start):
    assert shape_hint(expected, shape).startswith(start)


def test_a_shape_in_a_message():
    model = nl.Sequential([nl.layers.Permute((2, 1)), nl.layers.Dense(2)])
    model.build((None, 4, 3))
    with pytest.raises(nl.errors.ShapeError, match=r"\(batch, 4, 3\)"):
        model.predict(np.ones((2, 4, 5)))
