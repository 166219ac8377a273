"""Limits of the optimizers whose rule depends on the shape of a parameter, and of Ftrl."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError
from netlayers.optimizers import schedules
from netlayers.registry import names_of_a_file


class Weight(nl.layers.Layer):
    """One weight."""

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.shape = shape

    def build(self, input_shape):
        self.add_weight("kernel", self.shape, "normal")


def after(optimizer, start, *gradients, dtype="float64"):
    """Return the weight after some updates."""
    start = np.asarray(start, dtype)
    layer = Weight(start.shape, dtype=dtype)
    layer.build((None, 1))
    layer.set_weights([start])
    for g in gradients:
        layer.parameters.gradients[...] = np.asarray(g, dtype).reshape(-1)
        optimizer.step(layer.parameters)
    return layer.kernel.copy()


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Ftrl


@pytest.mark.parametrize("start", [0.0, 0.1])
def test_ftrl_sets_weights_without_gradient_to_zero(start):
    optimizer = opt.Ftrl(0.5, initial_accumulator_value=start)
    assert after(optimizer, [1.0, 2.0], [0.0, 0.1]).tolist()[0] == 0


def test_ftrl_makes_weights_exactly_zero():
    g = numbers(1000)
    few = after(opt.Ftrl(0.5, l1_regularization_strength=1.0), np.zeros(1000), g)
    np.testing.assert_array_equal(few == 0, np.abs(g) <= 1)


def test_an_update_of_ftrl_with_the_rate_zero_changes_nothing():
    start, g = numbers(5), numbers(5, seed=1)
    warmup = schedules.LinearWarmup(schedules.ExponentialDecay(0.5, 10, 1.0), 2, 0.0)
    np.testing.assert_array_equal(after(opt.Ftrl(warmup), start, g), start)
    assert (after(opt.Ftrl(warmup), start, g, g) != start).all()


@pytest.mark.parametrize("power", [0.0, -0.5, -1.0])
def test_powers_of_ftrl(power):
    w = after(opt.Ftrl(0.1, power), numbers(4), *[numbers(4)] * 3)
    assert np.isfinite(w).all()


# Adafactor


def test_adafactor_keeps_rows_and_columns_of_the_squares():
    optimizer, g = opt.Adafactor(0.1), numbers(3, 5)
    after(optimizer, numbers(3, 5), g)
    kept = optimizer.state["v"]
    np.testing.assert_allclose(kept[:3], (g**2).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(kept[3:8], (g**2).mean(axis=0), rtol=1e-12)
    assert not kept[8:].any()


def test_a_matrix_of_one_row_is_a_vector():
    start, g = numbers(6), [numbers(6, seed=s) for s in (1, 2, 3)]
    flat = after(opt.Adafactor(0.1), start, *g)
    for shape in ((1, 6), (6, 1)):
        same = after(opt.Adafactor(0.1), start.reshape(shape), *g)
        np.testing.assert_allclose(same.reshape(-1), flat, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_without_gradient_stays(dtype):
    g = numbers(3, 4) * 1e15
    g[1] = 0
    start = numbers(3, 4).astype(dtype)
    w = after(opt.Adafactor(0.1), start, g, g, dtype=dtype)
    np.testing.assert_array_equal(w[1], start[1])
    assert (w[[0, 2]] != start[[0, 2]]).all()


def test_an_epsilon_that_is_zero_in_the_dtype():
    with pytest.raises(ConfigurationError, match="Adafactor: epsilon_1=1e-50 is too small for f"):
        after(opt.Adafactor(epsilon_1=1e-50), [1.0], [0.1], dtype="float32")


# Muon


@pytest.mark.parametrize("shape", [(3, 3), (4, 7), (7, 4), (1, 5), (5, 1)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_step_of_muon_is_nearly_orthogonal(shape, scale):
    g = numbers(*shape) * scale
    optimizer = opt.Muon(1.0, weight_decay=None, rms_rate=None, ns_steps=8, nesterov=False)
    step = -after(optimizer, np.zeros(shape), g)
    if scale < 1:
        assert np.abs(step).max() < 1e-10  # the gradient is 0 up to rounding
        return
    sizes = np.linalg.svd(step, compute_uv=False)
    assert (sizes > 0.6).all()
    assert (sizes < 1.3).all()
    u, _, v = np.linalg.svd(g, full_matrices=False)
    assert np.vdot(step, u @ v) > 0.8 * min(shape)


def test_which_weights_adam_updates():
    layers = [nl.layers.Dense(3, name="first"), nl.layers.Dense(3, name="embedding_of_words")]
    model = nl.Sequential([*layers, nl.layers.Dense(1, name="last")], seed=0)
    model.build((None, 2))

    def by_adam(**options):
        muon = opt.Muon(**options)
        return [p.path for p in model.parameters.tensors if muon.uses_adam(p)]

    vectors = ["first/bias", "embedding_of_words/bias", "last/bias"]
    assert by_adam(exclude_embeddings=False) == vectors
    assert set(by_adam()) == {*vectors, "embedding_of_words/kernel"}
    some = by_adam(exclude_layers=["^last/", "fir"])
    assert set(some) == {p.path for p in model.parameters.tensors}


def test_muon_excludes_from_both_decays():
    optimizer = opt.Muon(0.1, weight_decay=0.5, adam_weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    for start in (np.ones((2, 2)), np.ones(2)):
        optimizer = opt.Muon(0.1, weight_decay=0.5, adam_weight_decay=0.5)
        decayed = after(optimizer, start, np.zeros(start.shape))
        np.testing.assert_allclose(decayed, 0.95 * start, rtol=1e-12)
        optimizer = opt.Muon(0.1, weight_decay=0.5, adam_weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["kernel"])
        np.testing.assert_array_equal(after(optimizer, start, np.zeros(start.shape)), start)


# Names of weights


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda names: opt.Muon(exclude_layers=names), "exclude_layers"),
        (
            lambda names: opt.LARS(exclude_from_layer_adaptation=names),
            "exclude_from_layer_adaptation",
        ),
    ],
)
def test_patterns(make, argument):
    for wrong in ("bias", [3], ["("]):
        with pytest.raises(ConfigurationError, match=f"{argument} must be a list of regular"):
            make(wrong)
    slow = ["(a+)+$", "(a|a)*b", "a*a*a*a*b", "x" * 201]
    for pattern in slow:
        make([pattern])
        with names_of_a_file(), pytest.raises(ConfigurationError, match="accepted from a file"):
            make([pattern])
    with names_of_a_file():
        make(["^dense_(1|2)/.*kernel", "bias$"])
