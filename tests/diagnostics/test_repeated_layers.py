"""A layer that is used several times: everything that looks into a model tells its uses apart."""

import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.hooks import observed
from netlayers.data.batch import Batch
from netlayers.diagnostics.activations import activation_histograms
from netlayers.diagnostics.diagnosis import examine
from netlayers.diagnostics.layer_statistics import StepMeasures
from netlayers.diagnostics.profiling import profile_steps
from netlayers.layers.graph import Graph
from netlayers.trace.trace import trace_batch
from netlayers.training.nonfinite import find_nonfinite

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))
Y = RNG.normal(size=(6, 1))
BATCH = Batch(X, Y, None, 6)


class Doubtful(L.Dense):
    """A Dense that breaks in one of its uses: the first that computes, or the last."""

    breaks = ""
    which = 1

    def forward(self, x, training=False):
        y = super().forward(x, training)
        return np.where(y > 0, np.nan, y) if self.breaks == "forward" and self._mine() else y

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy, input_gradient)
        if self.breaks == "backward" and self._mine():
            dx = dx.copy()
            dx[2] = np.inf
        if self.breaks == "weights" and self._mine():
            self.d_kernel[0, 0] = np.nan
        return dx

    def _mine(self):
        return self._call_number == self.which


def network(layer=None, **options):
    """``y = g(f(f(x)))``, with f before both."""
    calls = [(0, [(0, None)]), (1, [(1, None)]), (1, [(2, None)]), (2, [(3, None)])]
    f = L.Dense(3, "tanh", name="f", kernel_regularizer="l2") if layer is None else layer
    graph = Graph([L.Dense(3, name="first"), f, L.Dense(1, name="g")], calls, name="net")
    model = nl.Sequential([graph], seed=0, dtype="float64", **options)
    model.compile(nl.optimizers.SGD(0.1), "mse")
    model.build((None, 3))
    return model


NAMES = ["net/first", "net/f", "net/f (call 2)", "net/g"]


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_the_watching_tells_uses_apart(training):
    model, seen = network(), []

    def around(layer, method, given, run):
        if method in ("forward", "backward") and layer.name in ("first", "f", "g"):
            seen.append((uses.name(layer), method))
        return run()

    with observed(model, around) as uses:
        for _ in range(2):
            y = model.forward(X, training=training)
            if training:
                model.backward(np.ones_like(y))
    forward = [(name, "forward") for name in NAMES]
    backward = [(name, "backward") for name in reversed(NAMES)]
    assert seen == 2 * (forward + backward if training else forward)


def test_uses_within_uses():
    inner = Graph([L.Dense(3, name="f")], [(0, [(0, None)]), (0, [(1, None)])], name="inner")
    outer = Graph([inner], [(0, [(0, None)]), (0, [(1, None)])], name="outer")
    outer.build((None, 3))
    for training in (False, True):
        seen = []

        def around(layer, method, given, run, seen=seen):
            if method == "forward":
                seen.append(uses.name(layer))
            return run()

        with observed(outer, around) as uses:
            outer.forward(X, training=training)
        f = "outer/inner/f"
        assert [name for name in seen if "/f" in name] == [
            f,
            f"{f} (call 2)",
            f"{f} (call 3)",
            f"{f} (call 4)",
        ]
        assert [name for name in seen if "inner" in name and "/f" not in name] == [
            "outer/inner",
            "outer/inner (call 2)",
        ]


def test_a_layer_of_two_models_that_each_uses_once_has_its_plain_name():
    common = L.Dense(3, "tanh", name="common")
    models = [nl.Sequential([common, L.Dense(1)], seed=i, name=f"m{i}") for i in range(2)]
    for model in models:
        model.build((None, 3))
    found = activation_histograms(models[1], X, 5)
    assert [a.layer for a in found.layers] == ["common", "dense"]


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("breaks", ["forward", "backward", "weights"])
def test_nan_search_names_the_use(breaks, which):
    f = Doubtful(3, name="f")
    model = network(f)
    f.breaks, f.which = breaks, which
    origin = find_nonfinite(model._make_steps(Y.shape), BATCH)
    assert origin.layer == ("net/f" if which == 1 else "net/f (call 2)")
    assert origin.direction == ("forward" if breaks == "forward" else "backward")
    if breaks == "backward":
        assert origin.rows == [2]
        assert origin.what == "the gradient of its input"
    elif breaks == "weights":
        assert origin.what == "the gradient of 'kernel'"
    else:
        assert origin.what == "the output"
        assert 0 < len(origin.rows) <= 6


def test_trace_shows_each_use_with_its_arrays_and_gradients_as_their_sum():
    model = network()
    trace = trace_batch(model._make_steps(Y.shape), BATCH)
    first, second, third = (trace[name] for name in NAMES[:3])
    assert trace["net/f"].kind == "dense"
    np.testing.assert_array_equal(second.x, first.y)
    np.testing.assert_array_equal(third.x, second.y)
    np.testing.assert_array_equal(third.dx, second.dy)
    for use in (second, third):
        np.testing.assert_allclose(use.slope, 1 - use.y**2)
        np.testing.assert_allclose(use.dz, use.dy * use.slope)
    kernel = second.weights["kernel"]
    assert kernel is third.weights["kernel"]
    np.testing.assert_allclose(kernel.parts[1], second.x.T @ second.dz)
    np.testing.assert_allclose(kernel.parts[2], third.x.T @ third.dz)
    np.testing.assert_array_equal(kernel.gradient, kernel.parts[1] + kernel.parts[2])
    np.testing.assert_array_equal(kernel.used, kernel.gradient + kernel.penalty)
    np.testing.assert_allclose(kernel.change, -0.1 * kernel.used)
    twin = network()
    twin.train_on_batch(X, Y)
    np.testing.assert_array_equal(twin.layers[0].layers[1].kernel, kernel.after)
    text = trace.text()
    assert "has 28 numbers to learn" in text
    assert "∂L/∂W² call 2 = a²ᵀ ∂L/∂z³" in text
    assert "The layer is used 2 times; its gradients are added up." in text
    assert text.count("net/f: Update of the weights") == 1
    assert "net/f (call 2)" in trace.markdown()
    page = trace.html()
    wires = re.findall(r'class="wire" data-l="(\d)" d="M[\d.]+ [\d.]+ Q', page)
    # Between the four, in both pictures; the one to the first is drawn around the graph.
    assert wires == ["2", "3", "4"] * 2


def test_profile_measures_each_use():
    report = profile_steps(network()._make_steps(Y.shape), BATCH, 5)
    names = [row.name for row in report.rows]
    assert [n for n in names if n in NAMES] == NAMES
    assert "net/f (call 2) (Tanh)" in names
    by_name = {row.name: row for row in report.rows}
    # The time of the measurement itself is taken off, and can be all that there is of one layer.
    assert sum(by_name[name].forward for name in NAMES) > 0
    assert sum(by_name[name].backward for name in NAMES) > 0
    assert by_name["net/f"].flop == by_name["net/f (call 2)"].flop > 0


def test_measures_and_histograms_of_each_use():
    model = network()
    steps, step = model._make_steps(Y.shape), StepMeasures(model, model.optimizer)
    with step:
        steps.train(BATCH)
    assert step.paths == NAMES
    values = step.values
    for measure in ("activation_mean", "activation_std", "backprop_rms", "nonfinite"):
        assert list(values[measure]) == NAMES
    for measure in ("gradient_norm", "weight_norm", "update_ratio", "clipped"):
        assert list(values[measure]) == ["net/first", "net/f", "net/g"]
    assert list(values["saturated"]) == ["net/f", "net/f (call 2)"]
    assert all(np.isfinite(list(its.values())).all() for its in values.values())
    trace = trace_batch(network()._make_steps(Y.shape), BATCH)
    for name in NAMES:
        assert values["activation_mean"][name] == pytest.approx(trace[name].y.mean())
        dy = trace[name].dz if trace[name].dy is None else trace[name].dy
        assert values["backprop_rms"][name] == pytest.approx(np.sqrt((dy**2).mean()))
    found = activation_histograms(network(), X, 7)
    assert [a.layer for a in found.layers] == NAMES
    for a in found.layers:
        assert a.mean == pytest.approx(trace[a.layer].y.mean())
    assert [a.layer for a in found.layers if a.saturated is not None] == NAMES[1:3]


def test_diagnosis_and_pictures_of_a_graph(tmp_path):
    model = network()
    steps = model._make_steps(Y.shape)
    found = examine(model, steps, iter([BATCH] * 40), BATCH, Y)
    assert list(found.values["activation_mean"]) == NAMES
    assert "net/f (call 2)" in str(found)
    lines = []
    model.summary(expand_nested=True, print_fn=lines.append)
    assert sum("f (Dense)" in line for line in lines) == 1
    pytest.importorskip("matplotlib")
    model.plot(tmp_path / "model.png")
