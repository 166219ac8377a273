"""The layers of ``user_layers``, one for each kind of input: checked, trained and saved."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.buffers import states_of
from netlayers.data.batch import Batch
from netlayers.layers.graph import Graph
from tests.core.user_models import (
    FLOATS,
    LAYERS,
    RNG,
    TWO,
    WORDS,
    L,
    batch_for,
    each,
    model_of,
    steps_of,
)
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed


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
        losses.append(model._make_steps(y.shape).test(Batch(WORDS, y, None, 8)))
    assert losses[0] == losses[1]
