"""sample_logits: temperature, top-k, top-p."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

P = np.array([0.05, 0.5, 0.15, 0.3])
ROWS = np.log(np.tile(P, (40_000, 1)))


def shares(**arguments):
    draws = nl.utils.sample_logits(ROWS, seed=1, **arguments)
    assert draws.shape == (40_000,)
    return np.bincount(draws, minlength=4) / len(draws)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, P),
        ({"temperature": 0.5}, P**2 / (P**2).sum()),
        ({"top_k": 2}, [0, 0.625, 0, 0.375]),
        ({"top_k": 9}, P),
        ({"top_p": 0.5}, [0, 1, 0, 0]),  # the first class has it alone
        ({"top_p": 0.51}, [0, 0.625, 0, 0.375]),
        ({"top_p": 1.0}, P),
        ({"top_p": 1e-9}, [0, 1, 0, 0]),
        ({"top_k": 3, "top_p": 0.6}, [0, 0.625, 0, 0.375]),  # of three: 0.526 and 0.316
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"temperature": 1e-12}, [0, 1, 0, 0]),
    ],
)
def test_shares_of_many_draws(arguments, expected):
    np.testing.assert_allclose(shares(**arguments), expected, atol=0.012)
    assert ((shares(**arguments) > 0) == (np.array(expected) > 0)).all()


def test_seeds_and_shapes():
    logits = np.zeros((2, 3, 7), np.float32)
    draws = nl.utils.sample_logits(logits, seed=3)
    assert draws.shape == (2, 3)
    np.testing.assert_array_equal(draws, nl.utils.sample_logits(logits, seed=3))
    seed = nl.random.SeedGenerator(3)
    many = [nl.utils.sample_logits(logits, seed=seed) for _ in range(5)]
    np.testing.assert_array_equal(many[0], draws)
    assert any((its != draws).any() for its in many[1:])
    assert nl.utils.sample_logits(logits[0, 0], seed=3).shape == ()
    assert nl.utils.sample_logits([[5.0, 5.0, 1.0]], top_k=1, seed=0).tolist() == [0]  # a tie
    assert nl.utils.sample_logits([[-np.inf, 0.0]], seed=0).tolist() == [1]
    assert nl.utils.sample_logits([[900.0, -900.0]], seed=0).tolist() == [0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"logits": 3.0}, "logits must have an axis of classes"),
        ({"logits": [np.nan, 1.0]}, "logits"),
        ({"logits": ["a"]}, "logits"),
    ],
)
def test_refused(arguments, match):
    given = {"logits": [0.0, 1.0], **arguments}
    with pytest.raises((ConfigurationError, DataError, ShapeError), match=match):
        nl.utils.sample_logits(**given)
