"""Constraints, held against Keras 3.15.1, and their place in an update."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

C = nl.constraints
W = [[3.0, 0.0, -0.5, 0.01], [4.0, 0.0, 1.2, -0.02], [-12.0, 0.0, 0.3, 0.02]]
# What keras.constraints gives for W in float32.
KERAS = [
    (
        C.MaxNorm(),
        [
            [0.4615385, 0.0, -0.49999997, 0.009999966],
            [0.61538464, 0.0, 1.1999999, -0.019999932],
            [-1.846154, 0.0, 0.29999998, 0.019999932],
        ],
    ),
    (
        C.MaxNorm(1.0, axis=1),
        [
            [0.98638856, 0.0, -0.16439809, 0.003287962],
            [0.95781523, 0.0, 0.28734457, -0.004789076],
            [-0.9996863, 0.0, 0.024992159, 0.001666144],
        ],
    ),
    (
        C.UnitNorm(),
        [
            [0.23076925, 0.0, -0.3747658, 0.3333322],
            [0.30769232, 0.0, 0.89943796, -0.6666644],
            [-0.923077, 0.0, 0.22485949, 0.6666644],
        ],
    ),
    (
        C.UnitNorm([0, 1]),
        [
            [2.2956285e-01, 0.0, -3.8260475e-02, 7.6520949e-04],
            [3.0608380e-01, 0.0, 9.1825143e-02, -1.5304190e-03],
            [-9.1825140e-01, 0.0, 2.2956286e-02, 1.5304190e-03],
        ],
    ),
    (C.NonNeg(), [[3.0, 0.0, 0.0, 0.01], [4.0, 0.0, 1.2, 0.0], [0.0, 0.0, 0.3, 0.02]]),
    (
        C.MinMaxNorm(0.5, 2.0, 0.75),
        [
            [1.0961539, 0.0, -0.49999997, 0.12749957],
            [1.4615384, 0.0, 1.1999999, -0.25499913],
            [-4.3846154, 0.0, 0.29999998, 0.25499913],
        ],
    ),
    (
        C.MinMaxNorm(),
        [
            [0.23076925, 0.0, -0.3747658, 0.009999966],
            [0.30769232, 0.0, 0.89943796, -0.019999932],
            [-0.923077, 0.0, 0.22485949, 0.019999932],
        ],
    ),
]


@pytest.mark.parametrize(("constraint", "expected"), KERAS, ids=lambda v: repr(v)[:40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(constraint, expected, dtype):
    w = np.array(W, dtype)
    constraint.apply(w)
    assert w.dtype == dtype
    # Keras shrinks weights that meet the constraint by 1e-7 / norm, 3e-6 of the last column.
    np.testing.assert_allclose(w, expected, rtol=4e-6)


def test_a_negative_axis_and_one_axis():
    for one, other, shape in [
        (C.MaxNorm(1.0, axis=-1), C.MaxNorm(1.0, axis=1), (3, 4)),
        (C.UnitNorm([-2, -1]), C.UnitNorm([0, 1]), (3, 4)),
        (C.UnitNorm(), C.UnitNorm(axis=(-1,)), (5,)),
    ]:
        a = np.random.default_rng(0).normal(size=shape)
        b = a.copy()
        one.apply(a)
        other.apply(b)
        np.testing.assert_array_equal(a, b)


def test_weights_that_meet_a_constraint_keep_their_bits():
    w = np.random.default_rng(0).uniform(0, 0.2, (6, 5)).astype("float32")
    before = w.tobytes()
    for constraint in (C.MaxNorm(1.0), C.NonNeg(), C.MinMaxNorm(0.0, 1.0), C.MinMaxNorm(rate=0.5)):
        for _ in range(3):
            constraint.apply(w)
        assert w.tobytes() == before


@pytest.mark.parametrize("size", [1e-30, 1e-4, 1e4, 1e30])
def test_extreme_weights(size):
    signs = np.array([[1, -1], [-1, 1], [1, 1]], "float32")
    w = (signs * size).astype("float32")
    C.MaxNorm(1.0).apply(w)
    np.testing.assert_allclose(w, signs * min(size, 1 / np.sqrt(3)), rtol=1e-3)
    w = (signs * size).astype("float32")
    C.MinMaxNorm(1e-35, 2.0).apply(w)
    np.testing.assert_allclose(w, signs * min(size, 2 / np.sqrt(3)), rtol=1e-3)
    w = np.zeros((3, 2), "float32")
    for constraint in (C.UnitNorm(), C.MinMaxNorm(1.0, 2.0), C.MaxNorm(0)):
        constraint.apply(w)
        assert not w.any()


def model(**options):
    layers = [nl.layers.Dense(6, "tanh", **options), nl.layers.Dense(2)]
    return nl.Sequential([nl.layers.Input((4,)), *layers], seed=0)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
def test_constraints_hold_after_every_update(optimizer):
    net = model(kernel_constraint=C.MaxNorm(0.4), bias_constraint="non_neg")
    net.compile(nl.optimizers.get(optimizer), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 2))
    start = net.layers[0].kernel.copy()
    assert np.linalg.norm(start, axis=0).max() > 0.4  # initial weights are left alone
    for _ in range(20):
        net.train_on_batch(x, y)
        assert np.linalg.norm(net.layers[0].kernel, axis=0).max() <= 0.4 + 1e-6
        assert net.layers[0].bias.min() >= 0
    assert net.layers[1].bias.min() < 0  # the other layer is free
    assert (net.layers[0].kernel != start).any()


def test_an_update_is_that_without_the_constraint_then_the_constraint():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 2))
    free, bound = model(), model(kernel_constraint="unit_norm")
    for net in (free, bound):
        net.compile(nl.optimizers.SGD(0.1), "mse")
        net.train_on_batch(x, y)
    expected = free.layers[0].kernel.copy()
    C.UnitNorm().apply(expected)
    np.testing.assert_array_equal(bound.layers[0].kernel, expected)
    np.testing.assert_array_equal(bound.layers[1].kernel, free.layers[1].kernel)


def test_frozen_weights_and_skipped_updates_are_left_alone():
    net = model(kernel_constraint=C.MaxNorm(0.1))
    net.layers[0].trainable = False
    before = net.layers[0].kernel.tobytes()
    net.compile("sgd", "mse")
    net.train_on_batch(np.ones((3, 4)), np.ones((3, 2)))
    assert net.layers[0].kernel.tobytes() == before
    net.layers[0].trainable = True
    optimizer = nl.optimizers.SGD(0.1, on_nonfinite="skip")
    net.parameters.gradients[...] = np.nan
    assert optimizer.step(net.parameters) is False
    assert net.layers[0].kernel.tobytes() == before
    net.parameters.gradients[...] = 0
    assert optimizer.step(net.parameters)
    assert np.linalg.norm(net.layers[0].kernel, axis=0).max() < 0.1 + 1e-6


def test_constraints_survive_configuration_and_copies():
    net = model(kernel_constraint=C.MinMaxNorm(0.1, 0.3, axis=[0]), bias_constraint="NonNeg")
    config = net.get_config()
    for other in (
        nl.Sequential.from_config(config),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
    ):
        assert other.get_config() == config
        names = [p.path for p in other.parameters.constrained]
        assert names == ["dense/kernel", "dense/bias"]


@pytest.mark.parametrize("name", ["MaxNorm", "max_norm", "UnitNorm", "unit_norm", "NonNeg"])
def test_names(name):
    assert type(C.get(name)).__name__.lower() == name.replace("_", "").lower()
    assert C.get(None) is None


def test_an_axis_that_is_not_there():
    with pytest.raises(ConfigurationError, match=r"'dense': bias has the shape \(3,\).*no axis 1"):
        nl.layers.Dense(3, bias_constraint=C.MaxNorm(axis=1)).build((None, 2))
    nl.layers.Dense(3, kernel_constraint=C.MaxNorm(axis=1)).build((None, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: C.MaxNorm(-1),
        lambda: C.MaxNorm(float("nan")),
        lambda: C.MaxNorm(axis=0.5),
        lambda: C.UnitNorm(axis=[]),
        lambda: C.UnitNorm(axis=[0, "a"]),
        lambda: C.MinMaxNorm(2.0, 1.0),
        lambda: C.MinMaxNorm(rate=1.5),
        lambda: C.get("max_nrom"),
        lambda: C.get(3),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ConfigurationError, match=r"(max_value|axis|rate|max_norm|constraint)"):
        make()


@pytest.mark.parametrize("constraint", [C.MaxNorm(0.1), C.NonNeg(), C.MinMaxNorm(), C.UnitNorm(1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_array_of_the_size_of_the_weights_is_made(constraint, dtype):
    w = np.random.default_rng(0).normal(size=(1024, 1024)).astype(dtype)
    constraint.apply(w)
    tracemalloc.start()
    try:
        constraint.apply(w)
        assert tracemalloc.get_traced_memory()[1] < w.nbytes / 16
    finally:
        tracemalloc.stop()


def test_the_slopes_of_prelu_can_be_constrained():
    model = nl.Sequential([nl.layers.PReLU(alpha_constraint="non_neg")], seed=0)
    model.compile(nl.optimizers.SGD(0.5), "mse")
    x = -np.ones((8, 3))
    model.fit(x, x * [-1, 1, 2], epochs=3, verbose=0)  # the best slopes are -1, 1 and 2
    alpha = model.layers[0].alpha
    assert alpha[0] == 0
    assert (alpha[1:] > 0.3).all()


@pytest.mark.parametrize(
    "make",
    [
        nl.layers.BatchNormalization,
        nl.layers.LayerNormalization,
        lambda **kw: nl.layers.GroupNormalization(1, **kw),
    ],
)
def test_gamma_and_beta_can_be_constrained(make):
    low = nl.constraints.MinMaxNorm(0.0, 0.5)
    layer = make(gamma_constraint="non_neg", beta_constraint=low)
    assert layer.get_config()["beta_constraint"]["class_name"] == "MinMaxNorm"
    model = nl.Sequential([layer], seed=0)
    model.compile(nl.optimizers.SGD(1.0), "mse")
    x = np.random.default_rng(0).normal(size=(32, 3))
    model.fit(x, 9 - 9 * x, epochs=4, verbose=0)  # without them gamma is -9 or so, beta 9
    assert (layer.gamma == 0).all()
    assert 0.4 < np.linalg.norm(layer.beta) < 0.5001


def test_weights_that_learn_at_no_rate_keep_their_bits_under_a_constraint():
    layer = nl.layers.Dense(3, kernel_constraint="non_neg", learning_rate_multiplier=0)
    model = nl.Sequential([layer, nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build((None, 4))
    before = layer.kernel.tobytes()
    assert (layer.kernel < 0).any()
    model.fit(np.ones((8, 4)), np.ones(8), verbose=0)
    assert layer.kernel.tobytes() == before
