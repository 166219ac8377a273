"""``docs/from_scikit_learn.md``: linear models of scikit-learn are networks of one layer."""

import re
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

linear = pytest.importorskip("sklearn.linear_model")
PAGE = (Path(__file__).parents[2] / "docs" / "from_scikit_learn.md").read_text(encoding="utf-8")
L2 = nl.regularizers.L2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
NUMBERS = X @ [1.0, -2.0, 0.5] + RNG.normal(size=60)
EXACT = {"tol": 1e-10, "max_iter": 1000}


@pytest.mark.parametrize(
    ("reference", "layer", "loss", "y"),
    [
        (linear.LinearRegression(), {}, "mse", NUMBERS),
        (linear.Ridge(2.0), {"kernel_regularizer": L2(2 / 60)}, "mse", NUMBERS),
        (
            linear.LogisticRegression(C=0.5, **EXACT),
            {"kernel_regularizer": L2(1 / (2 * 0.5 * 60))},
            nl.losses.BinaryCrossentropy(from_logits=True),
            (NUMBERS > 0).astype(int),
        ),
        (
            linear.LogisticRegression(C=0.5, **EXACT),
            {"units": 3, "kernel_regularizer": L2(1 / (2 * 0.5 * 60))},
            nl.losses.SparseCategoricalCrossentropy(from_logits=True),
            (NUMBERS > 0).astype(int) + (NUMBERS > 1),
        ),
        (
            linear.PoissonRegressor(alpha=0, **EXACT),
            {"activation": "exponential"},
            nl.losses.Poisson(),
            RNG.poisson(np.exp(NUMBERS / 3)),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_linear_models(reference, layer, loss, y):
    model = nl.Sequential([nl.layers.Dense(**{"units": 1, **layer})], dtype="float64", seed=0)
    model.compile(loss=loss)
    model.fit_lbfgs(X, y, max_iterations=500, gradient_tolerance=1e-9, loss_tolerance=0, verbose=0)
    expected = np.atleast_2d(reference.fit(X, y).coef_).T
    np.testing.assert_allclose(model.layers[0].kernel, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("reference", "regularizer", "loss"),
    [
        (linear.Lasso(0.3), nl.regularizers.L1(0.6), "mse"),
        (linear.QuantileRegressor(quantile=0.9, alpha=0), None, nl.losses.Quantile([0.9])),
    ],
    ids=["Lasso", "QuantileRegressor"],
)
def test_linear_models_that_are_not_smooth(reference, regularizer, loss):
    layer = nl.layers.Dense(1, kernel_regularizer=regularizer)
    model = nl.Sequential([layer], dtype="float64", seed=0)
    rate = nl.optimizers.schedules.CosineDecay(0.1, 1500)
    model.compile(nl.optimizers.Adam(rate), loss)
    model.fit(X, NUMBERS[:, None], batch_size=60, epochs=1500, verbose=0)
    expected = reference.fit(X, NUMBERS).coef_
    np.testing.assert_allclose(layer.kernel[:, 0], expected, atol=5e-3)


def test_what_the_page_names_is_there():
    known = {**vars(nl), **vars(nl.losses), **vars(nl.layers), **vars(nl.regularizers)}
    known |= {
        **vars(nl.callbacks),
        "layers": nl.layers,
        "utils": nl.utils,
        "callbacks": nl.callbacks,
        "nl": nl,
    }
    known |= {"alpha": 1.0, "C": 1.0, "n": 10, "k": 3, "batch_size": 2}
    cells = re.findall(r"^\| [^|]* \| ([^|]*) \|$", PAGE, re.MULTILINE)
    codes = [c for cell in cells for c in re.findall(r"`([^`]+)`", cell) if "..." not in c]
    tried = [c for c in codes if re.match(r"[A-Z]|(layers|utils|callbacks)\.", c)]
    assert len(tried) > 20
    for code in tried:
        eval(code, known)
