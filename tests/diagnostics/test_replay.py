"""Snapshots of steps that failed, and their replay."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.callbacks import TerminateOnNaN
from netlayers.data.batch import Batch
from netlayers.diagnostics.replay import Replay
from netlayers.errors import FileError, NonFiniteError
from tests.training.traps import MARKED, HalfLost, Late, N, Trap, X, Y, fit, make

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(autouse=True)
def marked():
    MARKED[:] = [2, 5]
    yield
    MARKED[:] = []


# Snapshots ------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_snapshot_holds_the_batch(tmp_path, optimizer, weighted, capsys):
    path = tmp_path / "nan.safetensors"

    def network():
        inner = [L.Dense(4, "relu"), L.Dropout(0.5), L.GaussianNoise(0.1), Trap("exp")]
        layers = [L.Dense(4), L.BatchNormalization(), L.Residual(inner, name="block"), L.Dense(2)]
        model = nl.Sequential(layers, seed=3)
        model.compile(optimizer, "mse", metrics=["mae"])
        return model

    seen = {}

    class Look(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps = self.model._steps
            seen["x"], seen["y"] = steps.batch[0].copy(), steps.batch[1].copy()

    model, watch = network(), TerminateOnNaN(snapshot=path)
    weights = np.arange(3.0 * N) if weighted else None
    fit(model, Late(1, 1), Look(), watch, shuffle=True, sample_weight=weights)
    assert "Epoch 2, batch 2" in capsys.readouterr().out
    MARKED[:] = []
    assert nl.replay_snapshot(path, {"Trap": Trap}).origin is None  # the marks are in no file
    MARKED[:] = [2, 5]
    again = nl.replay_snapshot(path, {"Trap": Trap})
    assert again.origin == watch.origin
    assert (again.origin.layer, again.origin.rows) == ("block/trap", [2, 5])
    np.testing.assert_array_equal(again.x, seen["x"])
    np.testing.assert_array_equal(again.y, seen["y"])
    assert nl.load_model(path, {"Trap": Trap}).optimizer.iterations == 4


@nl.register("loss")
class Sometimes(HalfLost):
    """Of a name that a file can hold."""


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_numbers_of_a_replay_are_those_of_the_run(tmp_path, optimizer):
    MARKED[:] = []
    path = tmp_path / "nan.safetensors"
    layers = [L.Dense(4), L.BatchNormalization(), L.Dropout(0.5), L.GaussianNoise(0.1), L.Dense(2)]
    model = nl.Sequential(layers, seed=3)
    model.compile(optimizer, Sometimes())
    seen = []

    class Look(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.parameters.gradients.copy())

    y = Y.copy()
    y[2 * N + 4] = 9
    watch = TerminateOnNaN(snapshot=path)
    fit(model, Look(), watch, y=y)
    replay = nl.replay_snapshot(path)
    assert replay.origin == watch.origin
    assert (replay.origin.direction, replay.origin.rows) == ("loss", [4])
    steps = replay.model._make_steps(replay.y.shape)
    steps.compute_gradients(Batch(replay.x, replay.y, replay.sample_weight, len(replay.x)))
    assert np.isfinite(seen[-1]).all()
    np.testing.assert_array_equal(replay.model.parameters.gradients, seen[-1])
    np.testing.assert_array_equal(replay.model.parameters.values, model.parameters.values)


def test_a_sparse_batch(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    path = tmp_path / "nan.safetensors"
    x = sparse.random(3 * N, 4, 0.5, "csr", np.float32, random_state=0)
    model = make(kind="exp")
    with pytest.raises(NonFiniteError):
        fit(model, Late(0, 2), TerminateOnNaN(True, snapshot=path), x=x)
    MARKED[:] = [2, 5]
    replay = nl.replay_snapshot(path, {"Trap": Trap})
    assert (replay.x != x[2 * N :]).nnz == 0
    assert (replay.origin.layer, replay.origin.batch) == ("trap", 2)


def test_another_file_is_no_snapshot(tmp_path):
    model = make()
    model.build((None, 4))
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(FileError, match="the batch of a snapshot"):
        nl.replay_snapshot(tmp_path / "model.safetensors", {"Trap": Trap})


def test_a_step_that_can_not_be_run_again_keeps_its_error():
    class Once(L.Layer):
        def forward(self, x, training=False):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls > 2:
                raise RuntimeError("only once")
            return self.prepare(x)

        def backward(self, dy):
            return dy

    model = nl.Sequential([Once(), L.Dense(4), Trap(), L.Dense(2)])
    model.compile("sgd", "mse")
    model.build((None, 4))
    MARKED[:] = []
    model.train_on_batch(X[:N], Y[:N])
    MARKED[:] = [1]
    with pytest.raises(NonFiniteError, match="the gradient of the parameter") as raised:
        model.train_on_batch(X[:N], Y[:N])
    assert "RuntimeError: only once" in raised.value.__notes__[0]


def test_what_a_replay_says():
    assert str(Replay(None, 0.5, None, None, None, None)) == (
        "Everything in the step is finite; its loss is 0.5."
    )
    assert str(Replay("the origin", 0.5, None, None, None, None)) == "the origin"
