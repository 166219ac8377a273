"""predict and evaluate with exact=True: the bits of a row depend on nothing but the row."""

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import layers, losses
from netlayers.errors import ConfigurationError, DataError
from netlayers.kernels import exact, rows
from netlayers.kernels.exact import exactly, product
from netlayers.kernels.select import kernels
from netlayers.training.inference_rows import INFERENCE_BATCH
from tests.classes import concrete
from tests.losses.test_denominators import CASES, REDUCTIONS, K, targets
from tests.user_layers import Leaky

pytestmark = pytest.mark.filterwarnings("ignore:.* (rows of y|takes prob|no trainable|is always)")
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
rng = np.random.default_rng(0)


def network(*parts, dtype="float32"):
    model = nl.Sequential(list(parts), seed=0, dtype=dtype)
    model.compile("sgd", "mse")
    return model


# Rows ---------------------------------------------------------------------------------------------


@DTYPES
@given(
    st.sampled_from([1, 2, 3, 8, 17, 100, 255, 256, 257, 600]),
    st.sampled_from([1, 2, 3, 17, 127, 128, 129, 300]),
    st.integers(1, 40),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_product_of_each_row_alone(dtype, terms, columns, count, data):
    x = rng.normal(size=(count, terms)).astype(dtype)
    w = rng.normal(size=(terms, columns)).astype(dtype)
    out = np.empty((count, columns), dtype)
    product(x, w, out)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(out, x @ w, rtol=0, atol=4 * eps * (abs(x) @ abs(w)).max())
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    part = np.empty((stop - start, columns), dtype)
    product(x[start:stop], w, part)
    assert part.tobytes() == out[start:stop].tobytes()


@DTYPES
@pytest.mark.parametrize("size", [1, 3, 7, 33, 700])
def test_sums_and_shares_of_each_row_alone(dtype, size):
    """Of losses, which compute the softmax themselves."""
    x = rng.normal(size=(29, size)).astype(dtype)

    def compute(x):
        p = np.empty_like(x)
        return [rows.row_sums(x), kernels.softmax(x, p, p), p]

    whole = exactly(compute)(x)
    for start, stop in ((0, 1), (5, 6), (28, 29), (2, 9)):
        parts = exactly(compute)(x[start:stop])
        for part, its in zip(parts, whole, strict=True):
            assert part.tobytes() == its[start:stop].tobytes()


NORMALIZATIONS = [
    layers.Softmax,
    layers.LogSoftmax,
    layers.Sparsemax,
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.UnitNormalization,
    lambda: layers.GroupNormalization(1),
    lambda: layers.GroupNormalization(-1),
]
ALONG_TIME = [
    lambda: layers.Softmax(axis=1),
    lambda: layers.LayerNormalization(axis=1),
    lambda: layers.UnitNormalization(axis=[1, 2]),
]


@DTYPES
@pytest.mark.parametrize("scale", ["even", "some far from 0", "some overflow", "some tiny"])
@pytest.mark.parametrize("shape", [(1,), (7,), (700,), (9000,), (300, 1), (9, 20)], ids=str)
def test_rows_of_every_size_next_to_unusual_ones(dtype, shape, scale):
    """A row that needs more passes, or a wider dtype, does not change the others."""
    x = rng.normal(size=(21, *shape))
    large = 1e22 if dtype == "float32" else 1e140
    unusual = {"even": 1, "some far from 0": 1, "some overflow": large, "some tiny": 1 / large}
    x[::3] *= unusual[scale]
    x[::3] += 1e5 if scale == "some far from 0" else 0
    x = x.astype(dtype)
    for make in NORMALIZATIONS + ALONG_TIME * (len(shape) > 1):
        model = network(make(), dtype=dtype)
        whole = model.predict(x, exact=True)
        for size in (1, 2, 5, 20):
            assert model.predict(x, size, exact=True).tobytes() == whole.tobytes(), make


def forms():
    """Models and inputs of every kind that predict takes."""
    sparse = pytest.importorskip("scipy.sparse")
    dense = network(layers.Dense(300, "relu"), layers.Dense(3, "softmax"))
    x = rng.normal(size=(70, 50)).astype("f")
    inner = nl.Sequential([layers.Dense(40, "gelu"), layers.BatchNormalization()])
    noisy = network(layers.GaussianNoise(1.0), inner, layers.Dropout(0.5), layers.Dense(1))
    both = network(layers.Residual([layers.Dense(50, "tanh")]))
    side = network(layers.Parallel([[layers.Dense(4)], [layers.Dense(70)]]))
    time = rng.normal(size=(70, 3, 9)).astype("f")
    return {
        "array": (dense, x),
        "list": (dense, x.tolist()),
        "sparse": (dense, sparse.csr_matrix(x * (x > 1))),
        "float64": (dense, x.astype("d")),
        "strided": (dense, np.asfortranarray(x)),
        "noise, dropout, nested": (noisy, x),
        "residual": (both, x),
        "parallel": (side, x),
        "time": (network(layers.Permute((2, 1)), layers.Dense(33, "relu"), layers.Flatten()), time),
    }


@pytest.mark.parametrize("form", forms())
@given(st.integers(1, 80), st.lists(st.integers(0, 69), min_size=1, max_size=20))
@settings(max_examples=15, deadline=None)
def test_predictions_of_any_rows_in_any_batches(form, size, chosen):
    model, x = forms()[form]
    whole = model.predict(x, exact=True)
    np.testing.assert_allclose(whole, model.predict(x), rtol=2e-4, atol=2e-5)
    assert model.predict(x, size, exact=True).tobytes() == whole.tobytes()
    some = [x[i] for i in chosen] if isinstance(x, list) else x[chosen]
    assert model.predict(some, size, exact=True).tobytes() == whole[chosen].tobytes()


@pytest.mark.parametrize("sizes", [[70], [1, 69], [33, 8, 8, 21], [7] * 10], ids=str)
def test_streams_of_batches(sizes):
    model, x = forms()["array"]
    y = rng.integers(0, 3, len(x))
    cuts = np.cumsum([0, *sizes])
    batches = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(cuts)]
    whole = model.predict(x, exact=True)
    assert (
        model.predict(lambda: iter(batches), exact=True, read_ahead=0).tobytes() == whole.tobytes()
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    expected = model.evaluate(x, y, verbose=0, exact=True)
    assert model.evaluate(lambda: iter(batches), verbose=0, exact=True) == expected


# Evaluation ---------------------------------------------------------------------------------------

ROWS = 2 * INFERENCE_BATCH + 77
SIZES = (100, 1000, INFERENCE_BATCH, 5000)


def same_for_all_sizes(model, x, y, weight=None):
    expected = model.evaluate(x, y, None, 0, weight, return_dict=True, exact=True)
    plain = model.evaluate(x, y, None, 0, weight, return_dict=True)
    for name, value in plain.items():
        np.testing.assert_allclose(expected[name], value, rtol=1e-5, atol=1e-9)
    for size in SIZES:
        got = model.evaluate(x, y, size, 0, weight, return_dict=True, exact=True)
        assert {k: repr(v) for k, v in got.items()} == {k: repr(v) for k, v in expected.items()}


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_loss_does_not_depend_on_the_batch_size(name, arguments, reduction):
    rng = np.random.default_rng(1)
    x = rng.uniform(0.1, 0.9, (ROWS, K))
    y = targets(name, arguments, rng, ROWS)
    model = network(layers.ActivityRegularization(l1=0.1), dtype="float32")
    model.compile("sgd", getattr(losses, name)(**arguments, reduction=reduction))
    for weight in (None, rng.uniform(size=ROWS)):
        same_for_all_sizes(model, x, y, weight)


class Nothing:
    """A loss that takes any targets."""

    name = "nothing"

    def forward(self, y_true, y_pred, sample_weight=None):
        return 0.0

    def backward(self):
        raise AssertionError


@pytest.mark.parametrize("cls", concrete("metric"), ids=lambda cls: cls.__name__)
def test_metrics_do_not_depend_on_the_batch_size(cls):
    from netlayers.testing.contract import Example
    from netlayers.testing.targets import draw

    for example in cls.examples():
        metric = cls(**example[0], name="m")
        its = Example(cls, example[0], example[1:])
        if example[1] is None:
            continue  # a metric of values, not of targets and predictions
        y, x = draw(its, metric, (ROWS, 3), "float32")
        model = nl.Sequential([layers.Activation("linear")], dtype="float32")
        model.compile(
            "sgd", Nothing(), metrics=[metric], weighted_metrics=[cls(**example[0], name="w")]
        )
        same_for_all_sizes(model, x, y, rng.integers(1, 5, ROWS) / 2)


def test_steps_count_batches_of_the_given_size():
    model, x = network(layers.Dense(2)), rng.normal(size=(90, 3))
    y = rng.normal(size=(90, 2))
    some = model.evaluate(x, y, 20, 0, steps=3, exact=True)
    assert some == model.evaluate(x[:60], y[:60], verbose=0, exact=True)


def test_callbacks_see_batches_of_a_fixed_size():
    seen = []
    watch = nl.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(batch))
    model, x = network(layers.Dense(1)), rng.normal(size=(ROWS, 3))
    model.evaluate(x, x[:, :1], 100, 0, callbacks=[watch], exact=True)
    assert seen == [0, 1, 2]
    assert watch.params["steps"] == 3


# Threads ------------------------------------------------------------------------------------------

PROGRAM = """
import hashlib
import numpy as np
import netlayers as nl
L, rng = nl.layers, np.random.default_rng(0)
for dtype in ("float32", "float64"):
    for parts in (
        [L.Dense(500, "relu"), L.Dense(1)], [L.Dense(129, "softmax")], [L.LayerNormalization()],
        [L.Softmax()], [L.LogSoftmax()], [L.RMSNormalization()],
    ):
        x = rng.normal(size=(67, 1201))
        model = nl.Sequential(parts, seed=0, dtype=dtype)
        y = model.predict(x, exact=True)
        assert y.tobytes() == model.predict(x, 5, exact=True).tobytes()
        print(hashlib.sha256(y.tobytes()).hexdigest())
    model = nl.Sequential([L.Activation("linear")], dtype=dtype)
    x, y = rng.uniform(0.1, 0.9, (2, 3, 20_000))
    for loss in ("mse", "huber", "cosine_similarity", "kl_divergence",
                 nl.losses.CategoricalCrossentropy(from_logits=True)):
        model.compile("sgd", loss, metrics=["mae", "r2_score", "cosine_similarity"])
        print(repr(model.evaluate(x, y, verbose=0, exact=True)))
    x, y = rng.uniform(0.1, 0.9, (2, 1500, 700))
    for last, loss, t in (
        ("softmax", "sparse_categorical_crossentropy", np.arange(1500) % 700),
        ("softmax", "categorical_crossentropy", y / y.sum(axis=1, keepdims=True)),
        ("sigmoid", "binary_crossentropy", y),
        ("linear", "mae", y),
    ):
        model = nl.Sequential([L.Activation(last)], dtype=dtype)
        model.compile("sgd", loss)
        print(repr(model.evaluate(x, t, 200, verbose=0, exact=True)))
    model = nl.Sequential([L.Activation("sigmoid")], dtype=dtype)
    exact_area = nl.metrics.AUC(num_thresholds=None, name="area")
    model.compile("sgd", "mse", weighted_metrics=["mae", "auc", exact_area])
    x, weight = rng.normal(size=(30_000, 1)), rng.uniform(size=30_000)
    print(repr(model.evaluate(x, x > 0.3, 1000, 0, weight, exact=True)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("used", ["numpy", "numpy Sandybridge", "numba"])
def test_one_and_two_threads_of_blas(used):
    """The inner loops of OpenBLAS for an older processor treat one column in another way."""
    kernels, _, core = used.partition(" ")
    if kernels == "numba":
        pytest.importorskip("numba")
    printed = []
    for threads in "12":
        settings = {"OPENBLAS_NUM_THREADS": threads, "NETLAYERS_KERNELS": kernels}
        if core:
            settings["OPENBLAS_CORETYPE"] = core
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False,
            cwd=Path(__file__).parents[2], env={**os.environ, **settings},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0].count("\n") == 32
    assert printed[0] == printed[1]


# What it leaves alone -----------------------------------------------------------------------------


def test_only_the_thread_that_asks_computes_exactly():
    inside = []

    @exactly
    def run():
        assert exact.is_exact()
        other = threading.Thread(target=lambda: inside.append(exact.is_exact()))
        other.start()
        other.join()
        exactly(lambda: None)()
        return exact.is_exact()

    assert run()
    assert inside == [False]
    assert not exact.EXACT
    with pytest.raises(ZeroDivisionError):
        exactly(lambda: 1 / 0)()
    assert not exact.EXACT


def test_callbacks_and_other_calls_do_not_compute_exactly(monkeypatch):
    seen = []
    watch = nl.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: seen.append(exact.is_exact()),
        on_test_batch_end=lambda batch, logs: seen.append(exact.is_exact()),
    )
    model, x = network(layers.Dense(2)), np.ones((3, 2))
    model.predict(x, callbacks=[watch], exact=True)
    model.evaluate(x, x, verbose=0, callbacks=[watch], exact=True)
    assert seen == [False, False]
    monkeypatch.setattr(exact, "is_exact", lambda: pytest.fail("asked without need"))
    monkeypatch.setattr(exact, "_blocks_product", lambda *a: pytest.fail("slow without need"))
    model.predict(x)
    model.evaluate(x, x, verbose=0)
    model.fit(x, x, verbose=0)


# What is refused ----------------------------------------------------------------------------------


class Centred(layers.Layer):
    """Mixes the rows."""

    def forward(self, x, training=False):
        return self.prepare(x) - x.mean(axis=0)


class Doubled(Centred):
    exact_rows = True

    def forward(self, x, training=False):
        return 2 * self.prepare(x)


class Own(layers.Dense):
    def forward(self, x, training=False):
        return x @ self.kernel


REFUSED = {
    "Centred": lambda: network(Centred()),
    "Own": lambda: network(layers.Dense(2), nl.Sequential([Own(2)])),
    "axis -2": lambda: network(layers.Softmax(axis=-2)),
    "axis 0": lambda: network(layers.Dense(2, activation=layers.Softmax(axis=0))),
    "states": lambda: network(Leaky()),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_exact_is_refused(words):
    model, x = REFUSED[words](), np.ones((4, 2))
    model.predict(x)
    for method, arguments in (("predict", (x,)), ("evaluate", (x, model.predict(x)))):
        with pytest.raises(ConfigurationError, match=words) as raised:
            getattr(model, method)(*arguments, exact=True)
        assert str(raised.value).startswith(f"{method}: exact=True ")
        assert "leave exact out" in str(raised.value).lower()


def test_layers_of_the_user_that_say_so_are_taken():
    model = network(layers.Dense(2), Doubled(), type("Inherited", (layers.Dense,), {})(3))
    x = rng.normal(size=(9, 300))
    assert (model.predict(x, 2, exact=True) == model.predict(x, exact=True)).all()


@pytest.mark.parametrize("method", ["predict", "evaluate"])
def test_a_flag_is_expected(method):
    with pytest.raises(ConfigurationError, match=f"{method}: exact must be True or False"):
        getattr(network(layers.Dense(1)), method)(np.ones((2, 2)), exact="yes")


def test_batches_of_rows_of_different_shapes():
    model = network(layers.Input((None, 3)), layers.Dense(1))
    batches = [(np.ones((2, t, 3)), np.ones((2, t, 1))) for t in (4, 5)]
    model.evaluate(batches, verbose=0)
    with pytest.raises(DataError, match="rows of one shape"):
        model.evaluate(batches, verbose=0, exact=True)
