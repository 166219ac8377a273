"""Several threads on one model: inference writes to nothing, so they get the serial answers."""

import copy
import hashlib
import pickle
import sys
import threading

import numpy as np
import pytest

import netlayers as nl
from netlayers.registry import registered
from netlayers.testing.values import inputs, with_rows
from tests.load import threads as load

THREADS = 8
LAYERS = sorted(
    {
        cls
        for cls in registered("layer").values()
        if cls.__module__.startswith("netlayers") and cls.__name__ not in ("Functional", "Lambda")
    },
    key=lambda cls: cls.__name__,
)
STATELESS = [
    pytest.param(cls, kwargs, shape, id=f"{cls.__name__}-{i}")
    for cls in LAYERS
    for i, (kwargs, shape) in enumerate(cls.examples())
    if not kwargs.get("stateful")  # whose inference changes the states
]


@pytest.fixture(autouse=True)
def impatient():
    """Let Python change between threads 5000 times as often as it does by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work, count=THREADS):
    """Call ``work(i)`` in so many threads, all at once; return what they return, or raise."""
    start, results = threading.Barrier(count), [None] * count

    def run(i):
        start.wait()
        try:
            results[i] = work(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def block():
    """A model of everything: nested containers, statistics, chance, normalization, shapes."""
    layers = nl.layers
    return nl.Sequential(
        [
            layers.Normalization(mean=[0.1] * 6, variance=[2.0] * 6),
            layers.Dense(12, "gelu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Residual([layers.Dense(12, "tanh"), layers.LayerNormalization()]),
            layers.Parallel(
                [
                    [layers.Dense(4, "relu"), layers.AlphaDropout(0.1)],
                    layers.Residual([layers.Dense(6), layers.PReLU()]),
                    nl.Sequential([layers.Dense(5, "softmax"), layers.GaussianNoise(0.1)]),
                ],
                merge="concat",
            ),
            layers.Reshape((3, 5)),
            layers.Permute((2, 1)),
            layers.GroupNormalization(groups=3),
            layers.RMSNormalization(),
            layers.ActivityRegularization(l2=0.1),
            layers.Flatten(),
            layers.UnitNormalization(),
            layers.Dense(3, "softmax"),
        ],
        seed=0,
    )


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)


def trained():
    model = block()
    model.compile("adam", "crossentropy", metrics=["accuracy"])
    model.fit(rows(64), np.arange(64) % 3, batch_size=16, epochs=2, verbose=0)
    return model


# Inference writes to nothing ------------------------------------------------------------------


def fingerprint(value, seen=None):
    """Everything that an object holds, at any depth: equal only if nothing in it has changed."""
    seen = set() if seen is None else seen
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return (id(value), value.shape, str(value.dtype), digest)
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, dict):
        return {str(k): fingerprint(v, seen) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [fingerprint(v, seen) for v in value]
    netlayers_own = type(value).__module__.startswith("netlayers")
    if isinstance(value, nl.layers.Layer) or (netlayers_own and hasattr(value, "__dict__")):
        if id(value) in seen:
            return id(value)
        seen.add(id(value))
        return (id(value), fingerprint(vars(value), seen))
    return repr(value)


def example(cls, kwargs, shape):
    """Return a layer of an example that has trained, and data."""
    layer = cls(**kwargs)
    x = inputs(layer, shape, np.float32, seed=0)
    layer.backward(each(np.ones_like, layer.forward(x, training=True)))
    return layer, x


def each(function, *xs):
    """Apply a function to the arrays of inputs, which are arrays or tuples of them."""
    return tuple(map(function, *xs)) if isinstance(xs[0], tuple) else function(*xs)


@pytest.mark.parametrize(("cls", "kwargs", "shape"), STATELESS)
def test_inference_changes_nothing_in_a_layer(cls, kwargs, shape):
    layer, x = example(cls, kwargs, shape)
    before = fingerprint(layer)
    wide = each(lambda a: a.astype(np.float64 if a.dtype.kind == "f" else a.dtype), x)
    double = each(lambda a: np.concatenate([a, a]), x)
    for batch in (x, each(lambda a: a[:1], x), double, wide):
        layer.forward(batch)
        assert fingerprint(layer) == before
    each(np.testing.assert_array_equal, layer.forward(x), layer.forward(x))
    assert fingerprint(layer) == before


def test_prediction_changes_nothing_in_a_model():
    model = trained()
    before = fingerprint(model)
    model.predict(rows(7))
    model.predict(rows(70), batch_size=16)
    model.predict_on_batch(rows(3).tolist())
    model.predict(rows(0))
    assert fingerprint(model) == before


def test_the_fingerprint_sees_a_layer_that_writes():
    class Forgetful(nl.layers.Layer):
        def forward(self, x, training=False):
            x = self.prepare(x)
            return np.multiply(x, 2, out=self.workspace("y", x.shape, x.dtype))

        def backward(self, dy):
            return 2 * dy

    layer = Forgetful()
    layer.forward(np.ones((2, 3)), training=True)
    before = fingerprint(layer)
    layer.forward(np.zeros((2, 3)))
    assert fingerprint(layer) != before


# Predictions of several threads ---------------------------------------------------------------


@pytest.mark.parametrize(("cls", "kwargs", "shape"), STATELESS)
def test_each_layer_alone_from_eight_threads(cls, kwargs, shape):
    layer, _ = example(cls, kwargs, shape)
    drawn = [
        inputs(layer, with_rows(shape, i % 3 + 1), np.float32, seed=i + 1) for i in range(THREADS)
    ]
    serial = [each(np.copy, layer.forward(x)) for x in drawn]
    for i, answers in enumerate(in_threads(lambda i: [layer.forward(drawn[i]) for _ in range(5)])):
        for answer in answers:
            each(np.testing.assert_array_equal, answer, serial[i])


def test_a_model_from_eight_threads():
    model = trained()
    drawn = [rows(20 + i, seed=i) for i in range(THREADS)]
    serial = [model.predict(x) for x in drawn]

    def work(i):
        answers = [model.predict(drawn[i], batch_size=size) for size in (1024, 7)]
        return [*answers, model.predict_on_batch(drawn[i]), model.predict(drawn[i].tolist())]

    for _ in range(5):
        for i, answers in enumerate(in_threads(work)):
            for batch_size, answer in zip((1024, 7, None, 1024), answers, strict=True):
                expected = serial[i]
                if batch_size == 7:
                    expected = model.predict(drawn[i], batch_size=7)
                np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("state", ["not built", "unpickled", "copied", "forgotten"])
def test_the_first_prediction_from_eight_threads(state):
    x = rows(16)
    expected = block().predict(x)
    for _ in range(20):
        model = block()
        if state != "not built":
            model.build((None, 6))
        if state == "unpickled":
            model = pickle.loads(pickle.dumps(model))
        elif state == "copied":
            model = copy.deepcopy(model)
        elif state == "forgotten":
            model._unbuild()
        for answer in in_threads(lambda _, model=model: model.predict(x)):
            np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(("cls", "kwargs", "shape"), STATELESS)
def test_the_first_pass_of_each_layer_alone_from_eight_threads(cls, kwargs, shape):
    x = inputs(cls(**kwargs), shape, np.float32, seed=0)
    for again in range(3):
        layer = cls(**kwargs)
        if again == 1:
            layer = pickle.loads(pickle.dumps(example(cls, kwargs, shape)[0]))
        answers = in_threads(lambda _, layer=layer: each(np.copy, layer.forward(x)))
        for answer in answers:  # initial weights are drawn once, whoever came first
            each(np.testing.assert_array_equal, answer, layer.forward(x))


def test_shapes_that_do_not_fit_from_several_threads_leave_the_others_alone():
    # Who comes first decides on the shape; the others get their answer, or the error they would
    # have got one after the other.
    for _ in range(20):
        model = nl.Sequential([nl.layers.Dense(4, "tanh"), nl.layers.Dense(2)], seed=0)

        def work(i, model=model):
            try:
                return model.predict(np.ones((2, 3 + i % 2)))
            except nl.errors.ShapeError as error:
                return str(error)

        answers = in_threads(work)
        width = model.input_shape[1]
        for i, answer in enumerate(answers):
            if 3 + i % 2 == width:
                np.testing.assert_array_equal(answer, model.predict(np.ones((2, width))))
            else:
                assert f"expected an input of shape (batch, {width})" in answer


# A model that another thread trains -----------------------------------------------------------


def test_all_at_once(tmp_path):
    """The harness for a second; ``python tests/load/threads.py`` is a minute."""
    run = load.Threads(1.0, seed=0, folder=str(tmp_path))
    run.run()
    assert not run.failures
    assert run.counts["fit"] + run.counts["fit, busy"]
    assert run.counts["predict"]


def test_torn_weights_are_found():
    weights = load.make_model().get_weights()
    load.check_weights(weights, 0)
    with pytest.raises(AssertionError, match="torn: 1 updates"):
        load.check_weights(weights, 1)
    weights[3][0] -= 1
    with pytest.raises(AssertionError, match="torn: weights after"):
        load.check_weights(weights)
