"""The measures of a step against the same numbers, computed here in plain NumPy."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.diagnostics.layer_statistics import MEASURES, StepMeasures, watched_layers
from netlayers.diagnostics.slopes import shape_of

RNG = np.random.default_rng(1)
X = RNG.normal(size=(7, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 7)]


def model_of(optimizer, activation="tanh", last="softmax", loss="categorical_crossentropy"):
    model = nl.Sequential(
        [layers.Dense(5, activation, name="a"), layers.Dense(3, last, name="b")], seed=2
    )
    model.compile(optimizer, loss)
    model.build((None, 4))
    return model


def measured(model, x=X, y=Y):
    step = StepMeasures(model, model.optimizer)
    with step:
        model.train_on_batch(x, y)
    return step.values


def by_hand(model):
    """Forward and backward of tanh and softmax with cross-entropy, in float64."""
    w1, b1, w2, b2 = (w.astype(np.float64) for w in model.get_weights())
    h = np.tanh(X @ w1 + b1)
    z = h @ w2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - Y) / len(X)
    dh = dz @ w2.T
    da = dh * (1 - h**2)
    return h, p, dz, dh, [X.T @ da, da.sum(0)], [h.T @ dz, dz.sum(0)]


def length(arrays):
    return np.sqrt(sum((a.astype(np.float64) ** 2).sum() for a in arrays))


def test_values_equal_those_computed_by_hand():
    model = model_of(nl.optimizers.SGD(0.5))
    model.layers[0].kernel[...] *= 4
    before = model.get_weights()
    h, p, dz, dh, g1, g2 = by_hand(model)
    values = measured(model)
    after = model.get_weights()
    close = {"rel": 2e-5, "abs": 1e-7}
    for name, y, dy, g, at in (("a", h, dh, g1, 0), ("b", p, dz, g2, 2)):
        size = length(before[at : at + 2])
        change = [b.astype(np.float64) - a for a, b in zip(before, after, strict=True)]
        expected = {
            "gradient_norm": length(g),
            "weight_norm": size,
            "update_ratio": length(change[at : at + 2]) / size,
            "clipped": 0,
            "activation_mean": y.mean(),
            "activation_std": y.std(),
            "backprop_rms": np.sqrt((dy**2).mean()),
            "nonfinite": 0,
        }
        for measure, value in expected.items():
            assert values[measure][name] == pytest.approx(value, **close), measure
        assert values["update_ratio"][name] == pytest.approx(0.5 * length(g) / size, rel=1e-4)
    saturated = np.mean(1 - h**2 < 0.05)
    assert 0 < saturated < 1
    assert values["saturated"] == {"a": pytest.approx(saturated)}
    assert values["dead"] == {"a": 0}
    assert set(values) == set(MEASURES)


def test_dead_units_are_those_that_no_row_opens():
    model = model_of("sgd", "relu")
    model.layers[0].bias[...] = [-50, 0, 50, -50, 0]
    h = np.maximum(X @ model.layers[0].kernel + model.layers[0].bias, 0)
    dead = np.mean((h == 0).all(axis=0))
    assert dead >= 0.4
    values = measured(model)
    assert values["dead"]["a"] == pytest.approx(dead)
    assert values["saturated"] == {}


@pytest.mark.parametrize("clip", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_the_clipped_share(clip):
    model = model_of(nl.optimizers.SGD(0.1, **{clip: 0.05}))
    *_, g1, g2 = by_hand(model)
    values = measured(model)
    for name, g in (("a", g1), ("b", g2)):
        assert values["gradient_norm"][name] == pytest.approx(length(g), rel=1e-5)  # before it
        if clip == "clipvalue":
            share = sum((np.abs(a) > 0.05).sum() for a in g) / sum(a.size for a in g)
            assert 0 < share < 1
        elif clip == "clipnorm":
            share = sum(a.size for a in g if length([a]) > 0.05) / sum(a.size for a in g)
        else:
            share = 1.0
        assert values["clipped"][name] == pytest.approx(share)


def test_steps_without_an_update():
    model = model_of(nl.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    *_, g1, _ = by_hand(model)
    first = measured(model)
    assert first["gradient_norm"]["a"] == pytest.approx(length(g1), rel=1e-5)
    assert first["update_ratio"] == {"a": 0, "b": 0}
    second = measured(model)
    assert second["gradient_norm"]["a"] == pytest.approx(length(g1), rel=1e-5)  # of the mean
    assert second["update_ratio"]["a"] > 0


def test_nonfinite_numbers_are_counted():
    model = model_of(nl.optimizers.SGD(0.1, on_nonfinite="skip"), "linear", "linear", "mse")
    model.layers[0].kernel[0, 1] = np.inf
    with np.errstate(invalid="ignore"):
        values = measured(model)
    assert values["nonfinite"]["a"] >= len(X)
    assert np.isnan(values["activation_mean"]["a"]) or np.isinf(values["activation_mean"]["a"])
    assert values["update_ratio"]["b"] == 0


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_norms_of_extreme_numbers(scale):
    model = model_of(nl.optimizers.SGD(1e-9), "tanh")
    model.layers[0].kernel[...] = scale
    values = measured(model)
    assert values["weight_norm"]["a"] == pytest.approx(scale * np.sqrt(20), rel=1e-5)


def test_a_measured_step_is_the_same_to_the_bit():
    watched = model_of(nl.optimizers.Adam(0.01, global_clipnorm=0.1))
    alone = copy.deepcopy(watched)
    step = StepMeasures(watched, watched.optimizer)
    for _ in range(3):
        with step:
            watched.train_on_batch(X, Y)
        alone.train_on_batch(X, Y)
    for a, b in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [type(t).__name__ for t in watched.optimizer.transforms] == [
        "MeasureNorm",
        "FindNonFinite",
        "ClipByGlobalNorm",
    ]


def test_containers_are_looked_into():
    block = layers.Residual([layers.Dense(4, "relu")], name="block")
    model = nl.Sequential([layers.Input((4,)), block, layers.Dropout(0.5), layers.Dense(1)])
    paths = [layer.path for layer in watched_layers(model)]
    assert paths == ["block/dense", "dropout", "dense"]
    model.compile("sgd", "mse")
    values = measured(model, X, Y[:, :1])
    assert list(values["gradient_norm"]) == ["block/dense", "dense"]
    assert list(values["activation_std"]) == paths


def test_a_prediction_after_the_step_is_not_taken_for_it():
    model, twin = model_of("sgd"), model_of("sgd")
    step = StepMeasures(model, model.optimizer)
    with step:
        model.predict(X * 9, verbose=0)
        model.train_on_batch(X, Y)
        model.predict(X * 9, verbose=0)
    assert step.values == measured(twin)


@pytest.mark.parametrize(
    ("name", "largest", "saturates", "low", "high"),
    [
        ("sigmoid", 0.25, True, 0, 1),
        ("tanh", 1, True, -1, 1),
        ("softsign", 1, True, -1, 1),
        ("hard_sigmoid", 1 / 6, True, 0, 1),
        ("relu6", 1, True, 0, 6),
        ("relu", 1, False, 0, np.inf),
        ("leaky_relu", 1, False, -np.inf, np.inf),
        ("elu", 1, False, -1, np.inf),
        ("softplus", 1, False, 0, np.inf),
    ],
)
def test_shapes_of_activations(name, largest, saturates, low, high):
    shape = shape_of(nl.activations.get(name))
    assert shape.largest_slope == pytest.approx(largest, rel=1e-3)
    assert (shape.saturates, shape.low, shape.high) == (saturates, low, high)


def test_reports_are_importable_by_name_and_not_loaded_before():
    from netlayers import diagnostics

    for name in diagnostics.__all__:
        assert getattr(diagnostics, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        diagnostics.nothing  # noqa: B018
    code = "import sys, netlayers; print('netlayers.trace.trace' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(nl.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["False"]
