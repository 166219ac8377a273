"""PReLU: known values, the sharing of slopes, and its arguments."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError


def test_values_and_gradients_by_hand():
    layer = nl.layers.PReLU(alpha_initializer=nl.initializers.Constant(0.25), dtype="float64")
    x = np.array([[-3.0, -0.5, 0.0], [1.0, 4.0, -2.0]])
    y = layer.forward(x, training=True)
    # keras.layers.PReLU of Keras 3.15.1 with the same slope gives the same numbers.
    np.testing.assert_array_equal(y, [[-0.75, -0.125, 0.0], [1.0, 4.0, -0.5]])
    dx = layer.backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    # The slope at 0 is alpha, as in PyTorch 2.13.
    np.testing.assert_array_equal(dx, [[0.25, 0.5, 0.75], [4.0, 5.0, 1.5]])
    np.testing.assert_array_equal(layer.d_alpha, [-3.0, -1.0, -12.0])


@pytest.mark.parametrize(
    ("shared", "shape"),
    [(None, (4, 3, 2)), ([1, 2], (1, 1, 2)), ((3,), (4, 3, 1)), (1, (1, 3, 2)), ([], (4, 3, 2))],
)
def test_shared_axes(shared, shape):
    layer = nl.layers.PReLU(shared_axes=shared)
    layer.build((None, 4, 3, 2))
    assert layer.alpha.shape == shape
    assert not layer.alpha.any()
    assert layer.count_params() == np.prod(shape)
    assert nl.layers.PReLU.from_config(layer.get_config()).shared_axes == layer.shared_axes


def test_a_shared_axis_may_have_any_length():
    layer = nl.layers.PReLU("ones", shared_axes=1)
    layer.build((None, None, 2))
    for length in (3, 5):
        x = np.random.default_rng(0).normal(size=(2, length, 2)).astype("float32")
        np.testing.assert_array_equal(layer.forward(x), x)
    with pytest.raises(ShapeError, match="give the size of every axis"):
        nl.layers.PReLU().build((None, None, 2))


def test_shared_axes_that_do_not_exist():
    with pytest.raises(ShapeError, match=r"shared_axes=\[2\].*no axis 2"):
        nl.layers.PReLU(shared_axes=2).build((None, 3))
    for wrong in (0, -1, 1.5, [1, "2"]):
        with pytest.raises(ConfigurationError, match="each of shared_axes"):
            nl.layers.PReLU(shared_axes=wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_inputs(size, dtype):
    layer = nl.layers.PReLU(nl.initializers.Constant(-0.5), dtype=dtype)
    y = layer.forward(np.array([[-size, size]]), training=True)
    np.testing.assert_allclose(y, [[size / 2, size]], rtol=1e-6)
    np.testing.assert_array_equal(layer.backward(np.ones((1, 2))), [[-0.5, 1]])
    np.testing.assert_allclose(layer.d_alpha, [-size, 0], rtol=1e-6)


def test_frozen_slopes_stay():
    layers = [nl.layers.Dense(3), nl.layers.PReLU("ones", trainable=False), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 2))
    model.fit(x, x[:, :1], verbose=0)
    np.testing.assert_array_equal(model.layers[1].alpha, 1)


def test_slopes_are_learned():
    # y = |x| is a PReLU with alpha = -1.
    x = np.linspace(-1, 1, 64)[:, None]
    model = nl.Sequential([nl.layers.PReLU()], seed=0)
    model.compile(nl.optimizers.SGD(1.0), "mse")
    model.fit(x, np.abs(x), epochs=40, verbose=0)
    np.testing.assert_allclose(model.layers[0].alpha, -1, atol=1e-3)
