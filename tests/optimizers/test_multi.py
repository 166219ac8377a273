"""Several optimizers in one network."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.optimizers import Adam, MultiOptimizer, OptimizerMap, schedules
from netlayers.registry import names_of_a_file

L = nl.layers


def network(dtype="float64"):
    layers = [L.Dense(4, "tanh", name="a"), L.Dense(3, "tanh", name="b"), L.Dense(2, name="c")]
    model = nl.Sequential(layers, seed=0, dtype=dtype)
    model.build((None, 3))
    return model


def run(optimizer, model, steps=5, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        model.parameters.gradients[...] = rng.normal(size=model.parameters.gradients.size)
        optimizer.step(model.parameters)
    return {p.path: p.value.copy() for p in model.parameters.all}


RULES = [
    lambda: opt.SGD(0.1),
    lambda: opt.SGD(0.1, momentum=0.9, clipnorm=0.5),
    lambda: opt.Adam(0.1, weight_decay=0.1),
    lambda: opt.Lamb(0.1),
    lambda: opt.Muon(0.1),
    lambda: opt.LARS(0.1, weight_decay=0.1),
    lambda: opt.Adafactor(0.1),
    lambda: opt.ScheduleFreeAdamW(0.1),
    lambda: opt.Ftrl(0.1),
    lambda: opt.Adagrad(schedules.ExponentialDecay(0.1, 2, 0.5), clipvalue=0.1),
    lambda: opt.Nadam(0.1, weight_decay=0.2),
]


@pytest.mark.parametrize("make", RULES, ids=lambda make: repr(make())[:30])
def test_each_parameter_is_updated_as_by_its_optimizer_alone(make):
    both = OptimizerMap(opt.RMSprop(0.02, centered=True), {"b/.*": make(), "a/bias": opt.Lion()})
    got = run(MultiOptimizer(both), network())
    b, a = run(make(), network()), run(opt.Lion(), network())
    rest = run(opt.RMSprop(0.02, centered=True), network())
    for path, value in got.items():
        expected = b if path.startswith("b/") else a if path == "a/bias" else rest
        np.testing.assert_allclose(value, expected[path], rtol=1e-13, err_msg=path)


def test_the_global_norm_is_that_of_the_part():
    got = run(MultiOptimizer(OptimizerMap("sgd", {"b/.*": opt.SGD(0.1, global_clipnorm=0.1)})),
              network(), 1)  # fmt: skip
    start = {p.path: p.value for p in network().parameters.all}
    change = np.concatenate([(got[f"b/{n}"] - start[f"b/{n}"]).ravel() for n in ("kernel", "bias")])
    assert np.linalg.norm(change) == pytest.approx(0.01, rel=1e-12)


def test_one_optimizer_for_all_gives_its_bits():
    for options in ({}, {"use_ema": True, "global_clipnorm": 1.0}):
        alone = Adam(0.1, **options)
        whole = MultiOptimizer(OptimizerMap(Adam(0.1)), **options)
        for a, b in zip(
            run(alone, network()).values(), run(whole, network()).values(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        if options:
            np.testing.assert_array_equal(alone.state["average"], whole.state["average"])


def test_rates_schedules_and_factors():
    model, start = network(), {p.path: p.value.copy() for p in network().parameters.all}
    decay = schedules.PiecewiseConstantDecay([1], [0.5, 0.25])
    optimizer = MultiOptimizer(OptimizerMap(opt.SGD(1.0), {"a/.*": opt.SGD(decay)}), 0.5)
    model.layers[1].learning_rate_multiplier = 0.1
    for _ in range(2):
        model.parameters.gradients[...] = 1
        optimizer.step(model.parameters)
    optimizer.learning_rate_factor = 0.5
    model.parameters.gradients[...] = 1
    optimizer.step(model.parameters)
    change = {p.path: start[p.path] - p.value for p in model.parameters.all}
    rates = {"a": 0.5 * (0.5 + 0.5) + 0.25 * 0.25, "b": 0.1 * 1.25, "c": 1.25}
    for path, value in change.items():
        np.testing.assert_allclose(value, rates[path[0]], rtol=1e-12)
    assert [o.iterations for o in optimizer.optimizers] == [3, 3]


def test_weight_decay():
    inner = opt.SGD(0.1, weight_decay=0.5)
    inner.exclude_from_weight_decay(var_names=["kernel"])
    optimizer = MultiOptimizer(OptimizerMap("sgd", {"a/.*": inner, "b/.*": opt.SGD(0.1)}))

    def factors(optimizer):
        model = network()
        start = {p.path: p.value.copy() + 1 for p in model.parameters.all}
        for p in model.parameters.all:
            p.value[...] = start[p.path]
        model.parameters.gradients[...] = 0
        optimizer.step(model.parameters)
        return {p.path: round(float((p.value / start[p.path]).flat[0]), 9)
                for p in model.parameters.all}  # fmt: skip

    assert {k: v for k, v in factors(optimizer).items() if v != 1} == {"a/bias": 0.95}
    whole = MultiOptimizer(OptimizerMap(opt.SGD(0.1, weight_decay=1.0)), weight_decay=0.2)
    whole.exclude_from_weight_decay(var_names=["^c/"])
    assert factors(whole) == {
        **dict.fromkeys(["a/kernel", "a/bias", "b/kernel", "b/bias"], 0.98),
        "c/kernel": 1, "c/bias": 1,
    }  # fmt: skip


def test_no_weight_changes_if_one_gradient_is_not_finite():
    model = network()
    before = model.parameters.values.copy()
    optimizer = MultiOptimizer(OptimizerMap("sgd", {"c/.*": "adam"}))
    model.parameters.gradients[...] = 1
    model.parameters.gradients[-1] = np.nan
    with pytest.raises(NonFiniteError, match=r"MultiOptimizer: .*'bias' of layer 'c'"):
        optimizer.step(model.parameters)
    np.testing.assert_array_equal(model.parameters.values, before)


def test_a_function_chooses():
    adam, sgd = opt.Adam(0.1), opt.SGD(0.1)
    optimizer = MultiOptimizer(lambda p: adam if len(p.shape) == 2 else sgd)
    got = run(optimizer, network())
    by_map = run(MultiOptimizer(OptimizerMap(sgd, {".*/kernel": adam})), network())
    for path, value in got.items():
        np.testing.assert_array_equal(value, by_map[path])
    assert optimizer.optimizers == [adam, sgd]
    with pytest.raises(ConfigurationError, match="a function as optimizer_map cannot be saved"):
        optimizer.get_config()
    assert repr(optimizer).startswith("MultiOptimizer(<function")
    twin, other = copy.deepcopy((optimizer, network()))
    assert len(twin.optimizers) == 2
    run(twin, other, 0)


def test_a_frozen_layer_and_one_that_thaws():
    model = network()
    model.layers[1].trainable = False
    optimizer = MultiOptimizer(OptimizerMap("sgd", {"b/.*": opt.SGD(0.1, clipnorm=0.1)}))
    start = model.layers[1].kernel.copy()
    run(optimizer, model)
    np.testing.assert_array_equal(model.layers[1].kernel, start)
    model.layers[1].trainable = True
    run(optimizer, model, 1)
    assert np.linalg.norm(model.layers[1].kernel - start) == pytest.approx(0.01)


def test_saved_and_continued(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)), rng.normal(size=(32, 2))
    chosen = {"a/.*": opt.Adam(0.01, clipnorm=1.0), "b/.*": opt.Muon(0.01)}
    model = network()
    inner = opt.SGD(0.05, momentum=0.9, weight_decay=0.1)
    inner.exclude_from_weight_decay(var_names=["bias"])
    model.compile(MultiOptimizer(OptimizerMap(inner, chosen), gradient_accumulation_steps=2), "mse")
    model.fit(x, y, epochs=2, verbose=0, batch_size=8)
    model.save(tmp_path / "model.safetensors")
    again = nl.models.load_model(tmp_path / "model.safetensors")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    twins = [again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    twins.append(network())
    fresh = MultiOptimizer.from_config(model.optimizer.get_config())
    twins[-1].compile(fresh, "mse")
    twins[-1].load_weights(tmp_path / "model.safetensors")
    for one in (model, *twins[:3]):
        one.fit(x, y, epochs=2, verbose=0, batch_size=8)
        np.testing.assert_array_equal(one.parameters.values, model.parameters.values)


def test_callbacks_of_the_rate(tmp_path):
    model = network()
    model.compile(MultiOptimizer(OptimizerMap("sgd", {"a/.*": "adam"})), "mse")
    x, y = np.ones((8, 3)), np.zeros((8, 2))
    halved = nl.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    logs = model.fit(x, y, epochs=2, verbose=0, callbacks=[halved]).history
    assert logs["learning_rate"] == [0.5, 0.25]


def test_the_map():
    adam, sgd, rest = opt.Adam(), opt.SGD(), opt.RMSprop()
    chosen = OptimizerMap(rest, {"a/.*": adam})
    chosen["b/kernel"] = sgd
    chosen["b/.*"] = adam
    assert [chosen[k] for k in ("a/kernel", "b/kernel", "b/bias", "c")] == [adam, sgd, adam, rest]
    assert list(chosen) == ["a/.*", "b/kernel", "b/.*"]
    assert len(chosen) == 3
    assert "c" not in chosen
    chosen[".*bias"] = sgd
    with pytest.raises(ConfigurationError, match=r"several keys match 'b/bias': 'b/.*', '.*bias'"):
        chosen["b/bias"]
    del chosen[".*bias"]
    assert chosen["b/bias"] is adam
    again = OptimizerMap.from_config(chosen.get_config())
    assert again.get_config() == chosen.get_config()
    assert repr(OptimizerMap("sgd")) == "OptimizerMap(default_optimizer=SGD(), optimizer_map={})"


def test_what_is_refused():
    sgd = opt.SGD()
    with pytest.raises(ConfigurationError, match="'a' already has an optimizer"):
        OptimizerMap(sgd, {"a": sgd})["a"] = sgd
    with pytest.raises(ConfigurationError, match="the keys must be a list of regular expressions"):
        OptimizerMap(sgd, {"(": sgd})
    for wrong in (3, "no_such", None):
        with pytest.raises(ConfigurationError, match="optimizer"):
            OptimizerMap(wrong)
    inside = MultiOptimizer(OptimizerMap(sgd))
    config = {"class_name": "MultiOptimizer", "config": inside.get_config()}
    for wrong in (inside, config):
        with pytest.raises(ConfigurationError, match="must not be a MultiOptimizer"):
            OptimizerMap(sgd, {"a": wrong})
    for wrong in (3, "sgd", {"a": sgd}):
        with pytest.raises(ConfigurationError, match="must be an OptimizerMap or a function"):
            MultiOptimizer(wrong)
    with pytest.raises(ConfigurationError, match="must return an optimizer that is no MultiOpt"):
        MultiOptimizer(lambda p: inside).step(network().parameters)
    for options in (
        {"use_ema": True},
        {"gradient_accumulation_steps": 2},
        {"on_nonfinite": "skip"},
    ):
        (name,) = options
        with pytest.raises(
            ConfigurationError, match=f"SGD has {name}=.* pass it to MultiOptimizer"
        ):
            MultiOptimizer(OptimizerMap(opt.SGD(**options)))
    with names_of_a_file(), pytest.raises(ConfigurationError, match="accepted from a file"):
        OptimizerMap(sgd, {"(a*)*b": sgd})
    with pytest.raises(ConfigurationError, match="Adam: epsilon=1e-50 is too small for float32"):
        run(MultiOptimizer(OptimizerMap(opt.Adam(epsilon=1e-50))), network("float32"))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_decay_reaches_rows_that_were_not_in_the_batch(decay):
    start = np.linspace(1, 2, 12).reshape(6, 2)

    def trained(optimizer):
        model = nl.Sequential([L.Embedding(6, 2), L.Flatten(), L.Dense(1)])
        model.build((None, 3))
        model.parameters.values[...] = np.linspace(1, 2, model.count_params())
        model.layers[0].embeddings[...] = start
        model.compile(optimizer, "mse")
        model.train_on_batch(np.array([[0, 1, 1], [2, 0, 1]]), np.zeros((2, 1)))
        return model.layers[0].embeddings

    sgd = opt.SGD(0.01, weight_decay=decay or None)
    expected = trained(sgd)
    found = trained(MultiOptimizer(OptimizerMap("sgd", {"embedding/.*": sgd})))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    whole = MultiOptimizer(OptimizerMap(opt.SGD(0.01)), weight_decay=decay or None)
    np.testing.assert_allclose(trained(whole), expected, rtol=1e-6)
    np.testing.assert_allclose(found[3:], start[3:] * (1 - 0.01 * decay), rtol=1e-5)
