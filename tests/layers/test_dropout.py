"""Layers with chance: their rates, moments, and shapes; known values from Keras 3.15.1."""

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.random import PARTS, Streams, keep_mask

L = nl.layers
N = 1 << 20


def rng(seed=0):
    return Streams(seed).new("test")


def ones(shape=(1024, 1024)):
    return np.ones(shape, "float32")


# Bounds are five standard deviations of what is estimated; the seeds are fixed.


@pytest.mark.parametrize("dropped", [1, 100, 13107, 32768, 65000, 65535])
def test_mask_rate(dropped):
    mask = np.empty((16, N), bool)  # enough to tell 1/65536 from 2/65536
    keep_mask(rng(), dropped, mask)
    p = dropped / PARTS
    assert abs((~mask).mean() - p) < 5 * math.sqrt(p * (1 - p) / mask.size)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 32767, 32768, 32769, 70001])
def test_mask_fills_every_entry(size):
    mask = np.zeros(size, bool)
    keep_mask(rng(), 0, mask)
    assert mask.all()
    keep_mask(rng(), PARTS, mask)
    assert not mask.any()


def test_mask_entries_are_independent():
    """Every lag that shares a 64-bit draw or neighbours one, and each place within a draw."""
    mask = np.empty(N, bool)
    keep_mask(rng(1), PARTS // 2, mask)
    signs = np.where(mask, 1.0, -1.0)
    for lag in range(1, 9):
        assert abs(np.mean(signs[:-lag] * signs[lag:])) < 5 / math.sqrt(N)
    for place in range(4):
        assert abs(signs[place::4].mean()) < 5 / math.sqrt(N / 4)
    rows = signs.reshape(1024, 1024)
    for means in (rows.mean(axis=0), rows.mean(axis=1)):  # 1024 variables of variance 1/1024
        assert abs(np.mean(means**2) * 1024 - 1) < 5 * math.sqrt(2 / 1024)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate):
    y = L.Dropout(rate, seed=1).forward(ones(), training=True)
    sd = math.sqrt(rate * (1 - rate) / y.size)
    assert abs(np.mean(y == 0) - rate) < 5 * sd + 0.5 / PARTS
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-4)
    assert abs(y.mean(dtype=np.float64) - 1) < 5 * sd / (1 - rate)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1e-4, 0.9999, 1 - 1e-9])
def test_dropout_expectation_is_exact(rate):
    """Scale times the probability of keeping is 1, though the rate is a multiple of 1/65536."""
    layer = L.Dropout(rate)
    share = layer._parts / PARTS
    assert layer._factor * (1 - share) == pytest.approx(1, rel=1e-12)
    assert abs(share - rate) <= 1 / PARTS
    assert share < 1


def test_dropout_of_nothing_and_of_all():
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    none, everything = L.Dropout(0.0), L.Dropout(1)
    np.testing.assert_array_equal(none.forward(x, training=True), x)
    np.testing.assert_array_equal(none.backward(x), x)
    np.testing.assert_array_equal(everything.forward(x, training=True), 0 * x)
    np.testing.assert_array_equal(everything.backward(x), 0 * x)
    np.testing.assert_array_equal(everything.forward(x), x)


def test_dropout_takes_the_largest_numbers():
    x = np.full((50, 40), 1e30, "float32")
    x[::2] *= -1
    for layer in (L.Dropout(0.5, seed=0), L.AlphaDropout(0.5, seed=0), L.GaussianDropout(0.5)):
        assert np.isfinite(layer.forward(x, training=True)).all()
        assert np.isfinite(layer.backward(x)).all()


@pytest.mark.parametrize(
    ("noise_shape", "same"),
    [((None, 1, None), 1), ((1, None, None), 0), ((8, 5, 1), 2), ([None, None, 1], 2)],
)
def test_noise_shape_is_one_choice_along_an_axis(noise_shape, same):
    x = ones((8, 5, 6))
    layer = L.Dropout(0.5, noise_shape, seed=2)
    y = layer.forward(x, training=True)
    np.testing.assert_array_equal(y, np.broadcast_to(y.take([0], axis=same), y.shape))
    for other in {0, 1, 2} - {same}:
        assert (y != np.broadcast_to(y.take([0], axis=other), y.shape)).any()
    np.testing.assert_array_equal(layer.backward(x), y)
    if noise_shape == (None, 1, None):
        spatial = L.SpatialDropout1D(0.5, seed=2)
        np.testing.assert_array_equal(spatial.forward(x, training=True), y)


@pytest.mark.parametrize("noise_shape", [(None, 1), (None, 2, None), (3, 1, 1), (None, 1, 1, 1)])
def test_noise_shape_that_does_not_fit(noise_shape):
    for shape in ((8, 5, 6), (7, 5, 6)):
        with pytest.raises(ShapeError, match=r"'dropout'.*noise_shape.*\(batch, 5, 6\)"):
            L.Dropout(0.5, noise_shape).forward(ones(shape))


def test_noise_shape_with_a_fixed_batch_refuses_another():
    layer = L.Dropout(0.5, (8, 1, 1))
    layer.forward(ones((8, 5, 6)), training=True)
    with pytest.raises(ShapeError, match="noise_shape"):
        layer.forward(ones((7, 5, 6)), training=True)


def test_spatial_dropout_wants_sequences():
    with pytest.raises(ShapeError, match="SpatialDropout1D"):
        L.SpatialDropout1D(0.5).forward(ones((4, 3)))


@pytest.mark.parametrize(
    ("rate", "kept", "dropped"),
    # keras.layers.AlphaDropout(rate, seed=1) on 0.5; 0.3 is no multiple of 1/65536.
    [(0.25, 0.8148104, -1.1435442), (0.3, 0.88456833, -1.0595481)],
)
def test_alpha_dropout_values(rate, kept, dropped):
    y = L.AlphaDropout(rate, seed=1).forward(np.full((99, 9), 0.5), training=True)
    tolerance = 1e-6 if rate == 0.25 else 2e-5
    np.testing.assert_allclose(np.unique(y), [dropped, kept], rtol=tolerance)
    assert 0.6 < np.mean(y > 0) < 0.85


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(1024, 1024))
    y = L.AlphaDropout(0.3, seed=1, dtype="float64").forward(x, training=True)
    assert abs(y.mean()) < 5 / math.sqrt(N)
    fourth = np.mean((y**2 - 1) ** 2)
    assert abs(np.mean(y**2) - 1) < 5 * math.sqrt(fourth / N)
    # SELU's fixed point, mean 0 and variance 1, survives the layer together with the activation.


def test_gaussian_noise_moments():
    x = np.full((1024, 1024), 3.0)
    noise = L.GaussianNoise(0.5, seed=1, dtype="float64").forward(x, training=True) - x
    assert abs(noise.mean()) < 5 * 0.5 / math.sqrt(N)
    assert abs(noise.var() / 0.25 - 1) < 5 * math.sqrt(2 / N)
    assert abs(np.mean(noise**4) / (3 * 0.25**2) - 1) < 5 * math.sqrt(96 / 9 / N)


def test_gaussian_dropout_moments():
    """Srivastava et al. 2014, section 10: mean 1, variance rate / (1 - rate)."""
    x = np.full((1024, 1024), 2.0)
    noise = L.GaussianDropout(0.2, seed=1, dtype="float64").forward(x, training=True) / x
    assert abs(noise.mean() - 1) < 5 * 0.5 / math.sqrt(N)
    assert abs(noise.var() / 0.25 - 1) < 5 * math.sqrt(2 / N)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.Dropout(-0.1),
        lambda: L.Dropout(1.1),
        lambda: L.Dropout("0.5"),
        lambda: L.Dropout(None),
        lambda: L.Dropout(float("nan")),
        lambda: L.Dropout(0.5, seed=-1),
        lambda: L.Dropout(0.5, seed=0.5),
        lambda: L.Dropout(0.5, noise_shape="abc"),
        lambda: L.Dropout(0.5, noise_shape=(None, 0)),
        lambda: L.Dropout(0.5, noise_shape=(None, 1.5)),
        lambda: L.SpatialDropout1D(2),
        lambda: L.AlphaDropout(1),
        lambda: L.GaussianDropout(1),
        lambda: L.GaussianDropout(-0.1),
        lambda: L.GaussianNoise(-1),
        lambda: L.GaussianNoise(float("inf")),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ConfigurationError, match=r"(rate|seed|noise_shape|stddev)"):
        make()


def test_gradients_of_a_layer_that_was_never_used():
    layer = L.Dropout(0.4)
    assert nl.check_gradients(layer, np.ones((5, 3))).passed
    assert not layer.built


def test_gradients_through_a_model_with_chance():
    layers = [L.Dense(4, "tanh"), L.Dropout(0.4), L.GaussianDropout(0.3), L.GaussianNoise(0.2)]
    model = nl.Sequential([*layers, L.AlphaDropout(0.4), L.Dense(2)], seed=0)
    x = np.random.default_rng(0).normal(size=(5, 3))
    model.forward(x)
    state = model.layers[1].rng.bit_generator.state
    report = nl.check_gradients(model, x, np.ones((5, 2)), "mse")
    assert report.passed, f"\n{report}"
    assert model.layers[1].rng.bit_generator.state == state


def test_training_with_chance_learns_and_repeats():
    x = np.random.default_rng(0).normal(size=(256, 6))
    y = x[:, :2] @ np.array([[1.0, -1.0], [0.5, 2.0]])

    def trained(seed):
        layers = [L.GaussianNoise(0.01), L.Dense(32, "relu"), L.Dropout(0.1), L.Dense(2)]
        model = nl.Sequential(layers, seed=seed)
        model.compile(nl.optimizers.Adam(0.01), "mse")
        model.fit(x, y, epochs=20, verbose=0)
        return model

    one, same, other = trained(0), trained(0), trained(1)
    assert one.evaluate(x, y, verbose=0) < 0.1 * np.mean(y**2)
    assert one.parameters.values.tobytes() == same.parameters.values.tobytes()
    assert one.parameters.values.tobytes() != other.parameters.values.tobytes()
    np.testing.assert_array_equal(one.predict(x), one.predict(x))
