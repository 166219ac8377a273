"""Numbers of measures, curves, surfaces, shapes and profiles on fixed models, as kept in files."""

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import lr_finder, profiling, surface
from netlayers.diagnostics.layer_statistics import (
    MEASURES,
    StepMeasures,
    activation_of,
    watched_uses,
)
from netlayers.diagnostics.slopes import shape_of
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

L = nl.layers


def network(last="softmax", **options):
    shared = L.Dense(3, "tanh", name="shared")
    layers = [
        L.Dense(3, "relu", name="first", kernel_regularizer="l2"),
        L.BatchNormalization(name="norm"),
        L.Residual([shared], name="block"),
        L.Dense(3, "hard_sigmoid", name="middle"),
        L.Dense(2, last, name="last"),
    ]
    model = nl.Sequential(layers, seed=0, dtype="float64", name="net")
    model.build((None, 4))
    model.parameters.values[...] = 1.5 * numbers(model.parameters.size)
    model.layers[0].bias[...] = [-9, 0, 1]
    model.compile(nl.optimizers.SGD(0.1, **options), "categorical_crossentropy")
    return model


X, Y = 2 * numbers(8, 4), np.eye(2)[[0, 1, 1, 0, 1, 0, 0, 1]]
OPTIMIZERS = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.3},
    "clipvalue": {"clipvalue": 0.05},
    "global": {"global_clipnorm": 0.3, "momentum": 0.9},
    "accumulation": {"gradient_accumulation_steps": 2, "clipvalue": 0.05},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("last", ["softmax", "sigmoid", None])
def test_measures_of_steps(name, last):
    model = network(last, **OPTIMIZERS[name])
    if last is None:
        model.compile(nl.optimizers.SGD(0.1, **OPTIMIZERS[name]), "mse")
    measures, lines = StepMeasures(model, model.optimizer), []
    lines.append(f"{measures.paths} {list(watched_uses(model))}")
    for step in range(3):
        if step == 2:
            model.layers[3].kernel[0, 0] = np.inf
        with np.errstate(all="ignore"), measures:
            outcome(lambda: model.train_on_batch(X, Y))
        lines.append(f"step {step} {measures.complete}")
        for measure in MEASURES:
            its = measures.values[measure]
            lines.append(f"  {measure}: " + " ".join(f"{k}={v:.5g}" for k, v in its.items()))
    assert len(model.optimizer.transforms) == len(set(map(id, model.optimizer.transforms)))
    check_text(__file__, f"measures-{name}-{last}.txt", "\n".join(lines))


def test_measures_of_some_layers():
    model = network()
    chosen = [model.layers[0], model.layers[4]]
    measures = StepMeasures(model, model.optimizer, ["weight_norm", "dead"], chosen)
    with measures:
        model.train_on_batch(X, Y)
    assert list(measures.values) == ["weight_norm", "dead"]
    assert list(measures.values["weight_norm"]) == ["first", "last"]
    assert measures.values["dead"] == {"first": pytest.approx(1 / 3)}


def test_shapes_of_activations():
    lines = []
    for cls in [c for c in concrete("layer") if issubclass(c, nl.activations.ActivationLayer)]:
        for arguments, _ in cls.examples():
            layer = cls(**arguments)
            if activation_of(layer if hasattr(layer, "activation") else L.Activation(layer)):
                found = " ".join(map(str, shape_of(layer)))
                lines.append(f"{layer!r}: {found} {shape_of(layer).saturates}")
    check_text(__file__, "shapes.txt", "\n".join(lines))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 60])
def test_smoothing(count):
    losses = numbers(count)
    rates = np.geomspace(1e-5, 10, count)
    lines = [" ".join(f"{v:.7g}" for v in lr_finder._smooth(losses))]
    for sign in (1, -1):
        lines.append(f"{lr_finder._steepest(rates, sign * losses)}")
        lines.append(f"{lr_finder._steepest(rates, sign * np.sort(losses))}")
    lines.append(f"{lr_finder._steepest(rates[:0], losses[:0])}")
    check_text(__file__, f"smoothing-{count}.txt", "\n".join(lines))


@pytest.mark.parametrize(
    "options",
    [{}, {"min_rate": 1e-3, "max_rate": 1e3}, {"stop_factor": 1.01}, {"batch_size": 3},
     {"max_rate": 1e200, "min_rate": 1e150}, {"sample_weight": np.arange(8.0)}],
)  # fmt: skip
def test_curves(options, request):
    with np.errstate(all="ignore"):
        curve = nl.find_learning_rate(network(), X, Y, steps=25, **options)
    lines = [str(curve), f"{curve.reason} {curve.diverged_at} {curve.suggestion}"]
    lines += [shown(a) for a in (curve.rates, curve.losses, curve.smoothed)]
    check_text(__file__, f"curve-{request.node.callspec.id}.txt", "\n".join(lines))


def test_surfaces():
    lines = []
    for options in ({}, {"span": 0.5, "seed": 3}, {"sample_weight": np.arange(8.0)}):
        model = network()
        model.layers[4].trainable = False
        model.compile("sgd", "categorical_crossentropy")
        found = model.loss_surface(X, Y, size=4, **options)
        lines += [shown(a) for a in (found.a, found.b, found.loss, *found.directions)]
        lines.append(f"{found.path} {found.explained}")
    model = network()
    start = model.parameters.values
    path = [start + 0.1 * i * numbers(start.size) + 0.2 * i**2 for i in (3, 2, 1)]
    found = model.loss_surface(X, Y, size=5, trajectory=path)
    parts = (found.a, found.b, np.abs(found.path), *map(np.abs, found.directions))
    lines += [shown(np.sort(a)) for a in parts]
    lines.append(" ".join(f"{s:.6g}" for s in found.explained))
    lines += [
        " ".join(f"{v:.6g}" for v in surface._around(np.array(p), 4))
        for p in ([1.0, 3.0], [-2.0, -1.0], [-1.0, 2.0])
    ]
    lines += [
        outcome(lambda p=p: model.loss_surface(X, Y, trajectory=p))
        for p in ([start], [start, start[1:]], [start + 1, start + 2])
    ]
    check_text(__file__, "surfaces.txt", "\n".join(lines))


def test_histograms():
    model, lines = network(), []
    for weight in (0.5, np.inf, np.nan):
        model.layers[3].kernel[0, 0] = weight
        with np.errstate(all="ignore"):
            found = model.activation_histograms(X, bins=4)
        lines.append(str(found))
        for a in found.layers:
            its = f"{a.mean:.6g} {a.deviation:.6g} {a.dead} {a.saturated}"
            lines.append(f"{a.layer} {a.kind} {a.counts} {shown(a.edges)} {its}")
    check_text(__file__, "histograms.txt", "\n".join(lines))


class Clock:
    """Time goes on by another step with each look at it."""

    def __init__(self, *steps):
        self.steps, self.looks, self.now = steps, 0, 0.0

    def __call__(self):
        self.now += self.steps[self.looks % len(self.steps)]
        self.looks += 1
        return self.now


@pytest.mark.parametrize("count", [1, 3, 4, 9])
@pytest.mark.parametrize("steps", [(1e-6,), (3e-6, 1e-6, 2e-6, 9e-6, 4e-6), (9e-3, *[1e-6] * 60)])
def test_profiles(count, steps, monkeypatch, request):
    monkeypatch.setattr(profiling.time, "perf_counter", Clock(*steps))
    model = network(clipnorm=0.3)
    model.compile(model.optimizer, "categorical_crossentropy", metrics=["accuracy"])
    report = model.profile(X, Y, steps=count)
    lines = [
        str(report),
        " ".join(
            f"{getattr(report, n):.6g}" for n in ("batch", "steps", "seconds", "step", "watching")
        ),
    ]
    lines += [f"{row.name} {report.share(row):.6g} {row.flop}" for row in report.rows]
    check_text(__file__, f"profile-{request.node.callspec.id}.txt", "\n".join(lines))


def test_the_middle_half():
    seconds = [5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0, 7.0]
    expected = {
        1: [0],
        2: [1, 0],
        3: [1, 2, 0],
        4: [3, 2],
        5: [3, 4, 2],
        7: [3, 4, 2, 0, 6],
        8: [4, 2, 0, 7],
    }
    for count, middle in expected.items():
        assert profiling._middle(seconds[:count]) == middle


def test_operations_of_matrix_products():
    flop = {}
    for trainable in (True, False):
        for sequence in (False, True):
            layer = L.Dense(5, name="d", trainable=trainable)
            model = nl.Sequential([layer, L.Dense(2, name="e", use_bias=False)], seed=0)
            model.compile("sgd", "mse")
            x = np.ones((4, 3, 6) if sequence else (4, 6))
            y = np.ones((*x.shape[:-1], 2))
            rows = {row.name: row.flop for row in model.profile(x, y, steps=1).rows}
            flop[trainable, sequence] = rows["d"], rows["e"]
    n = 2 * 4
    assert flop == {
        (True, False): (2 * n * 30, 3 * n * 10),
        (False, False): (n * 30, 2 * n * 10),
        (True, True): (6 * n * 30, 9 * n * 10),
        (False, True): (3 * n * 30, 6 * n * 10),
    }
    assert math.isfinite(n)
