"""States, samples, penalties and places of a run: what each part does exactly."""

import numpy as np
import pytest
from scipy import sparse

import netlayers as nl
from netlayers import layers
from netlayers.arrays.checks import warn_of_lost_columns
from netlayers.data import batch as batch_module
from netlayers.data.arrays import column
from netlayers.data.batch import Batch
from netlayers.training import inputs, predicting, samples, trainer
from netlayers.training.backup_callback import BackupCallback
from netlayers.training.nonfinite import find_nonfinite
from netlayers.training.state import differences, pack, unpack
from netlayers.training.step import Steps
from netlayers.training.trainer import Run
from tests.golden import check_text

X = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
Y = X[:, :1].copy()


def model(rate=0.1, loss="mse", layer=None, build=True, **options):
    its = nl.Sequential([layer or layers.Dense(1, name="dense")], seed=0)
    its.compile(nl.optimizers.SGD(rate, **options), loss)
    if build:
        its.build((None, 2))
    return its


# States ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([np.float32(i) for i in range(32)], "numbers"),
        ([np.array(float(i)) for i in range(32)], "arrays"),
        ([np.array([i, 2]) for i in range(32)], "arrays"),
        ([np.array([i > 3]) for i in range(32)], "arrays"),
        ([np.bool_(i > 3) for i in range(32)], "numbers"),
        (list(range(32)), "list"),
        ([0.5] * 32, "list"),
        ([0.5] * 31, None),
        ([True] * 32, None),
        (["a"] * 32, None),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, list) else str(value),
)
def test_the_state_of_long_lists(items, kind):
    plain, arrays = pack({"a": items})
    if kind is None:
        assert plain == {"a": items}
        assert arrays == {}
    else:
        boolean = items[0].dtype == bool if hasattr(items[0], "dtype") else False
        assert plain == {"a": {"__": kind, "name": "a", "booleans": boolean}}
        assert (arrays["a"].dtype == np.uint8) == boolean
    found = unpack(plain, arrays)["a"]
    assert [type(i) for i in found] == [type(i) for i in items]
    for a, b in zip(found, items, strict=True):
        np.testing.assert_array_equal(a, b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def test_differences_in_a_state():
    old = {"a": {"b": [1, 2]}, "n": float("nan")}
    new = {"a": {"b": [1, 3]}, "n": float("nan")}
    assert list(differences(old, new)) == [("a: b[1]", 2, 3)]
    assert list(differences([1], [1, 2])) == [("", [1], [1, 2])]
    assert list(differences([1], {"a": 1}, "x")) == [("x", [1], {"a": 1})]
    assert list(differences(float("nan"), 1.0, "x"))
    assert list(differences(1.0, float("nan"), "x"))


# Samples -----------------------------------------------------------------------------------------


def test_samples_in_memory():
    its = model()
    batches = [(X[:3], Y[:3]), (X[3:5], Y[3:5], np.full(2, 3.0)), (X[5:], Y[5:])]
    columns, first = samples.columns_in_memory(its, "fit", batches, None, None)
    assert first == 3
    assert [c.rows for c in columns] == [8, 8, 8]
    np.testing.assert_array_equal(columns[0].values, X)
    np.testing.assert_array_equal(columns[1].values, Y)
    assert columns[2].values.tolist() == [1, 1, 1, 3, 3, 1, 1, 1]
    for wanted, count in ((1, 3), (3, 3), (4, 5), (5, 5), (6, 8), (9, 8)):
        columns, _ = samples.columns_in_memory(its, "fit", batches[::1], None, None, wanted)
        assert columns[0].rows == count
    columns, _ = samples.columns_in_memory(its, "fit", [batches[0], batches[2]], None, None)
    assert columns[2] is None
    columns, first = samples.columns_in_memory(its, "fit", X, Y, np.ones(8))
    assert first is None
    assert [c.rows for c in columns] == [8, 8, 8]
    pieces = [(sparse.csr_matrix(X[:3]), Y[:3]), (sparse.csr_matrix(X[3:]), Y[3:])]
    columns, _ = samples.columns_in_memory(its, "fit", pieces, None, None)
    assert sparse.issparse(columns[0].values)
    assert columns[0].values.format == "csr"
    np.testing.assert_array_equal(columns[0].values.toarray(), X)
    joined = batch_module._joined(((X, Y), (X, Y)))
    assert [part.shape for part in joined] == [(16, 2), (16, 1)]
    assert batch_module._joined((X, None)) is None
    copied = batch_module._copied((X, (Y, 3)))
    assert copied[0] is not X
    assert copied[1][0] is not Y
    assert copied[1][1] == 3


def test_samples_of_one_batch():
    its = model()
    batch = samples.one_batch(its, "train", [(X[:3], Y[:3]), (X, Y)], None)
    assert (batch.size, batch.inputs.shape, batch.weights) == (3, (3, 2), None)
    batch = samples.one_batch(its, "train", X, Y, np.ones(8))
    assert (batch.size, batch.weights.tolist()) == (8, [1] * 8)
    assert samples.one_input(its, "predict", iter([X[:3]])).shape == (3, 2)
    assert samples.one_input(its, "predict", X.tolist()).shape == (8, 2)
    data = samples.steps_of(its, "profile", X, Y, None, 5, 3)
    assert [b.size for b in data.batches()] == [3, 3, 2, 3, 3]
    data = samples.steps_of(its, "profile", [(X[:3], Y[:3])], None, None, 2, 3)
    assert [b.size for b in data.batches()] == [3, 3]


# Non-finite numbers ------------------------------------------------------------------------------


def found(its, x=X, y=Y, weights=None, update=True):
    its._make_steps(y.shape)
    with np.errstate(all="ignore"):
        return find_nonfinite(its._steps, Batch(x, y, weights, x.shape[0]), update)


class Penalty(nl.regularizers.Regularizer):
    def __init__(self, value, slope):
        self.value, self.slope = value, slope

    def __call__(self, w):
        return self.value

    def add_gradient(self, w, out, scratch):
        out += self.slope


@pytest.mark.parametrize("rate", [1, 0])
@pytest.mark.parametrize(
    ("value", "slope", "text"),
    [
        (np.nan, 0, "in the loss, by 'dense', from finite predictions: the penalty on 'kernel' "
                    "is NaN"),
        (1.0, np.inf, "in the backward pass of 'dense', from a finite gradient: the gradient of "
                      "'kernel', with that of its penalty, is infinite (2 of 2 numbers)"),
        (1.0, 0, None),
    ],
)  # fmt: skip
def test_nonfinite_penalties(rate, value, slope, text):
    """Of a layer that learns at 0 times the rate, the value counts, and the gradient does not."""
    layer = layers.Dense(1, name="dense", kernel_regularizer=Penalty(value, slope),
                         learning_rate_multiplier=rate)  # fmt: skip
    origin = found(model(layer=layer))
    if text is None or (rate == 0 and np.isfinite(value)):
        assert origin is None
    else:
        assert str(origin) == f"it began {text}."


def test_nonfinite_gradients_that_no_optimizer_uses():
    class Broken(layers.Dense):
        def _backward_logits(self, dz, input_gradient=True):
            dx = super()._backward_logits(dz, input_gradient)
            self.d_kernel[...] = np.nan
            return dx

    for options, direction in (
        ({}, "backward"), ({"trainable": False}, None), ({"learning_rate_multiplier": 0}, None),
    ):  # fmt: skip
        parts = [Broken(1, name="dense", **options), layers.Dense(1)]
        its = nl.Sequential(parts, seed=0)
        its.compile("sgd", "mse")
        its.build((None, 2))
        origin = found(its)
        assert (origin and origin.direction) == direction


def test_places_of_nonfinite_numbers():
    lines = []
    bad = X.copy()
    bad[[2, 5], 1] = np.nan, np.inf
    for name, run in (
        ("finite", lambda: found(model())),
        ("input", lambda: found(model(), bad)),
        ("sparse input", lambda: found(model(), sparse.csr_matrix(bad))),
        ("targets", lambda: found(model(), X, bad[:, 1:])),
        ("a huge rate", lambda: found(model(3e38))),
        ("no update", lambda: found(model(3e38), update=False)),
        ("a weight", lambda: found(spoiled(model(), "bias"))),
        ("a state", lambda: found(kept(model(momentum=0.9)))),
        ("a moment", lambda: found(slowed(model()))),
        ("gathered", lambda: found(gathered(model(gradient_accumulation_steps=3)))),
        ("an output", lambda: found(model(layer=layers.Dense(1, "exp", name="dense")), X * 1e4)),
    ):
        lines.append(f"{name}: {run()}")
    check_text(__file__, "places.txt", "\n".join(lines))


def spoiled(its, name):
    getattr(its.layers[0], name)[...] = np.inf
    return its


def kept(its):
    its.fit(X, Y, verbose=0)
    for vector in its.optimizer.state.values():
        vector[1] = np.inf
    return its


def slowed(its):
    its.compile("adam", "mse")
    its.fit(X, Y, verbose=0)
    its.optimizer.state["v"][2] = np.inf
    return its


def gathered(its):
    its.train_on_batch(X, Y)
    its.optimizer.state["gradient_sum"][0] = np.nan
    return its


# Runs --------------------------------------------------------------------------------------------


class Hooks:
    """Stands for a list of callbacks; notes what it is told."""

    epoch = None

    def __init__(self, *callbacks):
        self.callbacks, self.fired, self.params = list(callbacks), [], {}

    def fire(self, *what):
        self.fired.append(what)

    def has(self, hook):
        return True

    def end_of_batches(self):
        pass


def run(its, stop=3, **options):
    steps = its._make_steps(Y.shape)
    data = samples.steps_of(its, "fit", X, Y, None, 2, 4)
    return Run(steps, data, Hooks(), range(stop), **options)


def test_places_of_the_trainer():
    its = run(model())
    assert (its.epoch, its.batch, its.logs, its.stopped) == (0, None, None, False)
    assert (its.beyond, its.validates, its.backup, its._done) == (False, False, None, None)
    for epoch, batch, beyond in (
        (2, 5, False), (3, None, False), (3, 0, True), (3, 1, True), (4, None, True),
    ):  # fmt: skip
        its.go_to({"epoch": epoch, "batch": batch})
        assert its.place() == {"epoch": epoch, "batch": batch}
        assert its.beyond is beyond
    assert its._done == its.batch
    its = run(model(), validation=its.data, validation_freq=2)
    for epoch, validates in ((0, False), (1, True), (2, False), (3, True)):
        its.epoch = epoch
        assert its.validates is validates
    its.validation_ended = True
    assert its.validates is False
    for method in (BackupCallback().find, BackupCallback().restore):
        with pytest.raises(NotImplementedError):
            method(its)


def test_what_tests_of_the_trainer_tell():
    its = model()
    steps = its._make_steps(Y.shape)
    hooks, data = Hooks(), samples.steps_of(its, "fit", X, Y, None, 2, 4)
    assert list(trainer.test(steps, data, hooks, exact=False, argument=None)) == ["loss"]
    assert [f[:2] for f in hooks.fired] == [
        ("on_test_begin", {}), ("on_test_batch_begin", 0), ("on_test_batch_end", 0),
        ("on_test_batch_begin", 1), ("on_test_batch_end", 1), hooks.fired[-1],
    ]  # fmt: skip
    assert list(trainer.validate(steps, data, hooks)) == ["val_loss"]
    hooks = Hooks()
    (whole,) = predicting.predict(lambda batch: its.forward(batch.inputs), data, hooks)
    assert whole.shape == (8, 1)
    assert [f[0] for f in hooks.fired] == [
        "on_predict_begin", *["on_predict_batch_begin", "on_predict_batch_end"] * 2,
        "on_predict_end",
    ]  # fmt: skip
    assert list(hooks.fired[2][2]) == ["outputs"]

    class Ended:
        def ready(self):
            return False

    for epoch, text in ((None, "before epoch 1 was validated"), (2, "before epoch 3 was")):
        hooks.epoch = epoch
        with pytest.warns(UserWarning, match=f"validation_data: the data ran out {text}"):
            assert trainer.validate(steps, Ended(), hooks) == {}


def test_sums_of_a_step():
    its = model()
    steps = its._make_steps(Y.shape)
    assert isinstance(steps, Steps)
    its.evaluate(X, Y, verbose=0)
    state = steps.get_state()
    with steps.keep_sums():
        steps.reset()
        assert steps.get_state() != state
    assert steps.get_state() == state
    assert state[0] == {"_total": steps._total, "_weight": 8, "_penalties": 0.0, "_rows": 8}
    steps.set_state([{"_total": 3.0, "_weight": 4}, {"_total": 5.0, "_weight": 2}])
    assert (steps._total, steps._weight, steps._penalties, steps._rows) == (3, 4, 0, 4)
    assert (steps._norms, steps._updates) == (5, 2)
    assert steps.logs() == {"loss": 0.75}


def test_gradients_of_steps_that_do_not_add_up():
    """Of a model with penalties, all batches have as much of the denominator for each row."""
    loss = nl.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    last = layers.Dense(2, "softmax")
    its = nl.Sequential([layers.ActivityRegularization(0.1), last], seed=0)
    its.compile(nl.optimizers.SGD(gradient_accumulation_steps=4), loss)
    half = np.array([0, -1] * 4)
    its.train_on_batch(X, half)
    its.train_on_batch(X[:4], half[:4])
    with pytest.raises(nl.errors.ConfigurationError) as raised:
        its.train_on_batch(X, half * 0)
    assert str(raised.value) == (
        "gradient_accumulation_steps: the model has penalties on activations, which are means over "
        "rows, but the loss 'sparse_categorical_crossentropy' is not divided by their number: "
        "leave out the sample weights, ignore_class, mask_nan or reduction that make it so, or "
        "gradient_accumulation_steps."
    )


@pytest.mark.parametrize(
    ("kind", "x", "y", "outputs", "more"),
    [
        (nl.errors.ShapeError, (4, 5, 2), (4,), (None, 5, 3), True),
        (nl.errors.DataError, (4, 5, 2), (4,), (None, 5, 3), False),
        (nl.errors.ShapeError, (4, 2), (4,), (None, 3), False),
        (nl.errors.ShapeError, (4, 5, 2), (4, 5, 2), (None, 5, 3), False),
        (nl.errors.ShapeError, (4, 5, 2), (4, 5), (None, 5, 3), True),
        (nl.errors.ShapeError, (4, 5, 2), (4,), (None, 3), False),
        (nl.errors.ShapeError, (4, 5, 2), (4,), None, False),
    ],
)
def test_inputs_and_the_hint_to_flatten(kind, x, y, outputs, more):
    shaped = type("Model", (), {"output_shape": outputs})
    error = kind("wrong.")
    found = inputs._explained(error, shaped, (np.ones(x), np.ones(3)), (np.ones(y), np.ones(3)))
    assert (found is not error) == more
    if more:
        assert str(found) == (
            f"wrong. The input has the shape {x}, and all of its axes but the last are kept: for "
            "one prediction for each sample, begin the model with layers.Flatten()."
        )


def test_inputs_and_hints_for_one_sample():
    hint = ", x[None, :] for a single sample"
    error = nl.errors.ShapeError(f"Add an axis{hint}.")
    for x, y, kept in (
        ((4,), (4,), False), ((2,), (2,), False), ((1,), (1,), True), ((4,), (3,), True),
        ((4,), (), True),
        ((4, 1), (4,), True), ((4,), None, True),
    ):  # fmt: skip
        given = None if y is None else np.ones(y)
        assert (hint in str(inputs._of_samples(error, np.ones(x), given))) == kept


def test_inputs_that_lose_digits_are_named():
    large = X.astype("f8") + 2.0**31
    two = column((large, large), np.dtype("f4"))
    one = column(large, np.dtype("f4"))
    with pytest.warns(UserWarning, match="does not tell apart") as caught:
        warn_of_lost_columns("fit", [two, one])
    names = [str(w.message).partition(" holds")[0] for w in caught]
    assert names == ["fit: x[0]", "fit: x[1]", "fit: y"]


def test_averages_are_written_by_a_trainer_that_trained():
    its = model(use_ema=True, ema_momentum=0.5)
    its.fit(X, Y, epochs=2, verbose=0)
    average = its.optimizer.state["average"]
    np.testing.assert_allclose(its.parameters.values, average, rtol=1e-6)
    its.parameters.values[...] = 7
    with pytest.warns(UserWarning, match="nothing is trained"):
        its.fit(X, Y, epochs=2, initial_epoch=2, verbose=0)
    assert (its.parameters.values == 7).all()
