"""A last layer that is split between several losses."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import losses
from netlayers.errors import ConfigurationError, NoForwardError

RNG = np.random.default_rng(4)
P = RNG.uniform(0.1, 0.9, (6, 7))
CLASSES = RNG.integers(0, 3, 6)
T = np.concatenate([RNG.normal(size=(6, 2)), CLASSES[:, None], RNG.normal(size=(6, 1))], axis=1)


def parts(reduction="sum_over_batch_size"):
    return [
        losses.MeanSquaredError(reduction),
        losses.SparseCategoricalCrossentropy(True, reduction=reduction),
        losses.GaussianNLL(reduction=reduction),
    ]


@pytest.mark.parametrize("weight", [None, RNG.uniform(0, 2, 6)], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_is_the_weighted_sum_of_its_losses(reduction, weight):
    split = losses.SplitLoss(parts(), [2, 3, 2], [0.5, 2.0, 1.5], reduction=reduction)
    assert split.target_sizes == [2, 1, 1]
    value = split.forward(T, P, weight)
    slices = [(T[:, :2], P[:, :2]), (CLASSES, P[:, 2:5]), (T[:, 3:], P[:, 5:])]
    alone, gradients = [], []
    for part, (t, p) in zip(parts(reduction), slices, strict=True):
        alone.append(part.forward(t, p, weight))
        gradients.append(part.backward())
    assert split.values == alone
    assert value == pytest.approx(np.dot([0.5, 2.0, 1.5], alone), rel=1e-14)
    np.testing.assert_array_equal(
        split.backward(),
        np.concatenate([w * g for w, g in zip([0.5, 2.0, 1.5], gradients, strict=True)], axis=1),
    )


def test_values_need_a_forward():
    with pytest.raises(NoForwardError, match="forward"):
        _ = losses.SplitLoss(["mse"], [1]).values


def test_the_losses_given_are_not_changed():
    given = parts()
    split = losses.SplitLoss(given, [2, 3, 2], reduction="sum")
    split.forward(T, P)
    assert [loss.reduction for loss in given] == ["sum_over_batch_size"] * 3
    with pytest.raises(NoForwardError):
        given[0].backward()


def test_without_a_reduction_the_losses_must_be_alike():
    overlap = losses.SplitLoss(["mse", "dice"], [2, 5], reduction=None)
    with pytest.raises(ConfigurationError, match=r"different shapes, \(\), \(6,\)"):
        overlap.forward(np.ones((6, 7)), P)
    summed = losses.SplitLoss(["mse", "dice"], [2, 5])
    summed.forward(np.ones((6, 7)), P)
    assert summed.values[1] == losses.Dice().forward(np.ones((6, 5)), P[:, 2:])


def test_target_sizes_may_be_given_and_losses_nested():
    inner = losses.SplitLoss(["mse", losses.Quantile([0.1, 0.9])], [1, 2])
    outer = losses.SplitLoss([inner, "sparse_categorical_crossentropy"], [3, 4])
    assert outer.target_sizes == [2, 1]
    t = np.concatenate([T[:, :2], CLASSES[:, None]], axis=1)
    assert outer.forward(t, P) == pytest.approx(sum(outer.values))
    again = losses.SplitLoss.from_config(outer.get_config())
    assert again.forward(t, P) == outer.forward(t, P)
    given = losses.SplitLoss(["mse", "mse"], [1, 6], target_sizes=[1, 6])
    assert given.forward(P, P) == 0


def test_a_model_learns_both_tasks():
    x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    y = np.stack([x[:, 0] - x[:, 1], x[:, 2] > 0], axis=1)
    loss = losses.SplitLoss(
        ["mse", losses.SparseCategoricalCrossentropy(from_logits=True)], [1, 2], [1.0, 0.5]
    )
    model = nl.Sequential([nl.layers.Dense(16, activation="relu"), nl.layers.Dense(3)], seed=0)
    model.compile(nl.optimizers.Adam(0.02), loss)
    history = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]
    out = model.predict(x)
    assert np.mean((out[:, 0] - y[:, 0]) ** 2) < 0.05
    assert np.mean(out[:, 1:].argmax(axis=1) == y[:, 1]) > 0.95


def test_fit_and_evaluate_report_each_loss():
    x = RNG.normal(size=(6, 4))
    loss = losses.SplitLoss(["mse", *parts()[1:2], "mse"], [2, 3, 1], [0.5, 2.0, 1.0])
    heads = [nl.layers.Dense(n) for n in (2, 3, 1)]
    model = nl.Sequential([nl.layers.Dense(5, "relu"), nl.layers.Parallel(heads)], seed=0)
    model.compile("adam", loss)
    history = model.fit(x, T, batch_size=4, epochs=2, verbose=0, validation_data=(x, T)).history
    names = [
        "mean_squared_error_loss",
        "sparse_categorical_crossentropy_loss",
        "mean_squared_error_1_loss",
    ]
    assert list(history) == ["loss", *names, "val_loss", *(f"val_{n}" for n in names)]
    logs = model.evaluate(x, T, batch_size=4, verbose=0, return_dict=True)
    y = model.predict(x)
    whole = loss.forward(T, y)
    assert logs["loss"] == pytest.approx(whole, rel=1e-6)
    for name, value in zip(names, loss.values, strict=True):
        assert logs[name] == pytest.approx(value, rel=1e-6)
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-6)
