"""Models with the user's own classes and functions."""

import json

import numpy as np
import pytest

import netlayers as nl
from tests.saving.models import Twice, data


def largest_error(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=-1)


class Share(nl.metrics.MeanMetric):
    def __init__(self, limit=0.5, name=None):
        super().__init__(name)
        self.limit = limit

    def values(self, y_true, y_pred):
        return (abs(y_true - y_pred) < self.limit).mean(axis=-1)


class PlainLoss:
    def forward(self, y_true, y_pred, sample_weight=None):
        self.difference = y_pred - y_true
        return float((self.difference**2).sum())

    def backward(self):
        return 2 * self.difference


def test_custom_objects(path):
    loss = PlainLoss()
    model = nl.Sequential([Twice(np.float32(3)), nl.layers.Dense(1)], seed=0)
    model.compile(
        "sgd",
        loss,
        metrics=[largest_error, nl.metrics.MeanMetricWrapper(largest_error, "e"), Share(9)],
    )
    x = data((8, 2))
    model.fit(x, x[:, :1], epochs=1, verbose=0)
    model.save(path)
    with pytest.raises(nl.errors.FileError, match=r"unknown layer 'Twice'.*custom_objects"):
        nl.load_model(path)
    with pytest.raises(nl.errors.FileError, match="plain_loss"):
        nl.load_model(path, {"Twice": Twice})
    assert nl.load_model(path, {"Twice": Twice}, compile=False).layers[0].factor == 3
    objects = {"Twice": Twice, "plain_loss": loss, "largest_error": largest_error}
    objects["Share"] = Share
    again = nl.load_model(path, objects)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.loss is loss
    assert list(again.evaluate(x, x[:, :1], verbose=0, return_dict=True)) == [
        "loss",
        "largest_error",
        "e",
        "share",
    ]


@pytest.mark.parametrize("loss", ["crossentropy", nl.losses.Huber(0.5), nl.losses.MeanSquaredError])
def test_losses(path, loss):
    model = nl.Sequential([nl.layers.Dense(2)])
    model.compile("sgd", loss, metrics="accuracy")
    model.save(path)
    again = nl.load_model(path)
    assert repr(again.loss) == repr(model.loss)
    assert again._metrics == ("accuracy",)


def test_names_that_collide(path):
    inner = nl.Sequential([nl.layers.Dense(2, name="b/c")], name="a")
    outer = nl.Sequential([nl.layers.Dense(2, name="c")], name="a/b")
    model = nl.Sequential([inner, outer])
    model.build((None, 2))
    with pytest.raises(nl.errors.FileError, match="'a/b/c/kernel' twice"):
        model.save(path)
    assert not path.exists()


def test_two_functions_of_one_name_are_refused(path):
    def error(y_true, y_pred):
        return np.abs(y_true - y_pred)

    first = error

    def error(y_true, y_pred):
        return 2 * np.abs(y_true - y_pred)

    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    model.compile("sgd", "mse", metrics=[first, error])
    with pytest.raises(nl.errors.FileError, match="two things called 'error'"):
        model.save(path)
    assert not path.exists()
    wrapper = nl.metrics.MeanMetricWrapper
    model.compile("sgd", "mse", metrics=[first, wrapper(first, "again")])
    model.save(path)
    assert nl.load_model(path, {"error": first}).optimizer is not None


def test_a_function_is_not_taken_for_a_class_of_its_name(path):
    def accuracy(y_true, y_pred):
        return np.abs(y_true - y_pred)

    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    model.compile("sgd", "mse", metrics=[accuracy])
    model.save(path)
    with pytest.raises(nl.errors.FileError, match="a metric called 'accuracy'"):
        nl.load_model(path)
    assert nl.load_model(path, {"accuracy": accuracy}).optimizer is not None


@pytest.mark.parametrize("wrong", [[1], "Dense", {nl.layers.Dense: 1}])
def test_custom_objects_are_a_mapping(wrong):
    for call in (nl.load_model, nl.models.model_from_json):
        with pytest.raises(nl.errors.ConfigurationError, match="custom_objects must be a dict"):
            call("x", wrong)


def test_the_hint_is_for_unknown_names_alone():
    def message(layer):
        text = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        with pytest.raises(nl.errors.FileError) as caught:
            nl.models.model_from_json(text)
        return str(caught.value)

    assert "custom_objects" in message({"class_name": "Mine", "config": {}})
    wrong = message({"class_name": "Dense", "config": {"units": -1}})
    assert "custom_objects" not in wrong
    assert ".." not in wrong


def test_a_loss_and_a_metric_of_one_name(path):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", nl.losses.MeanSquaredError(), metrics=[nl.metrics.MeanSquaredError()])
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    model.save(path)
    again = nl.load_model(path)
    assert isinstance(again.loss, nl.losses.MeanSquaredError)
    assert list(again.evaluate(np.ones((4, 2)), np.ones(4), verbose=0, return_dict=True)) == [
        "loss",
        "mean_squared_error",
    ]
