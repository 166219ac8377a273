"""The gradient check finds what is wrong, and only that."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from tests.mutation import contract_faults, layer_faults

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


class Halved(nl.losses.MeanSquaredError):
    """A loss with a mistake."""

    def backward_samples(self, dl):
        return super().backward_samples(dl) * 0.5


def test_losses_are_checked_alone():
    y_pred, y_true = X, np.ones((5, 4))
    weight = np.arange(5.0)
    for loss in ("huber", nl.losses.LogCosh(reduction="none"), nl.losses.MeanSquaredError()):
        report = nl.check_gradients(loss, y_pred, y_true, sample_weight=weight)
        assert report.passed, f"\n{report}"
        assert [(r.name, r.method) for r in report.rows] == [("y_pred", "complex")]
    assert not nl.check_gradients(Halved(), y_pred, y_true).passed
    with pytest.raises(ConfigurationError, match="pass y"):
        nl.check_gradients("mse", y_pred)


@pytest.fixture
def numpy_kernels():
    """Those that compute with complex numbers too."""
    before = nl.kernels_in_use()
    nl.use_kernels("numpy")
    yield
    nl.use_kernels(before)


def test_the_complex_step_is_exact_to_the_last_digits(numpy_kernels):
    layers = [nl.layers.Dense(6, "gelu"), nl.layers.BatchNormalization(), nl.layers.Dense(3, "elu")]
    model = nl.Sequential([*layers, nl.layers.Dense(3, "softmax")], seed=0)
    y = np.eye(3)[[0, 1, 2, 0, 1]]
    exact = nl.check_gradients(model, X, y, "categorical_crossentropy", method="complex")
    rough = nl.check_gradients(model, X, y, "categorical_crossentropy", method="central")
    assert {r.method for r in exact.rows} == {"complex"}
    assert {r.method for r in rough.rows} == {"central"}
    assert exact.passed
    assert rough.passed
    assert max(r.max_absolute_error for r in exact.rows) < 1e-14
    assert max(r.max_absolute_error for r in rough.rows) > 1e-13


class Stripped(nl.layers.Layer):
    """Loses the derivative: the arrays it computes with are plain complex ones."""

    def forward(self, x, training=False):
        x = np.asarray(self.prepare(x))
        if training:
            self.cache.x = x
        return np.abs(x).astype(x.dtype)

    def backward(self, dy):
        return dy * np.sign(self.cache.x)


class RealOnly(nl.layers.Layer):
    """Computes with a function that refuses complex numbers."""

    def forward(self, x, training=False):
        from scipy.special import expit

        y = expit(self.prepare(x))
        if training:
            self.cache.y = y
        return y

    def backward(self, dy):
        y = self.cache.y
        return dy * y * (1 - y)


@pytest.mark.parametrize(
    ("layer", "note"), [(Stripped(), "disagrees"), (RealOnly(), "TypeError")], ids=str
)
def test_where_complex_numbers_fail_central_differences_are_used(layer, note):
    report = nl.check_gradients(layer, X)
    assert report.passed, f"\n{report}"
    assert report.rows[0].method == "central"
    assert note in str(report)
    if note == "TypeError":
        with pytest.raises(ConfigurationError, match="complex step"):
            nl.check_gradients(layer, X, method="complex")


def test_a_direction_finds_a_fault_that_the_sampled_entries_miss():
    class One(nl.layers.Dense):
        def backward(self, dy, input_gradient=True):
            dx = super().backward(dy, input_gradient)
            self.d_kernel[17, 3] *= 1.5
            return dx

    x = np.random.default_rng(0).normal(size=(3, 40))
    report = nl.check_gradients(One(30, name="one"), x, max_entries=5)
    row = report.rows[1]
    assert (row.checked, row.directions) == (5, 2)
    assert row.max_relative_error < 1e-9 < 1e-5 < row.direction_error
    assert not report.passed
    assert "random direction" in str(report)
    assert nl.check_gradients(One(30), x, max_entries=5, directions=0).passed
    assert nl.check_gradients(nl.layers.Dense(30, "relu"), x, max_entries=5).passed


@pytest.mark.parametrize("method", ["auto", "central"])
def test_a_wrong_backward_does_not_hide_in_a_corner(method):
    class Twice(nl.layers.ReLU):
        def backward(self, dy):
            return super().backward(dy) * 2 + dy * 2 * (self.cache.y == 0)

    report = nl.check_gradients(Twice(), np.zeros((2, 3)), method=method)
    assert not report.passed
    assert report.rows[0].kinks == 0


def test_what_fit_computes_together_is_checked_together(monkeypatch):
    model = nl.Sequential([nl.layers.Dense(4, "tanh"), nl.layers.Dense(3, "softmax")], seed=0)
    model.compile("sgd", "crossentropy")
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.arange(6) % 3
    assert nl.check_gradients(model, x, y).passed
    backward = nl.losses.SparseCategoricalCrossentropy.backward

    def wrong(self):
        return backward(self) * (2 if self.from_logits else 1)

    monkeypatch.setattr(nl.losses.SparseCategoricalCrossentropy, "backward", wrong)
    assert not nl.check_gradients(model, x, y).passed
    assert nl.check_gradients(model, x, y, "sparse_categorical_crossentropy").passed


def test_fewer_entries_by_default_are_named_and_a_given_number_is_kept():
    layer, x = nl.layers.Dense(500), np.ones((2, 400))
    report = nl.check_gradients(layer, x)
    assert report.rows[1].checked < 1000
    assert any("max_entries" in note for note in report.notes)
    report = nl.check_gradients(layer, x, max_entries=300)
    assert report.rows[1].checked == 300
    assert not report.notes


@pytest.mark.parametrize(
    "cls",
    [
        layer_faults.ForgottenFactor,
        layer_faults.AddedGradient,
        layer_faults.StaleCache,
        layer_faults.InferenceInCache,
        layer_faults.InferenceInOldCache,
    ],
)
def test_faults_do_not_hide_behind_the_starting_point(cls):
    x = np.random.default_rng(0).normal(size=(4, 3))
    assert nl.check_gradients(layer_faults.Scale(), x).passed
    assert not nl.check_gradients(cls(), x).passed


def test_a_loss_that_adds_up_its_gradients_is_found():
    y, p = np.random.default_rng(0).normal(size=(2, 4, 3))
    for weight in (None, np.arange(4.0)):
        assert nl.check_gradients(contract_faults.Squares(), p, y, sample_weight=weight).passed
        one_size = type("OneSize", (contract_faults.AddingGradient,), {})()
        one_size.reduction = "sum"
        assert not nl.check_gradients(one_size, p[:1], y[:1]).passed


def test_the_weights_of_the_layer_are_not_moved():
    layer = layer_faults.Scale()
    layer.build((None, 3))
    assert nl.check_gradients(layer, np.ones((4, 3))).passed
    assert (layer.scale == 1).all()
