"""Models of symbolic values: graphs, shared layers, several inputs and outputs."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, DataError, ShapeError

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))
Y, K = A.sum(axis=1) * B[:, 0], RNG.integers(0, 3, 40)


def two_inputs(**options):
    a, b = nl.Input((3,), name="a"), nl.Input((2,), name="b")
    h = L.Dense(4, "tanh", name="h")(L.Concatenate()([a, b]))
    return nl.Model([a, b], L.Dense(1)(h + L.Dense(4)(h)), seed=0, **options)


def two_outputs(**options):
    x = nl.Input((3,), name="x")
    h = L.Dense(5, "tanh")(x)
    return nl.Model(
        x, [L.Dense(1, name="price")(h), L.Dense(3, "softmax", name="kind")(h)], seed=0, **options
    )


def losses(**options):
    return {"loss": {"price": "mse", "kind": "sparse_categorical_crossentropy"}, **options}


# Forward and backward -----------------------------------------------------------------------------


def test_a_model_is_the_composition_of_its_layers():
    model = two_inputs(dtype="float64")
    h, plain, last = (model.get_layer(n) for n in ("h", "dense", "dense_1"))
    hidden = np.tanh(np.concatenate([A, B], axis=1) @ h.kernel + h.bias)
    expected = (hidden + hidden @ plain.kernel + plain.bias) @ last.kernel + last.bias
    np.testing.assert_allclose(model.predict([A, B]), expected, rtol=1e-13)


def test_gradients_of_a_graph_with_a_value_used_twice():
    assert nl.check_gradients(two_inputs(), (A[:4], B[:4])).passed


def test_gradients_of_a_layer_called_twice_add_up():
    a, b = nl.Input((3,)), nl.Input((3,))
    tower = nl.Sequential([L.Dense(4, "tanh"), L.Dense(2)], name="tower")
    model = nl.Model([a, b], L.Dot(axes=1, normalize=True)([tower(a), tower(b)]), seed=0)
    assert model.count_params() == 3 * 4 + 4 + 4 * 2 + 2
    assert nl.check_gradients(model, (A[:4], A[4:8])).passed
    # dL/dW of both uses, by the product rule: L = Σ W·a W·b for one linear weight.
    a, b = nl.Input((3,)), nl.Input((3,))
    w = L.Dense(1, use_bias=False, name="w")
    product = nl.Model([a, b], L.Multiply()([w(a), w(b)]), dtype="float64", seed=0)
    y = product.forward((A[:4], A[4:8]), training=True)
    product.backward(np.ones_like(y))
    expected = (A[:4] * (A[4:8] @ w.kernel) + A[4:8] * (A[:4] @ w.kernel)).sum(axis=0)
    np.testing.assert_allclose(w.d_kernel[:, 0], expected, rtol=1e-12)


def test_operators_make_layers():
    a, b = nl.Input((3,)), nl.Input((3,))
    y = (2 * a - b / 4 + 1) * b**2 - (np.float32(1) - a) + (-b) + (a - 3)
    model = nl.Model([a, b], y, dtype="float64")
    u, v = A[:5], A[5:10]
    expected = (2 * u - v / 4 + 1) * v**2 - (1 - u) - v + (u - 3)
    np.testing.assert_allclose(model.predict([u, v]), expected, rtol=1e-13)
    assert nl.check_gradients(model, (u, v)).passed


def test_a_part_is_taken_by_an_index():
    x = nl.Input((4, 3))
    model = nl.Model(x, [x[:, 0], x[..., 1:], x[:, ::2, -1]])
    data = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    for found, expected in zip(
        model.predict(data), (data[:, 0], data[..., 1:], data[:, ::2, -1]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ConfigurationError, match="must keep the batch"):
        x[0]
    with pytest.raises(ShapeError, match="index 7 is out of bounds"):
        x[:, 7]


def test_a_chain_runs_like_a_sequential():
    x = nl.Input((3,))
    functional = nl.Model(x, L.Dense(2)(L.Dense(4, "relu")(x)), seed=3)
    chain = nl.Sequential([nl.Input((3,)), L.Dense(4, "relu"), L.Dense(2)], seed=3)
    assert functional._is_chain
    for model in (functional, chain):
        model.compile("adam", "mse")
        model.fit(A, B, epochs=3, verbose=0)
    np.testing.assert_array_equal(functional.predict(A), chain.predict(A))


def test_nested_models_and_their_weights():
    x = nl.Input((3,))
    inner = nl.Model(x, L.Dense(3, "tanh")(x) + x, name="inner")
    z = nl.Input((3,))
    outer = nl.Model(z, inner(inner(z)), seed=0, dtype="float32")
    assert outer.count_params() == inner.count_params() == 12
    np.testing.assert_array_equal(outer.predict(A), inner.predict(inner.predict(A)))
    outer.compile("sgd", "mse")
    before = inner.get_weights()[0]
    outer.fit(A, A, verbose=0)
    assert (inner.get_weights()[0] != before).any()
    assert nl.check_gradients(outer, A[:3]).passed


def test_a_part_of_a_model_shares_its_weights():
    model = two_inputs()
    features = nl.Model(model.inputs, model.get_layer("h").output)
    assert features.predict([A, B]).shape == (40, 4)
    model.compile("sgd", "mse")
    before = features.predict([A, B])
    model.fit([A, B], Y, verbose=0)
    assert (features.predict([A, B]) != before).any()
    np.testing.assert_array_equal(features.get_weights()[0], model.get_weights()[0])


def test_a_part_of_a_sequential():
    chain = nl.Sequential([nl.Input((3,)), L.Dense(4, name="first"), L.Dense(2)], seed=0)
    part = nl.Model(chain.inputs, chain.get_layer("first").output)
    np.testing.assert_allclose(
        part.predict(A), A @ chain.layers[0].kernel + chain.layers[0].bias, rtol=1e-5, atol=1e-6
    )
    tail = nl.Model(chain.get_layer("first").output, chain.output)
    np.testing.assert_array_equal(tail.predict(part.predict(A)), chain.predict(A))


def test_transfer_learning_on_a_frozen_base():
    base = nl.Sequential([nl.Input((3,)), L.Dense(4, "relu"), L.Dropout(0.5)], seed=0, name="base")
    base.trainable = False
    x = nl.Input((3,))
    model = nl.Model(x, L.Dense(1)(base(x, training=False)), seed=0)
    model.compile("sgd", "mse")
    kept = base.get_weights()
    model.fit(A, Y, verbose=0)
    for before, now in zip(kept, base.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    # Without dropout, also in training.
    np.testing.assert_array_equal(model.forward(A, training=True), model.forward(A))
    base.trainable = True
    model.compile("sgd", "mse")
    model.fit(A, Y, verbose=0)
    assert not np.array_equal(base.get_weights()[0], kept[0])
    np.testing.assert_array_equal(model.forward(A, training=True), model.forward(A))


def test_a_tied_embedding_reads_and_writes_words(tmp_path):
    table = L.ReversibleEmbedding(7, 4, name="table")
    words = nl.Input((5,), dtype="int32")
    model = nl.Model(words, table(L.Dense(4, "tanh")(table(words)), reverse=True), seed=0)
    assert model.count_params() == 7 * 4 + 4 * 4 + 4
    data = RNG.integers(0, 7, (6, 5))
    assert nl.check_gradients(model, data).passed
    model.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(data, data, epochs=60, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "m")
    loaded = nl.load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(data), model.predict(data))


def test_integers_and_names_of_inputs():
    x = nl.Input((2,), dtype="int32", name="ids")
    model = nl.Model(x, L.Rescaling(0.5)(x))
    assert model.input_spec.dtype == "integer"
    with pytest.raises(DataError, match="integers"):
        model.predict(np.array([[0.5, 1.0]]))
    assert model.input_names == ["ids"]


# Several inputs and outputs -----------------------------------------------------------------------


def test_data_by_position_and_by_name():
    model = two_inputs()
    model.compile("sgd", "mse")
    expected = model.predict([A, B])
    for given in ((A, B), {"b": B, "a": A}):
        np.testing.assert_array_equal(model.predict(given), expected)
    np.testing.assert_array_equal(model({"a": A, "b": B}), model([A, B]))
    model.fit({"a": A, "b": B}, Y, verbose=0)
    with pytest.raises(DataError, match="has no 'b'"):
        model.predict({"a": A})


def test_losses_by_output_add_up_with_their_weights():
    model = two_outputs()
    model.compile("sgd", **losses(loss_weights={"price": 0.5}, metrics={"kind": ["accuracy"]}))
    logs = model.evaluate(A, [Y, K], return_dict=True, verbose=0)
    price, kind = model.predict(A)
    mse = np.mean((price[:, 0] - Y) ** 2)
    crossentropy = -np.mean(np.log(kind[np.arange(40), K]))
    assert logs["price_loss"] == pytest.approx(mse, rel=1e-5)
    assert logs["kind_loss"] == pytest.approx(crossentropy, rel=1e-5)
    assert logs["loss"] == pytest.approx(0.5 * mse + crossentropy, rel=1e-5)
    assert logs["kind_accuracy"] == np.mean(kind.argmax(axis=1) == K)
    assert model.metrics_names == ["loss", "price_loss", "kind_loss", "kind_accuracy"]


@pytest.mark.parametrize("epochs", [1, 2])
def test_lists_dicts_and_streams_train_alike(epochs):
    def batches():
        for start in range(0, 40, 8):
            part = slice(start, start + 8)
            yield {"x": A[part]}, {"kind": K[part], "price": Y[part]}

    found = []
    for x, y in ((A, [Y, K]), ({"x": A}, {"price": Y, "kind": K}), (batches, None)):
        model = two_outputs()
        model.compile("adam", **losses())
        model.fit(
            x, y, batch_size=None if y is None else 8, shuffle=False, epochs=epochs, verbose=0
        )
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_gradients_of_several_outputs():
    report = nl.check_gradients(two_outputs(), A[:4])
    assert report.passed


def test_logits_of_a_softmax_output_are_fused():
    model = two_outputs()
    model.compile("sgd", **losses())
    model.get_layer("kind").kernel[...] = 0
    model.get_layer("kind").bias[...] = [0, 400, 0]  # the probability rounds to 0
    value = model.evaluate(A[:1], [Y[:1], [0]], return_dict=True, verbose=0)["kind_loss"]
    assert value == pytest.approx(400)


def test_weights_of_samples_by_output():
    model = two_outputs()
    model.compile("sgd", **losses())
    only = np.zeros(40)
    only[3] = 1
    logs = model.evaluate(
        A, [Y, K], sample_weight={"price": only, "kind": None}, return_dict=True, verbose=0
    )
    price, kind = model.predict(A)
    assert logs["price_loss"] == pytest.approx((price[3, 0] - Y[3]) ** 2 / 40, rel=1e-5)
    assert logs["kind_loss"] == pytest.approx(-np.mean(np.log(kind[np.arange(40), K])), rel=1e-5)


def test_an_output_without_a_loss_is_not_learned():
    model = two_outputs()
    model.compile("sgd", {"price": "mse"})
    before = model.get_layer("kind").get_weights()
    history = model.fit(A, {"price": Y}, verbose=0)
    assert list(history.history) == ["loss", "price_loss"]
    model.fit(A, [Y, K], verbose=0)
    for a, b in zip(before, model.get_layer("kind").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_outputs_by_name():
    x = nl.Input((3,), name="x")
    model = nl.Model({"in": x}, {"double": 2 * x, "same": x})
    found = model.predict({"in": A})
    assert list(found) == ["double", "same"]
    np.testing.assert_array_equal(found["double"], 2 * found["same"])
    assert list(model({"in": A})) == ["double", "same"]
    again = nl.models.Functional.from_config(model.get_config())
    assert list(again.predict({"in": A})) == ["double", "same"]


# Saved, copied, resumed ---------------------------------------------------------------------------


@pytest.mark.parametrize("build", [two_inputs, two_outputs])
def test_a_saved_model_goes_on_to_the_same_bits(build, tmp_path):
    model = build()
    x, y = ([A, B], Y) if build is two_inputs else (A, [Y, K])
    options = {"loss": "mse"} if build is two_inputs else losses(metrics={"kind": ["accuracy"]})
    model.compile("adam", **options)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m")
    loaded = nl.load_model(tmp_path / "m")
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        history = other.fit(x, y, epochs=1, verbose=0).history
    expected = model.fit(x, y, epochs=1, verbose=0).history
    assert history == expected
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.get_config() == model.get_config()
    assert nl.Model(loaded.inputs, loaded.layers[-1].output).predict(x).shape[0] == 40


def test_a_layer_that_is_called_twice_is_saved_once(tmp_path):
    x = nl.Input((3,))
    layer = L.Dense(3, "tanh")
    model = nl.Model(x, layer(layer(x)), seed=0)
    model.save(tmp_path / "m")
    loaded = nl.load_model(tmp_path / "m")
    assert loaded.count_params() == 12
    np.testing.assert_array_equal(loaded.predict(A), model.predict(A))


def test_the_summary_lists_connections(capsys):
    two_inputs().summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("Connected to")
    assert next(line for line in lines if line.startswith("add")).endswith("h, dense")
    nl.Sequential([nl.Input((3,)), L.Dense(1)]).summary()
    assert "Connected" not in capsys.readouterr().out


# Compiled kernels ---------------------------------------------------------------------------------


def towers():
    """Two towers of Dense layers, a skip connection, and two outputs, one of them a softmax."""
    a, b = nl.Input((3,)), nl.Input((2,))
    left = L.Dense(5, "tanh")(L.Dense(4, "relu")(a))
    right = L.Dense(5)(L.Dense(4, "relu")(b))
    h = left + right
    h = h + L.Dense(5, "relu")(L.Dense(6, "tanh")(h))
    return nl.Model(
        [a, b], [L.Dense(1, name="y")(h), L.Dense(3, "softmax", name="k")(L.Dense(4)(h))], seed=0
    )


def test_runs_of_dense_layers_are_computed_as_one():
    pytest.importorskip("numba")
    found = {}
    before = nl.kernels_in_use()
    try:
        for kernels in ("numpy", "numba"):
            nl.use_kernels(kernels)
            model = towers()
            model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
            history = model.fit([A, B], [Y, K], epochs=2, verbose=0).history
            found[kernels] = history["loss"], model.predict([A, B])
            nodes, results, logits = model._wired("_forward_logits", False)
            stacks = [node for node in nodes if type(node.call).__name__ == "DenseStack"]
            assert len(nodes) == (10 + 1 if kernels == "numpy" else 7)
            assert len(stacks) == (0 if kernels == "numpy" else 5)
            assert {value for value, _ in results} >= set(logits)
    finally:
        nl.use_kernels(before)
    assert found["numba"][0] == pytest.approx(found["numpy"][0], rel=1e-5)
    for one, other in zip(found["numba"][1], found["numpy"][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_columns_of_one_axis():
    word, number = nl.Input((1,), name="word", dtype="string"), nl.Input((1,), name="number")
    code = L.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(word)
    model = nl.Model([word, number], L.Dense(1)(L.Concatenate()([code, number])), seed=0)
    model.compile("sgd", "mse")
    columns = {"word": np.array(["a", "b", "c", "a"]), "number": np.arange(4.0)}
    rows = {name: column[:, None] for name, column in columns.items()}
    assert model.fit(columns, np.ones(4), verbose=0).history["loss"][0] > 0
    np.testing.assert_array_equal(model.predict(columns), model.predict(rows))
    assert model.evaluate(columns, np.ones(4), verbose=0) == model.evaluate(
        rows, np.ones(4), verbose=0
    )
