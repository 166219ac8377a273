"""The layers of ``user_layers``, one for each kind of input: checked, trained, and looked into."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.buffers import states_of
from netlayers.data.batch import Batch
from netlayers.diagnostics.activations import activation_histograms
from netlayers.diagnostics.diagnose import examine
from netlayers.diagnostics.layer_statistics import StepMeasures
from netlayers.diagnostics.profile import profile_steps
from netlayers.layers.graph import Graph
from netlayers.trace.trace import trace_step
from netlayers.training.nonfinite import find_nonfinite
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed

L = nl.layers
RNG = np.random.default_rng(0)


FLOATS = RNG.normal(size=(8, 4)).astype("float32")
WORDS = RNG.integers(0, 6, (8, 5))
TWO = (FLOATS, FLOATS[::-1].copy())


def gated():
    """A gate in a network: both inputs go through the same Dense."""
    calls = [(0, [(0, 0)]), (0, [(0, 1)]), (1, [(1, None), (2, None)]), (2, [(3, None)])]
    return Graph([L.Dense(4, "tanh"), Gate(), L.Dense(1)], calls)


# For each: what makes the layers, and an input.
MODELS = {
    "embedding": (lambda: [Embed(6, 3), L.Flatten(), L.Dense(1)], WORDS),
    "two inputs": (lambda: [Gate(), L.Dense(1)], TWO),
    "two inputs of a graph": (lambda: [gated()], TWO),
    "two outputs": (lambda: [L.Dense(4), Halves(), Join(), L.Dense(1)], FLOATS),
    "mask": (lambda: [MaskingEmbed(6, 3), MaskedMean(), L.Dense(1)], WORDS),
    "state": (lambda: [L.Dense(3), Leaky(), L.Dense(1)], FLOATS),
}
each = pytest.mark.parametrize("name", MODELS)


def model_of(name, dtype="float32"):
    make, x = MODELS[name]
    model = nl.Sequential(make(), seed=0, dtype=dtype)
    model.compile(nl.optimizers.Adam(0.05), "mse")
    shape = tuple((None, *a.shape[1:]) for a in x) if isinstance(x, tuple) else (None, *x.shape[1:])
    model.build(shape)
    return model, x


def batch_for(model, x):
    y = np.random.default_rng(1).normal(size=(8, 1)).astype(model.compute_dtype)
    x = tuple(x) if isinstance(x, tuple) else x
    return Batch(x, y, None, 8)


def steps_of(name):
    model, x = model_of(name)
    batch = batch_for(model, x)
    return model.make_steps(batch.targets.shape), batch


@pytest.fixture
def numpy_kernels():
    """Compiled kernels take no complex numbers."""
    before = nl.kernels_in_use()
    nl.use_kernels("numpy")
    yield
    nl.use_kernels(before)


@pytest.mark.parametrize("method", ["auto", "central", "complex"])
@each
def test_gradients_of_models(name, method, numpy_kernels):
    model, x = model_of(name)
    report = nl.check_gradients(model, x, method=method)
    assert report.passed, str(report)
    assert all(row.method == "complex" for row in report.rows) or method == "central", str(report)


LAYERS = {
    "embedding": (lambda: Embed(6, 3), WORDS, ["embed/table"]),
    "two inputs": (Gate, TWO, ["input a", "input b"]),
    "two outputs": (
        Halves,
        FLOATS,
        [
            f"{name}{alone}"
            for alone in ("", " (output 0 alone)", " (output 1 alone)")
            for name in ("input", "halves/kernel")
        ],
    ),
    "both": (Join, (FLOATS[:, :2], FLOATS), ["input x_0", "input x_1"]),
    "mask made": (lambda: MaskingEmbed(6, 3), WORDS, ["masking_embed/table"]),
    "mask taken": (MaskedMean, RNG.normal(size=(3, 4, 2)), ["input", "input (masked)"]),
    "state": (Leaky, FLOATS, ["input", "leaky/scale"]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_layers(name):
    make, x, rows = LAYERS[name]
    report = nl.check_gradients(make(), x)
    assert report.passed, str(report)
    assert [row.name for row in report.rows] == rows


class GivesAGradientOfIndices(Embed):
    def backward(self, dy):
        super().backward(dy)
        return dy[..., 0]


class ForgetsAnInput(Gate):
    def backward(self, dy):
        return super().backward(dy)[0]


class SwapsInputs(Gate):
    def backward(self, dy):
        return super().backward(dy)[::-1]


class TakesNoneForOnes(Halves):
    def backward(self, dy):
        if dy[1] is None:
            dy = dy[0], np.ones_like(self.cache.t)
        return super().backward(dy)


class ForgetsTheMask(MaskedMean):
    def backward(self, dy):
        self.cache.share = np.full_like(self.cache.share, 1 / self.cache.share.shape[1])
        return super().backward(dy)


class ForgetsTheState(Leaky):
    def backward(self, dy):
        s = self.cache.s
        np.sum(dy * (s - self.state("sum", len(s)) / 2), axis=0, out=self.d_scale)
        return dy * self.scale


def test_mistakes_are_found():
    for make, x, found in (
        (SwapsInputs, TWO, ["input a", "input b"]),
        (TakesNoneForOnes, FLOATS, ["input (output 0 alone)"]),
        (ForgetsTheMask, RNG.normal(size=(3, 4, 2)), ["input (masked)"]),
        (ForgetsTheState, FLOATS, ["forgets_the_state/scale"]),
    ):
        report = nl.check_gradients(make(), x)
        bad = [row.name for row in report.rows if not report._passes(row)]
        assert bad == found, str(report)
    with pytest.raises(nl.errors.ShapeError, match="input 'x', which is declared without one"):
        nl.check_gradients(GivesAGradientOfIndices(6, 3), WORDS)
    with pytest.raises(nl.errors.ShapeError, match=r"tuple of 2 gradients.*\(a, b\), got ndarray"):
        nl.check_gradients(ForgetsAnInput(), TWO)
    with pytest.raises(nl.errors.ConfigurationError, match="a loss takes one output"):
        nl.check_gradients(Halves(), FLOATS, FLOATS, "mse")


@each
def test_trained_by_steps(name):
    steps, batch = steps_of(name)
    losses = [steps.train(batch) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]


@each
def test_trained_by_fit(name):
    model, x = model_of(name)
    batch = batch_for(model, x)
    losses = model.fit(x, batch.targets, epochs=60, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


CLASSES = {
    kind.__name__: kind for kind in (Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed)
}


@each
def test_saved_and_loaded(name, tmp_path):
    model, x = model_of(name)
    y = batch_for(model, x).targets
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = nl.load_model(tmp_path / "model.safetensors", CLASSES)
    for one in (model, again):
        one.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert again.parameters.values.tobytes() == model.parameters.values.tobytes()
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@each
def test_resumed_to_the_bit_within_an_epoch(name, tmp_path):
    class Cut(Exception):
        pass

    def run(folder, cut=None):
        model, x = model_of(name)
        y, seen = batch_for(model, x).targets, []

        def stop(batch, logs):
            seen.append(batch)
            if len(seen) == cut:
                raise Cut

        knife = nl.callbacks.LambdaCallback(on_train_batch_end=stop)
        keep = nl.callbacks.BackupAndRestore(tmp_path / folder, save_freq=1)
        model.fit(x, y, batch_size=2, epochs=2, callbacks=[knife, keep], verbose=0)
        return model

    whole = run("whole")
    with pytest.raises(Cut):
        run("cut", cut=3)
    resumed = run("cut")
    assert resumed.parameters.values.tobytes() == whole.parameters.values.tobytes()
    for name, (_, state) in states_of(whole).items():
        np.testing.assert_array_equal(states_of(resumed)[name][1].value, state.value)


def test_gradients_of_a_graph_with_all_of_it():
    """Two inputs of indices, masks, two outputs, a layer used twice, statistics and states."""
    layers = [MaskingEmbed(6, 3), MaskedMean(), L.BatchNormalization(), Leaky()]
    calls = [
        (0, [(0, 0)]),
        (0, [(0, 1)]),
        (1, [(1, None)]),
        (1, [(2, None)]),
        (2, [(3, None)]),
        (3, [(5, None)]),
    ]
    graph = Graph(layers, calls, outputs=[(6, None), (4, None)])
    report = nl.check_gradients(graph, (WORDS, WORDS[::-1]))
    assert report.passed, str(report)
    assert {row.name.partition(" ")[2] for row in report.rows} == {
        "",
        "(output 0 alone)",
        "(output 1 alone)",
        "(masked)",
    }
    kinds = [(0, [(0, 0)]), (1, [(1, None)]), (2, [(2, None)]), (3, [(3, None), (0, 1)])]
    mixed = Graph([Embed(6, 3), L.Flatten(), L.Dense(4), Gate()], kinds)
    report = nl.check_gradients(mixed, (WORDS, FLOATS))
    assert report.passed, str(report)
    assert report.rows[0].name == "input b"
    mixed.layers[2].trainable = False
    rows = nl.check_gradients(mixed, (WORDS, FLOATS)).rows
    assert [row.name for row in rows] == ["input b", "graph/embed/table"]


def test_states_are_put_back():
    layer = Leaky(dtype="float64")
    layer.forward(FLOATS)
    before = copy.deepcopy([s.value for _, s in states_of(layer).values()])
    nl.check_gradients(layer, FLOATS)
    np.testing.assert_array_equal(before, [s.value for _, s in states_of(layer).values()])


def test_a_model_with_masks_that_stands_in_two_models():
    inner = nl.Sequential([MaskedMean(), L.Dense(2, "softmax")], name="inner")
    models = [nl.Sequential([MaskingEmbed(6, 3), inner], seed=i) for i in range(2)]
    y = np.arange(8) % 2
    for model in models:
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.build((None, 5))
    losses = []
    for model in models:
        model.layers[0].table[...] = models[0].layers[0].table
        losses.append(model.make_steps(y.shape).test(Batch(WORDS, y, None, 8)))
    assert losses[0] == losses[1]


# Looking into them ----------------------------------------------------------------------------


def leaves(model):
    return [
        layer
        for layer in model._flatten_layers()
        if layer._in_model and not hasattr(layer, "layers")
    ]


@each
def test_traced(name):
    steps, batch = steps_of(name)
    trace = trace_step(steps, batch)
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
    text = trace_step(*steps_of("two outputs")).text()
    for shown in ("y²₀  (8 × 3)", "y²₁  (8 × 4)", "∂L/∂y²₀  (8 × 3)", "∂L/∂y²₁  (8 × 4)"):
        assert shown in text
    text = trace_step(*steps_of("two inputs")).text()
    assert "x₀  (8 × 4)" in text
    assert "x₁  (8 × 4)" in text


@each
def test_profiled_and_measured(name):
    steps, batch = steps_of(name)
    model = steps.model
    paths = [layer.path for layer in leaves(model)]
    report = profile_steps(steps, batch, 3)
    assert set(paths) <= {row.name for row in report.rows}
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


def rows(x, count):
    return tuple(a[:count] for a in x) if isinstance(x, tuple) else x[:count]


def test_the_trace_of_a_layer_with_a_state_is_the_step_that_would_come():
    steps, batch = steps_of("state")
    twin, _ = steps_of("state")
    for _ in range(2):
        steps.train(batch)
        twin.train(batch)
    trace = trace_step(steps, batch)
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
        origin = find_nonfinite(model.make_steps((8, 1)), batch)
        assert (origin.layer, origin.direction, origin.what) == ("g/gate", where, what)
        assert origin.rows == [3 if where == "forward" else 5]
    for name in MODELS:
        assert find_nonfinite(*steps_of(name)) is None
    steps, batch = steps_of("two inputs")
    bad = TWO[1].copy()
    bad[6] = np.nan
    origin = find_nonfinite(steps, batch._replace(inputs=(TWO[0], bad)))
    assert (origin.direction, origin.layer, origin.rows) == ("input", "b", [6])


def test_layers_are_called_as_those_of_keras():
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    gate = Gate()
    np.testing.assert_array_equal(gate(a, b), gate.forward((a, b)))
    np.testing.assert_array_equal(gate([a, b], training=True), gate.forward((a, b)))
    dense = nl.layers.Dense(2)
    np.testing.assert_array_equal(dense(a, True), dense.forward(a))
    with pytest.raises(nl.errors.ConfigurationError, match="takes no mask"):
        dense(a, mask=np.ones(2, bool))


def test_arguments_of_execution():
    dense = nl.layers.Dense(2, autocast=False)
    assert "autocast" not in dense.get_config()
    with pytest.raises(TypeError, match="unknown argument 'unroll'"):
        nl.layers.Dense(2, unroll=True)
    model = nl.Sequential([dense])
    model.compile("sgd", "mse", jit_compile=True, steps_per_execution=4)
    with pytest.raises(TypeError, match="has no argument workers"):
        model.compile("sgd", "mse", workers=2)


def test_indices_pass_an_input_layer():
    class Last(nl.layers.Layer):
        input_spec = nl.InputSpec(dtype="integer", gradient=False)

        def forward(self, x, training=False):
            return (self.prepare(x) % 10).astype(self.compute_dtype)

        def backward(self, dy):
            return None

    model = nl.Sequential([nl.layers.Input((1,)), Last()])
    index = np.array([[16_777_217], [2**53 + 1]])
    np.testing.assert_array_equal(model.predict(index), [[7], [3]])


def test_masks_pass_what_keeps_the_steps():
    """Through layers that compute each step alone, a residual block, and an inner model."""
    inner = nl.Sequential([nl.layers.Dense(4), nl.layers.LayerNormalization()])
    block = nl.layers.Residual([nl.layers.Dense(4, "tanh"), nl.layers.Dropout(0.1)])
    layers = [MaskingEmbed(9, 4), nl.layers.Activation("tanh"), inner, block, MaskedMean()]
    model = nl.Sequential([nl.layers.Input((None,)), *layers], seed=0, dtype="float64")
    short = np.array([[3, 4, 5], [1, 2, 0]])
    padded = np.concatenate([short, np.zeros((2, 2), int)], axis=1)
    np.testing.assert_allclose(model.predict(padded), model.predict(short), rtol=1e-12)
