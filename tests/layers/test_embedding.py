"""Embeddings: rows by their index, sums over repeated indices, and the table in reverse."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

L = nl.layers
TABLE = np.arange(12.0).reshape(4, 3)


def dense(layer):
    return np.asarray(layer.d_embeddings)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2), (3, 2, 2), (2, 1, 3, 2)])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "float32", "bool"])
def test_rows_of_the_table(shape, dtype):
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 4, shape).astype(dtype)
    layer = L.Embedding(4, 3, weights=TABLE)
    y = layer.forward(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, TABLE[x.astype(int)])
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("kind", [L.Embedding, L.ReversibleEmbedding])
def test_repeated_indices_add_up_as_in_add_at(kind):
    rng = np.random.default_rng(1)
    x = np.minimum(rng.zipf(1.3, (50, 7)), 30) - 1
    dy = rng.normal(size=(*x.shape, 5)).astype("float32")
    layer = kind(30, 5)
    layer.forward(x, training=True)
    assert layer.backward(dy) is None
    expected = np.zeros((30, 5), "float32")
    np.add.at(expected, x, dy)
    assert dense(layer).tobytes() == expected.tobytes()
    layer.forward(x[:2], training=True)  # nothing is left of the step before
    layer.backward(dy[:2])
    expected[...] = 0
    np.add.at(expected, x[:2], dy[:2])
    assert dense(layer).tobytes() == expected.tobytes()


def test_gradients_in_a_network():
    x = np.random.default_rng(2).integers(0, 4, (6, 3))
    y = np.random.default_rng(3).normal(size=(6, 2))
    layers = [L.Embedding(4, 3), L.Flatten(), L.Dense(2, "tanh")]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    report = nl.check_gradients(model, x, y, loss="mse")
    assert report.passed, report


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        ([[0, 1], [4, 2]], ["layer 'words'", "the index 4 (row 1)", "0 to 3", "input_dim=4"]),
        ([[0, 1], [2, -1]], ["layer 'words'", "the index -1 (row 1)"]),
        (np.array([[2**64 - 1]], "uint64"), ["layer 'words'", f"the index {2**64 - 1} (row 0)"]),
        ([[0.0, 1.5]], ["layer 'words'", "must hold integers, got 1.5 (row 0)"]),
        ([[0.0, np.nan]], ["layer 'words'", "must hold integers, got nan (row 0)"]),
        ([["a"]], ["layer 'words'", "<U1"]),
    ],
)
def test_no_index(x, parts):
    layer = L.Embedding(4, 2, name="words")
    with pytest.raises(DataError) as raised:
        layer.forward(x)
    assert all(part in str(raised.value) for part in parts), raised.value


def test_no_index_in_fit_names_the_layer_too():
    model = nl.Sequential([L.Embedding(4, 2, name="words"), L.Flatten(), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match=r"layer 'words'.*the index 7"):
        model.fit(np.full((4, 2), 7), np.zeros(4), verbose=0)


def test_an_index_beyond_the_precision_of_float32():
    layer = L.Embedding(2**24 + 2, 1, embeddings_initializer="zeros")
    layer.build((None,))
    layer.embeddings[2**24 + 1] = 5
    assert layer.forward(np.array([2**24 + 1])).item() == 5
    model = nl.Sequential([layer])
    assert model.predict(np.array([2**24 + 1, 2**24])).ravel().tolist() == [5, 0]


@pytest.mark.parametrize("weights", [TABLE, [TABLE], TABLE.tolist()])
def test_weights_are_the_initial_values(weights):
    layer = L.Embedding(4, 3, weights=weights)
    assert "weights" not in layer.get_config()
    model = nl.Sequential([layer, L.Flatten(), L.Dense(1)], seed=0)
    model.build((None, 2))
    np.testing.assert_array_equal(model.layers[0].embeddings, TABLE)


def test_arguments_are_checked():
    with pytest.raises(ShapeError, match=r"weights has the shape \(2, 2\).*\(4, 3\)"):
        L.Embedding(4, 3, weights=np.ones((2, 2)))
    with pytest.raises(ConfigurationError, match="input_dim"):
        L.Embedding(0, 3)
    with pytest.raises(ConfigurationError, match="output_dim"):
        L.Embedding(3, 2.5)
    with pytest.raises(ConfigurationError, match="reverse_dtype"):
        L.ReversibleEmbedding(3, 2, reverse_dtype="float64")


def test_mask_zero():
    x = np.array([[0, 2], [1, 0]])
    assert L.Embedding(3, 2).compute_mask(x) is None
    assert L.Embedding(3, 2, mask_zero=True).compute_mask(x).tolist() == [[0, 1], [1, 0]]
    layer = L.ReversibleEmbedding(3, 2, mask_zero=True)
    mask = layer.compute_mask(x)
    assert mask.tolist() == [[0, 1], [1, 0]]
    assert layer.compute_mask(layer(x), mask) is mask


@pytest.mark.parametrize("cap", [None, 0.5])
@pytest.mark.parametrize("tied", [True, False])
def test_the_table_in_both_directions(tied, cap):
    """The loss Σ c tanh(h R / c) t with h = E[x], and all its gradients by differences."""
    rng = np.random.default_rng(4)
    x, t = rng.integers(0, 4, (5, 2)), rng.normal(size=(5, 2, 4))
    layer = L.ReversibleEmbedding(4, 3, tied, logit_soft_cap=cap, dtype="float64")
    layer.build((None, 2))
    for w in layer.weights:
        w[...] = rng.normal(size=w.shape)
    again = layer.new_call()

    def value():
        return float(np.sum(layer(layer(x), reverse=True) * t))

    hidden = layer.forward(x, training=True)
    again.forward(hidden, training=True, reverse=True)
    dh = again.backward(t)
    found = [np.array(g) for g in layer.gradients]
    layer.backward(dh)
    found = [a + b for a, b in zip(found, layer.gradients, strict=True)]
    for w, gradient in zip(layer.weights, found, strict=True):
        for i in np.ndindex(*w.shape):
            kept = w[i]
            w[i] = kept + 1e-6
            up = value()
            w[i] = kept - 1e-6
            down = value()
            w[i] = kept
            assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-6, abs=1e-7)
    assert again.backward(t, input_gradient=False) is None
    with pytest.raises(ShapeError, match=r"in reverse x must have .*\.\.\., 3\), got \(5, 2\)"):
        layer(x.astype(float), reverse=True)


def test_reverse_builds_the_layer():
    assert L.ReversibleEmbedding(5, 3)(np.ones((2, 3)), reverse=True).shape == (2, 5)


def test_sequences_of_any_length():
    layer = L.Embedding(4, 3)
    layer.build()  # the table is known before the data
    assert layer.embeddings.shape == (4, 3)
    for shape in ((2,), (5, 7), (5, 1), (2, 3, 4)):
        x = np.zeros(shape, int)
        assert layer.forward(x, training=True).shape == (*shape, 3)
        layer.backward(np.ones((*shape, 3)))
        np.testing.assert_array_equal(dense(layer)[0], np.full(3, x.size))


def test_saved_and_loaded(tmp_path):
    x = np.random.default_rng(5).integers(0, 9, (20, 3))
    model = nl.Sequential([L.Embedding(9, 2, mask_zero=True), L.Flatten(), L.Dense(1)], seed=0)
    model.compile("adagrad", "mse")
    model.fit(x, x.sum(axis=1), verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    assert again.layers[0].mask_zero
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    for each in (model, again):
        each.fit(x, x.sum(axis=1), verbose=0)
    assert again.parameters.values.tobytes() == model.parameters.values.tobytes()
