"""Targets and arguments that do not fit: each is refused in a sentence, none is broadcast."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import losses
from netlayers.errors import ConfigurationError, DataError, ShapeError

# The outputs need not be probabilities here.
pytestmark = pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning")

P = np.full((4, 2), 0.5)
ONE_HOT = np.eye(2)[[0, 1, 0, 1]]

WRONG_VALUES = [
    (losses.Hinge(), 0.3 * ONE_HOT, ["-1 and 1", "0.3"]),
    (losses.Hinge(), [[-1.0, 0], [1, 1], [1, 1], [1, 1]], ["-1 and 1"]),
    (losses.SquaredHinge(), 2 * ONE_HOT, ["-1 and 1", "2"]),
    (losses.SquaredHinge(), np.nan * ONE_HOT, ["-1 and 1", "nan"]),
    (losses.CategoricalHinge(), -ONE_HOT, ["one-hot rows", "-1"]),
    (losses.MeanSquaredLogarithmicError(), -ONE_HOT, ["non-negative", "-1"]),
    (losses.Poisson(), ONE_HOT - 0.5, ["counts", "-0.5"]),
    (losses.Poisson(), np.nan * ONE_HOT, ["counts", "nan"]),
    (losses.KLDivergence(), 2 * ONE_HOT, ["probabilities", "2"]),
    (losses.KLDivergence(), -ONE_HOT, ["probabilities", "-1"]),
    (losses.BinaryFocalCrossentropy(), 2 * ONE_HOT - 1, ["within [0, 1]", "-1"]),
    (losses.CategoricalFocalCrossentropy(), -ONE_HOT, ["one-hot rows", "-1"]),
    (losses.Dice(), 2 * ONE_HOT, ["within [0, 1]", "2"]),
    (losses.Tversky(), -ONE_HOT, ["within [0, 1]", "-1"]),
    (losses.SplitLoss(["mse", "poisson"], [1, 1]), -ONE_HOT, ["'poisson'", "counts", "-1"]),
]


@pytest.mark.parametrize(("loss", "t", "parts"), WRONG_VALUES, ids=str)
def test_wrong_values(loss, t, parts):
    with pytest.raises(DataError) as raised:
        loss.forward(t, P)
    assert all(part in str(raised.value) for part in parts), raised.value
    with pytest.raises(DataError, match="Found in rows 0 to 3"):
        loss.check_targets(np.array(t), (None, 2))
    model = nl.Sequential([nl.layers.Dense(2)])
    model.compile("sgd", loss)
    with pytest.raises(DataError, match="row"):
        model.fit(np.ones((4, 3)), np.array(t), verbose=0)


EVERY = """
    mape msle log_cosh poisson kld cosine_similarity hinge squared_hinge categorical_hinge dice
    binary_focal_crossentropy categorical_focal_crossentropy tversky quantile
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(4,), (4, 1), (2,), (1, 2), (4, 3), (2, 4), (4, 2, 1)])
def test_nothing_is_broadcast(name, shape):
    with pytest.raises(ShapeError) as raised:
        losses.get(name).forward(np.zeros(shape), P)
    assert str(shape) in str(raised.value)
    assert "(4, 2)" in str(raised.value)


@pytest.mark.parametrize("name", EVERY)
def test_one_output_takes_flat_targets_and_flat_predictions(name):
    loss = losses.get(name)
    t, p = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.5, 0.7])
    value = loss.forward(t[:, None], p[:, None])
    gradient = loss.backward().copy()
    assert loss.forward(t, p[:, None]) == loss.forward(t, p) == value
    assert loss.backward().shape == (3,)
    np.testing.assert_array_equal(loss.backward(), gradient[:, 0])


@pytest.mark.parametrize(
    ("loss", "t", "p", "parts"),
    [
        (losses.Quantile([0.1, 0.9]), (4, 2), (4, 2), ["(4, 1)", "one target"]),
        (losses.Quantile([0.1, 0.9]), (2,), (4, 2), ["(4, 1)", "(2,)"]),
        (losses.Quantile([0.1, 0.9]), (4, 1), (4, 3), ["2 quantiles", "3 outputs"]),
        (losses.GaussianNLL(), (4, 2), (4, 2), ["(4, 1)", "half are variances"]),
        (losses.GaussianNLL(), (4,), (4, 4), ["(4, 2)", "(4,)"]),
        (losses.GaussianNLL(), (4, 1), (4, 3), ["even", "3"]),
        (losses.CategoricalHinge(), (4,), (4, 3), ["class indices"]),
        (losses.KLDivergence(), (4, 1), (4, 3), ["class indices"]),
        (losses.CategoricalFocalCrossentropy([1, 2]), (4, 3), (4, 3), ["alpha", "2", "3"]),
        (losses.CosineSimilarity(axis=2), (4, 3), (4, 3), ["axis=2"]),
        (losses.CosineSimilarity(axis=0), (4, 3), (4, 3), ["axis=0"]),
        (losses.Dice(axis=2), (4, 3), (4, 3), ["axis=2"]),
        (losses.Tversky(axis=(0, -3)), (4, 3), (4, 3), ["axis=(0, -3)"]),
        (losses.SplitLoss(["mse", "mae"], [1, 2]), (4, 2), (4, 3), ["(4, 3)", "[1, 2]"]),
        (losses.SplitLoss(["mse", "mae"], [1, 2]), (4, 3), (4, 4), ["sum to 3", "has 4"]),
    ],
    ids=str,
)
def test_wrong_shapes(loss, t, p, parts):
    with pytest.raises(ShapeError) as raised:
        loss.forward(np.zeros(t), np.full(p, 0.5))
    assert all(part in str(raised.value) for part in parts), raised.value


@pytest.mark.parametrize(
    ("loss", "t", "p"),
    [
        (losses.Poisson(), [[1.0]], [[-0.25]]),
        (losses.GaussianNLL(), [[1.0]], [[-1.0, -0.25]]),
    ],
)
def test_predictions_that_can_not_be_negative(loss, t, p):
    with pytest.raises(DataError, match=r"y_pred .*must not be negative, got -0\.25.*'softplus'"):
        loss.forward(t, p)


def test_weights_of_an_overlap_have_the_shape_of_the_samples():
    t = p = np.full((4, 2, 3), 0.5)
    for loss in losses.Dice(), losses.Dice(axis=0), losses.Dice(axis=(1, 2)):
        loss.forward(t, p, np.ones(4))
        for wrong in (np.ones(3), np.ones((4, 3)), np.ones((1, 3))):
            with pytest.raises(ShapeError, match="sample_weight"):
                loss.forward(t, p, wrong)
        with pytest.raises(DataError, match="sample_weight must not be negative"):
            loss.forward(t, p, [1, 1, -1, 1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: losses.Quantile(0), "quantile"),
        (lambda: losses.Quantile(1.0), "quantile"),
        (lambda: losses.Quantile([0.5, 1.5]), "quantile"),
        (lambda: losses.Quantile([]), "empty"),
        (lambda: losses.Quantile("half"), "quantile"),
        (lambda: losses.GaussianNLL(epsilon=0), "epsilon"),
        (lambda: losses.GaussianNLL(full=1), "full"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), "gamma"),
        (lambda: losses.BinaryFocalCrossentropy(alpha=2), "alpha"),
        (lambda: losses.BinaryFocalCrossentropy(0.25), "apply_class_balancing"),
        (lambda: losses.CategoricalFocalCrossentropy(alpha=[0.5, -1]), "alpha"),
        (lambda: losses.CategoricalFocalCrossentropy(gamma=np.inf), "gamma"),
        (lambda: losses.Tversky(alpha=-1), "alpha"),
        (lambda: losses.Dice(axis="all"), "axis"),
        (lambda: losses.Dice(axis=1.5), "axis"),
        (lambda: losses.CosineSimilarity(axis=None), "axis"),
        (lambda: losses.SplitLoss([], []), "losses"),
        (lambda: losses.SplitLoss("mse", [1]), "losses"),
        (lambda: losses.SplitLoss(["mse", "mea"], [1, 1]), "'mae'"),
        (lambda: losses.SplitLoss(["mse", lambda t, p: 0], [1, 1]), "loss"),
        (lambda: losses.SplitLoss(["mse", "mae"], [1]), "sizes.*2"),
        (lambda: losses.SplitLoss(["mse", "mae"], [1, 0]), "sizes"),
        (lambda: losses.SplitLoss(["mse", "mae"], [1, 1], [1.0]), "weights.*2"),
        (lambda: losses.SplitLoss(["mse", "mae"], [1, 1], [1, -1]), "weights"),
        (lambda: losses.SplitLoss(["mse", "mae"], [1, 1], None, [1]), "target_sizes.*2"),
        (lambda: losses.SplitLoss([losses.MeanSquaredError("sum")], [1]), "reduction"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_an_axis_of_outputs_is_checked_where_the_model_has_it():
    """check_targets sees the shape of the model, whose axes are not moved yet."""
    t = np.eye(3)[[[0, 1, 2, 0], [1, 1, 2, 0]]].transpose(0, 2, 1)  # (batch, classes, places)
    for loss in (losses.CategoricalCrossentropy(axis=1), losses.CosineSimilarity(axis=1)):
        loss.check_targets(t, (None, 3, 4))
        with pytest.raises(ShapeError):
            loss.check_targets(t, (None, 4, 3))


def test_negative_variances_are_told_how_to_become_positive_without_the_means():
    with pytest.raises(DataError, match=r"variances.*Parallel\(\[Dense\(k\), Dense\(k, act"):
        nl.losses.GaussianNLL().forward([[1.0]], [[-3.0, -0.5]])
