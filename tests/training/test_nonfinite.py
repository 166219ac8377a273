"""Where numbers that are not finite begin: the layer, its direction, the batch and the rows."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import layers as L
from netlayers.callbacks import TerminateOnNaN
from netlayers.data.batch import Batch
from netlayers.errors import FileError, NonFiniteError
from netlayers.training.nonfinite import find_nonfinite

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
N = 8


@nl.register("layer")
class Trap(L.Layer):
    """A scale, but wrong for the rows in MARKED: ``kind`` names how."""

    bad_rows = frozenset()

    def __init__(self, kind="log", **kwargs):
        super().__init__(**kwargs)
        self.kind_of_fault = kind

    def get_config(self):
        return {**super().get_config(), "kind": self.kind_of_fault}

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), "ones")

    def forward(self, x, training=False):
        x = self.prepare(x)
        if len(x) > 1:
            self.bad_rows = {x[i].tobytes() for i in MARKED}  # known again if they come alone
        self.marked = marked = np.array([row.tobytes() in self.bad_rows for row in x])
        y = x * self.scale
        if training:
            self.cache.x = x
        if self.kind_of_fault == "log":
            y[marked] = np.log(np.minimum(x[marked], 0) - 1)
        elif self.kind_of_fault == "divide":
            y[marked] = 1 / (x[marked] * 0)
        elif self.kind_of_fault == "exp":
            y[marked] = np.exp(np.abs(x[marked]) * 0 + 1000)
        return y

    def backward(self, dy):
        np.sum(dy * self.cache.x, axis=0, out=self.d_scale)
        dx = dy * self.scale
        if self.kind_of_fault == "backward":
            dx[self.marked] = np.inf
        elif self.kind_of_fault == "weight":
            rows = np.where(self.marked[:, None], np.inf, 1.0)
            np.sum(np.where(dy == 0, 0, dy) * rows, axis=0, out=self.d_scale)
        return dx


MARKED = []


@pytest.fixture(autouse=True)
def marked():
    MARKED[:] = [2, 5]
    yield
    MARKED[:] = []


class Late(nl.callbacks.Callback):
    """Lets the traps spring in one batch alone."""

    def __init__(self, epoch, batch, rows=(2, 5)):
        self.when, self.rows = (epoch, batch), list(rows)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        MARKED[:] = self.rows if (self.epoch, batch) == self.when else []


RNG = np.random.default_rng(0)
X = RNG.normal(size=(3 * N, 4)).astype(np.float32)
Y = RNG.normal(size=(3 * N, 2)).astype(np.float32)


def plain(trap):
    return [L.Dense(4, "tanh"), trap, L.Dense(3, "relu")]


def residual(trap):
    return [L.Dense(4), L.Residual([L.Dense(4, "tanh"), trap], name="block"), L.Dense(3)]


def parallel(trap):
    branches = [[L.Dense(4), trap], L.Dense(2)]
    return [L.Dense(4, "tanh"), L.Parallel(branches, name="block")]


def nested(trap):
    inner = nl.Sequential([L.Dense(4), trap, L.Dense(4)], name="inner")
    return [nl.Sequential([inner, L.Dense(3)], name="block"), L.BatchNormalization()]


SHAPES = {
    "plain": (plain, "trap"),
    "residual": (residual, "block/trap"),
    "parallel": (parallel, "block/chain/trap"),
    "nested": (nested, "block/inner/trap"),
}


def make(shape="plain", kind="log", optimizer="sgd", loss="mse"):
    model = nl.Sequential([*SHAPES[shape][0](Trap(kind)), L.Dense(2)], seed=0, name="net")
    model.compile(optimizer, loss)
    return model


def fit(model, *callbacks, x=X, y=Y, **options):
    options = {"batch_size": N, "epochs": 3, "verbose": 0, "shuffle": False} | options
    return model.fit(x, y, callbacks=list(callbacks), **options)


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


# Loss -----------------------------------------------------------------------------------------


class HalfLost(nl.losses.MeanSquaredError):
    """Infinite for targets of 9, with a finite gradient."""

    def forward_samples(self, y_true, y_pred):
        losses = super().forward_samples(y_true, y_pred)
        losses[y_true[:, 0] == 9] = np.inf
        return losses


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
