"""A warning where the model's dtype does not tell apart what it is to learn from."""

import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.arrays.checks import warn_of_lost_digits
from tests.data.kinds import Lazy

RNG = np.random.default_rng(0)
T = 1_700_000_000 + np.arange(600)
Y = T - T.mean()
X = np.stack([RNG.normal(size=600), T], axis=1)


def make(dtype="float32", *first):
    model = nl.Sequential(
        [*first, nl.layers.Dense(1, kernel_initializer="zeros")], seed=0, dtype=dtype
    )
    model.compile(nl.optimizers.SGD(0.0), "mse")
    return model


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (X, Y, r"x holds numbers \(column 1\) that float32 does not .* up to 6\d, .* by 1.7e\+02"),
        (T[:, None], Y, "x holds numbers that float32"),
        (Y[:, None], T, r"y holds numbers that float32 .* Subtract their mean first, or make"),
        ([(X, Y)], None, r"x holds numbers \(column 1\)"),
        (Lazy(X), Y, r"x holds numbers \(column 1\)"),
    ],
    ids=["x", "integers", "y", "batches", "lazy"],
)
def test_fit_warns_of_digits_that_are_lost(x, y, found):
    with pytest.warns(UserWarning, match=found) as caught:
        make().fit(x, y, verbose=0, epochs=2)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=found.replace("fit", "fit_lbfgs")):
        make().fit_lbfgs(x, y, 1, verbose=0)


NOISE = np.where(RNG.random(600) > 0.5, 0.3, 0.1 + 0.2)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (RNG.normal(size=(600, 2)), Y),
        (RNG.integers(0, 256, (600, 3)), Y),
        (np.full((600, 1), 1 / 3), Y),  # a constant
        (NOISE[:, None], Y),
        (1e5 + RNG.normal(size=(600, 1)), Y),
        (X.astype(np.float32), Y),
        (RNG.normal(size=(600, 2)) * [1e-30, 1e30], Y),
    ],
    ids=["usual", "bytes", "constant", "rounding", "enough", "float32", "scales"],
)
def test_no_warning_where_nothing_is_lost(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().fit(x, y, verbose=0)


def test_no_warning_where_the_model_holds_them():
    norm = nl.layers.Normalization()
    norm.adapt(T[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("float64").fit(X, Y, verbose=0)
        make("float32", norm).fit(T[:, None], Y, verbose=0)


def test_behind_another_layer_the_digits_are_lost():
    norm = nl.layers.Normalization()
    norm.adapt(T[:, None])
    with pytest.warns(UserWarning, match="x holds numbers that float32"):
        make("float32", nl.layers.Flatten(), norm).fit(T[:, None], Y, verbose=0)


def test_class_numbers_are_no_floats():
    model = nl.Sequential([nl.layers.Dense(3, "softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(RNG.normal(size=(600, 2)), T % 3, verbose=0)


def test_what_is_no_array_of_numbers_passes():
    for values in (["a", "b"], [True, False], [1j, 2j], [None, 1], ["2020-01-01"]):
        assert warn_of_lost_digits("fit", "x", np.array(values), np.dtype("f4")) is None
    for values in ((X, Y), X.tolist(), None):
        assert warn_of_lost_digits("fit", "x", values, np.dtype("f4")) is None
