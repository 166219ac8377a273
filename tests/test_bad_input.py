"""Bad input: an error that names what is wrong, and a model that is as it was."""

import os
import re

import numpy as np
import pytest
import scipy.sparse

import netlayers as nl
from netlayers.errors import (
    ConfigurationError,
    DataError,
    NetlayersError,
    NoForwardError,
    NotBuiltError,
    NotCompiledError,
    ShapeError,
)

L, O, F = nl.layers, nl.optimizers, nl.losses  # noqa: E741
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 20)
NAN, INF = float("nan"), float("inf")


def takes_no_argument_at_all():
    return 0


def make(built, loss="sparse_categorical_crossentropy", units=3):
    layers = [L.Dense(5, activation="relu"), L.Dense(units, activation="softmax")]
    model = nl.Sequential(layers, seed=0)
    model.compile(O.Adam(), loss, metrics=["accuracy"])
    if built:
        y = Y if "sparse" in loss else np.eye(units)[Y % units]
        model.fit(X, y, verbose=0)
    return model


def fingerprint(model):
    values = model.parameters.values.tobytes() if model.built else None
    state = [v.tobytes() for v in model.optimizer.state.values()]
    return model.built, values, state, model.optimizer.iterations, model.input_shape


def changed(array, row, value):
    array = np.array(array, dtype=np.float64)
    array[row] = value
    return array


# x, y, parts of the message.
DATA = {
    "features": (X[:, :3], Y, ["4", "3", "layer"]),
    "rank 1": (X[0], Y[:4], ["batch", "x"]),
    "rank 3": (X[:, None, :, None], Y, ["layer", "shape"]),
    "objects": (X.astype(object), Y, ["x", "real numbers", "object"]),
    "strings": (X.astype(str), Y, ["x", "real numbers"]),
    "complex": (X.astype(complex), Y, ["x", "complex"]),
    "dates": (X.astype("datetime64[s]"), Y, ["x", "datetime64"]),
    "ragged": ([[1.0], [1.0, 2.0]], [0, 1], ["x", "rows of equal length"]),
    "None within": ([[1.0, None, 1.0, 1.0]], [0], ["x", "object"]),
    "None": (None, Y, ["x"]),
    "no y": (X, None, ["y"]),
    "sparse with NaN": (scipy.sparse.csr_array(changed(X, 7, NAN)), Y, ["x contains NaN", "row 7"]),
    "sparse y": (X, scipy.sparse.csr_array(np.eye(3)[Y]), ["y is a sparse", "y.toarray()"]),
    "sparse features": (scipy.sparse.csr_array(X[:, :3]), Y, ["4", "3", "layer"]),
    "empty": (X[:0], Y[:0], ["x is empty"]),
    "a number": (np.float32(1), Y, ["x"]),
    "unequal": (X, Y[:7], ["x has 20 rows", "y has 7 rows"]),
    "NaN in x": (changed(X, 7, NAN), Y, ["x contains NaN", "row 7"]),
    "Inf in x": (changed(X, 3, INF), Y, ["x contains an infinite", "row 3"]),
    # float32 is what the model computes with: a quick look must find these.
    "NaN in x, float32": (changed(X, 7, NAN).astype("f4"), Y, ["x contains NaN", "row 7"]),
    "-Inf in x, float32": (changed(X, 0, -INF).astype("f4"), Y, ["x contains an inf", "row 0"]),
    "NaN in y, float32": (X, changed(Y, 2, NAN).astype("f4"), ["y contains NaN", "row 2"]),
    "too large": (changed(X, 3, 1e300), Y, ["x", "too large", "float64"]),
    "y too large": (X, changed(Y, 2, 1e300), ["y holds numbers too large"]),
    "NaN in y": (X, changed(Y, 2, NAN), ["y contains NaN", "row 2"]),
    "label 3 of 3": (X, changed(Y, 0, 3), ["y_true", "0 to 2", "got 3", "row 0"]),
    "negative label": (X, changed(Y, 4, -1), ["y_true", "0 to 2", "got -1", "row 4"]),
    "label 0.5": (X, changed(Y, 0, 0.5), ["y_true", "integers", "0.5"]),
    "one-hot to sparse": (X, np.eye(3)[Y], ["one-hot", "CategoricalCrossentropy"]),
    "two columns": (X, np.ones((20, 2), int), ["y_true", "(20, 2)"]),
}


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("case", DATA)
def test_bad_data(case, method, built):
    x, y, parts = DATA[case]
    if not built and case in ("features", "rank 3", "sparse features"):
        pytest.skip("the first data say what is right")
    model = make(built)
    before = fingerprint(model)
    options = {"verbose": 0} if method in ("fit", "evaluate") else {}
    with pytest.raises(NetlayersError) as raised:
        getattr(model, method)(x, y, **options)
    for part in parts:
        assert part in str(raised.value)
    assert fingerprint(model) == before
    model.fit(X, Y, verbose=0)  # and it goes on working


PREDICT = [
    "features",
    "objects",
    "strings",
    "complex",
    "None",
    "sparse features",
    "NaN in x",
    "NaN in x, float32",
    "-Inf in x, float32",
    "too large",
]


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "forward"])
@pytest.mark.parametrize("case", PREDICT)
def test_bad_data_to_predict(case, method):
    x, _, parts = DATA[case]
    if method == "forward" and ("NaN" in case or "Inf" in case):
        pytest.skip("a single forward does not look at every number")
    model = make(True)
    before = fingerprint(model)
    with pytest.raises(NetlayersError, match=re.escape(parts[0])):
        getattr(model, method)(x)
    assert fingerprint(model) == before


def test_numbers_whose_squares_overflow_are_data_like_others():
    model = make(True)
    model.layers[0].kernel[...] = 1e-20
    large = np.full_like(X, 1e30)
    assert np.isfinite(model.predict_on_batch(large)).all()
    assert np.isfinite(model.test_on_batch(large, Y)).all()


# Targets of other losses.
@pytest.mark.parametrize(
    ("loss", "units", "y", "parts"),
    [
        ("categorical_crossentropy", 3, Y, ["class indices", "Sparse"]),
        ("categorical_crossentropy", 3, -np.eye(3)[Y], ["one-hot rows", "-1"]),
        ("binary_crossentropy", 3, 2 * np.eye(3)[Y] - 1, ["within [0, 1]", "-1"]),
        ("mse", 3, Y, ["(20,)", "(20, 3)"]),
        ("mse", 3, np.ones((20, 1)), ["(20, 1)", "(20, 3)"]),
    ],
)
def test_bad_targets(loss, units, y, parts):
    for built in (False, True):
        model = make(built, loss, units)
        before = fingerprint(model)
        for method in ("fit", "train_on_batch"):
            with pytest.raises(NetlayersError) as raised:
                getattr(model, method)(X, y)
            for part in parts:
                assert part in str(raised.value)
            assert fingerprint(model) == before


def test_targets_in_a_column_or_not_are_the_same():
    results = []
    for y in (Y, Y[:, None]):
        model = nl.Sequential([L.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        model.fit(X, y, verbose=0)
        results.append(model.parameters.values.tobytes())
    assert results[0] == results[1]


def test_softmax_over_one_unit_is_worth_a_warning():
    model = make(False, "categorical_crossentropy", units=1)
    with pytest.warns(UserWarning, match="softmax over one output"):
        model.fit(X, np.ones((20, 1)), verbose=0)


FIT = [
    ("epochs", -1), ("epochs", 2.5), ("epochs", True), ("epochs", NAN), ("batch_size", 0),
    ("batch_size", -1), ("batch_size", 2.5), ("batch_size", NAN), ("batch_size", "32"),
    ("validation_split", 1.0), ("validation_split", -0.1), ("validation_split", NAN),
    ("validation_data", X), ("validation_data", (X,)),
    ("validation_data", (X, Y[:3])), ("validation_data", (X[:, :2], Y)), ("verbose", 7),
    ("shuffle", "yes"), ("initial_epoch", -1), ("validation_freq", 0), ("class_weight", [1, 2]),
    ("class_weight", {0: -1.0}), ("class_weight", {"a": 1.0}), ("sample_weight", np.ones(3)),
    ("sample_weight", -np.ones(20)), ("sample_weight", changed(np.ones(20), 3, NAN)),
    ("sample_weight", np.ones((20, 7))), ("callbacks", "stop"),
]  # fmt: skip


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize(("argument", "value"), FIT)
def test_bad_arguments_of_fit(argument, value, built):
    model = make(built)
    before = fingerprint(model)
    with pytest.raises(NetlayersError) as raised:
        model.fit(X, Y, **{"verbose": 0, argument: value})
    name = "layer" if argument == "validation_data" and built else argument
    assert name in str(raised.value) or argument == "validation_data"
    assert fingerprint(model) == before


RATE = {"initial_learning_rate": 1}
ARGUMENTS = [
    (L.Dense, "units", [0, -1, 2.5, True, "3", None, NAN], {}),
    (L.Dense, "use_bias", ["no", 1, None], {"units": 1}),
    (L.Dense, "activation", ["rellu", 3, takes_no_argument_at_all], {"units": 1}),
    (L.Dense, "kernel_initializer", ["he_norml", 3], {"units": 1}),
    (L.Dense, "kernel_regularizer", ["l3", 3], {"units": 1}),
    (L.Dense, "name", [3, ""], {"units": 1}),
    (L.Dense, "dtype", ["float16", "int32", "x"], {"units": 1}),
    (L.Dense, "trainable", ["yes"], {"units": 1}),
    (L.InputLayer, "shape", [(0,), (-1,), (2.5,), "x", None], {}),
    (L.ReLU, "max_value", [-1, NAN, "1"], {}),
    (L.ReLU, "negative_slope", [-1, NAN, None], {}),
    (L.ReLU, "threshold", [-1, NAN], {}),
    (L.LeakyReLU, "negative_slope", [-1, NAN], {}),
    (L.ELU, "alpha", [0, -1, NAN], {}),
    (L.Softmax, "axis", [0.5, "x", None], {}),
    (L.GELU, "approximate", ["yes"], {}),
    (O.SGD, "learning_rate", [-1, NAN, INF, "x", None, True], {}),
    (O.SGD, "momentum", [-0.1, 1, NAN, None], {}),
    (O.SGD, "nesterov", ["yes"], {}),
    (O.SGD, "weight_decay", [-1, NAN], {}),
    (O.SGD, "on_nonfinite", ["stop", None], {}),
    (O.Adam, "beta_1", [-0.1, 1, NAN], {}),
    (O.Adam, "beta_2", [-0.1, 1, NAN], {}),
    (O.Adam, "epsilon", [0, -1, NAN], {}),
    (O.AdamW, "weight_decay", [-1, NAN], {}),
    (O.RMSprop, "rho", [-0.1, 1, NAN], {}),
    (O.schedules.ExponentialDecay, "decay_steps", [0, -1, 2.5], RATE | {"decay_rate": 1}),
    (O.schedules.ExponentialDecay, "decay_rate", [0, NAN], RATE | {"decay_steps": 1}),
    (O.schedules.CosineDecay, "alpha", [-1, NAN], RATE | {"decay_steps": 1}),
    (F.MeanSquaredError, "reduction", ["avg", 3], {}),
    (F.Huber, "delta", [0, -1, NAN], {}),
    (F.BinaryCrossentropy, "from_logits", ["yes", 1], {}),
    (F.BinaryCrossentropy, "label_smoothing", [-0.1, 1.1, NAN], {}),
    (F.SparseCategoricalCrossentropy, "ignore_class", [0.5, "x"], {}),
    (nl.initializers.RandomNormal, "stddev", [-1, NAN, INF], {}),
    (nl.initializers.RandomUniform, "maxval", [-1, NAN], {}),
    (nl.initializers.VarianceScaling, "scale", [0, -1, NAN], {}),
    (nl.initializers.VarianceScaling, "mode", ["fan"], {}),
    (nl.initializers.HeNormal, "seed", [-1, 2.5, "x"], {}),
    (nl.regularizers.L2, "l2", [-1, NAN], {}),
    (nl.metrics.BinaryAccuracy, "threshold", [NAN, "x"], {}),
    (nl.Sequential, "seed", [-1, 2.5, "x"], {}),
    (nl.Sequential, "dtype", ["float16", "int8"], {}),
    (nl.Sequential, "layers", [L.Dense(1), 3, ["dense"], [L.Dense]], {}),
    (nl.Sequential, "name", [3], {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "argument", "value", "others"),
    [(c, a, v, o) for c, a, values, o in ARGUMENTS for v in values],
    ids=lambda v: v.__name__ if isinstance(v, type) else repr(v)[:30],
)
def test_bad_arguments(cls, argument, value, others):
    with pytest.raises(ConfigurationError) as raised:
        cls(**{**others, argument: value})
    hints = (argument, argument.rpartition("_")[2], "activation", "takes a layer", "initializer")
    assert any(hint in str(raised.value) for hint in hints)


@pytest.mark.parametrize(
    ("cls", "wrong", "right"),
    [
        (L.Dense, {"units": 1, "activaton": "relu"}, "activation"),
        (O.Adam, {"learning_rte": 0.1}, "learning_rate"),
        (O.SGD, {"clip_norm": 1.0}, "clipnorm"),
        (F.Huber, {"delt": 1.0}, "delta"),
        (nl.initializers.HeNormal, {"sed": 1}, "seed"),
        (nl.regularizers.L2, {"l": 1}, "l2"),
    ],
)
def test_unknown_keyword(cls, wrong, right):
    with pytest.raises(TypeError, match=f"{cls.__name__}: unknown argument .*{right}"):
        cls(**wrong)


COMPILE = [
    ({"optimizer": "adm", "loss": "mse"}, "'adam'"),
    ({"optimizer": 3, "loss": "mse"}, "optimizer"),
    ({"optimizer": "adam", "loss": "mean_square_error"}, "'mean_squared_error'"),
    ({"optimizer": "adam"}, "loss"),
    ({"optimizer": "adam", "loss": 3}, "loss"),
    ({"optimizer": "adam", "loss": lambda p: 0.0}, "must take y_true and y_pred"),
    ({"optimizer": "adam", "loss": F.MeanSquaredError("none")}, "reduction"),
    ({"optimizer": "adam", "loss": "mse", "metrics": ["accuracyy"]}, "metric"),
    ({"optimizer": "adam", "loss": "mse", "metrics": [3]}, "metric"),
]


@pytest.mark.parametrize(("options", "part"), COMPILE)
def test_bad_compile(options, part):
    model = make(True)
    before, optimizer = fingerprint(model), model.optimizer
    with pytest.raises(ConfigurationError, match=re.escape(part)):
        model.compile(**options)
    assert model.optimizer is optimizer
    assert fingerprint(model) == before


def test_out_of_order():
    model = nl.Sequential([L.Dense(2)])
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(NotCompiledError, match="compile"):
            use(X, Y)
    assert not model.built
    with pytest.raises(NotBuiltError, match="build"):
        model.get_weights()
    with pytest.raises(NotBuiltError, match="layer 'dense'"):
        _ = L.Dense(2).weights
    model.build((None, 4))
    with pytest.raises(NoForwardError, match="model 'sequential'"):
        model.backward(np.ones((1, 2)))
    with pytest.raises(NoForwardError, match="loss"):
        F.MeanSquaredError().backward()
    model.forward(X)
    with pytest.raises(NoForwardError, match="training=True"):
        model.backward(np.ones((20, 2)))
    model.forward(X, training=True)
    with pytest.raises(ShapeError, match=r"model 'sequential'.*\(20, 2\)"):
        model.backward(np.ones((20, 3)))
    with pytest.raises(ConfigurationError, match="the input shape"):
        nl.Sequential([L.Dense(1)]).build()
    with pytest.raises(ConfigurationError, match="no layers"):
        nl.Sequential().predict(X)
    with pytest.raises(ShapeError, match=r"layer 'dense'.*\(batch, 4\)"):
        model.build((None, 5))


def test_losses_alone():
    for loss, y, p in [
        (F.MeanSquaredError(), np.ones(3), np.ones((3, 2))),
        (F.MeanSquaredError(), np.ones((2, 1)), np.ones((3, 1))),
        (F.MeanSquaredError(), [["a"]], np.ones((1, 1))),
        (F.MeanSquaredError(), np.ones((0, 1)), np.ones((0, 1))),
        (F.SparseCategoricalCrossentropy(), [5], np.ones((1, 3))),
    ]:
        with pytest.raises((ShapeError, DataError), match="loss"):
            loss.forward(y, p)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, model: nl.callbacks.TerminateOnNaN(snapshot=path),
        lambda path, model: nl.callbacks.GradientMonitor(csv=path),
        lambda path, model: model.trace(np.ones((2, 3)), np.ones((2, 1))).save(path),
        lambda path, model: model.plot(path),
    ],
    ids=["snapshot", "csv", "trace", "picture"],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_no_pipe_is_written_to(write, tmp_path):
    pytest.importorskip("matplotlib")
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    model = nl.Sequential([nl.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.build((None, 3))
    with pytest.raises(nl.errors.FileError, match="an ordinary file, got a pipe or a device"):
        write(path, model)
