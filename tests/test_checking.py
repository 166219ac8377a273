"""The gradient check finds what is wrong, and only that."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(5, 4))


class Wrong(nl.layers.Dense):
    """A Dense with a mistake."""

    def __init__(self, mistake):
        super().__init__(3, activation="tanh", name="wrong")
        self.mistake = mistake

    def backward(self, dy, input_gradient=True):
        dx = super().backward(dy)
        if self.mistake == "input":
            return dx * 1.001
        if self.mistake == "one entry":
            self.d_kernel[2, 1] += 1e-3
        if self.mistake == "bias":
            self.d_bias *= 2
        return dx


@pytest.mark.parametrize(
    ("mistake", "row"),
    [("input", "input"), ("one entry", "wrong/kernel"), ("bias", "wrong/bias"), (None, None)],
)
def test_a_mistake_is_found_and_named(mistake, row):
    model = nl.Sequential([Wrong(mistake), nl.layers.Dense(2)], seed=0)
    report = nl.check_gradients(model, X)
    assert report.passed is (mistake is None)
    wrong = [r.name for r in report.rows if r.max_relative_error > report.tolerance]
    assert wrong == ([] if row is None else [row])
    if mistake == "one entry":
        assert report.rows[1].worst[0] == (2, 1)
        assert "WRONG" in str(report)
        assert "wrong/kernel[2, 1]" in str(report)
    else:
        assert ("passed" in str(report)) is report.passed


def test_corners_are_left_out_and_counted():
    x = np.array([[0.0, 1.0, -1.0, 0.0]])
    report = nl.check_gradients(nl.layers.ReLU(), x)
    assert report.passed
    assert (report.rows[0].checked, report.rows[0].kinks) == (2, 2)
    assert not nl.check_gradients(nl.layers.ReLU(), np.zeros((1, 3))).passed  # nothing compared


def test_close_to_a_corner_is_no_mistake():
    x = np.array([[1e-6, -1e-6, 3e-7, 1.0]])
    report = nl.check_gradients(nl.layers.ReLU(), x)
    assert report.passed
    assert report.rows[0].checked == 4


def test_nothing_of_the_model_changes():
    model = nl.Sequential([nl.layers.Dense(3, activation="relu")], seed=0)
    nl.check_gradients(model, X)
    assert not model.built
    model.compile("adam", "mse")
    model.fit(X, np.zeros((5, 3)), verbose=0)
    before = model.parameters.values.tobytes(), model.parameters.gradients.tobytes()
    assert nl.check_gradients(model, X, np.ones((5, 3))).passed  # the compiled loss
    assert (model.parameters.values.tobytes(), model.parameters.gradients.tobytes()) == before
    assert model.dtype == "float32"


def test_regularizers_count():
    layer = nl.layers.Dense(3, kernel_regularizer=nl.regularizers.L1L2(0.1, 0.2))
    assert nl.check_gradients(layer, X).passed


def test_large_arrays_are_sampled():
    report = nl.check_gradients(nl.layers.Dense(50), np.ones((2, 60)), max_entries=10)
    assert [row.checked for row in report.rows] == [10, 10, 10]


@pytest.mark.parametrize("bad", [None, nl.layers.Dense, "dense"])
def test_what_is_no_layer_is_refused(bad):
    with pytest.raises(ConfigurationError, match="check_gradients"):
        nl.check_gradients(bad, X)


def test_a_loss_needs_targets_and_targets_a_loss():
    with pytest.raises(ConfigurationError, match="pass y"):
        nl.check_gradients(nl.layers.Dense(1), X, loss="mse")
    with pytest.raises(ConfigurationError, match="pass loss="):
        nl.check_gradients(nl.layers.Dense(1), X, y=np.ones(5))
