"""Files that hold weights alone."""

import numpy as np
import pytest

import netlayers as nl
from tests.saving.models import trained

# Weights ----------------------------------------------------------------------------------------


def test_weights(path):
    model, x, _ = trained("adam")
    other, _, _ = trained("sgd", epochs=1)
    for save in (model.save_weights, model.save):
        save(path)
        other.set_weights([w + 1 for w in other.weights])
        other.load_weights(path)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_weights_of_another_model(path):
    layers = [nl.layers.Dense(3), nl.layers.Dense(2)]
    model = nl.Sequential(layers, seed=0)
    model.build((None, 4))
    model.save_weights(path)
    other = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(5)], seed=1)
    with pytest.raises(nl.errors.NotBuiltError):
        other.load_weights(path)
    other.build((None, 4))
    before = other.get_weights()
    with pytest.raises(nl.errors.FileError, match=r"dense_1/kernel: expected shape \(3, 5\)"):
        other.load_weights(path)
    for a, b in zip(before, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="2 of 4 weights were left"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.weights[0], model.weights[0])
    np.testing.assert_array_equal(other.weights[2], before[2])
    double = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(2)], dtype="float64")
    double.build((None, 4))
    with pytest.raises(nl.errors.FileError, match="float64"):
        double.load_weights(path)
    with pytest.raises(nl.errors.FileError, match="weights alone"):
        nl.load_model(path)
