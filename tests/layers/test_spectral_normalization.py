"""Spectral normalization against the singular value decomposition."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.spectral_normalization import largest_singular_value

L = nl.layers
RNG = np.random.default_rng(0)


def made(units=4, features=6, dtype="float64", **arguments):
    dense = L.Dense(units, "tanh", bias_initializer="ones")
    layer = L.SpectralNormalization(dense, dtype=dtype, **arguments)
    layer.build((None, features))
    dense.kernel[...] = 5 * RNG.normal(size=dense.kernel.shape)
    return layer, dense


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 1), (1, 5), (40, 40)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_singular_value(shape, dtype):
    matrix = RNG.normal(size=shape)
    start = RNG.normal(size=shape[1]).astype(dtype)
    exact = np.linalg.norm(matrix, 2)
    sigma, left, right, again = largest_singular_value(matrix, start)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    assert sigma == pytest.approx(exact, rel=tolerance)
    np.testing.assert_allclose(matrix @ right, exact * left, atol=exact * tolerance**0.5)
    assert again.dtype == dtype
    second = largest_singular_value(matrix, again)
    assert second[0] == sigma
    assert second[2].tobytes() == right.tobytes()


def test_vectors_and_matrices_without_a_direction():
    zeros = largest_singular_value(np.zeros((3, 2)), np.ones(2))
    assert zeros[0] == 0
    blind = largest_singular_value(np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([0.0, 1.0]))
    assert blind[0] == pytest.approx(5)
    same = largest_singular_value(2 * np.eye(3), np.array([1.0, 2.0, 3.0]))  # of any direction
    assert same[0] == pytest.approx(2)
    slow = largest_singular_value(np.diag([1.0, 0.9999]), np.array([1.0, 1.0]))
    assert slow[0] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_the_output_is_that_of_the_normalized_kernel(training):
    layer, dense = made()
    x = RNG.normal(size=(3, 6))
    normal = dense.kernel / np.linalg.norm(dense.kernel, 2)
    kept = dense.kernel.copy()
    np.testing.assert_allclose(layer(x, training=training), np.tanh(x @ normal + 1), rtol=1e-10)
    np.testing.assert_array_equal(dense.kernel, kept)


def test_the_gradient_is_that_of_the_quotient():
    layer, dense = made()
    x, dy = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 4))
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    u, s, vt = np.linalg.svd(dense.kernel)
    normal = dense.kernel / s[0]
    y = np.tanh(x @ normal + 1)
    dz = dy * (1 - y**2)
    outer = np.outer(u[:, 0], vt[0])
    expected = (x.T @ dz - np.vdot(x.T @ dz, normal) * outer) / s[0]
    np.testing.assert_allclose(dense.d_kernel, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(dense.d_bias, dz.sum(axis=0))
    np.testing.assert_allclose(dx, dz @ normal.T, rtol=1e-9)


def test_training_follows_the_kernel():
    layer = L.SpectralNormalization(L.Dense(8, "relu"))
    model = nl.Sequential([layer, L.Dense(1)], seed=0)
    model.compile(nl.optimizers.Adam(0.01), "mse")
    x = RNG.normal(size=(64, 5))
    model.fit(x, 10 * x.sum(axis=1), epochs=5, verbose=0)
    kernel, vector = layer.layer.kernel, layer.non_trainable_weights[0]
    _, _, vt = np.linalg.svd(kernel)
    assert abs(vt[0] @ vector) == pytest.approx(1, abs=1e-2)

    before = vector.copy()
    layer.trainable = False
    model.compile("sgd", "mse")
    model.fit(x, x.sum(axis=1), verbose=0)
    np.testing.assert_array_equal(vector, before)


def test_convolutions():
    convolution = L.Conv2D(3, 2, bias_initializer="ones")
    layer = L.SpectralNormalization(convolution, dtype="float64")
    x = RNG.normal(size=(2, 5, 4, 2))
    y = layer(x)
    kernel = convolution.kernel
    kernel /= np.linalg.norm(kernel.reshape(-1, 3), 2)
    np.testing.assert_allclose(y, convolution(x), rtol=1e-9)
    assert nl.check_gradients(layer, x).passed


def test_what_it_refuses():
    with pytest.raises(ConfigurationError, match="power_iterations must be an integer >= 1"):
        L.SpectralNormalization(L.Dense(2), power_iterations=0)
    with pytest.raises(ConfigurationError, match=r"a Dense layer or a conv.*; ReLU has none"):
        L.SpectralNormalization(L.ReLU())(np.ones((4, 2)))
    with pytest.raises(ConfigurationError, match="SeparableConv1D has none"):
        L.SpectralNormalization(L.SeparableConv1D(2, 2))(np.ones((4, 5, 2)))
    layer, _ = made()
    with pytest.raises(ShapeError, match=r"'spectral_normalization/dense'.* got"):
        layer(np.ones((3, 5)))
