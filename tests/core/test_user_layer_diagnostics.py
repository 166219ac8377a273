"""The layers of ``user_layers`` in traces, profiles, pictures and the search for NaN."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.data.batch import Batch
from netlayers.diagnostics.activations import activation_histograms
from netlayers.diagnostics.diagnosis import examine
from netlayers.diagnostics.layer_statistics import StepMeasures
from netlayers.diagnostics.profiling import profile_steps
from netlayers.layers.graph import Graph
from netlayers.trace.trace import trace_batch
from netlayers.training.nonfinite import find_nonfinite
from tests.core.user_models import FLOATS, MODELS, TWO, L, batch_for, each, model_of, rows, steps_of
from tests.user_layers import Gate


def leaves(model):
    inside = model._flatten_layers()
    return [layer for layer in inside if layer._in_model and not hasattr(layer, "layers")]


@each
def test_traced(name):
    steps, batch = steps_of(name)
    trace = trace_batch(steps, batch)
    for layer in leaves(steps.model):
        record = trace[layer.path]
        for array, d in ((record.x, record.dx), (record.y, record.dy)):
            shapes = [a.shape for a in array] if isinstance(array, tuple) else array.shape
            found = [a.shape for a in d] if isinstance(d, tuple) else None if d is None else d.shape
            indices = not isinstance(array, tuple) and array.dtype.kind == "i"
            assert found == (None if indices else shapes), layer.path
        for p in layer.declared_parameters:
            assert record.weights[p.name].gradient.shape == p.shape
            assert (record.weights[p.name].change != 0).any()
    assert trace.text()
    assert "<svg" in trace.html()
    assert trace.markdown()


def test_a_trace_shows_each_array():
    text = trace_batch(*steps_of("two outputs")).text()
    for shown in ("y²₀  (8 × 3)", "y²₁  (8 × 4)", "∂L/∂y²₀  (8 × 3)", "∂L/∂y²₁  (8 × 4)"):
        assert shown in text
    text = trace_batch(*steps_of("two inputs")).text()
    assert "x₀  (8 × 4)" in text
    assert "x₁  (8 × 4)" in text


@each
def test_profiled_and_measured(name):
    steps, batch = steps_of(name)
    model = steps.model
    paths = [layer.path for layer in leaves(model)]
    report = profile_steps(steps, batch, 3)
    # Flatten makes a view: its time may be below what can be measured.
    assert set(paths) - {"flatten"} <= {row.name for row in report.rows}
    measures = StepMeasures(model, model.optimizer)
    with measures:
        steps.train(batch)
    assert set(paths) <= set(measures.paths)
    for measure in ("activation_mean", "activation_std", "weight_norm", "gradient_norm"):
        assert np.isfinite(list(measures.values[measure].values())).all(), measure
    found = activation_histograms(model, batch.inputs, 5)
    assert set(paths) <= {a.layer for a in found.layers}
    lines = []
    model.summary(expand_nested=True, print_fn=lines.append)
    assert len(lines) > 5


@each
def test_diagnosed(name):
    steps, batch = steps_of(name)
    few = Batch(rows(batch.inputs, 4), batch.targets[:4], None, 4)
    found = examine(steps.model, steps, iter([few] * 40), batch, batch.targets)
    assert len(found.losses) == 20
    assert not any("not finite" in finding.illness for finding in found.findings)


def test_the_trace_of_a_layer_with_a_state_is_the_step_that_would_come():
    steps, batch = steps_of("state")
    twin, _ = steps_of("state")
    for _ in range(2):
        steps.train(batch)
        twin.train(batch)
    trace = trace_batch(steps, batch)
    assert trace.loss.total == twin.train(batch)
    for p in twin.model.declared_parameters:
        after = trace[p.layer.path].weights[p.name].after
        np.testing.assert_array_equal(after, p.value)


class Counting(L.Layer):
    """Counts batches and averages them, in dtypes of its own; ``y = x scale``."""

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), initializer="ones")
        self.add_weight("count", (1,), "zeros", statistic=True, dtype="int64")
        self.add_weight("mean", (input_shape[-1],), "zeros", statistic=True, dtype="float64")

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.count[...] += 1
            self.mean[...] += (x.mean(axis=0) - self.mean) / self.count
            self.cache.x, self.cache.scale = x, self.scale * self.count[0]
        return x * self.scale * max(int(self.count[0]), 1)

    def backward(self, dy):
        x, scale = self.cache.x, self.cache.scale
        np.sum(dy * x, axis=0, out=self.d_scale)
        self.d_scale[...] *= self.count[0]
        return dy * scale


def test_statistics_of_other_dtypes_are_put_back():
    layer = Counting()
    for _ in range(3):
        layer.forward(FLOATS, training=True)
    report = nl.check_gradients(layer, FLOATS)
    assert report.passed, str(report)
    assert [row.method for row in report.rows] == ["complex", "complex"]
    assert layer.count[0] == 3


@each
def test_pictures(name, tmp_path):
    pytest.importorskip("matplotlib")
    model, _ = model_of(name)
    model.plot(tmp_path / "model.png")


class Breaks(Gate):
    where = ""

    def forward(self, x, training=False):
        y = super().forward(x, training)
        if self.where == "forward":
            y[3] = np.nan
        return y

    def backward(self, dy):
        da, db = super().backward(dy)
        if self.where == "backward":
            db[5, 0] = np.inf
        return da, db


def test_nan_search_with_several_inputs_and_indices():
    calls = [(0, [(0, 0)]), (0, [(0, 1)]), (1, [(1, None), (2, None)]), (2, [(3, None)])]
    for where, what in (
        ("forward", "the output"),
        ("backward", "the gradient of its input 'b'"),
    ):
        gate = Breaks(name="gate")
        model = nl.Sequential([Graph([L.Dense(4), gate, L.Dense(1)], calls, name="g")], seed=0)
        model.compile("sgd", "mse")
        model.build(((None, 4), (None, 4)))
        gate.where = where
        batch = batch_for(model, TWO)
        origin = find_nonfinite(model._make_steps((8, 1)), batch)
        assert (origin.layer, origin.direction, origin.what) == ("g/gate", where, what)
        assert origin.rows == [3 if where == "forward" else 5]
    for name in MODELS:
        assert find_nonfinite(*steps_of(name)) is None
    steps, batch = steps_of("two inputs")
    bad = TWO[1].copy()
    bad[6] = np.nan
    origin = find_nonfinite(steps, batch._replace(inputs=(TWO[0], bad)))
    assert (origin.direction, origin.layer, origin.rows) == ("input", "b", [6])
