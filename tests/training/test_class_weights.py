"""Class weights beside the other options of a loss: ignored classes, labels -1 and 1."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.data.class_weights import class_weights
from tests.data.kinds import Lazy

pytestmark = pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning")


def fitted_loss(loss, y, class_weight):
    model = nl.Sequential([nl.layers.Activation("linear")], dtype="float64")
    model.compile("sgd", loss)
    x = np.arange(2.0 * len(y)).reshape(len(y), 2) if loss != "hinge" else np.zeros((len(y), 1))
    return model.fit(x, y, class_weight=class_weight, verbose=0).history["loss"][0]


def test_balanced_weights_do_not_count_the_ignored_class():
    # By hand, of the three samples with a class: 3 / (2 * 2) and 3 / (2 * 1).
    y = np.array([0, 0, 1, -1, -1, -1])
    expected = [0.75, 0.75, 1.5, 1, 1, 1]
    np.testing.assert_allclose(class_weights("fit", "balanced", y, 2, -1), expected, rtol=1e-15)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    # Logits z and z + 1: losses log(1 + e) for class 0 and log(1 + e) - 1 for class 1.
    both = np.log1p(np.e)
    value = (0.75 * both + 0.75 * both + 1.5 * (both - 1)) / 3
    assert fitted_loss(loss, y, "balanced") == pytest.approx(value, rel=1e-12)


def test_the_label_minus_1_is_class_0():
    # Hinge losses at 0 are 1: the mean of the weights 2, 5, 2, 5.
    y = np.array([1.0, -1.0, 1.0, -1.0])
    assert fitted_loss("hinge", y, {0: 5, 1: 2}) == pytest.approx(3.5)


@pytest.mark.parametrize(
    "split", [{}, {"validation_split": 0.2}, {"validation_split": 0.2, "stratify": True}]
)
def test_sample_weights_that_are_not_in_memory(split):
    x = np.random.default_rng(0).normal(size=(20, 3))
    y, weight = np.arange(20) % 2, np.linspace(1, 2, 20)
    values = []
    for given in (weight, Lazy(weight)):
        model = nl.Sequential([nl.layers.Dense(2, "softmax")], seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, sample_weight=given, class_weight={1: 3.0}, verbose=0, **split)
        values.append(model.parameters.values.copy())
    np.testing.assert_array_equal(*values)
