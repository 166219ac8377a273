"""What fit and its like say of arguments, data, losses and names, is kept word for word."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import Callback
from netlayers.data.batch import Batch
from netlayers.training import callback, compilation, inputs, measuring, nonfinite, outputs
from netlayers.training.callback import CallbackList, RunPlan
from netlayers.training.given_callbacks import as_callbacks
from netlayers.training.nonfinite import NonFiniteOrigin
from tests.golden import check_text, messages

X, Y = np.zeros((6, 2), np.float32), np.zeros((6, 1), np.float32)
C = np.arange(6) % 2
BATCHES = [(X, Y)] * 2
MAE = nl.metrics.MeanAbsoluteError()


def model(loss="mse", layers=None, **arguments):
    its = nl.Sequential(layers or [nl.layers.Dense(1)], seed=0)
    its.compile("sgd", loss, **arguments)
    return its


def classes(loss="sparse_categorical_crossentropy", **arguments):
    return model(loss, [nl.layers.Dense(2, "softmax")], **arguments)


def call(method, *data, its=model, **options):
    return lambda: getattr(its(), method)(*data, verbose=0, **options)


def fit(x=X, y=Y, its=model, **options):
    return call("fit", x, y, its=its, **options)


def steps(method, *data, its=model):
    return lambda: getattr(its(), method)(*data)


BOTH = {"validation_data": (X, Y)}
ARGUMENTS = [
    ("a split of data", fit(validation_split=0.5, **BOTH)),
    ("strata without a split", fit(stratify=True)),
    ("steps of nothing", fit(validation_steps=1)),
    ("a size of nothing", fit(validation_batch_size=2)),
    ("a frequency of nothing", fit(validation_freq=2)),
    ("all of nothing", fit(validation_freq=2, validation_batch_size=2, validation_steps=1)),
    ("a frequency of 1", fit(validation_freq=1)),
    ("the whole as a split", fit(validation_split=1)),
    ("too large a batch", fit(drop_last=True, batch_size=7)),
    ("a batch of all", fit(drop_last=True, batch_size=6)),
    ("steps that divide", fit(drop_last=True, steps_per_epoch=4)),
    ("the same iterator", lambda: (lambda it: fit(it, None, validation_data=it)())(iter(BATCHES))),
    ("an iterator for two", fit(validation_data=iter(BATCHES), epochs=2)),
    ("an iterator for one", fit(validation_data=iter(BATCHES), epochs=2, validation_freq=2)),
    ("an iterator with steps", fit(validation_data=iter(BATCHES), epochs=2, validation_steps=1)),
    ("one array", fit(validation_data=X)),
    ("one in a tuple", fit(validation_data=(X,))),
    ("four in a list", fit(validation_data=[X, Y, C, C])),
    ("three", fit(validation_data=(X, Y, C))),
    ("x is missing", fit(None)),
    ("y is missing", fit(X, None)),
    ("y beside batches", fit(iter(BATCHES), Y)),
    ("balanced batches", fit(BATCHES, None, class_weight="balanced")),
    ("no batch", fit(lambda: iter([]), None)),
    ("too few batches", fit(iter(BATCHES), None, steps_per_epoch=3)),
    ("too few to validate", fit(validation_data=(lambda: iter(BATCHES)), validation_steps=3)),
    ("strata of batches", fit(BATCHES, None, validation_split=0.5, stratify=True)),
    ("no validation of batches", fit(validation_data=(lambda: iter([])))),
    ("callbacks", fit(callbacks=[3])),
    ("a class", fit(callbacks=Callback)),
]
DATA = [
    ("a weight for each of three", fit(sample_weight=np.ones((6, 3)))),
    ("a column of weights", fit(sample_weight=np.ones((6, 1)))),
    ("a negative weight", fit(sample_weight=-np.ones(6))),
    ("an infinite weight", fit(sample_weight=np.full(6, np.inf))),
    ("two weights", fit(sample_weight=(np.ones(6), np.ones(6)))),
    ("NaN in y", fit(y=Y + np.nan)),
    ("text in y", fit(y=Y.astype(str))),
    ("two of y", fit(y=(Y, Y))),
    ("rows", fit(y=Y[:5])),
    ("features", fit(y=Y, its=lambda: built(model(), 3))),
    ("one axis", fit(X[:, 0], Y, its=lambda: built(model(), 3))),
    ("one sample", call("predict", X[0], its=lambda: built(model(), 2))),
    ("an axis more", fit(np.zeros((6, 3, 2)), C, its=classes)),
    ("an axis more of y", fit(X, np.zeros((6, 3, 2)), its=classes)),
    ("classes that are missing", fit(X, C + 1, its=classes)),
    ("a batch in batches", steps("train_on_batch", iter(BATCHES), Y)),
    ("many digits", fit(X + (np.arange(6) + 2.0**31)[:, None])),
    ("many digits of y", fit(y=Y + (np.arange(6) + 2.0**31)[:, None])),
    ("many digits of a batch", fit([(X + (np.arange(6) + 2.0**31)[:, None], Y)] * 2, None)),
    ("class weights of two outputs", lambda: inputs.single_target("fit", "stratify", (Y, Y))),
]  # fmt: skip
LOSSES = [
    ("no loss", lambda: model(None)),
    ("no reduction", lambda: model(nl.losses.MeanSquaredError(reduction="none"))),
    ("a reduction that is None", lambda: model(nl.losses.MeanSquaredError(reduction=None))),
    ("a sum", lambda: model(nl.losses.MeanSquaredError(reduction="sum"))),
    ("weights of losses", lambda: model(loss_weights=[1, 2])),
    ("of Keras", lambda: model(jit_compile=True, run_eagerly=False)),
    ("not of Keras", lambda: model(speed=3, jit=True)),
    ("no metric", lambda: model(metrics="accurate")),
    ("by shape", lambda: model("CrossEntropy", metrics=["accuracy", "ce", "crossentropy"])),
    ("twice", fit(its=lambda: model(metrics=[MAE, MAE]))),
    ("not compiled", lambda: nl.Sequential([nl.layers.Dense(1)]).fit(X, Y)),
    ("one softmax", fit(X, Y, its=lambda: model("mse", [nl.layers.Dense(1, "softmax")]))),
    ("one class", fit(X, C * 0, its=lambda: model("sparse_categorical_crossentropy"))),
    ("two classes", fit(X, C, its=classes)),
]


def built(its, features):
    its.build((None, features))
    return its


def test_words_of_batching():
    check_text(__file__, "arguments.txt", messages(ARGUMENTS))


def test_words_of_inputs():
    check_text(__file__, "data.txt", messages(DATA))


def test_words_of_compilation():
    check_text(__file__, "losses.txt", messages(LOSSES))


def test_where_warnings_point():
    """At the line that called fit, wherever it may be."""
    stop = nl.callbacks.EarlyStopping("none", mode="min")
    for run, match in (
        (fit(X + (np.arange(6) + 2.0**31)[:, None]), "does not tell apart"),
        (fit(its=lambda: model("mse", [nl.layers.Dense(1, "softmax")])), "softmax"),
        (fit(its=accumulating), "made no update: 1 of 5 gradients"),
        (fit(iter(BATCHES), None, steps_per_epoch=3), "after 2 of 3 steps"),
        (fit(callbacks=[Adds(), Own(), stop]), "monitor='none' is not among"),
    ):
        with pytest.warns(UserWarning, match=match) as caught:
            run()
        assert [w.filename for w in caught] == [__file__] * len(caught), caught[0].message


def accumulating():
    its = nl.Sequential([nl.layers.Dense(1)], seed=0)
    its.compile(nl.optimizers.SGD(gradient_accumulation_steps=5), "mse")
    return its


# Plans -------------------------------------------------------------------------------------------


class Adds(Callback):
    _adds = ("mine",)

    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_train_batch_end(self, batch, logs=None):
        pass


Adds.on_epoch_end.__module__ = Adds.on_train_batch_end.__module__ = "netlayers.callbacks.own"


class Own(Callback):
    def on_epoch_end(self, epoch, logs=None):
        pass


def plan(**changes):
    given = {
        "method": "fit", "epochs": range(2), "names": ("loss", "mae", "val_loss"),
        "batch_names": ("loss",), "validates": True,
    }  # fmt: skip
    return RunPlan(**{**given, **changes})


def names(*wanted, batch=False, **changes):
    return lambda: plan(**changes).check_names("Stop: monitor={!r}", wanted, batch)


PLANS = [
    ("known", names("loss", "val_loss")),
    ("unknown", names("loss", "accuracy")),
    ("misspelt", names("los")),
    ("without epochs", names("accuracy", epochs=range(0))),
    ("of a callback", names("mine", added=("mine",))),
    ("of any callback", names("mine", added=None)),
    ("of a batch", names("loss", batch=True)),
    ("of an epoch", names("mae", batch=True)),
    ("added to epochs", names("mine", added=("mine",), batch=True)),
    ("added to batches", names("mine", added_to_batches=("mine",), batch=True)),
    ("unknown to batches", names("mine", added_to_batches=None, batch=True)),
    ("unknown to epochs", names("mine", added=None, batch=True)),
    ("no validation", names("val_mae", validates=False)),
    ("no such validation", names("val_mse")),
    ("in fit", lambda: plan().refuse_lbfgs("Rate", "which has none")),
    ("in fit_lbfgs", lambda: plan(method="fit_lbfgs").refuse_lbfgs("Rate", "which has none")),
]


def test_callback_plans():
    check_text(__file__, "plans.txt", messages(PLANS))
    its = built(model(metrics=["mae"]), 2)
    steps = its._make_steps((6, 1))
    for method, validates, expected in (
        ("fit", False, ("loss", "mae")),
        ("fit", True, ("loss", "mae", "val_loss", "val_mae")),
        ("fit_lbfgs", False, ("loss", "mae", "grad_norm")),
    ):
        found = RunPlan.of(method, range(3), steps, validates)
        assert (found.names, found.method, found.epochs) == (expected, method, range(3))
        assert found.batch_names == ("loss", "mae")
        assert found.validates is validates
    assert found.added == found.added_to_batches == ()


def test_callback_names_are_known_to_those_behind():
    seen = []

    class Sees(Callback):
        def check_run(self, plan):
            seen.append((plan.added, plan.added_to_batches))

    class Bare:
        def set_model(self, model):
            pass

        def set_params(self, params):
            pass

    chain = [Sees(), Adds(), Sees(), Bare(), Own(), Sees()]
    CallbackList(chain, None, {}).check(plan())
    assert seen == [((), ()), (("mine",), ("mine",)), (None, ("mine",))]
    assert as_callbacks(None) == []
    assert as_callbacks(chain[0]) == [chain[0]]
    assert callback._overrides(Own(), "on_epoch_end") is True
    assert callback._overrides(Own(), "on_train_end") is False
    assert callback._overrides(Bare(), "on_train_end") is False


# Choices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "output", "kind"),
    [
        ((6, 1), (None, 1), "BinaryCrossentropy"),
        ((6,), (None, 3), "SparseCategoricalCrossentropy"),
        ((6, 3), (None, 3), "CategoricalCrossentropy"),
        ((6, 1), (None, 3), "SparseCategoricalCrossentropy"),
        ((6, 4), (None, 4, 3), "SparseCategoricalCrossentropy"),
        ((6, 4, 3), (None, 4, 3), "CategoricalCrossentropy"),
        ((6, 3, 1), (None, 3, 2), "SparseCategoricalCrossentropy"),
    ],
)
def test_compilation_takes_the_crossentropy_of_shapes(target, output, kind):
    assert type(outputs.crossentropy_by_shape(target, output)).__name__ == kind


def test_compilation_fuses_a_loss_with_its_activation():
    cross, axis = nl.losses.CategoricalCrossentropy, nl.losses.CategoricalCrossentropy(axis=1)
    for loss, activation, fused in (
        (cross(), nl.activations.Softmax(), True),
        (cross(from_logits=True), nl.activations.Softmax(), False),
        (cross(), nl.activations.Sigmoid(), False),
        (cross(), nl.activations.Softmax(axis=1), False),
        (axis, nl.activations.Softmax(), False),
        (nl.losses.BinaryCrossentropy(), nl.activations.Sigmoid(), True),
        (nl.losses.MeanSquaredError(), nl.activations.Softmax(), False),
        (cross(), None, False),
    ):
        before = copy.deepcopy(loss)
        found = compilation.fused_loss(loss, activation)
        assert (found is not None) == fused
        if fused:
            assert found is not loss
            assert (found.from_logits, loss.from_logits) == (True, before.from_logits)


def test_measuring_names_metrics():
    def named(name):
        return nl.metrics.MeanAbsoluteError(name)

    first, second, third = named("a"), named("b"), named("a")
    for plain, weighted, prefix, expected in (
        ([first, second], [], "", ["a", "b"]),
        ([first, third], [], "", ["a", "a_1"]),
        ([first, third, named("a")], [], "", ["a", "a_1", "a_2"]),
        ([first], [third, second], "", ["a", "weighted_a", "b"]),
        ([], [first, third], "", ["a", "a_1"]),
        ([named("loss"), named("grad_norm")], [], "", ["loss_1", "grad_norm_1"]),
        ([first], [third, named("a")], "", ["a", "weighted_a", "weighted_a_1"]),
        ([first], [third], "part_", ["part_a", "part_weighted_a"]),
    ):
        group = measuring.MetricGroup(nl.losses.MeanSquaredError())
        taken = {"loss", "grad_norm"}
        group.add(tuple(plain), tuple(weighted), (6, 1), (None, 1), taken, prefix=prefix)
        assert list(group.metrics) == expected
        assert group.weighted == set(expected[len(plain) :])
        assert taken == {"loss", "grad_norm", *expected}
    for wrong in ("epoch", "batch", "learning_rate", "val_a"):
        with pytest.raises(nl.errors.ConfigurationError) as raised:
            group.add((named(wrong),), (), (6, 1), (None, 1), set())
        assert str(raised.value) == (
            f"metrics: the name {wrong!r} is that of another entry in the logs; pass another name "
            "to the metric."
        )


# Origins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["forward", "loss", "backward", "update", "input", "weights"])
def test_the_words_of_a_nonfinite_origin(direction):
    lines = []
    for more in (
        {},
        {"size": 2, "count": 2},
        {"rows": []},
        {"rows": [3], "row_count": 8},
        {"rows": [0, 1, 2, 3, 4], "row_count": 8},
        {"rows": [0, 1, 2, 3, 4, 5], "row_count": 8},
        {"epoch": 0, "batch": 1},
        {"epoch": 0},
        {"batch": 0},
    ):
        given = {"count": 1, "size": 1, **more}
        lines.append(str(NonFiniteOrigin(direction, "dense", "the output", "NaN", **given)))
    check_text(__file__, f"origin_{direction}.txt", "\n".join(lines))


@pytest.mark.parametrize(
    ("array", "kind", "count", "size"),
    [
        (np.array([1, np.nan, np.nan]), "NaN", 2, 3),
        (np.array([[1, np.nan], [np.inf, -np.inf]]), "NaN or infinite", 3, 4),
        (np.array([1, -np.inf]), "infinite", 1, 2),
        (np.array(np.nan), "NaN", 1, 1),
        (np.float32(np.inf), "infinite", 1, 1),
    ],
)
def test_the_kind_of_a_nonfinite_origin(array, kind, count, size):
    found = nonfinite._of_array("forward", "dense", "the output", array)
    assert (found.kind, found.count, found.size) == (kind, count, size)
    assert (found.direction, found.layer, found.what) == ("forward", "dense", "the output")


def test_the_search_for_nonfinite_numbers_warns_of_none():
    its = built(model(layers=[nl.layers.Dense(1, "exp")]), 2)
    its._make_steps((6, 1))
    batch = Batch(np.full((6, 2), 1e4, np.float32), Y, None, 6)
    assert nonfinite.find_nonfinite(its._steps, batch).kind == "infinite"
