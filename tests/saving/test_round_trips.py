"""A saved model comes back with the same bits, and continues training with the same bits."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.checks import is_several
from netlayers.core.calls import generators_of
from netlayers.core.shapes import any_batch
from netlayers.registry import registered
from netlayers.testing.values import inputs, with_rows
from tests.saving.models import STATELESS, data, trained

pytestmark = pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning")

OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}],
    "RMSprop": [{}, {"momentum": 0.5, "centered": True, "clipnorm": 1.0}],
    "Adam": [{}, {"amsgrad": True, "clipvalue": 0.5}, {"gradient_accumulation_steps": 2}],
    "AdamW": [{}, {"global_clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2}],
    "Adagrad": [{}],
    "Adadelta": [{}],
    "Adamax": [{}],
    "Nadam": [{}],
    "LazyAdam": [{}],
    "Lion": [{"weight_decay": 0.1}],
    "Lamb": [{"weight_decay": 0.1}],
    "RAdam": [{"use_ema": True}],
    "Ftrl": [{"l1_regularization_strength": 0.01}],
    "Adafactor": [{}],
    "Muon": [{"exclude_layers": ["dense_1"]}],
    "ScheduleFreeAdamW": [{"warmup_steps": 3}],
    "LARS": [{"exclude_from_layer_adaptation": ["bias"], "weight_decay": 0.1}],
    "MultiOptimizer": [nl.optimizers.MultiOptimizer.examples()[0]],
}


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


@pytest.mark.filterwarnings("ignore:.*has no mean and variance yet")
@pytest.mark.parametrize(("cls", "kwargs", "shape"), STATELESS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer(path, cls, kwargs, shape, dtype):
    model = nl.Sequential([cls(**kwargs), nl.layers.Flatten()], seed=3, dtype=dtype)
    x = inputs(cls(**kwargs), with_rows(shape, 6))
    if is_several(cls(**kwargs).compute_output_shape(any_batch(shape))):
        pytest.skip("a loss takes one output")
    model.build(any_batch(shape))
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


@pytest.mark.parametrize(
    ("name", "kwargs"), [(name, kw) for name, all_kw in OPTIMIZERS.items() for kw in all_kw]
)
@pytest.mark.parametrize("how", ["file", "restore", "pickle", "deepcopy"])
def test_training_goes_on_to_the_same_bits(path, name, kwargs, how):
    schedule = nl.optimizers.schedules.ExponentialDecay(0.02, 3, 0.9)
    optimizer = getattr(nl.optimizers, name)(learning_rate=schedule, **kwargs)
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "^dense/"])
    model, x, y = trained(optimizer)
    optimizer.learning_rate_factor = 0.25
    if how == "file":
        model.save(path)
        again = nl.load_model(path)
    elif how == "restore":
        nl.saving.save_model(model, path)
        fresh = getattr(nl.optimizers, name)(learning_rate=schedule, **kwargs)
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
