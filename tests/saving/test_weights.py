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
    with pytest.raises(nl.errors.FileError, match="weights alone"):
        nl.load_model(path)


def of_dtype(dtype, seed=0):
    layers = [nl.layers.Dense(3), nl.layers.BatchNormalization(), nl.layers.Dense(2)]
    model = nl.Sequential(layers, seed=seed, dtype=dtype)
    model.build((None, 4))
    return model


@pytest.mark.parametrize("save", ["save", "save_weights"])
@pytest.mark.parametrize(("written", "read"), [("float64", "float32"), ("float32", "float64")])
def test_weights_of_another_size_are_converted(path, written, read, save):
    model, other = of_dtype(written), of_dtype(read, seed=1)
    getattr(model, save)(path)
    before = other.parameters.values.tobytes()
    with pytest.raises(nl.errors.FileError, match=f"expected shape .* and {read}, got .*{written}"):
        other.load_weights(path, strict=True)
    assert other.parameters.values.tobytes() == before
    other.load_weights(path)
    for a, b in zip(other.weights, model.weights, strict=True):
        assert a.dtype == read
        np.testing.assert_array_equal(a, b.astype(read))
    same = of_dtype(written, seed=1)
    same.load_weights(path, strict=True)
    np.testing.assert_array_equal(same.parameters.values, model.parameters.values)


def test_mismatches_of_dtype_are_skipped_where_they_are_refused(path):
    of_dtype("float64").save_weights(path)
    other = of_dtype("float32", seed=1)
    before = other.parameters.values.tobytes()
    with pytest.warns(UserWarning, match="8 of 8 weights were left"):
        other.load_weights(path, skip_mismatch=True, strict=True)
    assert other.parameters.values.tobytes() == before
    other.load_weights(path, skip_mismatch=True)
    assert other.parameters.values.tobytes() != before


def test_weights_that_are_too_large_for_the_model_change_nothing(path):
    model, other = of_dtype("float64"), of_dtype("float32", seed=1)
    model.layers[2].bias[1] = -1e40
    model.save_weights(path)
    before = other.parameters.values.tobytes()
    with pytest.raises(
        nl.errors.FileError, match=r"dense_1/bias: expected numbers .* 1e\+40.*float64"
    ):
        other.load_weights(path)
    assert other.parameters.values.tobytes() == before
    with pytest.raises(nl.errors.ConfigurationError, match="strict"):
        other.load_weights(path, strict="yes")


def test_integers_are_no_floats(path):
    class Counter(nl.layers.Layer):
        def build(self, input_shape):
            self.add_weight("seen", (2,), "zeros", statistic=True, dtype=kinds.pop(0))

        def forward(self, x, training=False):
            return self.prepare(x)

    kinds = ["int64", "float64"]
    models = [nl.Sequential([Counter(name="counter")]) for _ in range(2)]
    for model in models:
        model.build((None, 2))
    models[0].save_weights(path)
    with pytest.raises(nl.errors.FileError, match=r"float64, got .* int64"):
        models[1].load_weights(path)
