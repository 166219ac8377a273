"""A saved model comes back with the same bits, and trains on with the same bits."""

import copy
import json
import os
import pickle
import stat
import tracemalloc
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.calls import generators_of
from netlayers.registry import registered

LAYERS = sorted(
    {c for c in registered("layer").values() if c.__module__.startswith("netlayers.")},
    key=lambda c: c.__name__,
)
EXAMPLES = [
    pytest.param(cls, kwargs, shape, id=f"{cls.__name__}-{i}")
    for cls in LAYERS
    for i, (kwargs, shape) in enumerate(cls.examples())
]
OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.5, "centered": True, "clipnorm": 1.0}],
    "Adam": [{}, {"amsgrad": True, "clipvalue": 0.5}, {"gradient_accumulation_steps": 2}],
    "AdamW": [{}, {"global_clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2}],
    "Adagrad": [{}],
    "Adadelta": [{}],
    "Adamax": [{}],
    "Nadam": [{}],
    "Lion": [{"weight_decay": 0.1}],
    "Lamb": [{"weight_decay": 0.1}],
    "RAdam": [{"use_ema": True}],
}


def data(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def assert_same(a, b):
    """Every number of two models is the same: weights, statistics, optimizer, streams."""
    assert a.get_config() == b.get_config()
    for kind in ("values", "statistics"):
        one, two = getattr(a.parameters, kind), getattr(b.parameters, kind)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one.view(np.uint8), two.view(np.uint8))
    states = [[g.bit_generator.state for g in generators_of(m).values()] for m in (a, b)]
    assert states[0] == states[1]
    assert a._streams.entropy == b._streams.entropy
    assert streams_of(a) == streams_of(b)
    if a.optimizer is not None:
        assert a.optimizer.get_config() == b.optimizer.get_config()
        assert a.optimizer.state.keys() == b.optimizer.state.keys()
        for name in ("iterations", "skipped", "accumulated", "learning_rate_factor"):
            assert getattr(a.optimizer, name) == getattr(b.optimizer, name)
        for name, vector in a.optimizer.state.items():
            np.testing.assert_array_equal(vector, b.optimizer.state[name])


def streams_of(model):
    return {name: g.bit_generator.state for name, g in model._streams._generators.items()}


def assert_views(model):
    vector = model.parameters
    for p in vector.all:
        assert np.shares_memory(p.value, vector.statistics if p.statistic else vector.values)
        assert getattr(p.layer, p.name) is p.value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(("cls", "kwargs", "shape"), EXAMPLES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer(path, cls, kwargs, shape, dtype):
    model = nl.Sequential([cls(**kwargs), nl.layers.Flatten()], seed=3, dtype=dtype)
    x = data((6, *shape[1:]))
    model.build((None, *shape[1:]))
    y = data(model.predict(x).shape, seed=1)
    model.compile(nl.optimizers.SGD(0.01, momentum=0.9), "mse")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    expected = model.predict(x)
    model.save(path)
    again = nl.load_model(path)
    assert_same(model, again)
    assert_views(again)
    np.testing.assert_array_equal(again.predict(x), expected)
    for m in (model, again):
        m.fit(x, y, batch_size=4, epochs=1, verbose=0)
    assert_same(model, again)


def test_every_optimizer_is_tried():
    ours = {c for c in registered("optimizer").values() if c.__module__.startswith("netlayers.")}
    assert {c.__name__ for c in ours} == set(OPTIMIZERS)


def trained(optimizer, epochs=2):
    layers = [
        nl.layers.Dense(8, "relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
        nl.layers.BatchNormalization(),
        nl.layers.Dropout(0.3),
        nl.layers.Residual([nl.layers.Dense(5, "tanh"), nl.layers.GaussianNoise(0.1, seed=4)]),
        nl.layers.Dense(3, "softmax", learning_rate_multiplier=0.5),
    ]
    model = nl.Sequential(layers, seed=7, name="net")
    layers[0].trainable = False
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy", nl.metrics.AUC()]
    )
    x, y = data((33, 4)), np.arange(33) % 3
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
    return model, x, y


@pytest.mark.parametrize(
    ("name", "kwargs"), [(name, kw) for name, all_kw in OPTIMIZERS.items() for kw in all_kw]
)
@pytest.mark.parametrize("how", ["file", "restore", "pickle", "deepcopy"])
def test_training_goes_on_to_the_same_bits(path, name, kwargs, how):
    schedule = nl.optimizers.schedules.ExponentialDecay(0.02, 3, 0.9)
    optimizer = getattr(nl.optimizers, name)(schedule, **kwargs)
    optimizer.exclude_from_weight_decay(var_names=["bias", "^dense/"])
    model, x, y = trained(optimizer)
    optimizer.learning_rate_factor = 0.25
    if how == "file":
        model.save(path)
        again = nl.load_model(path)
    elif how == "restore":
        nl.saving.save_model(model, path)
        fresh = getattr(nl.optimizers, name)(schedule, **kwargs)
        again, _, _ = trained(fresh, epochs=1)
        assert nl.saving.restore(path, again) == ({}, None)
    else:
        again = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    assert_same(model, again)
    assert_views(again)
    histories = [m.fit(x, y, batch_size=8, epochs=2, verbose=0).history for m in (model, again)]
    assert histories[0] == histories[1]
    assert_same(model, again)


def test_joblib(path):
    joblib = pytest.importorskip("joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, x, y = trained("adam")
        joblib.dump(model, path)
        for mode in (None, "r"):  # with "r", arrays are read-only maps of the file
            again = joblib.load(path, mmap_mode=mode)
            assert_same(model, again)
            assert_views(again)
            again.fit(x, y, verbose=0)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("how", ["pickle", "deepcopy", "joblib"])
def test_copies_are_independent(path, fitted, how):
    model, x, y = trained("adam", epochs=int(fitted))
    if how == "joblib":
        joblib = pytest.importorskip("joblib")
        joblib.dump(model, path)
        again = joblib.load(path)
    else:
        again = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    assert_same(model, again)
    assert_views(again)
    before = again.get_weights()
    model.fit(x, y, verbose=0)
    for a, b in zip(before, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_adapted_normalization(path):
    x = data((50, 3)) * 7 + 100
    layer = nl.layers.Normalization()
    layer.adapt(x)
    model = nl.Sequential([layer, nl.layers.Dense(2)])
    model.save(path)  # before it is built
    again = nl.load_model(path)
    assert not again.built
    assert again.layers[0].built
    y = again.layers[0].forward(x)
    np.testing.assert_array_equal(y, layer.forward(x))
    again.build((None, 3))
    np.testing.assert_array_equal(again.layers[0].forward(x), y)
    again.save(path)
    np.testing.assert_array_equal(nl.load_model(path).predict(x), again.predict(x))


def test_nested_models_with_inputs(path):
    inner = nl.Sequential([nl.layers.Input((4,)), nl.layers.Dense(3, "elu")], name="encoder")
    branches = nl.layers.Parallel([[nl.layers.Dense(2)], nl.layers.Dense(2), []])
    model = nl.Sequential([nl.layers.Input((4,)), inner, branches], seed=0)
    model.save(path)
    again = nl.load_model(path)
    assert_same(model, again)
    with nl.saving.StoredFile(path) as file:
        assert set(file.entries) == {
            f"{layer}/{name}"
            for layer in ("encoder/dense", "parallel/chain/dense", "parallel/dense")
            for name in ("kernel", "bias")
        }


def test_a_layer_alone_and_an_empty_model(path):
    layer = nl.layers.Dense(3)
    layer.build((None, 2))
    nl.saving.save_model(layer, path)
    np.testing.assert_array_equal(nl.load_model(path).kernel, layer.kernel)
    nl.Sequential(name="nothing").save(path)
    assert nl.load_model(path).name == "nothing"


def test_a_model_that_is_not_compiled(path):
    model, _, _ = trained("adam")
    model.save(path)
    again = nl.load_model(path, compile=False)
    assert again.optimizer is None
    np.testing.assert_array_equal(again.parameters.values, model.parameters.values)
    again.save(path)
    assert nl.load_model(path).optimizer is None


def test_a_changed_learning_rate_comes_back(path):
    model, _, _ = trained("adam")
    model.optimizer.learning_rate = 0.125
    model.optimizer.learning_rate_factor = 0.5
    model.save(path)
    assert nl.load_model(path).optimizer.learning_rate == 0.0625
    other, _, _ = trained("adam")
    nl.saving.restore(path, other)
    assert other.optimizer.learning_rate == 0.0625


def test_further_arrays_and_data(path):
    model, _, _ = trained("adam")
    arrays = {"best": np.arange(3), "order": np.arange(4, dtype=np.uint8)}
    extra = {"wait": 2, "best": -np.inf, "history": [1.5, np.nan], "epoch": np.int64(3)}
    nl.saving.save_model(model, path, arrays=arrays, extra=extra)
    found, again = nl.saving.restore(path, model)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert again["wait"] == 2
    assert again["best"] == -np.inf
    assert np.isnan(again["history"][1])
    assert_same(model, nl.load_model(path))  # which leaves them alone


# Classes and functions of the user's -----------------------------------------------------------


class Twice(nl.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def forward(self, x, training=False):
        return self.prepare(x) * self.factor

    def backward(self, dy):
        return dy * self.factor


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


# JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_json(fitted):
    model, _, _ = trained("adam") if fitted else (nl.Sequential([nl.layers.Dense(2)]), 0, 0)
    again = nl.models.model_from_json(model.to_json(indent=2))
    assert not again.built
    assert again.get_config() == model.get_config()
    assert json.loads(model.to_json())["class_name"] == "Sequential"
    assert type(model).from_config(model.get_config()).get_config() == model.get_config()


def test_json_of_numbers_of_numpy():
    model = nl.Sequential([Twice(np.float32(0.5)), Twice(np.inf)])
    again = nl.models.model_from_json(model.to_json(), {"Twice": Twice})
    assert [layer.factor for layer in again.layers] == [0.5, np.inf]
    with pytest.raises(nl.errors.FileError, match="factor: expected plain data"):
        nl.Sequential([Twice(print)]).to_json()


def test_json_of_a_stranger():
    for text in ("[", "{}", "3", '{"class_name": "os.system", "config": {}}', '{"a": 1, "a": 2}'):
        with pytest.raises(nl.errors.FileError):
            nl.models.model_from_json(text)
    with pytest.raises(nl.errors.ConfigurationError, match="must be a text"):
        nl.models.model_from_json(None)


# Weights ----------------------------------------------------------------------------------------


def test_weights(path):
    model, x, _ = trained("adam")
    other, _, _ = trained("sgd", epochs=1)
    for save in (model.save_weights, model.save):
        save(path)
        other.set_weights([w + 1 for w in other.weights])
        other.load_weights(path)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_weights_of_another_model(path):
    layers = [nl.layers.Dense(3), nl.layers.Dense(2)]
    model = nl.Sequential(layers, seed=0)
    model.build((None, 4))
    model.save_weights(path)
    other = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(5)], seed=1)
    with pytest.raises(nl.errors.NotBuiltError):
        other.load_weights(path)
    other.build((None, 4))
    before = other.get_weights()
    with pytest.raises(nl.errors.FileError, match=r"dense_1/kernel: expected shape \(3, 5\)"):
        other.load_weights(path)
    for a, b in zip(before, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="2 of 4 weights were left"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.weights[0], model.weights[0])
    np.testing.assert_array_equal(other.weights[2], before[2])
    double = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(2)], dtype="float64")
    double.build((None, 4))
    with pytest.raises(nl.errors.FileError, match="float64"):
        double.load_weights(path)
    with pytest.raises(nl.errors.FileError, match="weights alone"):
        nl.load_model(path)


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


# Arguments --------------------------------------------------------------------------------------


def test_paths(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    model.save("~/home.safetensors")
    assert (tmp_path / "home.safetensors").exists()
    model.load_weights(b"~/home.safetensors")
    assert nl.load_model("~/home.safetensors", safe_mode=False).built
    calls = [nl.load_model, model.save, model.save_weights, model.load_weights]
    for call in calls:
        for wrong in ("", None, 3, "a\0b"):
            with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a file"):
                call(wrong)
        with pytest.raises(nl.errors.FileError, match="a folder"):
            call(tmp_path)
    for make in (nl.callbacks.ModelCheckpoint, nl.callbacks.CSVLogger):
        with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a file"):
            make(None)
    with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a folder"):
        nl.callbacks.BackupAndRestore(None)
    with pytest.raises(nl.errors.FileError, match="expected a folder"):
        nl.callbacks.BackupAndRestore(tmp_path / "home.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_neither_replaced_nor_waited_for(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    for call in (nl.load_model, model.save, model.save_weights, model.load_weights):
        with pytest.raises(nl.errors.FileError, match="a pipe or a device"):
            call(path)
    assert stat.S_ISFIFO(path.stat().st_mode)


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


def test_a_name_of_megabytes_costs_little():
    name = "x" * (4 << 20)
    tracemalloc.start()
    with pytest.raises(nl.errors.UnknownNameError) as caught:
        nl.registry.lookup("layer", name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(caught.value)) < 10_000
    assert peak < 4 * len(name)  # the name without spaces, and in small letters


def test_integers_of_too_many_digits(path):
    with pytest.raises(nl.errors.FileError, match="14284 bits"):
        nl.saving.write_file(path, {}, {"x": 1 << 14_284})
    nl.saving.write_file(path, {}, {"x": (1 << 14_284) - 1})
    with nl.saving.StoredFile(path) as file:
        assert file.description["x"] == (1 << 14_284) - 1
