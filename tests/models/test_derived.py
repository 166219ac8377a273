"""Classes derived from Model: made of inputs and outputs, or of nothing but a train_step."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")


class Plain(nl.Model):
    """Adds one method."""

    def double(self, x):
        return 2 * self.predict(x)


class Tower(nl.Model):
    """Calls its layers in its constructor."""

    def __init__(self, units=3, **kwargs):
        x = nl.Input((4,))
        super().__init__(x, L.Dense(1)(L.Dense(units, "relu")(x)), **kwargs)
        self.units = units


class Further(Tower):
    """A class derived from one of them."""


def plain():
    x = nl.Input((4,))
    return Plain(inputs=x, outputs=L.Dense(2)(L.Dense(3, "relu")(x)), seed=1, name="plain")


@pytest.mark.parametrize("make", [plain, lambda: Tower(5, seed=1), lambda: Further(seed=1)])
def test_it_is_both_its_class_and_functional(make, tmp_path):
    model = make()
    assert isinstance(model, nl.models.Functional)
    assert isinstance(model, nl.Model)
    assert type(model).__name__ in ("Plain", "Tower", "Further")
    assert nl.check_gradients(model, X[:4]).passed
    model.compile("adam", "mse")
    y = X[:, :1] if model.output_shape[-1] == 1 else X[:, :2]
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m")
    classes = {"Plain": Plain, "Tower": Tower, "Further": Further}
    copies = [
        nl.load_model(tmp_path / "m", custom_objects=classes),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]
    for again in copies:
        assert type(again) is type(model)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    expected = model.fit(X, y, verbose=0).history
    assert [again.fit(X, y, verbose=0).history for again in copies] == 3 * [expected]
    assert nl.models.clone_model(model).count_params() == model.count_params()


def test_methods_and_arguments_are_kept():
    model = plain()
    np.testing.assert_array_equal(model.double(X), 2 * model.predict(X))
    assert model.name == "plain"
    tower = Tower(5, seed=1)
    assert tower.get_config() == {
        "units": 5,
        "seed": 1,
        "name": "tower",
        "trainable": True,
        "dtype": tower.get_config()["dtype"],
        "learning_rate_multiplier": 1.0,
    }
    assert "units=5" in repr(tower)
    assert "SymbolicValue" not in repr(tower)
    assert "relu" not in repr(tower)
    assert [layer.name for layer in plain().layers] == ["input_layer", "dense", "dense_1"]


def test_a_model_from_its_description():
    x = nl.Input((4,))
    model = nl.Model(x, L.Dense(2)(x), seed=0)
    assert nl.Model.from_config(model.get_config()).output_shape == (None, 2)


class Pair(nl.Model):
    """Two networks without a forward pass of their own."""

    def __init__(self, first, second):
        super().__init__(seed=0)
        self.first, self.second = first, second
        self.tracker = nl.metrics.Mean(name="error")
        self.seeds = nl.random.SeedGenerator(1)
        self.rule = nl.optimizers.Adam(0.01)

    def train_step(self, data):
        x = data + nl.random.normal(data.shape, stddev=0.1, seed=self.seeds)
        error = self.second(self.first(x, training=True), training=True) - data
        self.first.backward(self.second.backward(2 * error / error.size), input_gradient=False)
        self.rule.step(self.first.parameters)
        self.optimizer.step(self.second.parameters)
        self.tracker.update_state(np.mean(error**2))
        return {"error": self.tracker.result()}


def pair(input_shape=(4,)):
    first = [nl.Input(input_shape)] if input_shape else []
    model = Pair(
        nl.Sequential([*first, L.Dense(3, "tanh"), L.Dropout(0.1)], seed=1),
        nl.Sequential([nl.Input((3,)), L.Dense(4)], seed=2),
    )
    model.compile(nl.optimizers.Adam(0.01))
    return model


def test_without_forward():
    model = pair()
    history = model.fit(X, epochs=10, verbose=0).history["error"]
    assert history[-1] < history[0]
    assert pair().fit([(X[i : i + 32],) for i in (0, 32)], verbose=0).history["error"]
    assert model.count_params() == sum(w.size for w in model.get_weights())
    with pytest.raises(ConfigurationError, match="has no forward"):
        model.predict(X)
    with pytest.raises(ConfigurationError, match=r"begin it with nl.Input\(shape\)"):
        pair(None).fit(X, verbose=0)


class Stops(nl.callbacks.Callback):
    """Ends the first run after some batches."""

    def __init__(self, after):
        self.after, self.count = after, 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.after:
            raise KeyboardInterrupt

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


@pytest.mark.parametrize("after", [3, 4, 7])
def test_its_optimizers_metrics_and_seeds_are_resumed(after, tmp_path):
    options = {"epochs": 4, "batch_size": 16, "verbose": 0}
    expected = pair()
    history = expected.fit(X, callbacks=[Stops(-1)], **options).history
    backup = nl.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    with pytest.raises(KeyboardInterrupt):
        pair().fit(X, callbacks=[backup, Stops(after)], **options)
    resumed = pair()
    backup = nl.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    assert resumed.fit(X, callbacks=[backup, Stops(-1)], **options).history == history
    for a, b in zip(expected.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
