"""Networks that are no plain chain: residual blocks, parallel branches, models within models."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, NonFiniteError, ShapeError

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))


def nested():
    inner = nl.Sequential([L.Dense(5, "relu"), L.Dense(4)], name="inner")
    block = L.Residual([inner, L.Dense(4, "tanh")], name="block")
    two = L.Parallel([[L.Dense(3, "relu"), L.Dense(2)], L.Dense(3)], name="two")
    return nl.Sequential([block, two, L.Dense(2)], seed=3)


def test_a_residual_block_is_its_formula():
    # By hand: y = x + tanh(x W + b), and y = x P + tanh(x W + b) where the width changes.
    same, wider = (L.Residual([L.Dense(n, "tanh")], dtype="float64") for n in (4, 5))
    for block, n in ((same, 4), (wider, 5)):
        y = block.forward(X)
        way = X if n == 4 else X @ block.projection.kernel
        dense = block.layers[0]
        np.testing.assert_allclose(y, way + np.tanh(X @ dense.kernel + dense.bias), rtol=1e-12)
    assert same.projection is None
    assert [p.path for p in wider.declared_parameters][-1] == "residual/projection/kernel"
    assert wider.projection.use_bias is False


def test_a_projection_matches_only_the_last_axis():
    with pytest.raises(ShapeError, match=r"'block'.*\(None, 3, 4\).*\(None, 12\)"):
        L.Residual([L.Activation("relu"), Flat()], name="block").build((None, 3, 4))


class Flat(L.Layer):
    def compute_output_shape(self, input_shape):
        return (input_shape[0], int(np.prod(input_shape[1:])))


@pytest.mark.parametrize("merge", ["concat", "add", "multiply", "average", "maximum"])
def test_merging_is_that_of_numpy(merge):
    layer = L.Parallel([L.Dense(3), L.Dense(3, "relu"), []], merge, dtype="float64")
    x = X[:, :3]
    a, b, c = (branch.forward(x) for branch in (*layer.layers[:2], L.Linear(dtype="float64")))
    expected = {
        "concat": lambda: np.concatenate([a, b, c], axis=1),
        "add": lambda: a + b + c,
        "multiply": lambda: a * b * c,
        "average": lambda: (a + b + c) / 3,
        "maximum": lambda: np.maximum(np.maximum(a, b), c),
    }[merge]
    y = layer.forward(x)
    np.testing.assert_allclose(y, expected(), rtol=1e-12)


def test_equal_maxima_give_the_gradient_to_one_branch():
    layer = L.Parallel([[], []], "maximum")
    layer.forward(X, training=True)
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), np.ones_like(X))


def test_branches_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"'dense_1'.*\(None, 4\).*'dense'.*\(None, 3\).*add"):
        L.Parallel([L.Dense(3), L.Dense(4)], "add").build((None, 2))
    with pytest.raises(ShapeError, match="all axes but axis 1"):
        L.Parallel([L.Dense(3), L.Dense(4)], axis=1).build((None, 2, 2))
    for axis in (0, 2, -2):
        with pytest.raises(ShapeError, match=f"axis={axis}"):
            L.Parallel([L.Dense(3)], axis=axis).build((None, 2))
    with pytest.raises(ConfigurationError, match="at least one branch"):
        L.Parallel([])
    with pytest.raises(ConfigurationError, match="merge must be one of 'concat'"):
        L.Parallel([L.Dense(1)], "sum")
    with pytest.raises(ConfigurationError, match="branches must be a list"):
        L.Parallel(L.Dense(1))


def test_gradients_of_a_nested_network():
    report = nl.check_gradients(nested(), X, max_entries=None)
    assert report.passed, f"\n{report}"
    names = [row.name for row in report.rows]
    assert names[1:5] == [
        "block/inner/dense/kernel",
        "block/inner/dense/bias",
        "block/inner/dense_1/kernel",
        "block/inner/dense_1/bias",
    ]
    assert "two/chain/dense_1/kernel" in names
    assert "two/dense/bias" in names
    assert len(set(names)) == len(names)


def test_all_weights_lie_in_the_outermost_vector():
    model = nested()
    model.build((None, 4))
    inner = model.layers[0].layers[0]
    assert model.count_params() == model.parameters.values.size
    assert sum(layer.count_params() for layer in model.layers) == model.count_params()
    for weight in (inner.layers[0].kernel, model.layers[1].layers[0].layers[0].kernel):
        assert np.shares_memory(weight, model.parameters.values)
    assert inner.parameters.size == inner.count_params()
    assert inner.parameters.vector is model.parameters.vector
    with pytest.raises(ConfigurationError, match=r"'block/inner'.*add layers before"):
        inner.add(L.Dense(1))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_a_nested_network_is_whole_and_independent(clone):
    model = nested()
    model.compile("adam", "mse")
    y = RNG.normal(size=(6, 2))
    model.fit(X, y, verbose=0)
    other = clone(model)
    kernel = other.layers[0].layers[0].layers[0].kernel
    assert np.shares_memory(kernel, other.parameters.values)
    assert not np.shares_memory(kernel, model.parameters.values)
    for m in (model, other):
        m.fit(X, y, epochs=3, verbose=0)
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()
    part = clone(model.layers[0])  # a part alone is whole too
    np.testing.assert_array_equal(part.forward(X), model.layers[0].forward(X))
    assert part.layers[0].layers[0].path == "block/inner/dense"


def test_a_configuration_gives_the_same_network():
    model = nested()
    again = nl.Sequential.from_config(model.get_config())
    for m in (model, again):
        m.build((None, 4))
    assert again.parameters.values.tobytes() == model.parameters.values.tobytes()
    assert [p.path for p in again.parameters.all] == [p.path for p in model.parameters.all]


def test_freezing_a_container_freezes_what_is_inside():
    model = nested()
    model.compile("adam", "mse")
    model.build((None, 4))
    y = RNG.normal(size=(6, 2))
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True)]
    assert changed == [False] * 6 + [True] * 8
    model.layers[0].layers[1].trainable = True  # one part of it thawed, and compiled anew
    assert model.layers[0].trainable
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, y, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True)]
    assert changed == [False] * 4 + [True] * 10
    assert not nl.layers.Residual([L.Dense(4)], trainable=False).layers[0].trainable


def test_a_trained_model_keeps_its_weights_in_another():
    encoder = nl.Sequential([L.Dense(3, "tanh")], name="encoder", seed=1)
    expected = encoder.predict(X)
    weights = encoder.get_weights()
    autoencoder = nl.Sequential([encoder, L.Dense(4)], seed=2)
    autoencoder.compile("adam", "mse")
    with pytest.raises(ShapeError):
        autoencoder.fit(X[:, :2], X[:, :2], verbose=0)
    for a, b in zip(weights, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(encoder.predict(X), expected)
    autoencoder.fit(X, X, verbose=0)
    assert not np.array_equal(encoder.predict(X), expected)  # it has learned with the outer one


def test_a_layer_stands_once_at_any_depth():
    layer = L.Dense(2)
    block = L.Residual([layer])
    for use in (lambda: L.Parallel([[layer], [layer]]), lambda: nl.Sequential([block, layer])):
        with pytest.raises(ConfigurationError, match="used twice"):
            use()
    model = nl.Sequential()
    with pytest.raises(ConfigurationError, match="used twice"):
        model.add(model)


def test_one_dtype_at_any_depth():
    with pytest.raises(ConfigurationError, match="one dtype"):
        L.Residual([L.Dense(2, dtype="float64")], dtype="float32")
    model = nl.Sequential([L.Residual([L.Dense(4)])], dtype="float64")
    model.build((None, 4))
    assert model.layers[0].layers[0].kernel.dtype == np.float64
    assert model.predict(X).dtype == np.float64


def test_the_dtype_of_the_first_layer_that_has_one():
    def dense(dtype=None, units=4):
        return L.Dense(units, dtype=dtype)

    model = nl.Sequential([nl.Input((4,)), dense("float64"), dense(), L.Softmax()])
    assert model.dtype == model.get_config()["dtype"] == "float64"
    assert {w.dtype.name for w in model.weights} == {"float64"}
    assert model.predict(X).dtype == np.float64
    for inner in (model, nl.Sequential([dense("float64")])):
        assert nl.Sequential([inner, dense()]).dtype == "float64"
    with pytest.raises(ConfigurationError, match="expected float64; a model has one dtype"):
        nl.Sequential([dense("float64"), dense("float32")])
    with pytest.raises(ConfigurationError, match="expected float32"):
        nl.Sequential([dense("float64")], dtype="float32")
    built = nl.Sequential([nl.Input((4,)), dense()])
    with pytest.raises(ConfigurationError, match="expected float32"):  # it has weights
        built.add(dense("float64"))
    empty = nl.Sequential([nl.Input((4,))])
    with pytest.raises(ShapeError):  # a layer that does not fit leaves nothing behind
        empty.add(L.Reshape((3,), dtype="float64"))
    assert empty.dtype == "float32" == nl.Sequential([*empty.layers, dense()]).dtype


def test_the_last_activation_of_an_inner_model_is_computed_with_the_loss():
    def make(inner):
        head = [L.Dense(3, "softmax")]
        layers = [L.Dense(5), *([nl.Sequential(head)] if inner else head)]
        model = nl.Sequential(layers, seed=0)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    plain, deep = make(False), make(True)
    y = np.array([0, 1, 2, 0, 1, 2])
    plain.build((None, 4))
    deep.build((None, 4))
    deep.set_weights(plain.get_weights())
    for model in (plain, deep):
        model.fit(1e4 * X, y, verbose=0, shuffle=False)  # alone, such softmaxes round to 0 and 1
    assert deep._steps.fused
    assert deep.parameters.values.tobytes() == plain.parameters.values.tobytes()


def fifty(block):
    layers = [L.Dense(16), *(block() for _ in range(25)), L.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.Adam(1e-3), "mse")
    return model


def test_fifty_layers_of_residual_blocks_train_where_a_plain_chain_does_not():
    x = RNG.normal(size=(256, 8))
    y = np.sin(x[:, :1]) + np.abs(x[:, 1:2])
    plain = fifty(lambda: nl.Sequential([L.Dense(16, "sigmoid"), L.Dense(16, "sigmoid")]))
    residual = fifty(
        lambda: L.Residual([L.Dense(16, "sigmoid"), L.Dense(16, kernel_initializer="zeros")])
    )
    losses = []
    for model in (plain, residual):
        model.fit(x, y, epochs=40, verbose=0)
        losses.append(model.evaluate(x, y, verbose=0))
        assert sum(isinstance(layer, L.Dense) for layer in model._flatten_layers()) == 52
    variance = y.var()
    assert losses[0] > 0.8 * variance  # the mean is all that it has learned
    assert losses[1] < 0.2 * variance


@pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning")
def test_the_penalty_on_activations_is_part_of_the_loss_as_in_keras():
    # Keras 3.15.1 (JAX backend) gives 3.0 for l1=1 on ones of shape (4, 3): the mean over a batch.
    model = nl.Sequential([L.ActivityRegularization(l1=1.0)])
    model.compile("sgd", "mse")
    x = np.ones((4, 3))
    assert model.evaluate(x, x, verbose=0) == 3.0
    assert model.test_on_batch(x, x) == 3.0
    assert model.fit(x, x, verbose=0).history["loss"] == [3.0]
    report = nl.check_gradients(
        nl.Sequential([L.Dense(3), L.ActivityRegularization(0.1, 0.2), L.Dense(2)]),
        X,
        X[:, :2],
        "mse",
    )
    assert report.passed, report


def test_an_explosion_inside_a_block_names_the_layer():
    model = nl.Sequential([L.Residual([L.Dense(4)]), L.Dense(1)], seed=0)
    model.compile(nl.optimizers.SGD(1e30), "mse")
    with (
        pytest.raises(NonFiniteError, match=r"layer '(residual/)?dense'"),
        np.errstate(all="ignore"),
    ):
        model.fit(X, np.ones(6), epochs=20, verbose=0)


def test_factors_for_the_learning_rate_multiply_along_the_path():
    inner = L.Dense(4, learning_rate_multiplier=0.5)
    block = L.Residual([inner, L.Dense(4)], learning_rate_multiplier=0.1)
    model = nl.Sequential([block, L.Dense(1)], seed=0)
    model.build((None, 4))
    factors = [p.learning_rate_multiplier for p in model.parameters.all[::2]]
    assert factors == pytest.approx([0.05, 0.1, 1.0])
    block.learning_rate_multiplier = 2.0
    again = nl.Sequential.from_config(model.get_config())
    again.build((None, 4))
    for m in (model, copy.deepcopy(model), again):
        factors = [p.learning_rate_multiplier for p in m.parameters.all[::2]]
        assert factors == pytest.approx([1.0, 2.0, 1.0])
    # One step of plain gradient descent moves each weight by its factor times the gradient.
    model.compile(nl.optimizers.SGD(0.01), "mse")
    before = model.parameters.values.copy()
    model.train_on_batch(X, X[:, :1])
    moved = (before - model.parameters.values) / 0.01
    for p, factor in zip(model.parameters.all[::2], [1.0, 2.0, 1.0], strict=True):
        np.testing.assert_allclose(
            moved[p.slice], factor * model.parameters.gradients[p.slice], rtol=1e-3, atol=1e-4
        )


def test_sparse_matrices_reach_the_first_layers_of_branches():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.where(RNG.random((20, 30)) < 0.2, RNG.normal(size=(20, 30)), 0)
    x, y = sparse.csr_matrix(dense), RNG.normal(size=(20, 1))

    def wide_and_deep():
        deep = nl.Sequential([L.Dense(8, "relu"), L.Dense(3)])
        model = nl.Sequential([L.Parallel([deep, L.Dense(2)]), L.Dense(1)], seed=0, dtype="float64")
        model.compile("sgd", "mse")
        return model

    results = []
    for given in (x, dense):
        model = wide_and_deep()
        model.fit(given, y, epochs=2, verbose=0)
        results.append(model.predict(given))
    np.testing.assert_allclose(*results, rtol=1e-10)
    for layer, match in (
        (L.Residual([L.Dense(30)]), r"'residual' \(Residual\)"),
        (L.Parallel([L.Dense(2), []]), r"'parallel' \(Parallel\)"),
        (nl.Sequential([L.Dropout(0.1), L.Dense(1)]), r"'sequential' \(Sequential\)"),
    ):
        model = nl.Sequential([layer, L.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(nl.errors.DataError, match=f"{match}.*Dense layer first"):
            model.fit(x, y, verbose=0)
        assert not model.built


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: nl.Sequential([a, b, "relu"]),
        lambda a, b: nl.Sequential([L.Input((3, 4)), a, L.Flatten(), b, L.Permute((2, 1))]),
        lambda a, b: L.Parallel([[a], [b, a]]),
        lambda a, b: L.Parallel([[a], b, 3]),
        lambda a, b: L.Residual([a, b], projection=3),
    ],
)
def test_a_constructor_that_fails_lets_its_layers_go(wrong):
    a, b = L.Dense(3), L.Dense(3)
    with pytest.raises((ConfigurationError, ShapeError)):
        wrong(a, b)
    model = nl.Sequential([a, b], seed=0)
    assert model.predict(X).shape == (6, 3)
    assert [p.path for p in model.parameters.all[::2]] == ["dense/kernel", "dense_1/kernel"]


def test_a_projection_can_be_chosen_and_stays_as_it_is_set():
    block = L.Residual([L.Dense(8, trainable=False)])
    block.build((None, 4))
    assert block.projection.trainable  # what is inside the block does not freeze the way around it
    block.projection.trainable = False
    block.projection.learning_rate_multiplier = 0.5
    again = L.Residual.from_config(block.get_config())
    again.build((None, 4))
    assert not again.projection.trainable
    assert again.projection.learning_rate_multiplier == 0.5
    own = L.Residual([L.Dense(8)], projection=L.Dense(8, kernel_initializer="zeros", name="way"))
    model = nl.Sequential([own], seed=0)
    model.build((None, 4))
    assert [p.path for p in model.parameters.all][-2:] == [
        "residual/way/kernel",
        "residual/way/bias",
    ]
    np.testing.assert_array_equal(model.predict(X), own.layers[0].forward(X.astype("float32")))
    with pytest.raises(ShapeError, match=r"the projection into \(None, 7\)"):
        L.Residual([L.Dense(8)], projection=L.Dense(7)).build((None, 4))
    named = L.Residual([L.Dense(8, name="projection")])
    named.build((None, 4))
    assert [p.path for p in named.declared_parameters][::2] == [
        "residual/projection/kernel",
        "residual/projection_1/kernel",
    ]


def test_a_model_within_a_model_can_be_used_alone():
    inner = nl.Sequential([L.Dense(3)])
    inner.compile("sgd", "mse")
    outer = nl.Sequential([inner, L.Dense(1)])
    outer.build((None, 4))
    before = outer.predict(X)
    inner.fit(X, X[:, :3], verbose=0)
    assert not np.array_equal(outer.predict(X), before)
    alone = copy.deepcopy(inner)
    alone.compile("sgd", "mse")
    assert alone.evaluate(X, inner.predict(X), verbose=0) < 1e-12
