"""Losses at the limits of numbers: huge, tiny, rounded to 0 or 1, and on clipping bounds."""

import numpy as np
import pytest

from netlayers import losses, metrics

FLOATS = ["float32", "float64"]
SIGNS = [[1.0, -1.0], [-1.0, 1.0]]
EYE = np.eye(2)


def column(*values, dtype="float64"):
    return np.array(values, dtype)[:, None]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize(
    ("loss", "right", "wrong", "value", "slope"),
    [
        # Value and largest slope for predictions [[size, -size], [-size, size]], by hand.
        (losses.BinaryFocalCrossentropy(from_logits=True), EYE, 1 - EYE, 1.0, 1 / 4),
        (
            losses.BinaryFocalCrossentropy(True, 0.5, 0.5, from_logits=True),
            EYE,
            1 - EYE,
            0.5,
            1 / 8,
        ),
        (losses.CategoricalFocalCrossentropy(0.5, from_logits=True), EYE, 1 - EYE, 1.0, 1 / 4),
        (losses.CategoricalFocalCrossentropy(1, 0.5, from_logits=True), EYE, 1 - EYE, 2.0, 1 / 2),
        (losses.Hinge(), SIGNS, np.negative(SIGNS), 1.0, 1 / 4),
        (losses.CategoricalHinge(), EYE, 1 - EYE, 2.0, 1 / 2),
    ],
)
def test_huge_predictions(loss, right, wrong, value, slope, size, dtype):
    z = np.array([[size, -size], [-size, size]], dtype)
    assert loss.forward(right, z) == 0
    assert np.all(loss.backward() == 0)
    assert loss.forward(wrong, z) == pytest.approx(value * size, rel=2e-4)
    assert np.abs(loss.backward()).max() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_differences(size, dtype):
    p, t = column(size, -size, dtype=dtype), column(0, 0, dtype=dtype)
    log_cosh = losses.LogCosh()
    assert log_cosh.forward(t, p) == pytest.approx(size - np.log(2), rel=1e-6)
    np.testing.assert_array_equal(log_cosh.backward(), [[0.5], [-0.5]])
    pinball = losses.Quantile(0.25)
    assert pinball.forward(t, p) == pytest.approx(size / 2, rel=1e-6)
    np.testing.assert_allclose(pinball.backward(), [[0.375], [-0.125]])
    percentage = losses.MeanAbsolutePercentageError()
    assert percentage.forward(p, 1.5 * p) == pytest.approx(50, rel=1e-6)
    msle = losses.MeanSquaredLogarithmicError()
    assert msle.forward(np.abs(t), p) == pytest.approx(np.log1p(size) ** 2 / 2, rel=1e-5)
    np.testing.assert_array_equal(msle.backward() == 0, [[False], [True]])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_cosine_of_any_length(size, dtype):
    loss = losses.CosineSimilarity()
    p = np.array([[3.0, 4.0]], dtype) * np.array(size, dtype)
    cosine = loss.forward(np.array([[size, 0]], dtype), p)
    assert cosine == pytest.approx(-0.6, rel=1e-6)
    np.testing.assert_allclose(loss.backward(), np.array([[-0.128, 0.096]]) / size, rtol=1e-5)
    assert metrics.CosineSimilarity()([[size, 0]], p) == pytest.approx(0.6, rel=1e-6)


def test_cosine_of_zeros():
    loss = losses.CosineSimilarity()
    for t, p in ([[0.0, 0.0]], [[1.0, 2.0]]), ([[0.0, 0.0]], [[0.0, 0.0]]):
        assert loss.forward(t, p) == 0
        assert np.all(loss.backward() == 0)
    assert loss.forward([[1.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [3.0, 0.0]]) == 0
    np.testing.assert_allclose(loss.backward(), [[0, 0], [0, -1 / 6]], rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("focal", [False, True])
def test_probabilities_that_are_all_zero(focal, dtype):
    kind = losses.CategoricalFocalCrossentropy if focal else losses.CategoricalCrossentropy
    loss = kind(reduction=None)
    t = np.array([[0, 1], [0, 1]], dtype)
    p = np.array([[0, 0], [0.2, 0.6]], dtype)
    alpha, power = (0.25, 2) if focal else (1, 0)
    expected = -alpha * np.array([(1 - 1e-7) ** power * np.log(1e-7), 0.25**power * np.log(0.75)])
    np.testing.assert_allclose(loss.forward(t, p), expected, rtol=1e-6)
    gradient = loss.backward()
    assert gradient[0].tolist() == [0, 0]
    assert gradient[1, 0] > 0 > gradient[1, 1]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_losses_keep_the_digits_of_small_probabilities(gamma, dtype):
    """Against the formulas in extended precision, at logits whose sigmoid rounds to 0 or 1."""
    for z in (-300, -60, -20.0, -1.0, 0.0, 1.0, 20.0, 60, 300):
        wide = np.longdouble(z)
        p, q = 1 / (1 + np.exp(-wide)), 1 / (1 + np.exp(wide))
        b = np.log1p(np.exp(-wide)) if z >= 0 else -wide + np.log1p(np.exp(wide))
        value, slope = q**gamma * b, -(q**gamma) * (gamma * p * b + q)
        floor = float(np.finfo(dtype).tiny)
        loss = losses.BinaryFocalCrossentropy(gamma=gamma, from_logits=True)
        for target, sign in ((1.0, 1), (0.0, -1)):
            got = loss.forward([[target]], np.array([[sign * z]], dtype))
            assert got == pytest.approx(float(value), rel=1e-5, abs=floor)
            got = float(loss.backward()[0, 0])
            assert got == pytest.approx(float(sign * slope), rel=1e-5, abs=floor)
        loss = losses.CategoricalFocalCrossentropy(1.0, gamma, from_logits=True)
        got = loss.forward([[1.0, 0.0]], np.array([[z, 0.0]], dtype))
        assert got == pytest.approx(float(value), rel=1e-5, abs=1e-7)
        got = loss.backward()[0].astype("float64")
        np.testing.assert_allclose(got, [float(slope), float(-slope)], rtol=1e-5, atol=3e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_losses_of_probabilities_0_and_1(gamma):
    log = np.log(1e-7)
    for loss in (
        losses.BinaryFocalCrossentropy(gamma=gamma),
        losses.CategoricalFocalCrossentropy(1.0, gamma),
    ):
        p = np.array([[0.0, 1.0]])
        assert loss.forward([[1.0, 0.0]], p) == pytest.approx(-log, rel=1e-6)
        assert np.isfinite(loss.backward()).all()
        assert loss.forward([[0.0, 1.0]], p) == pytest.approx(0, abs=1e-6)
        assert np.abs(loss.backward()).max() <= 1


def test_small_differences_keep_their_digits():
    d = np.array([[1e-3]], "float32")
    loss = losses.LogCosh()
    assert loss.forward(np.zeros((1, 1)), d) == pytest.approx(5e-7, rel=2e-4)
    assert loss.backward()[0, 0] == pytest.approx(1e-3, rel=1e-6)


def test_clipping_of_zeros():
    poisson = losses.Poisson()
    assert poisson.forward([[2.0]], np.zeros((1, 1))) == pytest.approx(-2 * np.log(1e-7))
    assert poisson.backward()[0, 0] == pytest.approx(1 - 2e7)
    assert poisson.forward([[0.0]], np.zeros((1, 1))) == 0
    kl = losses.KLDivergence()
    assert kl.forward([[1.0, 0.0]], np.array([[0.0, 1.0]])) == pytest.approx(
        -np.log(1e-7), rel=1e-5
    )
    assert kl.backward()[0, 0] == 0  # below 1e-7 the loss is flat
    nll = losses.GaussianNLL()
    value = nll.forward([[1.0]], np.array([[1.0, 0.0]]))  # a variance of 0 is one of 1e-6
    assert value == pytest.approx(0.5 * np.log(1e-6))
    np.testing.assert_array_equal(nll.backward(), [[0, 0]])
    for loss in losses.Dice(), losses.Tversky():
        assert loss.forward(np.zeros((2, 2)), np.zeros((2, 2))) == 1  # as in Keras
        assert np.isfinite(loss.backward()).all()


def test_nan_predictions_give_nan_and_no_error():
    for loss, t in [(losses.Poisson(), [[1.0]]), (losses.GaussianNLL(), [[1.0]])]:
        p = np.full((1, 2 if isinstance(loss, losses.GaussianNLL) else 1), np.nan)
        assert np.isnan(loss.forward(t, p))
