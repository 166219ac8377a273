"""Layers, given no samples: outputs and gradients of no rows, and no raw error of NumPy."""

import numpy as np

from netlayers.errors import DataError
from netlayers.testing.families import _example
from netlayers.testing.values import built, gradient_like, inputs
from tests.classes import concrete


def shapes(value):
    return [np.shape(v) for v in value] if isinstance(value, tuple) else [np.shape(value)]


def test_no_samples():
    refused = set()
    for cls in concrete("layer"):
        for example in map(lambda e, cls=cls: _example("layer", cls, e), cls.examples()):
            layer = built(example)
            x = inputs(layer, example.data[0])
            none = tuple(a[:0] for a in x) if isinstance(x, tuple) else x[:0]
            expected = [(0, *shape[1:]) for shape in shapes(layer.forward(x))]
            layer.reset_states()
            assert shapes(layer.forward(none)) == expected, layer
            try:
                y = layer.forward(none, training=True)
            except DataError:
                refused.add(cls.__name__)
                continue
            dx = layer.backward(gradient_like(y))
            assert all(shape[0] == 0 for shape in shapes(dx) if shape), layer
            assert all(g is None or not np.any(g) for g in layer.gradients), layer
    assert refused == {"BatchNormalization"}  # which needs a mean
