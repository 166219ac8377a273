"""Labels of less usual shapes, and what a loss is given of a loop: for every loss name."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import losses

# Losses of class numbers take these in place of one value for each output.
SPARSE = ["categorical_generalized_cross_entropy", "sparse_categorical_crossentropy"]
ONE_OUTPUT = """
    binary_crossentropy binary_focal_crossentropy categorical_hinge cosine_similarity dice hinge
    huber kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error
    mean_squared_error mean_squared_logarithmic_error poisson quantile squared_hinge tversky
""".split()  # noqa: SIM905
SEVERAL = [
    *(name for name in ONE_OUTPUT if name != "quantile"),
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
]
RNG = np.random.default_rng(0)


def same(loss, first, second, weight=None):
    """Both pairs of targets and predictions have the same value and gradient."""
    value = loss.forward(*first, weight)
    gradient = np.array(loss.backward())
    # Compiled loops may add in another order for another shape.
    close = {"rtol": 0 if nl.kernels_in_use() == "numpy" else 1e-14, "atol": 0}
    np.testing.assert_allclose(loss.forward(*second, weight), value, **close)
    np.testing.assert_allclose(np.ravel(loss.backward()), gradient.ravel(), **close)
    assert np.any(gradient) or loss.name == "cosine_similarity"  # of one output: 1 or -1


def test_every_name_is_here():
    names = {n for n in losses.__all__ if isinstance(getattr(losses, n), losses.LossFunction)}
    assert names <= {*ONE_OUTPUT, *SEVERAL, *SPARSE, "ctc"}  # its labels are series


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_labels_of_one_output_may_lack_its_axis(name):
    y, p = np.array([0.0, 1.0, 1.0, 0.0]), np.array([[0.3], [0.6], [0.9], [0.2]])
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    for w in (None, weight):
        same(losses.get(name), (y[:, None], p), (y, p), w)
        same(losses.get(name), (y[:, None], p), (y, p[:, 0]), w)
    same(losses.get(name), (y[1:2, None], p[1:2]), (y[1:2], p[1:2]))  # one sample


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_labels_of_steps_with_one_output_may_lack_its_axis(name):
    y = RNG.integers(0, 2, (3, 5)).astype(float)
    p = RNG.uniform(0.1, 0.9, (3, 5, 1))
    same(losses.get(name), (y[..., None], p), (y, p))


@pytest.mark.parametrize("name", [n for n in SEVERAL if n not in ("dice", "tversky")])
def test_labels_of_three_axes_are_those_of_all_their_rows(name):
    y = np.eye(4)[RNG.integers(0, 4, (3, 5))]
    p = RNG.uniform(0.1, 0.9, (3, 5, 4))
    p /= p.sum(axis=-1, keepdims=True)
    same(losses.get(name), (y.reshape(15, 4), p.reshape(15, 4)), (y, p))
    one = losses.get(name)
    one.reduction = "none"
    whole = one.forward(y, p)
    assert whole.shape == (3, 5)
    for i in range(3):
        np.testing.assert_allclose(one.forward(y[i], p[i]), whole[i], rtol=1e-12)


@pytest.mark.parametrize("from_logits", [False, True])
def test_class_numbers_may_have_an_axis_of_one(from_logits):
    loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    y = RNG.integers(0, 4, (3, 5))
    p = RNG.uniform(0.1, 0.9, (3, 5, 4))
    p /= p.sum(axis=-1, keepdims=True)
    same(loss, (y, p), (y[..., None], p))
    same(loss, (y, p), (y.reshape(15), p.reshape(15, 4)))
    same(loss, (y.reshape(15), p.reshape(15, 4)), (y.reshape(15, 1), p.reshape(15, 4)))
    same(loss, (y[:1, 0], p[:1, 0]), (y[:1, :1], p[:1, 0]))


@pytest.mark.filterwarnings("ignore:.* rows of y sum to")
def test_a_loss_by_name_is_the_same_in_a_model_for_both_shapes():
    x, y = RNG.normal(size=(12, 3)), RNG.integers(0, 2, 12)
    for name in [*ONE_OUTPUT, "crossentropy"]:
        found = []
        for labels in (y, y[:, None], y.astype(float), [[int(v)] for v in y]):
            model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
            model.compile("sgd", name)
            model.fit(x, labels, batch_size=5, epochs=2, verbose=0)
            found.append(model.parameters.values.tobytes())
        assert len(set(found)) == 1, name


class Foreign:
    """A loss that knows nothing of the package, and notes what it is given."""

    def __init__(self):
        self.seen = set()

    def forward(self, y_true, y_pred, sample_weight=None):
        self.seen.add((np.asarray(y_true).dtype.name, y_pred.dtype.name))
        self._d = y_pred - np.reshape(y_true, y_pred.shape)
        return float(np.mean(self._d**2))

    def backward(self):
        return 2 * self._d / self._d.size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("int64", "int64"),
        ("uint8", "uint8"),
        ("bool", "bool"),
        ("float16", None),
        ("float32", None),
        ("float64", None),
    ],
)
def test_the_dtype_that_a_foreign_loss_is_given(dtype, given, expected):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0, dtype=dtype)
    loss = Foreign()
    model.compile("sgd", loss)
    x, y = RNG.normal(size=(8, 3)), RNG.integers(0, 2, (8, 1)).astype(given)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, validation_data=(x, y))
    model.evaluate(x, y, verbose=0)
    assert loss.seen == {(expected or dtype, dtype)}
