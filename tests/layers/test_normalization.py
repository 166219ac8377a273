"""The layer Normalization and its method adapt."""

import copy
import json
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.layers import Dense, GroupNormalization, Input, Normalization


def numbers(shape, start):
    return np.cos(np.arange(start, start + np.prod(shape)) ** 2.0).reshape(shape)


@pytest.mark.parametrize(
    ("kwargs", "data", "shape", "expected"),
    [  # Keras 3.15.1 on JAX, float64
        ({}, (3, 2), (2, 2), [0.525786538208, -0.760021775503, -1.32016888084, -1.30705082219]),
        (
            {"axis": [1, 2], "invert": True},
            (3, 2, 2),
            (1, 2, 2),
            [0.055419929124, -0.404315057479, 0.767632715112, -0.0283838284833],
        ),
        (
            {"axis": None},
            (3, 2),
            (2, 2),
            [0.841598973671, -0.854346651001, -1.22009465723, -1.28618728560],
        ),
        (
            {"axis": [1, 2], "mean": [1.0, 2.0], "variance": [4.0, 9.0]},
            None,
            (1, 3, 2),
            [-0.229848847, -0.884547874, -0.955565131, -0.985886493, -0.00439859407, -0.70932123],
        ),
    ],
    ids=str,
)
def test_normalization_has_the_numbers_of_keras(kwargs, data, shape, expected):
    layer = Normalization(**kwargs, dtype="float64")
    if data:
        layer.adapt(numbers(data, 3))
    got = layer.forward(numbers(shape, 1))
    np.testing.assert_allclose(got.ravel(), expected, rtol=1e-8)


def moments(layer):
    return layer.adapt_mean.tolist(), layer.adapt_variance.tolist(), float(layer.count)


def test_adapt_takes_arrays_lists_maps_and_iterators(tmp_path):
    data = np.random.default_rng(0).normal(3, 2, (1000, 4)).astype(np.float32)
    path = tmp_path / "data.npy"
    np.save(path, data)
    wide = data.astype(np.float64)
    forms = {
        "array": data,
        "list": data.tolist(),
        "map": np.load(path, mmap_mode="r"),
        "iterator": (data[i : i + 300] for i in range(0, 1000, 300)),
        "fortran": np.asfortranarray(data),
    }
    for form, given in forms.items():
        for batch_size in (None, 7) if form != "iterator" else (None,):
            layer = Normalization(dtype="float64")
            layer.adapt(given, batch_size)
            np.testing.assert_allclose(layer.adapt_mean, wide.mean(0), rtol=1e-13, err_msg=form)
            np.testing.assert_allclose(layer.adapt_variance, wide.var(0), rtol=1e-12)
            assert layer.count == 1000
    layer.adapt(np.arange(8).reshape(2, 4))  # anew, and of integers
    assert moments(layer) == ([2, 3, 4, 5], [4, 4, 4, 4], 2)


def test_adapt_keeps_its_digits_at_a_large_offset():
    rng = np.random.default_rng(0)
    deviations = rng.normal(size=(5000, 3))
    layer = Normalization(dtype="float64")
    data = deviations * [1, 1e-3, 10] + [1e9, 1e3, -1e10]
    layer.adapt(data, batch_size=64)
    exact_mean = (data - data[0]).mean(0) + data[0]
    np.testing.assert_allclose(layer.adapt_mean, exact_mean, rtol=1e-15)
    np.testing.assert_allclose(layer.adapt_variance, (data - data[0]).var(0), rtol=1e-9)


def test_adapt_reads_a_map_piece_by_piece(tmp_path):
    import tracemalloc

    data = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (1_000_000, 8))
    data[:, 0] = 1
    layer = Normalization()
    tracemalloc.start()
    layer.adapt(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.adapt_mean.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert peak < data.nbytes / 4


def test_constant_features_become_zero():
    layer = Normalization()
    data = np.full((10, 3), [0.0, 0.1, 1e20], np.float32)
    layer.adapt(data)
    y = layer.forward(data, training=True)
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(layer.backward(np.ones((10, 3)))).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, np.nan], [1.0, 2.0]], "data contains NaN; the first such row is row 0"),
        ([[1.0, 2.0], [1.0, np.inf]], "data contains an infinite number.*row 1"),
        (np.zeros((0, 2)), "empty"),
        (iter([]), "empty"),
        (3.0, "single number"),
        ([["a", "b"]], "real numbers"),
        ([[1e30, 1.0], [-1e30, 1.0]], "too large for float32"),
    ],
    ids=["nan", "inf", "no rows", "no batches", "number", "text", "huge"],
)
def test_adapt_refuses_bad_data_and_changes_nothing(data, message):
    layer = Normalization()
    layer.adapt([[1.0, 2.0], [3.0, 6.0]])
    kept = moments(layer)
    with pytest.raises(DataError, match=rf"layer 'normalization': adapt\(\).*{message}"):
        layer.adapt(data)
    assert moments(layer) == kept
    with pytest.raises(ShapeError, match="expected an input of shape"):
        layer.adapt(np.ones((2, 3)))
    with pytest.raises(ConfigurationError, match="batch_size"):
        layer.adapt(np.ones((2, 2)), batch_size=0)
    assert moments(layer) == kept


def test_adapt_with_given_moments_is_an_error():
    with pytest.raises(ConfigurationError, match="given to the constructor"):
        Normalization(mean=1.0, variance=1.0).adapt([[1.0]])


def test_invert_undoes_it():
    rng = np.random.default_rng(0)
    data = rng.normal(5, 3, (50, 4))
    there, back = Normalization(dtype="float64"), Normalization(invert=True, dtype="float64")
    there.adapt(data)
    back.adapt(data)
    np.testing.assert_allclose(back.forward(there.forward(data)), data, rtol=1e-13)


@pytest.mark.parametrize("when", ["before", "in the model", "after build", "with Input"])
def test_normalization_as_first_layer(when):
    rng = np.random.default_rng(0)
    x = rng.normal(1000, 50, (200, 3)).astype(np.float32)
    y = (x[:, :1] - 1000) / 50
    norm = Normalization()
    if when == "before":
        norm.adapt(x)
    model = nl.Sequential(
        ([Input((3,))] if when == "with Input" else []) + [norm, Dense(1)], seed=0
    )
    if when == "after build":
        model.build((None, 3))
    if when != "before":
        norm.adapt(x)
    with pytest.raises(ConfigurationError, match="used twice"):
        model.add(norm)
    kept = norm.get_weights() if when != "in the model" else None
    model.compile(nl.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 1e-3
    assert abs(norm.forward(x).mean()) < 1e-3
    assert np.shares_memory(norm.adapt_mean, model.parameters.statistics)
    for one, other in zip(norm.get_weights(), kept or norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    again = nl.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    again.build((None, 3)) if when != "with Input" else None
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_what_adapt_found_survives_a_build_that_fails():
    norm = Normalization()
    norm.adapt([[1.0, 2.0], [3.0, 6.0]])
    model = nl.Sequential([norm, GroupNormalization(3)])
    with pytest.raises(ShapeError, match="3 groups"):
        model.predict(np.ones((1, 2)))
    model.pop()
    np.testing.assert_allclose(model.predict(np.array([[3.0, 6.0]])), 1, rtol=1e-6)


def test_no_gradient_is_computed_below_the_first_learned_weights():
    model = nl.Sequential([Normalization(), Dense(2)], seed=0)
    x = np.ones((4, 3), np.float32)
    model.forward(x, training=True)
    model.layers[0].backward = None  # would be called otherwise
    assert model.backward(np.ones((4, 2)), input_gradient=False) is None
