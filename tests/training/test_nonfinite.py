"""The search for the first value that is not finite: in the layers of a network."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import NonFiniteError
from tests.training.traps import MARKED, SHAPES, Late, N, Trap, X, Y, fit, make

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def marked():
    MARKED[:] = [2, 5]
    yield
    MARKED[:] = []


# Layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["log", "divide", "exp", "backward", "weight"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_of_fit_names_the_place(shape, kind):
    model = make(shape, kind)
    with pytest.raises(NonFiniteError) as raised:
        fit(model, Late(1, 2))
    error = raised.value
    assert error.layer == SHAPES[shape][1]
    assert error.direction == ("backward" if kind in ("backward", "weight") else "forward")
    assert (error.epoch, error.batch, error.rows) == (1, 2, [2, 5])
    for part in ("SGD: the gradient", "Epoch 2, batch 3: it began in the", repr(error.layer)):
        assert part in str(error)
    assert "for 2 of 8 rows: rows 2, 5." in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.rows == [2, 5]


def test_train_on_batch_names_the_place_without_numbers():
    model = make()
    with pytest.raises(NonFiniteError, match="It began in the forward pass of 'trap'") as raised:
        model.train_on_batch(X[:N], Y[:N])
    error = raised.value
    assert (error.layer, error.epoch, error.batch, error.rows) == ("trap", None, None, [2, 5])


def test_nothing_of_the_model_changes():
    model = make("nested")
    model.build((None, 4))
    before = copy.deepcopy(model)
    with pytest.raises(NonFiniteError):
        fit(model)
    for a, b in zip(model.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # the averages of BatchNormalization, too
    assert model.optimizer.iterations == 0
    assert model.optimizer.nonfinite_override is None


def test_skip_leaves_out_the_running_statistics_too():
    model = make("nested", optimizer=nl.optimizers.SGD(on_nonfinite="skip"))
    fit(model, Late(0, 1), epochs=1)
    assert model.optimizer.skipped == 1
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_an_activation_is_named_with_its_layer():
    model = nl.Sequential([L.Dense(3), L.Dense(3, "exponential", name="hot"), L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    x = X[:N].copy()
    x[[1, 6]] *= 1e4
    with pytest.raises(NonFiniteError, match="of its part 'exponential' is infinite") as raised:
        model.train_on_batch(x, Y[:N])
    error = raised.value
    # Known from the outputs of the layer itself.
    with np.errstate(all="ignore"):
        y = model.layers[1].forward(model.layers[0].forward(x))
    bad = np.flatnonzero(~np.isfinite(y).all(axis=1)).tolist()
    assert (error.layer, error.rows) == ("hot", bad)
    assert bad


def test_a_container_is_named_where_it_puts_outputs_together():
    big = [L.Dense(2, kernel_initializer=nl.initializers.Constant(1e25)) for _ in range(2)]
    model = nl.Sequential([L.Parallel(big, "multiply", name="product"), L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteError) as raised:
        model.train_on_batch(np.ones((3, 2)), np.ones((3, 2)))
    error = raised.value
    assert (error.layer, error.direction, error.rows) == ("product", "forward", [0, 1, 2])


@nl.register("layer")
class Between(L.Residual):
    """A container that computes something itself between its two layers."""

    def __init__(self, layers=(), fault="forward", **kwargs):
        super().__init__(layers, **kwargs)
        self.fault = fault

    def forward(self, x, training=False):
        y = self.layers[0].forward(self.prepare(x), training)
        return self.layers[1].forward(y * np.inf if self.fault == "forward" else y, training)

    def backward(self, dy, input_gradient=True):
        dy = self.layers[1].backward(dy)
        return self.layers[0].backward(dy * np.inf if self.fault == "backward" else dy)


@pytest.mark.parametrize("fault", ["forward", "backward"])
def test_a_container_is_named_for_what_it_does_between_its_parts(fault):
    MARKED[:] = []
    block = Between([L.Dense(4), L.Dense(4)], fault, name="block")
    model = nl.Sequential([L.Dense(4), block, L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteError) as raised:
        model.train_on_batch(X[:N], Y[:N])
    assert (raised.value.layer, raised.value.direction) == ("block", fault)


def test_a_sum_over_rows_names_no_row():
    class Large(L.Layer):
        def build(self, input_shape):
            self.add_weight("shift", (input_shape[-1],), "zeros")

        def forward(self, x, training=False):
            return self.prepare(x) + self.shift

        def backward(self, dy):
            np.sum(np.full_like(dy, 2e38), axis=0, out=self.d_shift)
            return dy

    model = nl.Sequential([Large(), L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteError, match="no row alone makes it so") as raised:
        model.train_on_batch(X[:N], Y[:N])
    error = raised.value
    assert (error.layer, error.direction, error.rows) == ("large", "backward", [])


# Any place, any rows --------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    depth=st.integers(1, 4),
    place=st.data(),
    kind=st.sampled_from(["log", "divide", "exp", "backward", "weight"]),
    rows=st.sets(st.integers(0, N - 1), min_size=1),
    batch=st.integers(0, 2),
)
def test_any_place_and_rows(depth, place, kind, rows, batch):
    trap = Trap(kind, name="culprit")
    at = place.draw(st.integers(0, depth - 1))
    path, layers = "", [trap]
    for level in range(depth):
        around = [L.Dense(4, "tanh"), *layers, L.Dense(4)]
        name = f"level_{level}"
        wrap = place.draw(st.sampled_from(["none", "residual", "sequential", "parallel"]))
        if wrap == "none":
            layers = around
            continue
        if wrap == "residual":
            block = L.Residual(around, name=name)
        elif wrap == "sequential":
            block = nl.Sequential(around, name=name)
        else:
            other = L.Dense(4)
            block = L.Parallel([L.Residual(around, name="way"), other], "add", name=name)
            path = f"way/{path}"
        path = f"{name}/{path}"
        layers = [*(L.Dense(4) for _ in range(at)), block]
    model = nl.Sequential([L.Dense(4), *layers, L.Dense(2)], seed=1)
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteError) as raised, np.errstate(all="ignore"):
        fit(model, Late(0, batch, sorted(rows)))
    error = raised.value
    assert error.layer == f"{path}culprit"
    assert error.direction == ("backward" if kind in ("backward", "weight") else "forward")
    assert (error.batch, error.rows) == (batch, sorted(rows))
