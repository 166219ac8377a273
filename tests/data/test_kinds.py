"""Every method takes every kind of data and computes what it computes from plain arrays."""

import tempfile

import numpy as np
import pytest
import scipy.sparse as sp

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError
from tests.data.kinds import Batches, ByArray, ByDLPack, Lazy, Loader, Tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 40)


def make():
    layers = [nl.layers.Dense(5, activation="tanh"), nl.layers.Dense(3, activation="softmax")]
    model = nl.Sequential(layers, seed=0)
    model.compile(nl.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def frame(values):
    return pytest.importorskip("pandas").DataFrame(
        values, columns=list("abcdefgh"[: values.shape[1]])
    )


def series(values):
    return pytest.importorskip("pandas").Series(values)


def torch(values):
    return pytest.importorskip("torch").tensor(values)


def torch_with_gradient(values):
    tensor = torch(values)
    return tensor.requires_grad_() * 1 if values.dtype.kind == "f" else tensor


def jax(values):
    return pytest.importorskip("jax.numpy").asarray(values)


def mapped(values):
    with tempfile.TemporaryFile() as file:
        found = np.memmap(file, values.dtype, "w+", shape=values.shape)
    found[...] = values
    return found


ARRAYS = {
    "array": lambda x, y: (x, y),
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "list of one": lambda x, y: ([x], (y,)),
    "dict of one": lambda x, y: ({"x": x}, {"y": y}),
    "fortran": lambda x, y: (np.asfortranarray(x), y),
    "foreign bytes": lambda x, y: (x.astype(">f4"), y.astype(">i8")),
    "memory map": lambda x, y: (mapped(x), mapped(y)),
    "frame": lambda x, y: (frame(x), series(y)),
    "sparse": lambda x, y: (sp.csr_array(x), y),
    "coo": lambda x, y: (sp.coo_array(x), y),
    "__array__": lambda x, y: (ByArray(x), ByArray(y)),
    "__dlpack__": lambda x, y: (ByDLPack(x), ByDLPack(y)),
    "tensor": lambda x, y: (Tensor(x), Tensor(y)),
    "lazy slices": lambda x, y: (Lazy(x), Lazy(y)),
    "lazy rows": lambda x, y: (Lazy(x, True), Lazy(y, True)),
    "torch": lambda x, y: (torch(x), torch(y)),
    "torch with gradient": lambda x, y: (torch_with_gradient(x), torch(y)),
    "jax": lambda x, y: (jax(x), jax(y)),
}
STREAMS = {
    "loader": lambda x, y: Loader(x, y, size=40),
    "loader of tensors": lambda x, y: Loader(x, y, size=40, wrap=Tensor),
    "sequence": lambda x, y: Batches(x, y, size=40),
    "list of batches": lambda x, y: [(x, y)],
    "dicts in batches": lambda x, y: [({"x": x}, [y])],
    "generator": lambda x, y: iter([(x, y)]),
    "function": lambda x, y: lambda: iter([(x, y)]),
}
KINDS = [*ARRAYS, *STREAMS]


def data(kind):
    """Return x and y; of a stream, x alone."""
    return ARRAYS[kind](X, Y) if kind in ARRAYS else (STREAMS[kind](X, Y), None)


def fit(x, y):
    model = make()
    size = 40 if y is not None else None
    history = model.fit(x, y, size, epochs=1, shuffle=False, verbose=0)
    return model.parameters.values, history.history["loss"]


def evaluate(x, y):
    return [make().evaluate(x, y, verbose=0)]


def predict(x, y):
    return [make().predict(x)]


def train_one(x, y):
    model = make()
    return [model.train_on_batch(x, y)], model.parameters.values


def check_one(x, y):
    return [make().test_on_batch(x, y)]


def predict_one(x, y):
    return [make().predict_on_batch(x)]


def fit_lbfgs(x, y):
    model = make()
    model.fit_lbfgs(x, y, 3, verbose=0)
    return [model.parameters.values]


def adapt(x, y):
    layer = nl.layers.Normalization(dtype="float64")
    layer.adapt(x)
    return layer.adapt_mean, layer.adapt_variance


def adapt_in_model(x, y):
    layer = nl.layers.Normalization()
    nl.Sequential([layer, nl.layers.Dense(1)])
    layer.adapt(x, batch_size=7)
    return layer.adapt_mean, layer.adapt_variance


def check_gradients(x, y):
    report = nl.check_gradients(make(), x, y)
    assert report.passed
    return [[row.max_absolute_error for row in report.rows]]


def diagnose(x, y):
    return [make().diagnose(x, y, batch_size=40, verbose=0).losses]


def trace(x, y):
    return [make().trace(x, y)["dense_1"].y]


def profile(x, y):
    names = {row.name for row in make().profile(x, y, steps=2).rows}
    return [sorted(names & {"dense", "dense_1"})]


def loss_surface(x, y):
    return [make().loss_surface(x, y, size=3).loss]


def activation_histograms(x, y):
    return [a.counts for a in make().activation_histograms(x).layers]


def find_learning_rate(x, y):
    return [nl.find_learning_rate(make(), x, y, steps=4, batch_size=40).losses]


ON_BATCH = {
    "train_on_batch": train_one,
    "test_on_batch": check_one,
    "predict_on_batch": predict_one,
}
ENTRIES = {
    f.__name__: f
    for f in (
        *(fit, evaluate, predict, fit_lbfgs, adapt, adapt_in_model, check_gradients, diagnose),
        *(trace, profile, loss_surface, activation_histograms, find_learning_rate),
    )
} | ON_BATCH
SHUFFLED = ["diagnose", "find_learning_rate"]
NO_SPARSE = ["adapt", "adapt_in_model", "check_gradients"]  # these say so


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_takes_every_kind(kind, entry):
    x, y = data(kind)
    if entry in ON_BATCH and kind in STREAMS:
        with pytest.raises(
            ConfigurationError, match=f"{entry}: expected one batch.*{type(x).__name__}"
        ):
            ENTRIES[entry](x, y)
        return
    if entry in NO_SPARSE and kind in ("sparse", "coo"):
        with pytest.raises(DataError, match="sparse matrix"):
            ENTRIES[entry](x, y)
        return
    if entry == "find_learning_rate" and kind == "generator":
        with pytest.warns(UserWarning, match="ran out after 1 of 4 steps"):
            assert len(ENTRIES[entry](x, y)[0]) == 1
        return
    got, expected = ENTRIES[entry](x, y), ENTRIES[entry](X, Y)
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        sums_differ = kind in ("sparse", "coo") or "adapt" in entry or entry in SHUFFLED
        if sums_differ and entry != "profile":
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # another order of the sums
        else:
            np.testing.assert_array_equal(a, b)


def test_numbers_that_numpy_has_not():
    """bfloat16 of ml_dtypes, as JAX hands out; of PyTorch it is tested with the real one."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    narrow = X.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(make().predict(narrow), make().predict(narrow.astype("f4")))


def test_bfloat16_of_pytorch():
    narrow = torch(X).bfloat16()
    np.testing.assert_array_equal(make().predict(narrow), make().predict(narrow.float().numpy()))


# Lazy arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by_rows", [False, True])
def test_lazy_arrays_are_read_batch_by_batch(by_rows):
    rows = 1 << 15
    x = RNG.normal(size=(rows, 128)).astype(np.float32)
    lazy, y = Lazy(x, by_rows), Lazy(np.zeros((rows, 1), np.float32), by_rows)
    models = [nl.Sequential([nl.layers.Dense(1)], seed=0) for _ in range(2)]
    for model, (a, b) in zip(models, [(lazy, y), (x, y._values)], strict=True):
        model.compile("sgd", "mse")
        model.fit(a, b, 4096, validation_split=0.25, verbose=0)
        model.evaluate(a, b, verbose=0)
    assert models[0].parameters.values.tobytes() == models[1].parameters.values.tobytes()
    np.testing.assert_array_equal(models[0].predict(lazy), models[1].predict(x))
    layers = [nl.layers.Normalization() for _ in range(2)]
    layers[0].adapt(lazy)
    layers[1].adapt(x)
    np.testing.assert_array_equal(layers[0].adapt_mean, layers[1].adapt_mean)
    assert lazy.largest <= 1 << 13  # a million numbers in a piece
    assert len(lazy) == rows


@pytest.mark.parametrize("row", [0, 9_999, 20_000])
def test_a_bad_row_of_a_lazy_array_is_named(row):
    x = np.zeros((20_001, 100), np.float32)
    x[row, 3] = np.nan
    with pytest.raises(DataError, match=f"predict: x contains NaN.*row {row} "):
        make().predict(Lazy(x))
    with pytest.raises(DataError, match="x must hold real numbers, got the dtype complex"):
        make().predict(Lazy(x.astype(complex)))


def test_stratified_and_balanced_of_lazy_arrays():
    plain, lazy = make(), make()
    options = {"stratify": True, "validation_split": 0.25, "class_weight": "balanced"}
    plain.fit(X, Y, verbose=0, **options)
    lazy.fit(Lazy(X), Lazy(Y), verbose=0, **options)
    assert plain.parameters.values.tobytes() == lazy.parameters.values.tobytes()


# Messages ------------------------------------------------------------------------------------


def test_what_the_messages_advise():
    model = make()
    model.fit(X, Y, verbose=0)
    with pytest.raises(DataError, match=r"infinite.*np.clip\(x") as raised:
        model.predict(np.where(np.arange(4) == 2, np.inf, X))
    assert "nan_to_num" not in str(raised.value)
    with pytest.raises(DataError, match=r"y must hold.*object.*np.unique"):
        model.fit(X, np.array(["a", "b"] * 20, object), verbose=0)
    with pytest.raises(DataError, match=r"the dict x has no 'x' and has 'age', which"):
        model.fit({"age": X}, Y, verbose=0)
    with pytest.raises(nl.errors.ShapeError, match=r"x\[:, None\]") as raised:
        model.fit(X[:, 0], Y, verbose=0)
    assert "x[None, :]" not in str(raised.value)
    images = nl.Sequential([nl.layers.Dense(3, activation="softmax")])
    images.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(nl.errors.ShapeError, match=r"\(40, 2, 2\).*layers.Flatten"):
        images.fit(X.reshape(40, 2, 2), Y, verbose=0)


@pytest.mark.parametrize(("share", "rows", "held"), [(0.8, 100, 80), (0.9, 10, 9), (0.1, 10, 1)])
def test_a_validation_split_is_of_the_number_as_it_is_written(share, rows, held):
    from netlayers.data.arrays import Column
    from netlayers.data.class_weights import split_columns

    column = Column(np.zeros((rows, 1)), np.dtype(np.float64))
    train, test = split_columns("fit", [column, column, None], share)
    assert (train[0].rows, test[1].rows) == (rows - held, held)


def test_adapt_ends_with_a_sequence_and_takes_a_list_of_batches():
    layer = nl.layers.Normalization(dtype="float64")
    layer.adapt(Batches(X, Y))  # raises if it is read beyond its end
    np.testing.assert_allclose(layer.adapt_mean, X.mean(axis=0, dtype=float), rtol=1e-12)
    layer.adapt([X[:3], X[3:]])
    np.testing.assert_allclose(layer.adapt_mean, X.mean(axis=0, dtype=float), rtol=1e-12)
    with pytest.raises(DataError, match=r"data is a list of 2 arrays.*np.stack\(data\)"):
        layer.adapt([X[0], X[1]])


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_a_validation_split_may_be_a_number_of_numpy(kind, stratify):
    model, seen = make(), []
    count = nl.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(batch))
    options = {"validation_batch_size": 1, "callbacks": count, "verbose": 0}
    y = np.arange(40) % 2
    model.fit(X, y, validation_split=kind(0.8), stratify=stratify, **options)
    assert len(seen) == 32
