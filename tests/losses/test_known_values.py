"""Losses, held against Keras and hand calculations."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.losses import *  # noqa: F403

ARRAYS = {
    "t": [[1.0, 0, 0], [0, 1.0, 0]],
    "b": [[1.0, 0, 1], [0, 1, 0]],
    "p": [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]],
    "p2": [[1.4, 0.4, 0.2], [0.2, 0.6, 1.2]],
    "z": [[2.0, -1.0, 0.5], [0.3, 0.2, -3.0]],
    "n": [[0.5, -2.0, 0.0], [3.0, 1.5, -0.25]],
    "c": [[0.0, 2, 5], [1, 0, 3]],
    "s": [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]],
    "l": [[1.0, -1, -1], [-1, 1, 1]],
}
# Loss, targets, predictions, value, value with the weights [1, 3]: Keras 3.15.1, JAX backend.
KERAS = [
    ("CategoricalCrossentropy()", "t", "p", 0.7803238741, 1.9842966785),
    ("CategoricalCrossentropy(from_logits=True)", "t", "z", 0.5024428882, 1.2660173679),
    (
        "CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
        "t",
        "z",
        0.6291095549,
        1.4960173679,
    ),
    ("CategoricalCrossentropy(label_smoothing=0.2)", "t", "p2", 0.900461815, 2.1314656265),
    ("BinaryCrossentropy()", "b", "p", 0.8513379693, 1.5932126641),
    ("BinaryCrossentropy(from_logits=True)", "b", "z", 0.4025580287, 0.9029185176),
    ("BinaryCrossentropy(label_smoothing=0.1)", "b", "p", 0.8595115244, 1.6171272695),
    ("MeanSquaredError()", "b", "z", 1.9966666698, 5.2400000095),
    ("MeanAbsoluteError()", "b", "z", 1.1000000238, 2.4666666985),
    ("Huber(1.5)", "b", "z", 0.8108333349, 2.0575000048),
    ("MeanAbsolutePercentageError()", "n", "z", 83333606.5278, 83334032.0833),
    ("MeanSquaredLogarithmicError()", "c", "z", 1.07938945293, 1.79293179512),
    ("MeanSquaredLogarithmicError()", "c", "p2", 0.796141371131, 1.07589311898),
    ("LogCosh()", "n", "z", 1.02668726444, 2.61028325558),
    ("Poisson()", "c", "p2", 2.49037337303, 3.51119756699),
    ("KLDivergence()", "s", "p", 0.870573160443, 2.07454302249),
    ("KLDivergence()", "b", "p2", 1.06012947667, 1.57095203776),
    ("CosineSimilarity()", "n", "z", -0.413491513209, -0.605367190798),
    ("CosineSimilarity(axis=1)", "c", "z", 0.434993080121, 1.34550128529),
    ("Hinge()", "l", "z", 1.26666665077, 3.29999995232),
    ("Hinge()", "b", "z", 0.433333329856, 1.13333331794),
    ("SquaredHinge()", "l", "z", 3.43000006676, 9.54000020027),
    ("SquaredHinge()", "b", "z", 0.429999988526, 1.20666662976),
    ("CategoricalHinge()", "t", "z", 0.55, 1.65),
    ("CategoricalHinge()", "s", "z", 1.825, 2.925),
    ("BinaryFocalCrossentropy()", "b", "p", 0.471164226532, 0.778119206429),
    ("BinaryFocalCrossentropy(from_logits=True)", "b", "z", 0.082546774298, 0.216961953789),
    ("BinaryFocalCrossentropy(True, 0.3, 1.5)", "b", "p", 0.188885636628, 0.359540976584),
    (
        "BinaryFocalCrossentropy(True, from_logits=True, label_smoothing=0.1)",
        "b",
        "z",
        0.0460627013817,
        0.123235144652,
    ),
    ("CategoricalFocalCrossentropy()", "t", "p", 0.0777559273843, 0.225242595914),
    (
        "CategoricalFocalCrossentropy([0.2, 0.5, 0.7], 1.5)",
        "s",
        "p2",
        0.527833012204,
        0.880393583649,
    ),
    (
        "CategoricalFocalCrossentropy(from_logits=True)",
        "t",
        "z",
        0.0286040539731,
        0.0830389743965,
    ),
    (
        "CategoricalFocalCrossentropy(from_logits=True, label_smoothing=0.1)",
        "t",
        "z",
        0.0606453500751,
        0.144538878653,
    ),
    ("Dice(axis=1)", "b", "p", 0.583333349722, 1.28333336472),
    ("Dice(axis=(1,))", "s", "p", 0.71500001425, 1.41500002925),
    ("Tversky(0.3, 0.9, axis=-1)", "s", "p", 0.750620027332, 1.48746215568),
    ("MeanSquaredError('sum')", "b", "z", 3.9933333397, 10.4800000191),
    ("MeanSquaredError('mean_with_sample_weight')", "b", "z", 1.9966666698, 2.6200000048),
]


@pytest.mark.parametrize(("loss", "t", "p", "value", "weighted"), KERAS)
def test_same_numbers_as_keras(loss, t, p, value, weighted):
    t, p, loss = np.array(ARRAYS[t]), np.array(ARRAYS[p]), eval(loss)
    assert loss.forward(t, p) == pytest.approx(value, rel=1e-6)
    assert loss.forward(t, p, [1.0, 3.0]) == pytest.approx(weighted, rel=1e-6)
    if type(loss) is nl.losses.CategoricalCrossentropy and not loss.label_smoothing:
        sparse = nl.losses.SparseCategoricalCrossentropy(from_logits=loss.from_logits)
        assert sparse.forward(t.argmax(1), p) == pytest.approx(value, rel=1e-6)
        assert sparse.forward(t.argmax(1), p, [1.0, 3.0]) == pytest.approx(weighted, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "value"),  # Keras 3.15.1, JAX backend
    [("Dice()", 0.5600000088), ("Tversky()", 0.5600000176), ("Tversky(0.3, 0.9)", 0.556451630788)],
)
def test_overlap_of_a_whole_batch_as_in_keras(loss, value):
    t, p, loss = np.array(ARRAYS["b"]), np.array(ARRAYS["p"]), eval(loss)
    assert loss.forward(t, p) == pytest.approx(value, rel=1e-9)
    # A weight is how often a sample counts.
    twice = loss.forward(np.concatenate([t, t[1:]]), np.concatenate([p, p[1:]]))
    assert loss.forward(t, p, [1.0, 2.0]) == pytest.approx(twice, rel=1e-12)
    assert loss.forward(t, p, [0.0, 0.0]) == 1


@pytest.mark.parametrize(
    ("arguments", "value", "d_variance"),
    [  # torch 2.13, GaussianNLLLoss, whose eps is our epsilon; gradients where nothing is clipped
        ({}, 3.8998912058374735, -14.770833333333334),
        ({"full": True}, 4.818829739042147, -14.770833333333334),
        ({"epsilon": 0.5}, 2.144534957092683, 0.0),  # torch: -2.2633, straight through the clipping
        ({"epsilon": 0.5, "full": True}, 3.063473490297356, 0.0),
    ],
)
def test_gaussian_likelihood_as_in_torch(arguments, value, d_variance):
    loss = GaussianNLL(**arguments)  # noqa: F405
    mean, variance, t = (np.array(ARRAYS[k]) for k in ("z", "p2", "n"))
    assert loss.forward(t, np.concatenate([mean, variance], 1)) == pytest.approx(value, rel=1e-12)
    d_mean, dv = np.split(loss.backward(), 2, axis=1)
    expected = [0.17857142857142858, -0.36111111111111116, -0.3819444444444445]
    np.testing.assert_allclose(d_mean[[0, 1, 1], [0, 1, 2]], expected, rtol=1e-12)
    expected = [-0.03613945578231293, -0.2523148148148148, d_variance]
    np.testing.assert_allclose(dv[[0, 1, 1], [0, 1, 0]], expected, rtol=1e-12)


def test_quantiles_by_hand():
    loss = Quantile([0.1, 0.9], "none")  # noqa: F405
    for y in ([1.0, 2.0], [[1.0], [2.0]]):
        losses = loss.forward(y, [[0.0, 0.0], [4.0, 2.0]])
        np.testing.assert_allclose(losses, [(0.1 + 0.9) / 2, (0.9 * 2 + 0) / 2], rtol=1e-6)
        np.testing.assert_allclose(loss.backward(), [[-0.05, -0.45], [0.45, -0.2]], rtol=1e-6)
    # The constant of least loss is the quantile of the targets.
    y = np.random.default_rng(0).exponential(size=(999, 1))
    for q in (0.1, 0.5, 0.95):
        loss = Quantile(q)  # noqa: F405
        grid = np.quantile(y, [q - 0.03, q, q + 0.03])
        values = [loss.forward(y, np.full_like(y, c)) for c in grid]
        assert values[1] == min(values)


def test_a_probability_of_zero_is_clipped_as_in_keras():
    assert BinaryCrossentropy().forward([[1.0]], [[0.0]]) == pytest.approx(16.118, abs=1e-3)  # noqa: F405


def test_sum_over_batch_size_divides_by_samples_not_by_weights():
    y, p, w = np.zeros((4, 1)), np.ones((4, 1)), [1, 0, 0, 0]
    assert MeanSquaredError().forward(y, p, w) == 0.25  # noqa: F405
    assert MeanSquaredError("mean_with_sample_weight").forward(y, p, w) == 1.0  # noqa: F405


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_from_logits_is_finite_and_right_for_huge_logits(dtype, size):
    z = np.array([[size, -size], [-size, size]], dtype)
    for loss, right, wrong in [
        (SparseCategoricalCrossentropy(True), [0, 1], [1, 0]),  # noqa: F405
        (BinaryCrossentropy(True), [[1, 0], [0, 1]], [[0, 1], [1, 0]]),  # noqa: F405
    ]:
        assert loss.forward(right, z) == 0
        assert np.all(loss.backward() == 0)
        expected = 2 * size if loss.link == "softmax" else size
        assert loss.forward(wrong, z) == pytest.approx(expected, rel=1e-6)
        assert np.isfinite(loss.backward()).all()
        assert np.abs(loss.backward()).max() > 0.1


def test_ignored_class_counts_nothing():
    z = np.array([[2.0, -1.0], [0.3, 0.2], [1.0, 1.0]])
    loss = SparseCategoricalCrossentropy(True, ignore_class=-1)  # noqa: F405
    part = SparseCategoricalCrossentropy(True).forward([0, 1], z[:2])  # noqa: F405
    assert loss.forward([0, 1, -1], z) == pytest.approx(part)
    assert np.all(loss.backward()[2] == 0)


def test_one_column_of_targets_never_becomes_a_square():
    p = np.arange(4.0)[:, None]
    for y in (np.zeros(4), np.zeros((4, 1))):
        assert MeanSquaredError().forward(y, p) == 3.5  # noqa: F405
        assert MeanSquaredError().forward(y, p[:, 0]) == 3.5  # noqa: F405


@pytest.mark.parametrize("weight", [2.0, [2.0], [[3.0, 5.0]], [[1.0], [2.0]], [[1.0, 4.0]]])
def test_weights_of_losses_broadcast(weight):
    p = np.array([[[1.0], [2.0]], [[3.0], [5.0]]])  # two samples of two steps
    loss, whole = MeanSquaredError(), MeanSquaredError()  # noqa: F405
    array = np.broadcast_to(np.asarray(weight), (2, 2))
    assert loss(0 * p, p, weight) == pytest.approx(whole(0 * p, p, array))
    np.testing.assert_allclose(loss.backward(), whole.backward())
    flat = MeanAbsoluteError("none")  # noqa: F405
    np.testing.assert_allclose(flat([[0.0], [0.0]], [[1.0], [3.0]], 2), [2, 6])


def test_circle_by_its_formula():
    y = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, -0.6]])
    labels, gamma, m = np.array([0, 0, 1, 2]), 2.0, 0.3
    expected = []
    for i in range(4):
        d = np.maximum(1 - y @ y[i], 0)
        same = (labels == labels[i]) & (np.arange(4) != i)
        other = labels != labels[i]
        positive = np.exp(gamma * (d[same] ** 2 - m**2)).sum()
        negative = np.exp(gamma * np.maximum(1 + m - d[other], 0) * (1 - m - d[other])).sum()
        expected.append(np.log1p(positive * negative))
    assert expected[2:] == [0, 0]  # nobody to compare with
    loss = nl.losses.Circle(gamma, m)
    np.testing.assert_allclose(nl.losses.circle(labels, y, gamma=gamma, margin=m), expected)
    assert loss(labels, y) == pytest.approx(np.mean(expected[:2]))
    assert loss(labels, y, [1, 3, 1, 1]) == pytest.approx((expected[0] + 3 * expected[1]) / 2)
    single = nl.losses.circle([0], y[:1], [0, 1], y[:2], remove_diagonal=False, gamma=gamma)
    assert single.shape == (1,)


def test_generalized_crossentropy():
    loss = nl.losses.CategoricalGeneralizedCrossEntropy(q=0.8)
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert loss([1, 0], p) == pytest.approx(((1 - 0.75**0.8) + (1 - 0.5**0.8)) / 0.8 / 2)
    np.testing.assert_allclose(loss.backward(), [[0, -(0.75**-0.2) / 2], [-(0.5**-0.2) / 2, 0]])
    assert np.isfinite(loss.forward([0], [[0.0, 1.0]]))
    assert np.isfinite(loss.backward()).all()
    for wrong in (0, 1):
        with pytest.raises(nl.errors.ConfigurationError, match="q must be"):
            nl.losses.CategoricalGeneralizedCrossEntropy(wrong)
