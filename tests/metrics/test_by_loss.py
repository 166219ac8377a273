"""Metrics follow the loss and, in Keras's way, the weights."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import losses, metrics

# The outputs need not be probabilities here.
pytestmark = pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))


def passing_on(outputs, activation=None):
    """A model that gives what it gets, through an activation."""
    return nl.Sequential([nl.layers.Input((outputs,)), nl.layers.Activation(activation)])


def evaluated(model, loss, x, y, **options):
    weight = options.pop("sample_weight", None)
    model.compile("sgd", loss, **options)
    return model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)


# What the targets are ------------------------------------------------------------------------

MULTI_LABEL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]])
SCORES = np.where(MULTI_LABEL == 1, 5.0, -5.0) + np.array([0.0, 0.1, 0.2])


@pytest.mark.parametrize("name", ["accuracy", "acc", "binary_accuracy"])
@pytest.mark.parametrize(
    ("loss", "activation", "y"),
    [
        (losses.BinaryCrossentropy(), "sigmoid", MULTI_LABEL),
        (losses.BinaryCrossentropy(from_logits=True), "linear", MULTI_LABEL),
        (losses.BinaryFocalCrossentropy(), "sigmoid", MULTI_LABEL),
        (losses.BinaryFocalCrossentropy(from_logits=True), "linear", MULTI_LABEL),
        (losses.Hinge(), "linear", 2 * MULTI_LABEL - 1),
        (losses.SquaredHinge(), "linear", MULTI_LABEL),
    ],
)
def test_several_labels_are_each_right_or_wrong(name, loss, activation, y):
    model = passing_on(3, activation)
    assert evaluated(model, loss, SCORES, y, metrics=[name])[name] == 1
    wrong = SCORES.copy()
    wrong[0] *= -1  # three of twelve
    assert evaluated(model, loss, wrong, y, metrics=[name])[name] == 0.75


@pytest.mark.parametrize("name", ["f1_score", "fbeta_score", "precision", "recall"])
@pytest.mark.parametrize(
    ("loss", "activation", "y"),
    [
        (losses.BinaryCrossentropy(), "sigmoid", MULTI_LABEL),
        (losses.BinaryCrossentropy(from_logits=True), "linear", MULTI_LABEL),
        (losses.Hinge(), "linear", 2 * MULTI_LABEL - 1),
    ],
)
def test_scores_of_several_labels(name, loss, activation, y):
    model = passing_on(3, activation)
    assert np.all(evaluated(model, loss, SCORES, y, metrics=[name])[name] == 1)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("categorical_crossentropy", np.eye(3)[[0, 1, 2, 1]]),
        ("categorical_focal_crossentropy", np.eye(3)[[0, 1, 2, 1]]),
        ("categorical_hinge", np.eye(3)[[0, 1, 2, 1]]),
        ("sparse_categorical_crossentropy", np.array([0, 1, 2, 1])),
        ("sparse_categorical_crossentropy", np.array([[0], [1], [2], [1]])),
        ("mse", np.eye(3)[[0, 1, 2, 1]]),  # this loss says nothing: the shapes decide
    ],
)
def test_classes_are_the_largest_output(loss, y):
    p = np.array([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3], [0.3, 0.4, 0.3]])
    result = evaluated(passing_on(3, "linear"), loss, p, y, metrics=["accuracy"])
    assert result["accuracy"] == 0.75


@pytest.mark.parametrize("name", ["precision", "recall", "auc", "f1_score"])
def test_labels_of_minus_one_are_negative(name):
    model = passing_on(1, "linear")
    x = np.array([[2.0], [-1.0], [0.25], [-0.5]])
    y = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert np.all(evaluated(model, "hinge", x, y, metrics=[name])[name] == 1)


# What the loss ignores -----------------------------------------------------------------------

EVERY = ["accuracy", "precision", "recall", "auc", "f1_score", "sparse_top_k_categorical_accuracy"]
EVERY += ["crossentropy", metrics.ConfusionMatrix(), metrics.AUC(multi_label=True, name="each")]


@pytest.mark.filterwarnings("ignore:.*is always 1, as its k")
@pytest.mark.parametrize("ignored", [-1, 0, 2])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("size", [4, 60])
def test_metrics_leave_out_the_ignored_class(ignored, column, size):
    y = RNG.integers(0, 3, 60)
    y[::5] = ignored
    y[:4] = ignored  # a whole batch
    known = y != ignored
    model = nl.Sequential([nl.layers.Dense(3, "softmax")], seed=1)
    model.compile(
        "sgd",
        losses.SparseCategoricalCrossentropy(ignore_class=ignored),
        metrics=EVERY[:-2],
        weighted_metrics=EVERY[-2:],
    )
    weight = RNG.uniform(0.5, 2, 60)
    found = model.evaluate(X, y[:, None] if column else y, size, 0, weight, return_dict=True)
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=EVERY[:-2],
        weighted_metrics=EVERY[-2:],
    )
    expected = model.evaluate(X[known], y[known], 60, 0, weight[known], return_dict=True)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, err_msg=key)


def test_classes_on_another_axis_are_left_out():
    z = RNG.normal(size=(5, 3, 4))
    y = RNG.integers(-1, 3, (5, 4))
    model = nl.Sequential([nl.layers.Input((3, 4)), nl.layers.Activation("linear")])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1, axis=1)
    own = metrics.SparseCategoricalAccuracy(name="own")
    found = evaluated(model, loss, z, y, metrics=[own])["own"]
    known = y >= 0
    assert found == pytest.approx((z.argmax(axis=1) == y)[known].mean(), rel=1e-6)


# Weights --------------------------------------------------------------------------------------


def test_only_weighted_metrics_use_weights():
    y = (X[:, :1] > 0.3).astype(float)
    weight = RNG.uniform(0, 3, 60)
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    found = evaluated(
        model,
        "binary_crossentropy",
        X,
        y,
        metrics=["accuracy", metrics.FalseNegatives(name="fn")],
        weighted_metrics=["accuracy", "mae"],
        sample_weight=weight,
    )
    assert list(found) == ["loss", "accuracy", "fn", "weighted_accuracy", "mae"]
    p = model.predict(X)
    right = ((p > 0.5) == y)[:, 0]
    assert found["accuracy"] == pytest.approx(right.mean(), rel=1e-6)
    assert found["fn"] == np.sum((p <= 0.5) & (y == 1))
    assert found["weighted_accuracy"] == pytest.approx(np.average(right, weights=weight), rel=1e-6)
    error = np.abs(p - y)[:, 0]
    assert found["mae"] == pytest.approx(np.average(error, weights=weight), rel=1e-5)


def test_class_weights_count_in_weighted_metrics_alone():
    y = np.zeros((60, 1))
    y[:6] = 1
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    counts = [metrics.TruePositives(name="tp"), metrics.FalseNegatives(name="fn")]
    weighted = [metrics.TruePositives(name="tp"), metrics.FalseNegatives(name="fn")]
    model.compile(
        nl.optimizers.SGD(0.0), "binary_crossentropy", metrics=counts, weighted_metrics=weighted
    )
    logs = model.fit(X, y, class_weight={1: 19.0}, verbose=0).history
    assert logs["tp"][0] + logs["fn"][0] == 6
    assert logs["weighted_tp"][0] + logs["weighted_fn"][0] == 6 * 19


def test_a_saved_model_keeps_its_weighted_metrics(tmp_path):
    y = (X[:, :1] > 0).astype(float)
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "bce", metrics=["accuracy"], weighted_metrics=["accuracy", metrics.AUC()])
    weight = RNG.uniform(0, 3, 60)
    expected = model.evaluate(X, y, sample_weight=weight, verbose=0, return_dict=True)
    model.save(tmp_path / "model.safetensors")
    again = nl.load_model(tmp_path / "model.safetensors")
    found = again.evaluate(X, y, sample_weight=weight, verbose=0, return_dict=True)
    assert found == expected
    assert list(found) == ["loss", "accuracy", "weighted_accuracy", "auc"]


@pytest.mark.parametrize("row", [[1, 0, 1], [0, 0, 0]])
def test_a_confusion_matrix_has_one_class_per_sample(row):
    matrix = nl.metrics.ConfusionMatrix()
    message = rf"metric 'confusion_matrix': each row of y_true must have a single 1, .*{row}"
    with pytest.raises(nl.errors.DataError, match=message.replace("[", r"\[").replace("]", r"\]")):
        matrix.update_state(np.array([[0, 1, 0], row]), np.full((2, 3), 0.5))
    assert matrix.result().size == 0
