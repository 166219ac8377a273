"""Metrics of each part of a SplitLoss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import losses, metrics
from netlayers.errors import ConfigurationError


def split(**options):
    parts = [
        losses.MeanSquaredError(name="price", mask_nan=True),
        losses.SparseCategoricalCrossentropy(True, ignore_class=-1, name="kind"),
        losses.BinaryCrossentropy(True, name="labels"),
    ]
    return losses.SplitLoss(parts, [1, 3, 2], [1.0, 0.5, 2.0], **options)


def data(seed=0, rows=12):
    rng = np.random.default_rng(seed)
    x, price = rng.normal(size=(rows, 6)), rng.normal(size=(rows, 1))
    price[1::3] = np.nan
    kind = rng.integers(-1, 3, (rows, 1))
    y = np.concatenate([price, kind, rng.integers(0, 2, (rows, 2))], axis=1)
    return x, y, rng.integers(1, 4, y.shape) / 2


def passing_on(loss=None, **chosen):
    model = nl.Sequential([nl.layers.Input((6,)), nl.layers.Activation("linear")], dtype="float64")
    model.compile("sgd", loss or split(), **chosen)
    return model


@given(st.integers(0, 99), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_each_part_has_its_metrics_on_its_slice(seed, batch_size):
    x, y, w = data(seed)
    names = {"price": "mae", "kind": ["accuracy"], "labels": ["accuracy", "auc"]}
    model = passing_on(metrics=names, weighted_metrics={"price": ["mae"], "labels": ["accuracy"]})
    got = model.evaluate(x, y, batch_size, 0, w, return_dict=True)
    assert list(got) == [
        "loss",
        *("price_loss", "kind_loss", "labels_loss"),
        *("price_mae", "price_weighted_mae", "kind_accuracy"),
        *("labels_accuracy", "labels_auc", "labels_weighted_accuracy"),
    ]
    known, sure = ~np.isnan(y[:, 0]), y[:, 1] >= 0
    error = np.abs(x[:, 0] - y[:, 0])[known]
    right = (x[:, 4:] > 0) == y[:, 2:]
    assert got["price_mae"] == pytest.approx(error.mean())
    assert got["price_weighted_mae"] == pytest.approx(np.average(error, weights=w[known, 0]))
    classes = x[sure, 1:4].argmax(axis=1)
    assert got["kind_accuracy"] == pytest.approx(np.mean(classes == y[sure, 1]) if any(sure) else 0)
    assert got["labels_accuracy"] == pytest.approx(right.mean())
    assert got["labels_weighted_accuracy"] == pytest.approx(np.average(right, weights=w[:, 2:]))
    area = metrics.AUC(from_logits=True)(y[:, 2:], x[:, 4:])
    np.testing.assert_allclose(got["labels_auc"], area)
    loss = split()
    loss.forward(y, x, w)
    assert [got[name] for name in loss.value_names] == pytest.approx(loss.values)


def test_a_list_for_each_part_is_the_same():
    x, y, _ = data()
    named = passing_on(metrics={"labels": "accuracy", "price": ["mae", "mse"]})
    listed = passing_on(metrics=[["mae", "mse"], None, "accuracy"])
    results = [model.evaluate(x, y, verbose=0, return_dict=True) for model in (named, listed)]
    assert results[0] == results[1]
    assert [metric.name for metric in named.metrics] == ["mae", "mse", "accuracy"]


def test_in_fit_and_its_callbacks():
    x, y, w = data()
    model = nl.Sequential([nl.layers.Dense(6)], seed=0)
    model.compile("adam", split(), metrics={"price": ["mae"]}, weighted_metrics=["mse"])
    with pytest.raises(nl.errors.ShapeError):  # not a metric of the whole: 4 targets, 6 outputs
        model.fit(x, y, verbose=0)
    model.compile("adam", split(), metrics={"price": ["mae"]})
    stop = nl.callbacks.EarlyStopping("val_price_mae", patience=1)
    history = model.fit(
        x, y, epochs=3, verbose=0, sample_weight=w, validation_data=(x, y, w), callbacks=[stop]
    ).history  # fmt: skip
    assert {"price_mae", "val_price_mae", "val_labels_loss"} <= history.keys()
    assert history["val_price_mae"][-1] == pytest.approx(stop.best)


def test_in_a_file(tmp_path):
    x, y, w = data()

    def largest(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    model = passing_on(
        metrics={"kind": [metrics.SparseTopKCategoricalAccuracy(2)], "price": [largest]},
        weighted_metrics=[[], [], ["binary_accuracy"]],
    )
    model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = nl.load_model(tmp_path / "model.safetensors", custom_objects={"largest": largest})
    results = [
        m.evaluate(x, y, verbose=0, sample_weight=w, return_dict=True) for m in (model, again)
    ]
    assert results[0] == results[1]
    assert {"kind_sparse_top_k_categorical_accuracy", "price_largest"} <= results[1].keys()


def test_names_do_not_collide():
    parts = [losses.MeanSquaredError(name="a"), losses.MeanSquaredError(name="a_b")]
    loss = losses.SplitLoss([*parts, "mae"], [2, 2, 2])
    chosen = {"a": [metrics.MeanAbsoluteError(name="b_c")], "a_b": [metrics.MeanSquaredError("c")]}
    x = np.ones((2, 6))
    got = passing_on(loss, metrics=chosen).evaluate(x, x, verbose=0, return_dict=True)
    assert list(got)[-2:] == ["a_b_c", "a_b_c_1"]
    twice = losses.SplitLoss(["mse", "mse"], [2, 4])
    got = passing_on(twice, metrics={"mean_squared_error_1": "mae"}).evaluate(
        x, x, return_dict=True
    )
    assert "mean_squared_error_1_mae" in got


SHARED = metrics.MeanAbsoluteError()


@pytest.mark.parametrize(
    ("loss", "given_", "message"),
    [
        (split(), {"knd": ["mae"]}, r"the key 'knd'.*Did you mean 'kind'\? They are price, "),
        (split(), [["mae"], ["mae"]], "for each of the 3 losses price, kind, labels, got 2"),
        ("mse", {"price": ["mae"]}, "only the parts of a SplitLoss"),
        ("mse", [["mae"]], "only the parts of a SplitLoss"),
        (split(), {"price": ["no_metric"]}, "no_metric"),
    ],
)  # fmt: skip
def test_what_compile_refuses(loss, given_, message):
    for argument in ("metrics", "weighted_metrics"):
        with pytest.raises(ConfigurationError, match=message):
            passing_on(loss, **{argument: given_})


def test_an_object_belongs_to_one_part():
    model = passing_on(metrics={"price": [SHARED], "labels": [SHARED]})
    with pytest.raises(ConfigurationError, match="is there twice; make one for each use"):
        model.evaluate(*data()[:2], verbose=0)
