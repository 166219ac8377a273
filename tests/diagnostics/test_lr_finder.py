"""The learning-rate range test."""

import copy
import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.lr_finder import _smooth, _steepest
from netlayers.errors import ConfigurationError, NotCompiledError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(256, 4)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


class Noise(nl.layers.Layer):
    """Has a random stream and a running statistic."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rng = np.random.default_rng(3)

    def build(self, input_shape):
        self.add_weight("seen", (1,), "zeros", statistic=True)

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.seen += 1
            return x + self.rng.normal(0, 0.01, x.shape).astype(x.dtype)
        return x

    def backward(self, dy):
        return dy


def make(optimizer="sgd", seed=0, loss="mse"):
    layers = [nl.layers.Dense(16, activation="tanh"), Noise(name="noise"), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=seed)
    model.compile(optimizer, loss)
    return model


def state(model):
    """Everything that training changes, as plain data."""
    optimizer = model.optimizer
    generators = {n: g.bit_generator.state for n, g in model._streams._generators.items()}
    return copy.deepcopy(
        (
            [w.tobytes() for w in model.weights] if model.built else None,
            model.parameters.gradients.tobytes() if model.built else None,
            {name: array.tobytes() for name, array in optimizer.state.items()},
            optimizer.iterations,
            optimizer.skipped,
            optimizer.on_nonfinite,
            optimizer.learning_rate,
            optimizer.learning_rate_factor,
            generators,
            model.layers[1].rng.bit_generator.state,
            model.input_shape,
        )
    )


@pytest.mark.parametrize("built", [True, False])
def test_nothing_of_the_model_changes(built):
    optimizer = nl.optimizers.Adam(nl.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5))
    model, twin = make(optimizer), make(copy.deepcopy(optimizer))
    if built:
        for each in (model, twin):
            each.fit(X, Y, epochs=2, verbose=0)
            each.optimizer.learning_rate_factor = 0.5
    before, x, y = state(model), X.copy(), Y.copy()
    nl.find_learning_rate(model, X, Y, max_rate=1e3)
    assert state(model) == before
    np.testing.assert_array_equal(X, x)
    np.testing.assert_array_equal(Y, y)
    # And it goes on as its twin does, which was never tested.
    for each in (model, twin):
        each.fit(X, Y, epochs=2, verbose=0)
    assert state(model) == state(twin)


def test_the_rates_are_those_of_a_hand_written_loop():
    """The same updates by hand: losses and rates agree to the bit."""
    curve = nl.find_learning_rate(make(), X, Y, 1e-5, 1e-1, steps=20, batch_size=64)
    np.testing.assert_allclose(curve.rates, [1e-5 * 10 ** (4 * i / 19) for i in range(20)])
    model = make()
    model.build((None, 4))
    order = nl.random.Streams(0).get("shuffle")
    losses, rows = [], []
    for i in range(20):
        if not rows:
            permutation = order.permutation(256)
            rows = [permutation[k : k + 64] for k in range(0, 256, 64)]
        batch = rows.pop(0)
        model.optimizer.learning_rate = float(curve.rates[i])
        losses.append(model.train_on_batch(X[batch], Y[batch]))
    np.testing.assert_array_equal(curve.losses, losses)
    assert curve.diverged_at is None
    assert curve.reason == "all 20 rates were tried"


def test_a_factor_of_the_optimizer_is_left_out():
    model = make()
    model.optimizer.learning_rate_factor = 0.1
    curves = [nl.find_learning_rate(m, X, Y) for m in (model, make())]
    np.testing.assert_array_equal(curves[0].losses, curves[1].losses)


def test_a_quadratic_has_its_known_limit():
    """L = (w - 1)² + noise diverges under gradient descent above the rate 1, which is 2 / L''."""
    model = nl.Sequential([nl.layers.Dense(1, use_bias=False, kernel_initializer="zeros")], seed=0)
    model.compile("sgd", "mse")
    x = np.ones((256, 1))
    y = x + 0.1 * RNG.normal(size=x.shape)
    curve = nl.find_learning_rate(model, x, y, 1e-4, 1e3, steps=140)
    assert 1 < curve.diverged_at < 5
    assert 0.005 < curve.suggestion < 0.5
    assert "times its lowest" in curve.reason


@pytest.mark.parametrize("on_nonfinite", ["raise", "skip", "ignore"])
def test_it_ends_without_an_error_where_numbers_end(on_nonfinite):
    model = make(nl.optimizers.SGD(0.1, on_nonfinite=on_nonfinite))
    curve = nl.find_learning_rate(
        model, X, Y, 1e-3, 1e30, steps=40, stop_factor=1e300, batch_size=64
    )
    assert "is inf" in curve.reason or "is nan" in curve.reason or "not finite" in curve.reason
    assert curve.diverged_at is not None
    assert np.isfinite(curve.losses).all()
    assert len(curve.losses) == len(curve.rates) == len(curve.smoothed) < 40


def test_gradients_that_are_not_finite_end_it():
    class Broken(nl.layers.Dense):
        def _backward_logits(self, dz, input_gradient=True):
            dx = super()._backward_logits(dz, input_gradient)
            self.d_kernel[...] = np.nan
            return dx

    model = nl.Sequential([Broken(1)], seed=0)
    model.compile("sgd", "mse")
    curve = nl.find_learning_rate(model, X, Y)
    assert curve.reason == "a gradient is not finite at the rate 1.00e-07"
    assert curve.suggestion is None
    assert "suggestion: none" in str(curve)
    pytest.importorskip("matplotlib")
    with pytest.raises(ConfigurationError, match="only one rate"):
        curve.plot()


def test_smoothing_and_the_rule():
    line = np.linspace(3, 1, 30)
    np.testing.assert_allclose(_smooth(np.full(30, 2.5)), 2.5)  # the ends are not pulled to zero
    np.testing.assert_allclose(_smooth(line)[8:-8], line[8:-8])  # symmetric: no delay
    assert _smooth(np.array([1.0])).tolist() == [1.0]
    assert _smooth(np.array([])).size == 0
    rates = 10.0 ** np.arange(-5, 2)
    # The central differences are 0, -0.1, -0.5, -1.4, -1.5, 3.5, 8, by hand.
    assert _steepest(rates, np.array([5, 5, 4.8, 4, 2, 1, 9.0])) == 1e-1
    assert _steepest(rates, np.arange(7.0)) is None
    # A fall after the minimum is no suggestion.
    assert _steepest(rates, np.array([5, 4, 3, 1, 50, 90, 2.0])) == pytest.approx(1e-3)


def test_the_table():
    curve = nl.find_learning_rate(make(), X, Y)
    lines = str(curve).splitlines()
    assert lines[0].split() == ["learning", "rate", "loss", "smoothed"]
    (marked,) = [line for line in lines if "<- suggestion" in line]
    assert float(marked.split()[0]) == pytest.approx(curve.suggestion, rel=0.01)
    assert lines[-1].startswith(f"suggestion: {curve.suggestion:.2e}")
    assert len(lines) <= 24


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    curve = nl.find_learning_rate(make(), X, Y)
    figure = curve.plot(tmp_path / "rates.png")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    found = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(found["loss of the batch"].get_ydata(), curve.losses)
    np.testing.assert_array_equal(found["smoothed"].get_xdata(), curve.rates)
    assert f"suggestion {curve.suggestion:.1e}" in found
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "loss")
    assert (tmp_path / "rates.png").stat().st_size > 1000


def test_training_at_the_suggestion_works():
    model = make()
    rate = nl.find_learning_rate(model, X, Y).suggestion
    model.compile(nl.optimizers.SGD(rate), "mse")
    loss = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert math.isfinite(loss[-1])
    assert loss[-1] < 0.05 * loss[0]


def test_it_refuses():
    model = make()
    for wrong in (
        {"min_rate": 0},
        {"max_rate": 1e-8},
        {"steps": 2},
        {"batch_size": 0},
        {"stop_factor": 1.0},
    ):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            nl.find_learning_rate(model, X, Y, **wrong)
    with pytest.raises(ConfigurationError, match="expected a compiled model"):
        nl.find_learning_rate(nl.layers.Dense(1), X, Y)
    with pytest.raises(NotCompiledError):
        nl.find_learning_rate(nl.Sequential([nl.layers.Dense(1)]), X, Y)
    with pytest.raises(ShapeError):
        nl.find_learning_rate(model, X, Y[:, :, None])


def test_each_rate_is_one_update_also_with_accumulation():
    x = np.random.default_rng(0).normal(size=(64, 3))
    curves = []
    for options in ({}, {"gradient_accumulation_steps": 50, "use_ema": True}):
        model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        model.compile(nl.optimizers.SGD(0.1, **options), "mse")
        curves.append(nl.find_learning_rate(model, x, x.sum(axis=1)))
    np.testing.assert_array_equal(curves[0].losses, curves[1].losses)


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_noise_of_batches_does_not_end_it(optimizer, batch_size):
    """Neither with batches of one nor on a network that is trained."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4))
    y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=256)
    layers = [nl.layers.Dense(16, "tanh"), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    model.compile("adam", "mse")
    for trained in (False, True):
        if trained:
            model.fit(x, y, epochs=150, verbose=0)
            assert model.evaluate(x, y, verbose=0) < 0.1
        model.compile(optimizer, "mse")
        curve = nl.find_learning_rate(model, x, y, batch_size=batch_size)
        assert 0.01 < curve.diverged_at < 10
        assert 1e-5 < curve.suggestion < 0.5
        small = curve.rates < 1e-6  # which change nothing
        np.testing.assert_allclose(curve.smoothed[small], curve.smoothed[0], rtol=1e-2)
        assert curve.losses[small].std() > 0.1 * curve.losses[small].mean()


def test_smoothed_is_the_mean_at_the_start_plus_what_changed():
    """With rates that change nothing, only the mean loss of the batches at the start is left."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = nl.Sequential([nl.layers.Dense(1), nl.layers.Dropout(0.5)], seed=0)
    model.compile("sgd", "mse")
    curve = nl.find_learning_rate(model, x, x.sum(axis=1), 1e-30, 1e-29, steps=10, batch_size=6)
    assert np.unique(curve.losses).size == 10
    np.testing.assert_allclose(curve.smoothed, curve.losses.mean())
    assert curve.suggestion is None


def test_a_batch_that_is_much_harder_does_not_end_it():
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = x.sum(axis=1)
    y[55] = 1000

    def batches():
        yield from ((x[i : i + 1], y[i : i + 1]) for i in range(60))

    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    curve = nl.find_learning_rate(model, batches, None, 1e-30, 1e-29, steps=60)
    assert curve.reason == "all 60 rates were tried"
    assert curve.losses.argmax() == 55
