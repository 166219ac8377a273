"""L-BFGS over the flat vector, held against closed forms and SciPy's own test functions."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, NonFiniteError

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3 + 0.1 * RNG.normal(size=(40, 1))


def linear(l2=0.0, **options):
    regularizer = nl.regularizers.L2(l2) if l2 else None
    model = nl.Sequential(
        [L.Dense(1, kernel_regularizer=regularizer)], seed=0, dtype="float64", **options
    )
    model.compile(loss="mse")
    return model


def test_linear_regression_ends_at_the_closed_form():
    model = linear()
    history = model.fit_lbfgs(X, Y, gradient_tolerance=1e-10, loss_tolerance=0, verbose=0)
    best = np.linalg.lstsq(np.c_[X, np.ones(40)], Y, rcond=None)[0]
    np.testing.assert_allclose(model.layers[0].kernel, best[:3], atol=1e-8)
    np.testing.assert_allclose(model.layers[0].bias, best[3], atol=1e-8)
    assert history.lbfgs.converged
    assert history.lbfgs.iterations == len(history.epoch) < 20
    assert history.lbfgs.evaluations >= history.lbfgs.iterations
    losses = history.history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-12)
    assert history.history["grad_norm"][-1] < 1e-9


def test_ridge_regression_ends_at_the_closed_form():
    # Σ(x w - y)² / n + l w²  is smallest at  (XᵀX / n + l I)⁻¹ Xᵀ y / n, for centred data.
    x, y = X - X.mean(0), Y - Y.mean()
    model = linear(l2=0.3)
    model.fit_lbfgs(x, y, gradient_tolerance=1e-10, loss_tolerance=0, verbose=0)
    best = np.linalg.solve(x.T @ x / 40 + 0.3 * np.eye(3), x.T @ y / 40)
    np.testing.assert_allclose(model.layers[0].kernel, best, atol=1e-8)


def test_frozen_weights_stay_and_the_others_are_best_for_them():
    model = linear()
    model.pop()
    model.add(L.Dense(2, trainable=False))
    model.add(L.Dense(1))
    model.build((None, 3))
    frozen = [w.tobytes() for w in model.layers[0].weights]
    model.fit_lbfgs(X, Y, gradient_tolerance=1e-10, loss_tolerance=0, verbose=0)
    assert [w.tobytes() for w in model.layers[0].weights] == frozen
    h = np.c_[model.layers[0].forward(X), np.ones(40)]
    best = np.linalg.lstsq(h, Y, rcond=None)[0]
    np.testing.assert_allclose(model.layers[1].kernel, best[:2], atol=1e-7)


def test_float32_validation_metrics_weights_and_callbacks():
    model = nl.Sequential([L.Dense(8, "tanh"), L.Dense(2, "softmax")], seed=0)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    y = (Y[:, 0] > 0).astype(int)
    seen = []
    stop = nl.callbacks.Callback()

    class Stop(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs["loss"], self.model.get_weights()))
            self.model.stop_training = epoch == 4

    history = model.fit_lbfgs(
        X, y, callbacks=[Stop(), stop], validation_data=(X[:9], y[:9]), verbose=0
    )
    assert [epoch for epoch, *_ in seen] == history.epoch == [0, 1, 2, 3, 4]
    assert set(history.history) == {"loss", "accuracy", "grad_norm", "val_loss", "val_accuracy"}
    for a, b in zip(seen[-1][2], model.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    loss, accuracy = model.evaluate(X, y, verbose=0)
    assert loss == pytest.approx(history.history["loss"][-1], rel=1e-6)
    assert accuracy == pytest.approx(history.history["accuracy"][-1])
    assert not history.lbfgs.converged


def test_an_error_in_a_callback_leaves_the_last_accepted_weights():
    model = linear()
    kept = []

    class Fail(nl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.parameters.values.copy())
            if epoch == 2:
                raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        model.fit_lbfgs(X, Y, callbacks=Fail(), verbose=0)
    np.testing.assert_array_equal(model.parameters.values, kept[-1])


def test_sample_weights_count():
    model = linear()
    weight = np.r_[np.ones(20), np.zeros(20)]
    model.fit_lbfgs(
        X, Y, sample_weight=weight, gradient_tolerance=1e-10, loss_tolerance=0, verbose=0
    )
    best = np.linalg.lstsq(np.c_[X[:20], np.ones(20)], Y[:20], rcond=None)[0]
    np.testing.assert_allclose(model.layers[0].kernel, best[:3], atol=1e-7)


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (lambda: L.Dropout(0.5), "'dropout'.*random numbers"),
        (lambda: L.Residual([L.GaussianNoise(0.1)]), "'residual/gaussian_noise'.*random"),
        (lambda: L.Dense(3, kernel_constraint="non_neg"), "'dense/kernel'.*NonNeg"),
    ],
)
def test_what_a_line_search_can_not_work_with(layer, match):
    model = nl.Sequential([layer(), L.Dense(1, name="last")])
    model.compile(loss="mse")
    model.build((None, 3))
    before = model.parameters.values.tobytes()
    with pytest.raises(ConfigurationError, match=match):
        model.fit_lbfgs(X, Y, verbose=0)
    assert model.parameters.values.tobytes() == before


@pytest.mark.parametrize(
    "wrong", [{"max_iterations": 0}, {"history_size": 0}, {"gradient_tolerance": -1.0}]
)
def test_bad_arguments(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        linear().fit_lbfgs(X, Y, **wrong)


def test_what_it_can_not_start_from():
    model = nl.Sequential([L.Dense(3, "tanh"), L.BatchNormalization(), L.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(ConfigurationError, match=r"'batch_normalization'.*moving averages"):
        model.fit_lbfgs(X, Y, verbose=0)
    model.layers[1].trainable = False  # its averages stand still: fine
    assert len(model.fit_lbfgs(X, Y, 3, verbose=0).epoch) == 3
    model.trainable = False
    with pytest.raises(ConfigurationError, match="all layers are frozen"):
        model.fit_lbfgs(X, Y, verbose=0)
    model = linear()
    with pytest.raises(ConfigurationError, match="part of each batch"):
        model.fit_lbfgs(iter([(X, Y)]), Y, verbose=0)
    with pytest.raises(ConfigurationError, match="max_line_search must be an integer"):
        model.fit_lbfgs(X, Y, max_line_search="20", verbose=0)
    model.build((None, 3))
    model.layers[0].kernel[...] = 1e300
    before = model.parameters.values.tobytes()
    with pytest.raises(NonFiniteError, match="first weights"), np.errstate(all="ignore"):
        model.fit_lbfgs(X, Y, verbose=0)
    assert model.parameters.values.tobytes() == before


def test_a_line_search_that_fails_says_why():
    class Uphill(nl.losses.MeanSquaredError):
        def backward_samples(self, dl):
            return -super().backward_samples(dl)  # a gradient that is wrong on purpose

    model = nl.Sequential([L.Dense(1)], seed=0)
    model.compile(loss=Uphill())
    model.build((None, 3))
    before = model.parameters.values.tobytes()
    history = model.fit_lbfgs(X, Y, verbose=0)
    assert not history.lbfgs.converged
    assert "no lower loss" in history.lbfgs.message
    assert "(float32), or a gradient is wrong" in history.lbfgs.message
    assert model.parameters.values.tobytes() == before  # no step was accepted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 1e3, 1e6])
def test_targets_in_any_unit(size, dtype):
    model = nl.Sequential([L.Dense(1)], seed=0, dtype=dtype)
    model.compile(loss="mse")
    history = model.fit_lbfgs(X, Y * size, verbose=0)
    assert history.lbfgs.converged
    _, residuals, *_ = np.linalg.lstsq(np.c_[X, np.ones(40)], Y, rcond=None)
    loss = model.evaluate(X, Y * size, verbose=0)
    assert loss == pytest.approx(residuals[0] / 40 * size**2, rel=1e-4)
    assert len(history.epoch) < 20
    weights = model.parameters.values.copy()
    again = model.fit_lbfgs(X, Y * size, verbose=0)
    # Whether the line search finds a lower loss in the last digit depends on the machine's BLAS.
    at_the_end = dtype == "float32" and size == 1e6 and not again.lbfgs.iterations
    assert again.lbfgs.converged or at_the_end
    np.testing.assert_allclose(model.parameters.values, weights, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_loss_that_goes_to_zero_ends_at_rounding(size, dtype):
    model = nl.Sequential([L.Dense(1)], seed=0, dtype=dtype)
    model.compile(loss="mse")
    y = (X @ [[1.0], [-2.0], [0.5]] + 0.3) * size
    result = model.fit_lbfgs(X, y, verbose=0).lbfgs
    assert result.converged
    assert model.evaluate(X, y, verbose=0) < (10 * np.finfo(dtype).eps) ** 2 * y.var()


def test_weights_that_are_good_enough_stay():
    model = linear()
    model.fit_lbfgs(X, Y, gradient_tolerance=1e-8, loss_tolerance=0, verbose=0)
    weights = model.parameters.values.tobytes()
    history = model.fit_lbfgs(X, Y, verbose=0)
    assert (history.lbfgs.iterations, history.lbfgs.evaluations) == (0, 1)
    assert history.lbfgs.converged
    assert "gradient_tolerance" in history.lbfgs.message
    assert model.parameters.values.tobytes() == weights


def test_each_tolerance_ends_a_run():
    by_gradient, by_loss, by_none = linear(), linear(), linear()
    result = by_gradient.fit_lbfgs(X, Y, gradient_tolerance=0.1, loss_tolerance=0, verbose=0).lbfgs
    assert "gradient_tolerance" in result.message
    options = {"gradient_tolerance": 0, "loss_tolerance": 0.1}
    history = by_loss.fit_lbfgs(X, Y, **options, verbose=0)
    assert "loss_tolerance" in history.lbfgs.message
    *_, before, last = history.history["loss"]
    assert 0 <= before - last <= 0.1 * before
    result = by_none.fit_lbfgs(X, Y, 3, gradient_tolerance=0, loss_tolerance=0, verbose=0).lbfgs
    assert not result.converged
    assert "LIMIT" in result.message


def test_a_loss_that_is_infinite_at_first_alone():
    class Late(nl.losses.MeanSquaredError):
        calls = 0

        def forward_samples(self, y_true, y_pred):
            self.calls += 1
            return super().forward_samples(y_true, y_pred) * (np.inf if self.calls == 1 else 1)

    model = linear()
    model.compile(loss=Late())
    model.build((None, 3))
    before = model.get_weights()
    with pytest.raises(NonFiniteError, match="the loss of the first weights is inf"):
        model.fit_lbfgs(X, Y, verbose=0)
    assert model.loss.calls == 1
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
