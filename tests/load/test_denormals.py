"""What decays for ever must not end in denormal numbers, which many processors are slow with.

How much slower an update gets is measured by ``benchmarks/denormals.py``; here is what does not
depend on the machine: no such numbers are left.
"""

import numpy as np
import pytest

import netlayers as nl
from netlayers.optimizers import base
from netlayers.registry import registered

OPTIMIZERS = sorted(
    {rule for rule in registered("optimizer").values() if rule.__module__.startswith("netlayers")},
    key=lambda rule: rule.__name__,
)
SLOW_DECAY = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.9, "centered": True}}


def weights(dtype):
    layer = nl.layers.Dense(10, use_bias=False, dtype=dtype)
    layer.build((None, 20))
    return layer.parameters


def denormals(array):
    return np.count_nonzero((array != 0) & (np.abs(array) < np.finfo(array.dtype).tiny))


@pytest.mark.parametrize("rule", OPTIMIZERS, ids=lambda rule: rule.__name__)
def test_no_optimizer_keeps_denormal_numbers_of_dead_units(rule):
    optimizer = rule(**rule.examples()[0], **SLOW_DECAY.get(rule.__name__, {}), use_ema=True)
    parameters = weights("float32")
    parameters.gradients[...] = np.random.default_rng(0).normal(0, 1e-16, parameters.values.size)
    for _ in range(10):
        optimizer.step(parameters)
    assert any(np.any(v) for v in optimizer.state.values())
    parameters.gradients[...] = 0
    for _ in range(3000):
        optimizer.step(parameters)
    assert optimizer.iterations % base.FLUSH_EVERY > 0  # also between two of the rinsings
    for name, vector in optimizer.state.items():
        assert not denormals(vector), name
    assert not denormals(parameters.values)


def test_float64_too():
    optimizer, parameters = nl.optimizers.SGD(momentum=0.9), weights("float64")
    parameters.gradients[...] = 1e-280
    optimizer.step(parameters)
    parameters.gradients[...] = 0
    for _ in range(1000):
        optimizer.step(parameters)
    assert not denormals(optimizer.state["momentum"])


def test_weights_that_decay_without_a_gradient():
    optimizer, parameters = nl.optimizers.SGD(1.0, weight_decay=0.1), weights("float32")
    for _ in range(1010):
        optimizer.step(parameters)
    assert not denormals(parameters.values)


@pytest.mark.parametrize("rule", OPTIMIZERS, ids=lambda rule: rule.__name__)
def test_ordinary_training_is_the_same_to_the_bit(rule, monkeypatch):
    def trained():
        model = nl.Sequential([nl.layers.Dense(16, "relu"), nl.layers.Dense(1)], seed=0)
        model.compile(rule(**rule.examples()[0], **SLOW_DECAY.get(rule.__name__, {})), "mse")
        x = np.random.default_rng(0).normal(size=(64, 4))
        model.fit(x, x[:, :1] ** 2, batch_size=8, epochs=40, verbose=0)
        assert model.optimizer.iterations == 320  # the vectors were rinsed three times
        return model.parameters.values.copy()

    with_it = trained()
    monkeypatch.setattr(base, "FLUSH_EVERY", 10**9)
    np.testing.assert_array_equal(trained(), with_it)


def test_values_that_are_not_finite_stay_what_they_are():
    optimizer = nl.optimizers.SGD(momentum=0.9, on_nonfinite="ignore")
    parameters = weights("float32")
    optimizer.step(parameters)
    momentum = optimizer.state["momentum"]
    momentum[:4] = [np.nan, np.inf, -np.inf, 1e-33]
    optimizer._layout.flush(decays=False)
    np.testing.assert_array_equal(momentum[:4], [np.nan, np.inf, -np.inf, 0])


def test_the_moving_statistics_of_a_feature_that_died():
    layer = nl.layers.BatchNormalization(momentum=0.7)
    rng = np.random.default_rng(0)
    layer.forward(rng.normal(size=(8, 3)).astype(np.float32) + 1, training=True)
    for _ in range(300):
        layer.forward(np.zeros((8, 3), np.float32), training=True)
    assert not denormals(layer.moving_mean)
    assert not denormals(layer.moving_variance)


def test_lamb_scales_a_direction_that_has_almost_vanished():
    # |w| / |r| is beyond float32 here; the step is lr |w| long all the same.
    optimizer, parameters = nl.optimizers.Lamb(0.1), weights("float32")
    optimizer.step(parameters)
    optimizer.state["m"][...] = 1e-42
    optimizer.state["v"][...] = 100
    before = parameters.values.copy()
    optimizer.step(parameters)
    length = np.linalg.norm(parameters.values - before)
    np.testing.assert_allclose(length, 0.1 * np.linalg.norm(before), rtol=1e-5)
