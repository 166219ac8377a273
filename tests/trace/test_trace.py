"""``model.trace``: the numbers of one training step."""

import copy

import numpy as np
import pytest
import scipy.sparse

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, NotCompiledError

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)
CLASSES = np.array([0, 1, 2, 1, 0, 2])
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]


def mazur():
    layers = [L.Dense(2, "sigmoid", name="hidden"), L.Dense(2, "sigmoid", name="output")]
    model = nl.Sequential(layers, name="2-2-2", dtype="float64")
    model.compile(nl.optimizers.SGD(0.5), "mse")
    model.build((None, 2))
    model.set_weights(
        [[[0.15, 0.25], [0.2, 0.3]], [0.35, 0.35], [[0.4, 0.5], [0.45, 0.55]], [0.6, 0.6]]
    )
    return model


def plain():
    layers = [L.Dense(5, "tanh", name="hidden"), L.Dense(3, "softmax", name="out")]
    model = nl.Sequential(layers, seed=0, name="plain")
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model, ONE_HOT


def mixed():
    block = [L.BatchNormalization(), L.Dense(4, "relu"), L.Dropout(0.3), L.Dense(4)]
    heads = [[L.Dense(3, "elu"), L.Dense(3)], L.Dense(3)]
    layers = [
        L.Dense(4, "gelu", kernel_regularizer="l2", name="in"),
        L.Residual(block, name="block"),
        L.ActivityRegularization(l2=0.01),
        L.Parallel(heads, merge="multiply", name="heads"),
        L.Activation("softmax", name="last"),
    ]
    model = nl.Sequential(layers, seed=1, name="mixed")
    optimizer = nl.optimizers.AdamW(1e-2, global_clipnorm=0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model, CLASSES


def nested():
    inner = nl.Sequential([L.Dense(4, "silu"), L.Dense(3)], name="inner")
    model = nl.Sequential([L.Input((4,)), L.LayerNormalization(), inner], seed=2, name="nested")
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.SGD(0.1, momentum=0.9), loss)
    return model, CLASSES


def binary():
    layers = [L.Dense(3, "softsign"), L.Dropout(0.5), L.Dense(1, "sigmoid")]
    model = nl.Sequential(layers, seed=3, name="binary")
    model.compile(nl.optimizers.SGD(0.1, clipvalue=0.01), "binary_crossentropy")
    return model, CLASSES[:, None] % 2


MODELS = {f.__name__: f for f in (plain, mixed, nested, binary)}


def state_of(model):
    rngs = [layer.rng.bit_generator.state for layer in all_layers(model) if layer.rng is not None]
    optimizer = model.optimizer
    return copy.deepcopy(
        (model.get_weights(), rngs, optimizer.state, optimizer.iterations, optimizer.grad_norm)
    )


def all_layers(layer):
    return [layer, *(inner for part in layer._sublayers for inner in all_layers(part))]


def same(a, b):
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def test_the_published_figures_of_mazur():
    """M. Mazur, "A step by step backpropagation example" (2015); b1 and b2 stay as he leaves them.

    https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/
    """
    trace = mazur().trace([[0.05, 0.10]], [[0.01, 0.99]])
    hidden, output = trace["hidden"], trace["output"]
    w, v = hidden.weights["kernel"], output.weights["kernel"]
    for ours, his in [
        (hidden.z[0, 0], 0.3775),
        (hidden.y[0], [0.593269992, 0.596884378]),
        (output.z[0, 0], 1.105905967),
        (output.y[0], [0.75136507, 0.772928465]),
        (trace.loss.total, 0.298371109),
        (output.dy[0, 0], 0.74136507),
        (output.slope[0, 0], 0.186815602),
        (output.dz[0, 0], 0.138498562),
        (v.gradient[0, 0], 0.082167041),
        (v.after.T.ravel(), [0.35891648, 0.408666186, 0.511301270, 0.561370121]),
        (output.dx[0, 0], 0.036350306),
        (hidden.slope[0, 0], 0.241300709),
        (w.gradient[0, 0], 0.000438568),
        (w.after.T.ravel(), [0.149780716, 0.19956143, 0.24975114, 0.29950229]),
    ]:
        np.testing.assert_allclose(ours, his, rtol=0, atol=6e-10 if np.ndim(ours) < 1 else 5e-9)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_step_is_that_of_train_on_batch_and_nothing_else_changes(make):
    model, y = make()
    model.train_on_batch(X, y)  # so that there is state to keep
    weights = RNG.uniform(0.5, 1.5, 6)
    before = state_of(model)
    trace = model.trace(X, y, weights)
    assert same(before, state_of(model))
    logs = model.train_on_batch(X, y, weights, return_dict=True)
    assert trace.loss.total == logs["loss"]
    traced = [w for r in trace.model.walk() for w in r.weights.values()]
    after = {id(p): p.value for p in model.declared_parameters}
    assert len(traced) == len(after)
    records = {r.name: r for r in trace.model.walk()}
    for p in model.declared_parameters:
        record = records[p.layer.path].weights[p.name]
        np.testing.assert_array_equal(record.after, p.value)
        if p.gradient is not None:
            np.testing.assert_array_equal(record.used, p.gradient)
        np.testing.assert_array_equal(record.change, record.after - record.before)
    if model.optimizer.clips:
        assert trace.optimizer.norm == logs["grad_norm"]


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_factors_of_the_chain_rule_belong_together(make):
    model, y = make()
    trace = model.trace(X, y)
    close = {"rtol": 2e-5, "atol": 1e-6}
    for r in trace.model.walk():
        if r.kind == "dense":
            kernel = r.weights["kernel"]
            np.testing.assert_allclose(r.x @ kernel.before + r.weights["bias"].before, r.z, **close)
            np.testing.assert_allclose(r.x.T @ r.dz, kernel.gradient, **close)
            np.testing.assert_allclose(r.dz.sum(0), r.weights["bias"].gradient, **close)
            np.testing.assert_allclose(r.dz @ kernel.before.T, r.dx, **close)
        if r.slope is not None:
            np.testing.assert_allclose(r.dy * r.slope, r.dz, **close)
            h = 1e-3  # and the slope is that of the activation
            up, down = (r.activation.forward(np.array(r.z) + d) for d in (h, -h))
            smooth = np.abs(r.z) > 2 * h
            np.testing.assert_allclose(((up - down) / (2 * h))[smooth], r.slope[smooth], atol=2e-3)
        if r.weights and r.kind == "dense" and kernel.penalty is not None:
            np.testing.assert_allclose(kernel.penalty, 2 * 0.01 * kernel.before, rtol=1e-6)


def test_a_fused_loss_shows_probabilities_and_prediction_minus_target():
    model, y = plain()
    trace = model.trace(X, y)
    out = trace["out"]
    assert out.fused
    assert out.dy is None
    exp = np.exp(out.z - out.z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(out.y, exp / exp.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(out.dz, (out.y - y) / 6, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(trace.loss.samples, -np.log((out.y * y).sum(1)), rtol=1e-5)
    assert "prediction minus target" in trace.text()
    assert "∂L/∂z² = ∂L/∂a² · ∂a²/∂z² = 1/n (a² − t)" in trace.text()


def test_the_loss_before_and_after_is_that_of_test_on_batch():
    model, y = mixed()
    model.build((None, 4))
    trace = model.trace(X, y)
    assert trace.loss.before == model.test_on_batch(X, y)
    assert trace.loss.penalty > 0
    model.train_on_batch(X, y)
    assert trace.loss.after == model.test_on_batch(X, y)


def test_containers_are_shown_in_order_with_their_sums():
    model, y = mixed()
    trace = model.trace(X, y)
    names = [step.name for step in trace.steps if step.phase == "forward"]
    assert list(dict.fromkeys(names)) == [
        "in",
        *(f"block/{n}" for n in ("batch_normalization", "dense", "dropout", "dense_1")),
        "block",
        "activity_regularization",
        *(f"heads/{n}" for n in ("chain/dense", "chain/dense_1", "dense")),
        "heads",
        "last",
    ]
    back = [step.name for step in trace.steps if step.phase == "backward"]
    assert back.index("heads") < back.index("block/dense_1") < back.index("block")
    block = trace["block"]
    np.testing.assert_array_equal(block.x + block.parts[-1].y, block.y)
    assert "y = x + f(x)" in trace.text()


class Scale(L.Layer):
    """Learn a factor for each feature."""

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), initializer="ones")

    def forward(self, x, training=False):
        """``y = scale x``."""
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return x * self.scale

    def backward(self, dy):
        np.sum(dy * self.cache.x, axis=0, out=self.d_scale)
        return dy * self.scale


class Half(nl.losses.Loss):
    def __init__(self):
        super().__init__()

    def forward_samples(self, y_true, y_pred):
        self.cache.d = y_pred - y_true
        return (self.cache.d**2).sum(axis=-1) / 2

    def backward_samples(self, dl):
        return self.cache.d * dl


def test_classes_of_ones_own():
    model = nl.Sequential([Scale(name="mine"), L.Dense(3, name="out")], seed=0)
    model.compile("adam", Half())
    trace = model.trace(X, ONE_HOT)
    squares = (trace["out"].y - ONE_HOT) ** 2
    np.testing.assert_allclose(trace.loss.samples, squares.sum(1) / 2, rtol=1e-6)
    assert "y = scale x" in trace.text()
    mine = trace["mine"]
    np.testing.assert_array_equal(mine.weights["scale"].gradient, (mine.dy * X).sum(0))
    for form in (trace.markdown(), trace.html()):
        assert "scale" in form
    assert "w -= α m / (sqrt(v) + epsilon)" in trace.text()


def test_a_loss_that_is_no_loss_of_ours():
    class Plain:
        def forward(self, y_true, y_pred, sample_weight=None):
            self.d = y_pred - y_true
            return float((self.d**2).sum())

        def backward(self):
            return 2 * self.d

    model = nl.Sequential([L.Dense(3)], seed=0)
    model.compile("sgd", nl.losses.MeanSquaredError())
    vars(model)["loss"] = Plain()
    trace = model.trace(X, ONE_HOT)
    assert trace.loss.samples is None
    assert trace.loss.total == trace.loss.value > 0
    trace.html()


def test_a_sparse_batch_equals_a_dense_one():
    model, y = plain()
    x = np.where(X > 0.3, X, 0)
    dense, sparse = model.trace(x, y), model.trace(scipy.sparse.csr_matrix(x), y)
    np.testing.assert_array_equal(sparse["hidden"].x, x)
    np.testing.assert_allclose(sparse["hidden"].dz, dense["hidden"].dz, rtol=1e-5)


def test_frozen_layers_and_gathered_gradients():
    model, y = plain()
    model.layers[0].trainable = False
    trace = model.trace(X, y)
    kernel = trace["hidden"].weights["kernel"]
    assert kernel.gradient is None
    np.testing.assert_array_equal(kernel.before, kernel.after)
    assert "kernel: frozen." in trace.text()
    model.compile(nl.optimizers.SGD(0.1, gradient_accumulation_steps=2), "mse")
    trace = model.trace(X, y)
    assert not trace.optimizer.updated
    assert "1 of 2 batches" in trace.text()


def test_more_than_two_axes_and_one():
    model = nl.Sequential([L.Dense(2, "relu"), L.Flatten(), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    trace = model.trace(RNG.normal(size=(3, 5, 4)), np.arange(3.0))
    assert trace["dense"].y.shape == (3, 5, 2)
    assert "(3 × 5 × 2)" in trace.text()
    assert "[2, 4, 1] =" in trace.html()


def test_a_model_that_is_not_built_stays_so():
    model = nl.Sequential([L.Dense(3)])
    model.compile("sgd", "mse")
    trace = model.trace(X, ONE_HOT)
    assert not model.built
    model.build((None, 4))  # and gets the weights that were shown
    np.testing.assert_array_equal(trace["dense"].weights["kernel"].before, model.weights[0])


def test_errors():
    model, y = plain()
    with pytest.raises(DataError, match="trace: x"):
        model.trace(np.full_like(X, np.nan), y)
    with pytest.raises(ConfigurationError, match="y is missing"):
        model.trace(X, None)
    with pytest.raises(ConfigurationError, match="digits"):
        model.trace(X, y, digits=0)
    with pytest.raises(NotCompiledError):
        nl.Sequential([L.Dense(2)]).trace(X, y)
    trace = model.trace(X, y)
    with pytest.raises(ConfigurationError, match="must end in"):
        trace.save("trace.pdf")
    with pytest.raises(KeyError, match="no layer is named 'hiden'; there are hidden, out"):
        trace["hiden"]


def test_the_arrays_are_copies():
    model, y = plain()
    trace = model.trace(X, y)
    text = trace.text()
    model.fit(X, y, epochs=3, verbose=0)
    assert trace.text() == text
    assert not np.may_share_memory(trace["hidden"].x, X)
