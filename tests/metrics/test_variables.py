"""Metrics of the user that keep variables, as in Keras."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, MissingMethodError

X = np.random.default_rng(0).normal(size=(12, 3))
Y = (X.sum(axis=1, keepdims=True) > 0).astype(float)


class TruePositives(nl.metrics.Metric):
    """As Keras's documentation writes it, with NumPy's functions."""

    def __init__(self, name="true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_weight(name="tp", initializer="zeros")
        self.by_sign = self.add_variable(shape=(2,), initializer="ones", name="signs")

    def update_state(self, y_true, y_pred, sample_weight=None):
        found = (y_true > 0.5) & (y_pred > 0.5)
        weight = 1.0 if sample_weight is None else np.reshape(sample_weight, (-1, 1))
        self.true_positives.assign_add(np.sum(found * weight))
        self.by_sign += [1, 2]

    def result(self):
        return self.true_positives


def make(metric):
    model = nl.Sequential([nl.layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "binary_crossentropy", metrics=[metric])
    return model


def test_a_metric_with_variables_is_one_of_a_model():
    metric = TruePositives()
    model = make(metric)
    history = model.fit(X, Y, epochs=3, batch_size=4, verbose=0).history
    expected = np.sum((Y > 0.5) & (model.predict(X) > 0.5))
    assert model.evaluate(X, Y, verbose=0)[1] == expected
    assert all(type(value) is float for value in history["true_positives"])
    assert len(set(map(id, history["true_positives"]))) == 3  # no variable, which goes on


def test_results_of_operations_are_plain_numbers():
    metric = TruePositives()
    assert [v.dtype for v in metric.variables] == [np.float64] * 2
    assert metric.by_sign.tolist() == [1, 1]
    metric(np.ones((2, 1)), np.ones((2, 1)))
    assert metric.variables[0] is metric.true_positives
    assert metric.variables[1] is metric.by_sign  # += keeps the variable
    assert metric.by_sign.numpy().tolist() == metric.by_sign.value.tolist() == [2, 3]
    assert type(metric.by_sign / 2) is np.ndarray
    assert type(metric.true_positives * 2) is np.float64
    assert metric.result() == 2.0
    assert type(metric.result()) is float
    metric.true_positives.assign_sub(1)
    assert metric.result() == 1.0


def test_variables_are_set_to_0_and_part_of_the_state():
    metric, other = TruePositives(), TruePositives()
    metric(np.ones((2, 1)), np.ones((2, 1)))
    state = copy.deepcopy(metric.get_state())
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric.by_sign.tolist() == [0, 0]
    other.set_state(state)
    assert other.result() == 2.0
    assert other.by_sign.tolist() == [2, 3]
    assert other.variables[1] is other.by_sign
    for again in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert again.variables[0] is again.true_positives
        again(np.ones((1, 1)), np.ones((1, 1)))
        assert again.result() == 3.0
        assert other.result() == 2.0


def test_a_run_with_variables_is_resumed(tmp_path):
    def run(epochs):
        model = make(TruePositives)
        backup = nl.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        return model.fit(X, Y, epochs=epochs, callbacks=[backup], verbose=0).history

    run(2)
    assert run(4) == make(TruePositives()).fit(X, Y, epochs=4, verbose=0).history


def test_what_is_missing_is_named():
    class Nothing(nl.metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

        def result(self):
            return 0.0

    with pytest.raises(MissingMethodError, match="Nothing must define reset_state"):
        make(Nothing())
    with pytest.raises(ConfigurationError, match="metric 'true_positives': each size in shape"):
        TruePositives().add_variable((-1,))


@pytest.mark.parametrize(
    "chunk",
    [
        (np.ones((4, 1)), np.ones((3, 1)), None),
        (np.ones((4, 1)), np.ones((4, 1)), np.ones((3, 1))),
        (np.ones(4), np.ones(4), None),
        (np.ones((4, 2)), np.ones((4, 2)), None),  # of several labels
    ],
)
def test_a_state_of_other_shapes_is_refused(chunk):
    metric = nl.metrics.AUC()
    good = {"_counts": None, "_chunks": [(np.ones((4, 1)), np.ones((4, 1)), None)]}
    metric.set_state(good)
    for chunks in ([chunk], [*good["_chunks"], chunk], [chunk, *good["_chunks"]]):
        with pytest.raises(ValueError, match="not scores of samples"):
            metric.set_state({"_counts": None, "_chunks": chunks})
    metric.set_state(good)
