"""Metrics where they are used: in ``compile``, ``fit`` and ``evaluate``."""

import functools

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

M = nl.metrics
RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 5)).astype(np.float32)
W = RNG.uniform(0, 2, 100)
Y = np.argmax(X[:, :3] + 0.5 * RNG.normal(size=(100, 3)), axis=1)
BINARY = (X.sum(axis=1) > 0).astype(int)


def make(metrics, outputs=3, last="softmax", loss="crossentropy"):
    layers = [nl.layers.Dense(8, activation="tanh"), nl.layers.Dense(outputs, activation=last)]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


def mean_error(y_true, y_pred):
    return np.abs(y_true - y_pred).mean(axis=-1)


def names(metrics):
    y = np.ones((100, 1))
    return list(make(metrics, 1, None, "mse").evaluate(X, y, return_dict=True, verbose=0))[1:]


@pytest.mark.parametrize("weight", [None, W])
def test_evaluate_is_the_metric_of_the_predictions(weight):
    metrics = [
        "accuracy",
        M.SparseTopKCategoricalAccuracy(2),
        M.F1Score("macro"),
        M.AUC(multi_label=True),
        M.AUC(20, curve="PR", name="pr"),
        M.Precision(class_id=1),
        M.ConfusionMatrix(),
        "sparse_categorical_crossentropy",
    ]
    model = make(metrics)
    model.fit(X, Y, epochs=2, verbose=0)
    results = model.evaluate(X, Y, batch_size=7, sample_weight=weight, return_dict=True, verbose=0)
    p = model.predict(X)
    keys = ["loss", "accuracy", "sparse_top_k_categorical_accuracy", "f1_score", "auc", "pr"]
    assert list(results) == [*keys, "precision", "confusion_matrix", metrics[-1]]
    alone = [M.SparseCategoricalAccuracy(), *metrics[1:-1], M.SparseCategoricalCrossentropy()]
    for key, metric in zip(list(results)[1:], alone, strict=True):
        metric.reset_state()
        np.testing.assert_allclose(results[key], metric(Y, p), rtol=1e-6, err_msg=key)
    listed = model.evaluate(X, Y, batch_size=7, sample_weight=weight, verbose=0)
    np.testing.assert_array_equal(listed[-2], results["confusion_matrix"])


def test_history_of_a_fit_with_validation(capsys):
    model = make(["accuracy", M.AUC(), M.ConfusionMatrix(), M.F1Score()])
    history = model.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=2).history
    training = ["loss", "accuracy", "auc", "confusion_matrix", "f1_score"]
    assert list(history) == training + [f"val_{key}" for key in training]
    matrices = history["val_confusion_matrix"]
    assert [m.shape for m in matrices] == [(3, 3), (3, 3)]
    assert [int(m.sum()) for m in matrices] == [100, 100]
    # What the validation saw is what the model is at the end of the epoch.
    p = model.predict(X)
    assert history["val_auc"][-1] == M.AUC()(Y, p)
    np.testing.assert_array_equal(matrices[-1], M.ConfusionMatrix()(Y, p))
    assert np.trace(matrices[-1]) / 100 == history["val_accuracy"][-1]
    lines = capsys.readouterr().out.splitlines()
    assert "val_auc" in lines[-1]
    assert "confusion" not in lines[-1]
    assert "f1" not in lines[-1]
    model.evaluate(X, Y, verbose=1)
    line = capsys.readouterr().out
    assert "auc" in line
    assert "confusion" not in line


def test_a_costly_result_is_not_in_the_logs_of_batches():
    class Logs(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(list(logs))

        def on_test_batch_end(self, batch, logs=None):
            seen.append(list(logs))

    seen = []
    model = make([M.AUC(), M.AUC(200, name="quick"), "accuracy"])
    history = model.fit(X, Y, callbacks=[Logs()], validation_data=(X, Y), verbose=0).history
    assert {tuple(keys) for keys in seen} == {("loss", "quick", "accuracy")}
    assert {"auc", "val_auc"} <= set(history)


def test_functions():
    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    partial = functools.partial(mean_error)
    metrics = [mean_error, worst, lambda t, p: t - p, lambda t, p: (t - p) ** 2, partial, "mae"]
    model = make((), 1, None, "mse")
    model.compile("sgd", "mse", weighted_metrics=metrics)
    y = X[:, 0]  # (batch,) beside (batch, 1): nothing is broadcast
    results = model.evaluate(X, y, batch_size=30, sample_weight=W, return_dict=True, verbose=0)
    assert list(results)[1:] == ["mean_error", "worst", "lambda", "lambda_1", "mean_error_1", "mae"]
    d = y - model.predict(X)[:, 0]
    mean = pytest.approx(np.average(np.abs(d), weights=W), rel=1e-5)
    assert results["mean_error"] == results["mean_error_1"] == mean == results["mae"]
    assert results["lambda"] == pytest.approx(np.average(d, weights=W), rel=1e-5)
    parts = [np.abs(d[i : i + 30]).max() for i in range(0, 100, 30)]
    expected = np.average(parts, weights=[30, 30, 30, 10])  # no sample weights
    assert results["worst"] == pytest.approx(expected, rel=1e-6)


def test_functions_that_can_not_be_metrics():
    def writes(y_true, y_pred):
        y_pred -= y_true
        return y_pred

    y = np.ones((100, 1))
    with pytest.raises(ValueError, match="read-only"):
        make([writes], 1, None, "mse").evaluate(X, y, verbose=0)
    with pytest.raises(ShapeError, match=r"'lambda'.*\(2,\).*one number per sample"):
        make([lambda t, p: np.ones(2)], 1, None, "mse").evaluate(X, y, verbose=0)
    with pytest.raises(DataError, match="lambda"):
        make([lambda t, p: "text"], 1, None, "mse").evaluate(X, y, verbose=0)
    with pytest.raises(ConfigurationError, match=r"'mean_error'.*register"):
        M.get(mean_error).get_config()


def test_a_registered_function_is_known_by_its_name():
    nl.register("metric")(mean_error)
    try:
        metric = M.get("mean_error")
        assert metric.fn is mean_error
        assert metric.get_config() == {"fn": "mean_error", "name": "mean_error", "dtype": None}
        again = M.get({"class_name": "MeanMetricWrapper", "config": metric.get_config()})
        assert again([1.0], [3.0]) == 2.0
        assert names(["mean_error"]) == ["mean_error"]
    finally:
        nl.registry._REGISTRY["metric"].pop("mean_error")


def test_names_are_made_unique():
    assert names([M.R2Score(), M.R2Score("variance_weighted_average")]) == [
        "r2_score",
        "r2_score_1",
    ]
    assert names(["mse", M.Accuracy("mse"), M.Accuracy("mse_1")]) == ["mse", "mse_1", "mse_1_1"]
    assert names([M.Accuracy("loss")]) == ["loss_1"]
    metric = M.R2Score()
    with pytest.raises(ConfigurationError, match=r"R2Score.*twice"):
        names([metric, metric])


def test_names_take_logits_as_such():
    """The same numbers from a sigmoid as last layer, and from a loss on logits without it."""
    chosen = [
        "accuracy",
        "auc",
        "precision",
        "recall",
        "f1_score",
        "crossentropy",
        "binary_accuracy",
    ]
    losses = nl.losses.BinaryCrossentropy(), nl.losses.BinaryCrossentropy(from_logits=True)
    plain = make(chosen, 1, "sigmoid", losses[0]).evaluate(X, BINARY, verbose=0)
    logits = make(chosen, 1, None, losses[1]).evaluate(X, BINARY, verbose=0)
    for one, other in zip(plain, logits, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert 0 < plain[3] < 1
    chosen = ["accuracy", "precision", "auc", "f1_score", "ce"]
    losses = (
        nl.losses.SparseCategoricalCrossentropy(),
        nl.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    plain = make(chosen, 3, "softmax", losses[0]).evaluate(X, Y, verbose=0)
    logits = make(chosen, 3, None, losses[1]).evaluate(X, Y, verbose=0)
    for one, other in zip(plain, logits, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_what_get_takes():
    assert type(M.get(M.AUC)) is M.AUC
    metric = M.AUC()
    assert M.get(metric) is metric
    assert M.get("mse").name == "mse"
    for name in ("accuracy", "ce"):
        with pytest.raises(ConfigurationError, match="depends on the shapes"):
            M.get(name)
    one_hot, classes, single = (None, 3), (None,), (None, 1)
    assert type(M.get("ce", one_hot, one_hot)) is M.CategoricalCrossentropy
    assert type(M.get("acc", classes, one_hot)) is M.SparseCategoricalAccuracy
    assert type(M.get("crossentropy", classes, single)) is M.BinaryCrossentropy
    assert M.get("accuracy", classes, single, from_logits=True).threshold == 0.0
    with pytest.raises(ConfigurationError, match="'precision'"):
        M.get("precison")


def test_training_ends_at_the_same_weights_with_and_without_metrics():
    plain, measured = (
        make([]),
        make(["accuracy", "auc", M.ConfusionMatrix(), mean_error_of_classes]),
    )
    for model in (plain, measured):
        model.fit(X, Y, epochs=2, verbose=0)
    assert plain.parameters.values.tobytes() == measured.parameters.values.tobytes()


def mean_error_of_classes(y_true, y_pred):
    return np.abs(np.eye(3)[y_true] - y_pred).mean(axis=-1)
