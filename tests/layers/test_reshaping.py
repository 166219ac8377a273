"""Layers that move, repeat or rescale entries; known values from Keras 3.15.1."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError

L = nl.layers
X = np.arange(24, dtype="float32").reshape(2, 3, 4)


def test_flatten_and_reshape_give_views_of_the_same_order():
    for layer, expected in [
        (L.Flatten(), (2, 12)),
        (L.Reshape((4, -1)), (2, 4, 3)),
        (L.Reshape([2, 1, 6]), (2, 2, 1, 6)),
        (L.Reshape(12), (2, 12)),
        (L.Identity(), (2, 3, 4)),
    ]:
        for training in (False, True):
            y = layer.forward(X, training)
            assert y.shape == expected
            assert np.shares_memory(y, X)
            np.testing.assert_array_equal(y.ravel(), X.ravel())
        dx = layer.backward(y)
        assert np.shares_memory(dx, X)
        np.testing.assert_array_equal(dx, X)


@pytest.mark.parametrize(
    ("layer", "given", "expected"),  # what Keras's compute_output_shape returns
    [
        (L.Flatten(), (None, 3, 4), (None, 12)),
        (L.Flatten(), (None, None, 3), (None, None)),
        (L.Flatten(), (None,), (None, 1)),
        (L.Reshape((-1, 2)), (None, 3, 4), (None, 6, 2)),
        (L.Reshape((3, -1, 2)), (None, 3, 4), (None, 3, 2, 2)),
        (L.Reshape((-1, 2)), (None, None, 4), (None, None, 2)),
        (L.Reshape((3, 4)), (None, None, 4), (None, 3, 4)),
        (L.Permute((2, 1)), (None, None, 4), (None, 4, None)),
        (L.Permute((3, 1, 2)), (None, 5, 6, 7), (None, 7, 5, 6)),
        (L.RepeatVector(3), (None, 4), (None, 3, 4)),
        (L.RepeatVector(3), (None, None), (None, 3, None)),
    ],
)
def test_shapes(layer, given, expected):
    assert layer.compute_output_shape(given) == expected
    layer.build(given)
    assert layer.output_shape == expected


def test_axes_of_any_length():
    """Data of two lengths pass one layer that was built for both."""
    for layer in (L.Flatten(), L.Reshape((-1, 2)), L.Permute((2, 1)), L.Rescaling([1, 2])):
        layer.build((None, None, 2))
        for length in (3, 5, 3):
            x = np.arange(8.0 * length, dtype="float32").reshape(4, length, 2)
            y = layer.forward(x, training=True)
            assert y.shape == layer.compute_output_shape(x.shape)
            assert layer.backward(y).shape == x.shape
    layer = L.Reshape((3, 4))
    layer.build((None, None, 2))
    assert layer.forward(np.zeros((1, 6, 2))).shape == (1, 3, 4)
    with pytest.raises(ShapeError, match="10 entries"):
        layer.forward(np.zeros((1, 5, 2)))


def test_permute_repeat_and_rescale_values():
    y = L.Permute((2, 1)).forward(X)
    np.testing.assert_array_equal(y[1, 2], [14, 18, 22])
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(
        L.Permute((2, 3, 1)).forward(X[..., None])[:, :, 0], X.transpose(0, 2, 1)
    )
    layer = L.RepeatVector(3)
    np.testing.assert_array_equal(
        layer.forward(X[:, 0], training=True), np.stack([X[:, 0]] * 3, axis=1)
    )
    np.testing.assert_array_equal(layer.backward(X), X.sum(axis=1))
    rescaling = L.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5)
    np.testing.assert_array_equal(rescaling.forward(X)[1, 2], [20.5, 42.5, 66.5, 92.5])
    pictures = np.array([[0, 51, 255]], "uint8")
    np.testing.assert_allclose(L.Rescaling(1 / 255).forward(pictures), [[0, 0.2, 1]], rtol=1e-6)
    same = L.Rescaling(np.array([1, 2]), np.float32(0.5))
    assert same.get_config()["scale"] == (1.0, 2.0)


def test_identity_is_linear_under_keras_name():
    assert L.Identity is L.Linear
    config = {"layers": [{"class_name": "Identity", "config": {}}]}
    assert isinstance(nl.Sequential.from_config(config).layers[0], L.Identity)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: L.Reshape((-1, -1)), "one of them may be -1"),
        (lambda: L.Reshape((0, 2)), "sizes >= 1"),
        (lambda: L.Reshape((2, -2)), "each size in target_shape"),
        (lambda: L.Reshape((2, None)), "each size in target_shape"),
        (lambda: L.Reshape("ab"), "tuple of sizes"),
        (lambda: L.Permute((0, 1)), "the batch left out"),
        (lambda: L.Permute((1, 1)), "each of the numbers"),
        (lambda: L.Permute((2, 3)), "each of the numbers"),
        (lambda: L.Permute((1.0, 2.0)), "each of the numbers"),
        (lambda: L.Permute(2), "each of the numbers"),
        (lambda: L.RepeatVector(0), "n must be an integer >= 1"),
        (lambda: L.RepeatVector(2.0), "n must be an integer"),
        (lambda: L.Rescaling("a"), "scale must be"),
        (lambda: L.Rescaling(np.nan), "scale must be"),
        (lambda: L.Rescaling([]), "scale must be"),
        (lambda: L.Rescaling(1, [1, "b"]), "each of offset"),
    ],
)
def test_wrong_arguments(make, word):
    with pytest.raises(ConfigurationError, match=word):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (L.Reshape((5, 2)), (2, 3, 4), r"12 entries, target_shape \(5, 2\) has 10"),
        (L.Reshape((5, -1)), (2, 3, 4), r"needs a multiple of 5"),
        (L.Permute((2, 1)), (2, 3), r"orders 2 axes, .* \(batch, 3\) has 1"),
        (L.RepeatVector(2), (2, 3, 4), r"\(batch, features\), got \(batch, 3, 4\).*Flatten"),
        (L.Rescaling([1, 2]), (2, 3), r"scale has 2 numbers"),
        (L.Rescaling(1, [1, 2]), (2, 3), r"offset has 2 numbers"),
    ],
)
def test_wrong_shapes(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.forward(np.zeros(shape))


def test_in_a_model():
    """A layer that changes the shape stands before the first weights; data are still checked."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 6, 5)).astype("uint8")
    labels = (pictures.mean(axis=(1, 2)) > 127).astype(int)
    layers = [
        L.Rescaling(1 / 255, -0.5),
        L.Permute((2, 1)),
        L.Flatten(),
        L.RepeatVector(2),
        L.Reshape((-1,)),
        L.Dense(8, "relu"),
        L.Dense(2, "softmax"),
    ]
    model = nl.Sequential(layers, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(pictures, labels, epochs=15, batch_size=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.predict(pictures[:0]).shape == (0, 2)
    report = nl.check_gradients(model, pictures[:4] / 100, labels[:4])
    assert report.passed, f"\n{report}"
    with pytest.raises(ShapeError, match=r"\(batch, 6, 5\)|\(batch, 30\)"):
        model.predict(np.zeros((2, 6, 6)))
    with pytest.raises(ShapeError):
        model.fit(np.zeros((2, 6, 6)), np.zeros(2, int), verbose=0)


def test_what_predict_returns_is_the_callers():
    x = np.ones((3, 4), "float32")
    for layer in (L.Flatten(), L.Reshape((2, 2)), L.Dropout(0.5), L.Identity()):
        model = nl.Sequential([layer])
        for y in (model.predict(x), model.predict_on_batch(x)):
            assert not np.shares_memory(x, y)
