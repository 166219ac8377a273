"""Classes and functions of the user cannot write to arrays that belong to others."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, layers, losses, metrics
from netlayers._read_only import guard_methods, read_only
from netlayers.checks import is_foreign

N = 8
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)
WEIGHTS = np.full(N, 0.5, np.float32)


def spoil(array):
    array[...] = 7


class Plain(layers.Layer):
    """The identity; what it spoils is said by its class."""

    spoils = ""

    def forward(self, x, training=False):
        if self.spoils == "forward":
            spoil(x)
        return x

    def backward(self, dy):
        if self.spoils == "backward":
            spoil(dy)
        return dy


class Forward(Plain):
    spoils = "forward"


class Backward(Plain):
    spoils = "backward"


class Mixin:
    def forward(self, x, training=False):
        spoil(x)
        return x


class Mixed(Mixin, layers.Layer):
    def backward(self, dy):
        return dy


class Pair(layers.Layer):
    """Two inputs; it writes into the second."""

    input_spec = (nl.InputSpec(name="a"), nl.InputSpec(name="b"))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        spoil(x[1])
        return x[0]

    def backward(self, dy):
        return dy, dy


class OfSamples(losses.Loss):
    def forward_samples(self, y_true, y_pred):
        if self.name == "targets":
            spoil(y_true)
        if self.name == "predictions":
            spoil(y_pred)
        self.cache.d = y_pred - y_true
        return (self.cache.d**2).mean(axis=-1)

    def backward_samples(self, dl):
        if self.name == "scale":
            spoil(dl)
        return 2 * self.cache.d * dl


class Whole(losses.Loss):
    def forward(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            spoil(sample_weight)
        return 0.0

    def backward(self):
        raise NotImplementedError


class Duck:
    """A loss of no base class."""

    name = "duck"

    def forward(self, y_true, y_pred, sample_weight=None):
        spoil(y_true)
        return 0.0

    def backward(self):
        raise NotImplementedError


class Values(metrics.MeanMetric):
    def values(self, y_true, y_pred):
        spoil(y_true)
        return y_pred


class Update(metrics.Metric):
    def update_state(self, y_true, y_pred, sample_weight=None):
        spoil(y_pred if sample_weight is None else sample_weight)

    def result(self):
        return 0.0

    def reset_state(self):
        pass


class Rule(nl.optimizers.Optimizer):
    def update(self, w, g, lr, state, scratch):
        spoil(scratch)
        spoil(w)
        spoil(g)


class Penalty(nl.regularizers.Regularizer):
    def __call__(self, w):
        return 0.0

    def add_gradient(self, w, dw, scratch):
        spoil(scratch)
        spoil(dw)
        spoil(w)


def spoil_targets(y_true, y_pred):
    spoil(y_true)
    return y_pred


def fit(first=None, last=None, loss="mse", rule="sgd", weights=None, **options):
    made = [first, layers.Dense(1, kernel_regularizer=options.pop("penalty", None)), last]
    model = nl.Sequential([layer for layer in made if layer is not None], seed=0)
    model.compile(rule, loss, **options)
    model.fit(X, Y, sample_weight=weights, shuffle=False, verbose=0)


CASES = {
    "Forward.forward": lambda: fit(Forward()),
    "Mixed.forward": lambda: fit(Mixed()),
    "Backward.backward": lambda: fit(last=Backward()),
    "OfSamples.forward_samples": lambda: fit(loss=OfSamples(name="targets")),
    "OfSamples.forward_samples: predictions": lambda: fit(loss=OfSamples(name="predictions")),
    "OfSamples.backward_samples": lambda: fit(loss=OfSamples(name="scale"), weights=WEIGHTS),
    "Whole.forward": lambda: fit(loss=Whole(), weights=WEIGHTS),
    "Duck.forward": lambda: fit(loss=Duck()),
    "Values.values": lambda: fit(metrics=[Values()]),
    "Update.update_state": lambda: fit(metrics=[Update()]),
    "Update.update_state: weights": lambda: fit(weighted_metrics=[Update()], weights=WEIGHTS),
    "metric 'spoil_targets'": lambda: fit(metrics=[spoil_targets]),
    "Rule.update": lambda: fit(rule=Rule()),
    "Penalty.add_gradient": lambda: fit(penalty=Penalty()),
}


@pytest.mark.parametrize("case", CASES)
def test_writing_is_an_error_that_says_what_to_do(case):
    before = X.copy(), Y.copy(), WEIGHTS.copy()
    with pytest.raises(ValueError, match="read-only") as caught:
        CASES[case]()
    owner = case.split(":")[0]
    notes = [note for note in caught.value.__notes__ if note.startswith(f"{owner}: ")]
    assert len(notes) == 1
    assert "Copy one before you write to it: x = x.copy()" in notes[0]
    for array, was in zip((X, Y, WEIGHTS), before, strict=True):
        np.testing.assert_array_equal(array, was)


def test_several_inputs_and_sparse_ones():
    a, b = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="read-only"):
        Pair()((a, b))
    assert not b.any()
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        spoil(read_only(sparse).data)
    assert sparse.data.flags.writeable


class Writer(callbacks.Callback):
    """Writes into the arrays of one hook."""

    def on_predict_batch_end(self, batch, logs=None):
        spoil(logs["outputs"])


class Adder(callbacks.Callback):
    """Adds an array, and looks at what others added."""

    def on_epoch_end(self, epoch, logs=None):
        logs["own"] = np.zeros(2)

    def on_test_end(self, logs=None):
        spoil(logs["confusion_matrix"])


def test_callbacks_cannot_write_into_the_arrays_of_logs():
    class Same(layers.Layer):
        def forward(self, x, training=False):
            return x

    x = X.copy()
    model = nl.Sequential([Same()])
    with pytest.raises(ValueError, match="read-only") as caught:
        model.predict(x, callbacks=[Writer()])
    assert any(note.startswith("Writer.on_predict_batch_end: ") for note in caught.value.__notes__)
    hook = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: spoil(logs["outputs"]))
    with pytest.raises(ValueError, match="read-only"):
        model.predict(x, callbacks=[hook])
    np.testing.assert_array_equal(x, X)


def test_logs_are_those_of_the_run_and_entries_can_be_added():
    model = nl.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "bce", metrics=[metrics.ConfusionMatrix()])
    y = (Y > 0).astype(np.float32)
    history = model.fit(X, y, callbacks=[Adder()], verbose=0).history
    for name in ("own", "confusion_matrix"):
        history[name][0][...] = 3  # they are the caller's now
    with pytest.raises(ValueError, match="read-only"):
        model.evaluate(X, y, callbacks=[Adder()], verbose=0)


class Reversed(layers.Layer):
    def forward(self, x, training=False):
        return x[:, ::-1]

    def backward(self, dy):
        return dy[:, ::-1]


def test_results_are_as_writeable_as_without_views():
    x = X.copy()
    assert Plain().forward(x) is x
    assert Plain().backward(x) is x
    y = Reversed().forward(x)
    assert y.flags.writeable
    assert np.may_share_memory(x, y)
    locked = read_only(x)
    assert Plain().forward(locked) is locked
    assert not Reversed().forward(locked).flags.writeable
    model = nl.Sequential([layers.Dense(2), Reversed()], seed=0)
    for y in (model.predict_on_batch(x), model.predict(x)):
        y[...] = 0


class Square(nl.activations.ActivationLayer):
    """Overwrites its input where it is asked to."""

    needs_input = True

    def forward(self, x, training=False, inplace=False):
        x, y = self.start_forward(x, training, inplace)
        return np.multiply(x, x, out=y)

    def backward(self, dy):
        dy, dx = self.start_backward(dy)
        return np.multiply(2 * dy, self.cache.x, out=dx)


def test_an_activation_may_overwrite_what_it_is_given_to():
    model = nl.Sequential([layers.Dense(2, Square())], seed=0)
    assert nl.check_gradients(model, X).passed
    z = np.full((2, 2), 3, np.float32)
    assert Square().forward(z, False, True) is z
    assert Square().forward(z, inplace=True) is z
    assert z[0, 0] == 81


class Twice(layers.Dense):
    """Calls the method of a class of the package, and writes into its result."""

    def forward(self, x, training=False):
        y = super().forward(x, training)
        y *= 2
        return y

    def backward(self, dy, input_gradient=True):
        return super().backward(2 * dy, input_gradient)


def test_methods_of_the_package_can_be_called_from_within():
    assert nl.check_gradients(nl.Sequential([Twice(2), Twice(1)], seed=0), X).passed


class OwnAdam(nl.optimizers.Adam):
    def update(self, w, g, lr, state, scratch):
        super().update(w, g, lr, state, scratch)


def test_a_rule_of_the_package_can_be_called_from_within():
    ends = []
    for rule in (nl.optimizers.Adam(0.1), OwnAdam(0.1)):
        model = nl.Sequential([layers.Dense(1)], seed=0)
        model.compile(rule, "mse")
        model.fit(X, Y, epochs=3, verbose=0)
        ends.append(model.parameters.values.copy())
    np.testing.assert_array_equal(*ends)


def test_classes_of_the_package_are_left_alone():
    """They are as fast as before, because they are the same functions."""
    for kind in ("layer", "loss", "metric", "optimizer", "regularizer"):
        for cls in set(nl.registry.registered(kind).values()):
            if isinstance(cls, type) and not is_foreign(cls):
                for name in cls._reads:
                    assert not hasattr(getattr(cls, name, None), "_read_only"), (cls, name)


def test_copies_pickles_and_signatures_are_as_before():
    layer = pickle.loads(pickle.dumps(Twice(2)))
    assert copy.deepcopy(layer).forward(X).shape == (N, 2)
    guard_methods(Twice, Twice._reads)
    assert Twice.forward.__wrapped__ is not None
    assert not hasattr(Twice.forward.__wrapped__, "__wrapped__")  # once is enough
