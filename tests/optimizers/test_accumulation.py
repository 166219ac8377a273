"""Accumulated gradients give the update of the joint batch."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses
from netlayers.errors import ConfigurationError
from netlayers.optimizers import SGD, Adam

CLASSES = 3


def network(loss, optimizer, regularizer=None, penalty=0.0):
    layers = [nl.layers.Dense(5, "tanh", kernel_regularizer=regularizer)]
    layers += [nl.layers.ActivityRegularization(l2=penalty)] if penalty else []
    layers += [nl.layers.Dense(CLASSES)]
    model = nl.Sequential(layers, seed=3, dtype="float64")
    model.compile(optimizer, copy.deepcopy(loss))
    return model


def crossentropy(**options):
    return losses.SparseCategoricalCrossentropy(from_logits=True, **options)


class Foreign:
    """A loss of which nothing is known but its two methods: a mean over rows."""

    def forward(self, y_true, y_pred, sample_weight=None):
        self.d = y_pred - y_true
        return float(np.square(self.d).sum() / len(self.d))

    def backward(self):
        return 2 * self.d / len(self.d)


REDUCTIONS = ["sum_over_batch_size", "mean_with_sample_weight", "sum"]


@pytest.mark.filterwarnings("ignore:fit. all y are")
@given(
    seed=st.integers(0, 99),
    steps=st.integers(1, 4),
    batch_size=st.integers(2, 6),
    short=st.integers(0, 5),
    reduction=st.sampled_from(REDUCTIONS),
    ignore=st.sampled_from([None, -1]),
    weights=st.sampled_from(["none", "some", "first batch 0", "all 0"]),
    rule=st.sampled_from([SGD, Adam]),
    options=st.sampled_from(
        [{}, {"clipnorm": 0.01}, {"clipvalue": 0.01}, {"global_clipnorm": 0.01, "use_ema": True}]
    ),
    regularizer=st.sampled_from([None, nl.regularizers.L1L2(0.01, 0.1)]),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore:.* is 0 for all rows")
def test_it_is_the_update_of_the_joint_batch(
    seed, steps, batch_size, short, reduction, ignore, weights, rule, options, regularizer
):
    rng = np.random.default_rng(seed)
    rows = batch_size * steps - min(short, batch_size - 1)
    x, y = rng.normal(size=(rows, 4)), rng.integers(0 if ignore is None else -1, CLASSES, rows)
    weight = None if weights == "none" else rng.integers(0, 4, rows) / 2
    if weights == "first batch 0":
        weight[:batch_size] = 0
    elif weights == "all 0":
        weight[:] = 0
    loss = crossentropy(ignore_class=ignore, reduction=reduction)
    models = []
    for size, count in ((rows, None), (batch_size, steps)):
        optimizer = rule(0.05, gradient_accumulation_steps=count, **options)
        model = network(loss, optimizer, regularizer)
        start = model.fit(
            x, y, size, epochs=2, verbose=0, shuffle=False, sample_weight=weight
        ).history
        assert optimizer.iterations == 2
        models.append((model.parameters.values, start))
    (expected, history), (got, ours) = models
    # Adam divides by √v + epsilon: where a gradient is nearly 0, its last digits are felt.
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 if rule is Adam else 1e-12)
    if options and "grad_norm" in history:
        np.testing.assert_allclose(ours["grad_norm"], history["grad_norm"], rtol=1e-9, atol=1e-15)


def test_a_foreign_loss_counts_its_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, CLASSES))
    values = []
    for size, steps in ((7, None), (3, 3)):
        model = network(Foreign(), SGD(0.1, gradient_accumulation_steps=steps), "l2")
        model.fit(x, y, size, verbose=0, shuffle=False)
        values.append(model.parameters.values)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-12)


def test_parts_of_a_split_loss_with_one_denominator():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 4)), np.stack([rng.normal(size=7), rng.integers(0, 2, 7)], axis=1)
    values = []
    for size, steps in ((7, None), (3, 3)):
        loss = losses.SplitLoss(["mse", crossentropy()], sizes=[1, 2], weights=[0.3, 1.0])
        model = network(loss, SGD(0.1, gradient_accumulation_steps=steps))
        model.fit(x, y, size, verbose=0, shuffle=False, sample_weight=np.arange(7.0))
        values.append(model.parameters.values)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-12)


def test_penalties_on_activations():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 4)), rng.integers(0, CLASSES, 7)
    values = []
    for size, steps in ((7, None), (3, 3)):
        model = network(crossentropy(), SGD(0.1, gradient_accumulation_steps=steps), penalty=0.5)
        model.fit(x, y, size, verbose=0, shuffle=False)
        values.append(model.parameters.values)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "y", "match"),
    [
        (losses.Dice(), np.ones((6, CLASSES)), "'dice'.*one loss per sample"),
        (
            losses.SplitLoss([crossentropy(ignore_class=-1), "mse"], sizes=[2, 1]),
            np.zeros((6, 2)),
            "different denominators .'sparse_categorical_crossentropy' by",
        ),
    ],
    ids=["dice", "split"],
)
@pytest.mark.filterwarnings("ignore:compile. Dice takes probabilities:UserWarning")
def test_losses_whose_gradients_do_not_add_up(loss, y, match):
    model = network(loss, SGD(0.1, gradient_accumulation_steps=2))
    with pytest.raises(ConfigurationError, match=match):
        model.fit(np.ones((6, 4)) / 2, y, 3, verbose=0)
    network(loss, SGD(0.1)).fit(np.ones((6, 4)) / 2, y, 3, verbose=0)


def test_penalties_on_activations_and_another_denominator():
    x, y = np.ones((6, 4)), np.zeros(6)
    optimizer = SGD(0.1, gradient_accumulation_steps=2)
    model = network(crossentropy(reduction="sum"), optimizer, penalty=0.5)
    with pytest.raises(ConfigurationError, match="penalties on activations"):
        model.fit(x, y, 3, verbose=0)


def test_penalties_on_activations_in_the_middle(tmp_path):
    x, y = np.ones((6, 4)), np.zeros(6)
    model = network(crossentropy(), SGD(0.1, gradient_accumulation_steps=2), penalty=0.5)
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.safetensors")
    other = nl.load_model(tmp_path / "m.safetensors")
    for each in (model, other):
        each.train_on_batch(x[:4], y[:4])
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()


def test_what_an_epoch_leaves_over_goes_on():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 4)), rng.integers(0, CLASSES, 4)
    optimizer = SGD(0.1, gradient_accumulation_steps=3)
    model = network(crossentropy(), optimizer)
    model.fit(x, y, 4, epochs=3, verbose=0)
    assert (optimizer.iterations, optimizer.accumulated) == (1, 0)
    once = network(crossentropy(), SGD(0.1))
    once.fit(x, y, 4, epochs=1, verbose=0)
    np.testing.assert_allclose(model.parameters.values, once.parameters.values, rtol=1e-12)


def test_a_run_without_an_update_warns():
    model = network(crossentropy(), SGD(0.1, gradient_accumulation_steps=5))
    with pytest.warns(UserWarning, match="no update.*2 of 5"):
        model.fit(np.ones((4, 4)), np.zeros(4), 2, epochs=1, verbose=0)
    with pytest.warns(UserWarning, match="no update.*4 of 5"):
        model.fit(np.ones((4, 4)), np.zeros(4), 2, epochs=1, verbose=0)
    model.fit(np.ones((4, 4)), np.zeros(4), 2, epochs=1, verbose=0)
    model.fit(np.ones((4, 4)), np.zeros(4), 2, epochs=0, verbose=0)


@pytest.mark.parametrize("regularizer", [None, "l2"])
@pytest.mark.parametrize("after", [1, 2])
def test_resumed_in_the_middle(tmp_path, regularizer, after):
    """To the bit, with batches of different denominators."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.integers(0, CLASSES, 9)
    weight = rng.uniform(size=9)
    batches = [slice(0, 4), slice(4, 6), slice(6, 9)]
    loss = crossentropy(reduction="mean_with_sample_weight")
    model = network(loss, Adam(0.1, gradient_accumulation_steps=3), regularizer)
    for part in batches[:after]:
        model.train_on_batch(x[part], y[part], weight[part])
    model.save(tmp_path / "m.safetensors")
    other = nl.load_model(tmp_path / "m.safetensors")
    for part in batches[after:]:
        for each in (model, other):
            each.train_on_batch(x[part], y[part], weight[part])
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()
    joint = network(loss, Adam(0.1), regularizer)
    joint.train_on_batch(x, y, weight)
    np.testing.assert_allclose(model.parameters.values, joint.parameters.values, rtol=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sum_of_means_from_an_earlier_version(reduction):
    """It has no denominators, and the gradients of the penalties are in it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 4)), rng.integers(0, CLASSES, 9)
    loss = crossentropy(reduction=reduction)
    model = network(loss, SGD(0.1, gradient_accumulation_steps=3), "l2")
    for start in (0, 3):
        model.train_on_batch(x[start : start + 3], y[start : start + 3])
    optimizer, kernel = model.optimizer, model.parameters.tensors[0]
    gathered = optimizer.state["gradient_sum"][model.parameters.own_slice(kernel)]
    gathered = gathered.reshape(kernel.shape)
    kernel.regularizer.add_gradient(kernel.value, gathered, np.empty(kernel.shape))
    kernel.regularizer.add_gradient(kernel.value, gathered, np.empty(kernel.shape))
    optimizer.denominators = None
    model.train_on_batch(x[6:], y[6:])
    joint = network(loss, SGD(0.1), "l2")
    joint.train_on_batch(x, y)
    np.testing.assert_allclose(model.parameters.values, joint.parameters.values, rtol=1e-12)
