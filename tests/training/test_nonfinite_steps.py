"""The search for the first value that is not finite: in losses, penalties, weights and updates."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.callbacks import TerminateOnNaN
from netlayers.data.batch import Batch
from netlayers.errors import NonFiniteError
from netlayers.training.nonfinite import find_nonfinite
from tests.training.traps import MARKED, HalfLost, Late, N, Trap, X, Y, fit, make

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def marked():
    MARKED[:] = [2, 5]
    yield
    MARKED[:] = []


def test_a_loss_with_finite_gradients():
    MARKED[:] = []
    y = Y.copy()
    y[[N + 3, N + 7]] = 9
    model = make(loss=HalfLost(name="mine"))
    before = []
    keep = nl.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: before.append(model.get_weights())
    )
    with pytest.raises(
        NonFiniteError, match=r"batch 2: the loss is inf\. It began in the"
    ) as raised:
        fit(model, keep, TerminateOnNaN(raise_error=True), y=y)
    error = raised.value
    assert (error.layer, error.direction, error.rows) == ("mine", "loss", [3, 7])
    assert (error.epoch, error.batch) == (0, 1)
    for a, b in zip(model.get_weights(), before[0], strict=True):  # nothing was learned from it
        np.testing.assert_array_equal(a, b)


def test_the_gradient_of_a_loss():
    class Steep(nl.losses.MeanSquaredError):
        def backward_samples(self, dl):
            dy = super().backward_samples(dl).copy()
            dy[4] = np.nan
            return dy

    MARKED[:] = []
    model = make(loss=Steep(name="steep"))
    with pytest.raises(NonFiniteError) as raised:
        fit(model)
    error = raised.value
    assert (error.layer, error.direction, error.rows) == ("steep", "backward", [4])


def test_the_penalty_on_a_weight():
    large = nl.initializers.Constant(1e160)  # whose square is infinite
    kernel = L.Dense(2, kernel_initializer=large, kernel_regularizer=nl.regularizers.L2(1.0))
    model = nl.Sequential([L.Dense(4), kernel], dtype="float64", seed=0)
    model.compile("sgd", "mae")
    origin = find_nonfinite(steps_of(model, X, Y), Batch(X[:N], Y[:N], None, N), update=False)
    assert (origin.direction, origin.layer) == ("loss", "dense_1")
    assert "the penalty on 'kernel' is infinite" in str(origin)


def test_the_penalty_of_an_activation():
    layers = [L.Dense(4), L.ActivityRegularization(l2=1.0, name="activity"), L.Dense(2)]
    model = nl.Sequential(layers, dtype="float64", seed=0)
    model.compile("sgd", "mae")
    x = X[:N].astype(np.float64) * 1e160
    origin = find_nonfinite(steps_of(model, x, Y), Batch(x, Y[:N], None, N), update=False)
    assert (origin.direction, origin.layer) == ("loss", "activity")


def steps_of(model, x, y):
    model.build((None, *x.shape[1:]))
    return model._make_steps(y.shape)


# Weights, input, update -----------------------------------------------------------------------


def test_weights_and_inputs_that_are_not_finite_already():
    MARKED[:] = []
    model = make()
    model.build((None, 4))
    model.layers[2].kernel[0, 1] = np.nan
    with pytest.raises(NonFiniteError, match=r"before the step, in 'dense_1': the weight 'kernel'"):
        fit(model)
    x = X[:N].copy()
    x[3, 0] = np.inf
    origin = find_nonfinite(steps_of(make(), x, Y), Batch(x, Y[:N], None, N))
    assert (origin.direction, origin.rows) == ("input", [3])


class Overflow(nl.optimizers.Optimizer):
    """Makes the bias of a layer infinite at the third update, and counts updates."""

    state_names = ("count",)

    def update(self, w, g, lr, state, scratch):
        state[0][...] += 1
        if self.iterations == 3:
            w[-1] = np.inf


@pytest.mark.filterwarnings("ignore:.*the first update changed no weight")
@pytest.mark.parametrize("policy", ["raise", "skip", "ignore"])
def test_an_update(policy, tmp_path):
    MARKED[:] = []
    path = tmp_path / "nan.safetensors"
    for snapshot in (None, path):
        model = make(optimizer=Overflow(on_nonfinite=policy))
        watch = TerminateOnNaN(snapshot=snapshot)
        assert fit(model, watch).epoch == [0]
        origin = watch.origin
        assert (origin.direction, origin.layer) == ("update", "dense_2")
        assert (origin.epoch, origin.batch) == (0, 2)
    replay = nl.replay_snapshot(path, {"Overflow": Overflow, "Trap": Trap})
    assert replay.origin == origin
    assert np.isfinite(replay.model.parameters.values).all()
    assert set(replay.model.optimizer.state["count"].tolist()) == {2.0}


def test_ignored_numbers_are_found_with_a_snapshot_alone(tmp_path, capsys):
    for snapshot in (None, tmp_path / "nan.safetensors"):
        model = make(optimizer=nl.optimizers.SGD(on_nonfinite="ignore"))
        watch = TerminateOnNaN(snapshot=snapshot)
        fit(model, Late(0, 1), watch)
        text = capsys.readouterr().out
        assert "Epoch 1, batch 2: the loss is nan" in text
        assert ("Where it began is not known" in text) == (watch.origin is None)
        assert (watch.origin is None) == (snapshot is None)
    assert (watch.origin.layer, watch.origin.rows) == ("trap", [2, 5])


def test_gathered_gradients():
    model = make(optimizer=nl.optimizers.SGD(gradient_accumulation_steps=3))
    with pytest.raises(NonFiniteError, match="that earlier batches left for this update"):
        fit(model, Late(0, 0))


@pytest.mark.parametrize(
    ("flag", "value", "rows"),
    [("name", None, [2, 5]), ("random", True, None), ("same_in_training", False, None)],
)
def test_rows_are_named_where_a_row_alone_gives_the_same(flag, value, rows):
    trap = type("Trapped", (Trap,), {flag: value} if value is not None else {})("weight")
    model = nl.Sequential([trap, L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteError) as raised:
        model.train_on_batch(X[:N], Y[:N])
    assert raised.value.rows == rows
