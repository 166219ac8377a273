"""Dense layers computed in one compiled call give what they give one by one, bit by bit."""

import copy
import importlib.util
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.layers.dense_stack import DenseStack
from netlayers.layers.stacking import stacked
from tests.layers.stacks import (
    Dense,
    arrays,
    assert_same,
    called,
    compiled,  # noqa: F401
    model_of,
    one_by_one,
)

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")


@pytest.fixture
def calls(monkeypatch):
    """Names of the compiled stacks that were called, in their order."""
    return called(monkeypatch, "stack_forward", "stack_backward")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_bits_are_those_of_the_layers_alone(data):
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 1 << 20), "seed"))
    dtype = draw(st.sampled_from(["float32", "float64"]), "dtype")
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=5), "sizes")
    rows = draw(st.integers(1, 70), "rows")
    layers = []
    for m in sizes[1:]:
        name = draw(st.sampled_from([None, "relu", "tanh", "sigmoid", "softmax", "elu"]), "f")
        layers.append(Dense(m, name, draw(st.booleans(), "bias"), "he_normal"))
    for layer in layers if draw(st.booleans(), "some are frozen") else ():
        layer.trainable = draw(st.booleans(), "learns")
    model = model_of(*layers, dtype=dtype, inputs=sizes[0])
    x, dy = (rng.normal(size=(rows, n)).astype(dtype) for n in (sizes[0], sizes[-1]))
    for a in (x, dy, *model.get_weights()) if draw(st.booleans(), "extreme") else ():
        places = rng.random(a.shape) < 0.2
        a[places] = rng.choice([0, -0.0, 1e30, np.inf, -np.inf, np.nan], places.sum())
    options = {"input_gradient": draw(st.booleans(), "input_gradient")}
    kept = x.copy(), dy.copy()
    options["logits"] = draw(st.booleans(), "logits")
    with np.errstate(all="ignore"):
        together = arrays(model, x, dy, **options)
        with one_by_one(model):
            assert_same(together, arrays(model, x, dy, **options))
    assert_same((x, dy), kept)


@pytest.mark.parametrize("last", [None, "sigmoid", "softmax", "elu"])
def test_it_is_really_used(calls, last):
    model = model_of(Dense(4, "relu"), Dense(3, "tanh"), Dense(2, last))
    arrays(model, np.ones((6, 5), np.float32), np.ones((6, 2), np.float32))
    assert calls == ["stack_forward", "stack_backward", "stack_forward"]


def test_what_stands_between_ends_a_stack():
    layers = [
        nl.layers.Dropout(0.1),
        Dense(4, "relu"),
        Dense(4, "gelu"),
        Dense(4, nl.activations.ReLU(max_value=6)),
        nl.layers.BatchNormalization(),
        Dense(4),
        Dense(2, "softmax"),
    ]
    found = [len(part.layers) if isinstance(part, DenseStack) else 0 for part in stacked(layers)]
    assert found == [0, 2, 1, 0, 2]


def residual_network(blocks, at_input=False, turned=False, last=None, n=6, dtype="float32"):
    """Dense layers in blocks ``h + f(h)``; ``blocks`` holds the activations of each f."""
    x = nl.Input((n,), dtype=dtype)
    h = x if at_input else Dense(n, "tanh")(x)
    for names in blocks:
        f = h
        for i, name in enumerate(names):
            f = Dense(n if i == len(names) - 1 else n + i + 1, name, use_bias=i != 1)(f)
        h = f + h if turned else h + f
    model = nl.Model(x, Dense(3, last)(h) if last != "sum" else h, seed=0, dtype=dtype)
    model.parameters.values[...] += np.linspace(-0.3, 0.3, model.parameters.size)
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {"blocks": [("relu", None), (None,), ("tanh", "sigmoid", None)]},
        {"blocks": [("relu", None)] * 2, "at_input": True, "turned": True},
        {"blocks": [("relu", None), ("relu", "tanh", None)], "last": "softmax"},
        {"blocks": [(None,), ("relu", None)], "last": "sum", "at_input": True},
    ],
    ids=["blocks", "turned", "softmax", "sum"],
)
@pytest.mark.parametrize("frozen", [(), (1, 2), (0, 1)])
def test_skip_connections_belong_to_a_stack(calls, options, frozen, dtype):
    model = residual_network(**options, dtype=dtype)
    dense = [layer for layer in model.layers if isinstance(layer, Dense)]
    for i in frozen:
        dense[i].trainable = False
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 6)).astype(dtype)
    dy = rng.normal(size=(9, *model.output_shape[1:])).astype(dtype)
    kept = x.copy(), dy.copy()
    for chosen in ({}, {"input_gradient": False}, {"logits": True}):
        calls.clear()
        together = arrays(model, x, dy, **chosen)
        assert calls == ["stack_forward", "stack_backward", "stack_forward"]
        with one_by_one(model):
            assert_same(together, arrays(model, x, dy, **chosen))
        assert len(calls) == 3
    assert_same((x, dy), kept)


def test_a_stack_that_is_observed_after_its_forward_pass_goes_on_one_by_one():
    model = residual_network([("relu", None), ("tanh", None)])
    x, dy = np.ones((4, 6), np.float32), np.ones((4, 3), np.float32)
    first = arrays(model, x, dy)
    model.forward(x, training=True)
    with one_by_one(model):
        np.testing.assert_array_equal(model.backward(dy), first[1])
    np.testing.assert_array_equal(model.parameters.gradients, first[2])
    assert nl.check_gradients(model, np.random.default_rng(0).normal(size=(5, 6))).passed


def test_a_residual_layer_is_one_stack_unless_it_projects(calls):
    R = nl.layers.Residual
    model = model_of(R([Dense(7, "relu"), Dense(5)]), R([Dense(4, "tanh"), Dense(3)]))
    arrays(model, np.ones((6, 5), np.float32), np.ones((6, 3), np.float32))
    assert calls == ["stack_forward"] * 3 + ["stack_backward"] * 3 + ["stack_forward"] * 3


def test_other_sums_end_a_stack():
    def stacks(make):
        x = nl.Input((6,))
        model = nl.Model(x, make(x), seed=0)
        model.forward(np.ones((2, 6), np.float32))
        nodes = model._stacked_nodes()[0]
        return [len(n.call) if isinstance(n.call, DenseStack) else 0 for n in nodes]

    def used_again(x):
        h = Dense(6)(x)
        return nl.layers.concatenate([h + Dense(6)(h), h])

    def nested(x):
        h = Dense(6, "relu")(x)
        return x + Dense(6)(h + Dense(6)(h))

    assert stacks(lambda x: x + Dense(6)(x)) == [2]
    assert stacks(lambda x: x + Dense(6, "relu")(x)) == [1, 0]
    assert stacks(lambda x: x + Dense(1)(x)) == [1, 0]
    assert stacks(lambda x: nl.layers.add([x, Dense(6)(x), x])) == [1, 0]
    assert stacks(used_again) == [1, 1, 0, 0]
    assert stacks(nested) == [4, 0]
    assert stacks(lambda x: x - Dense(6)(x)) == [1, 0]


class Louder(Dense):
    def forward(self, x, training=False):
        return 2 * super().forward(x, training)


class ReLU(nl.activations.ReLU):
    def forward(self, x, training=False, inplace=False):
        return 2 * super().forward(x, training)


def test_a_class_of_ones_own_is_no_part_of_a_stack():
    assert [type(part) for part in stacked([Louder(3)])] == [Louder]
    assert len(stacked([Dense(3, ReLU()), Dense(2)])) == 2
    model = model_of(Dense(3, ReLU()))
    plain = model_of(Dense(3, "relu"))
    x = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(model.forward(x), 2 * plain.forward(x))


@pytest.mark.parametrize("optimizer", ["adam", nl.optimizers.SGD(0.1, momentum=0.9)])
@pytest.mark.parametrize(
    ("last", "loss"),
    [
        ("softmax", "sparse_categorical_crossentropy"),
        (None, nl.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ("softmax", "mse"),
    ],
)
def test_fit_gives_the_same_weights(calls, last, loss, optimizer):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(70, 5)), rng.integers(0, 3, 70)
    if loss == "mse":
        y = np.eye(3)[y]
    weights = []
    for watch in (False, True):
        model = model_of(Dense(9, "relu"), nl.layers.Dropout(0.2), Dense(8, "tanh"), Dense(3, last))
        model.compile(copy.deepcopy(optimizer), copy.deepcopy(loss), metrics=["accuracy"])
        calls.clear()
        if watch:
            with one_by_one(model):
                model.fit(x, y, epochs=3, verbose=0)
            assert not calls
        else:
            model.fit(x, y, epochs=3, verbose=0)
            assert calls
        weights.append(model.parameters.values.copy())
    np.testing.assert_array_equal(*weights)


def test_gradients_are_right_by_numbers():
    x = np.random.default_rng(0).normal(size=(6, 5))
    for name in ("relu", "tanh", "sigmoid", None):
        model = model_of(Dense(4, name), Dense(3, name, use_bias=False), Dense(2, "softmax"))
        assert nl.check_gradients(model, x).passed
        assert nl.check_gradients(model, x, np.eye(2)[[0, 1] * 3], "categorical_crossentropy")


def test_batches_of_any_size_take_turns():
    model = model_of(Dense(4, "relu"), Dense(3, "tanh"))
    rng = np.random.default_rng(0)
    for rows in (3, 8, 2, 20, *range(1, 25), 8, 3):
        x, dy = (rng.normal(size=(rows, n)).astype(np.float32) for n in (5, 3))
        together = arrays(model, x, dy)
        with one_by_one(model):
            assert_same(together, arrays(model, x, dy))


def test_it_follows_every_change_of_the_model(calls):
    model = model_of(Dense(4, "relu"), Dense(3, "tanh"), Dense(3))
    x, dy = np.ones((2, 5), np.float32), np.ones((2, 3), np.float32)

    def check():
        calls.clear()
        together = arrays(model, x, dy)
        with one_by_one(model):
            assert_same(together, arrays(model, x, dy))
        return len(calls)

    assert check() == 3
    model.layers[1].trainable = False
    assert check() == 3
    model.layers[1].trainable = True
    model.add(Dense(3, "sigmoid"))
    assert check() == 3
    model.pop()
    model.layers[0].kernel[...] *= 2
    assert check() == 3
    model.layers[0].activation = nl.activations.get("elu")
    assert check() == 0  # it is no longer what it was
    nl.use_kernels("numpy")
    try:
        assert check() == 0
    finally:
        nl.use_kernels("numba")


def test_copies_have_weights_of_their_own():
    model = model_of(Dense(4, "relu"), Dense(3))
    x = np.ones((2, 5), np.float32)
    y = model.predict(x)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.layers[0].kernel[...] = 0
        assert not np.array_equal(twin.predict(x), y)
    np.testing.assert_array_equal(model.predict(x), y)


@pytest.mark.parametrize(
    "x",
    [
        np.ones((2, 3, 5)),
        np.ones((0, 5)),
        scipy.sparse.csr_matrix(np.eye(4, 5)),
        np.broadcast_to(np.float32(1), (4, 5)),
        np.asfortranarray(np.ones((4, 5), np.float32)),
        [[1, 2, 3, 4, 5]],
    ],
    ids=["3d", "no rows", "sparse", "read-only", "columns", "list"],
)
def test_every_other_input_is_taken_as_ever(x):
    model = model_of(Dense(4, "relu"), Dense(3))
    got = model.forward(x)
    with one_by_one(model):
        np.testing.assert_array_equal(got, model.forward(x))


def test_errors_are_those_of_the_layers():
    model = model_of(Dense(4, "relu", name="low"), Dense(3, name="top"))
    with pytest.raises(nl.errors.NoForwardError, match="forward"):
        model.backward(np.ones((2, 3), np.float32))
    with pytest.raises(nl.errors.ShapeError, match="expected an input of shape"):
        model.forward(np.ones((2, 4), np.float32))
    model.forward(np.ones((2, 5), np.float32), training=True)
    with pytest.raises(nl.errors.ShapeError, match="backward"):
        model.backward(np.ones((2, 4), np.float32))


def test_without_the_blas_of_numpy_the_layers_go_alone(monkeypatch):
    from netlayers.kernels.compiled import blas, stack

    monkeypatch.setattr(blas, "addresses", dict)
    assert stack.compiled_stack(lambda function: function) == {}


def test_a_blas_is_not_trusted_unseen(monkeypatch):
    from netlayers.kernels.compiled import blas

    assert len(blas.addresses()) == 6
    monkeypatch.setattr(blas, "_is_sgemm", lambda function: False)
    assert blas.addresses() == {}
    monkeypatch.undo()
    monkeypatch.setattr(blas.ctypes, "CDLL", raises_os_error)
    assert blas.addresses() == {}


def raises_os_error(path):
    raise OSError(path)
