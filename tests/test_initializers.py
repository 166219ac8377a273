"""Initializers: the variance of each, against its formula."""

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.initializers.scaling import fans

IN, OUT = 300, 500
# Standard deviation of N(0, 1) cut off at 2, by scipy.stats.truncnorm(-2, 2).std().
CUT = 0.8796256610342398
VARIANCES = {
    "RandomNormal(stddev=0.1)": 0.01,
    "RandomUniform(-0.3, 0.3)": 0.09 / 3,
    "TruncatedNormal(stddev=0.1)": 0.01 * CUT**2,
    "VarianceScaling()": 1 / IN,
    "VarianceScaling(3.0, 'fan_out', 'uniform')": 3 / OUT,
    "VarianceScaling(2.0, 'fan_avg', 'untruncated_normal')": 2 * 2 / (IN + OUT),
    "GlorotUniform()": 2 / (IN + OUT),
    "GlorotNormal()": 2 / (IN + OUT),
    "HeUniform()": 2 / IN,
    "HeNormal()": 2 / IN,
    "LecunUniform()": 1 / IN,
    "LecunNormal()": 1 / IN,
    "Orthogonal()": 1 / OUT,
    "Orthogonal(gain=2.0)": 4 / OUT,
    "Constant(0.5)": 0,
    "Zeros()": 0,
    "Ones()": 0,
}


@pytest.mark.parametrize("code", VARIANCES)
def test_variance(code):
    values = np.empty((IN, OUT))
    eval(f"nl.initializers.{code}").fill(values, np.random.default_rng(0))
    # The relative error of a variance from 150,000 draws is at most sqrt(2 / 150,000) = 0.4 %.
    assert values.var() == pytest.approx(VARIANCES[code], rel=0.015)
    if "Constant" not in code and "Ones" not in code:
        assert abs(values.mean()) < 4 * math.sqrt(max(VARIANCES[code], 1e-12) / values.size)


def test_truncation_at_two_sigma():
    values = nl.initializers.TruncatedNormal(stddev=1.0, seed=0)((100, 100), "float64")
    assert 1.9 < np.abs(values).max() <= 2


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (2, 3, 4)])
def test_orthogonal(shape):
    q = nl.initializers.Orthogonal(seed=0)(shape, "float64").reshape(-1, shape[-1])
    product = q @ q.T if len(q) <= shape[-1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_constants():
    np.testing.assert_array_equal(nl.initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    assert (nl.initializers.Constant(0.5)((3,)) == 0.5).all()


def test_a_seed_of_its_own_wins_over_the_model():
    def kernel(seed, model_seed):
        layer = nl.layers.Dense(3, kernel_initializer=nl.initializers.HeNormal(seed=seed))
        model = nl.Sequential([nl.layers.Input((4,)), layer], seed=model_seed)
        return model.layers[0].kernel.tobytes()

    assert kernel(7, 0) == kernel(7, 1)
    assert kernel(None, 0) == kernel(None, 0) != kernel(None, 1)


def test_float32_and_float64_start_alike():
    models = [
        nl.Sequential([nl.layers.Input((4,)), nl.layers.Dense(3)], seed=0, dtype=dtype)
        for dtype in ("float32", "float64")
    ]
    a, b = (m.parameters.values for m in models)
    np.testing.assert_array_equal(a, b.astype(np.float32))


def test_fans_of_a_convolution():
    assert fans((3, 3, 16, 32)) == (9 * 16, 9 * 32)
    assert fans((7,)) == (7, 7)
