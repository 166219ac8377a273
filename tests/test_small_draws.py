"""Draws of one element, and of sizes around those that are drawn at a time."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.random import keep_mask

INITIALIZERS = nl.initializers


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 32767, 32768, 32769, 65536, 65541])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.Philox])
def test_a_mask_is_16_bits_an_entry(bits, size):
    out = np.zeros(size, bool)
    keep_mask(np.random.Generator(bits(3)), 20_000, out)
    words = bits(3).random_raw(-(-size // 4)) if size else np.zeros(0, np.uint64)
    np.testing.assert_array_equal(out, words.view(np.uint16)[:size] >= 20_000)


def test_the_ends_of_the_probability():
    rng = np.random.default_rng(0)
    for shape in ((1,), (1, 1), (3, 5)):
        out = np.zeros(shape, bool)
        keep_mask(rng, 0, out)
        assert out.all()
        keep_mask(rng, 65_536, out)
        assert not out.any()


def test_single_draws_of_a_dropout_have_its_rate():
    layer = nl.layers.Dropout(0.25, seed=0)
    layer.build((None, 1))
    x = np.ones((1, 1), np.float32)
    drawn = np.array([layer.forward(x, training=True).item() for _ in range(4000)])
    assert set(drawn.tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((drawn == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


# Standard deviation of each, drawn one by one: of a shape (1, 1) both fans are 1.
DRAWS = {
    "RandomNormal()": (0.05, np.inf),
    "RandomUniform()": (0.05 / np.sqrt(3), 0.05),
    "TruncatedNormal()": (0.05 * 0.8796256610342398, 0.1),
    "GlorotUniform()": (1.0, np.sqrt(3)),
    "GlorotNormal()": (1.0, 2 / 0.8796256610342398),
    "HeUniform()": (np.sqrt(2), np.sqrt(6)),
    "HeNormal()": (np.sqrt(2), 2 * np.sqrt(2) / 0.8796256610342398),
    "LecunUniform()": (1.0, np.sqrt(3)),
    "LecunNormal()": (1.0, 2 / 0.8796256610342398),
    "VarianceScaling(2.0, 'fan_avg', 'untruncated_normal')": (np.sqrt(2), np.inf),
    "Orthogonal()": (1.0, 1 + 1e-12),
}


@pytest.mark.parametrize("code", DRAWS)
def test_initial_values_one_by_one(code):
    stddev, largest = DRAWS[code]
    rng, count = np.random.default_rng(0), 4000
    initializer, out = eval(f"INITIALIZERS.{code}"), np.empty((1, 1))
    drawn = []
    for _ in range(count):
        initializer.fill(out, rng)
        drawn.append(out.item())
    assert len(set(drawn)) == (2 if code == "Orthogonal()" else count)
    assert np.abs(drawn).max() <= largest
    assert abs(np.mean(drawn)) < 4 * stddev / np.sqrt(count)
    assert np.std(drawn) == pytest.approx(stddev, rel=0.05)


@pytest.mark.parametrize("code", DRAWS)
def test_an_initializer_with_a_seed_draws_the_same_again(code):
    name, _, rest = code.partition("(")
    arguments = f"{rest[:-1]}, seed=3" if rest[:-1] else "seed=3"
    initializer = eval(f"INITIALIZERS.{name}({arguments})")
    first = initializer((2, 3), "float64")
    np.testing.assert_array_equal(first, initializer((2, 3), "float64"))
    assert initializer((2, 3)).dtype == np.float32
    np.testing.assert_array_equal(initializer((2, 3)), first.astype(np.float32))
    assert np.any(eval(f"INITIALIZERS.{code}")((2, 3), "float64") != first)
