"""Uses that can have no effect, or not the one that was meant, are refused or warned about."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import Callback, CSVLogger, ModelCheckpoint
from netlayers.errors import BusyError, ConfigurationError, DataError, ShapeError
from netlayers.optimizers import SGD, AdamW
from netlayers.optimizers.schedules import LearningRateSchedule

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
CLASSES = RNG.integers(0, 3, 32)


def model(*layers, loss="mse", optimizer="sgd", **arguments):
    made = nl.Sequential(layers or [nl.layers.Dense(1)], seed=0)
    made.compile(optimizer, loss, **arguments)
    return made


def fit(*layers, y=Y, x=X, loss="mse", optimizer="sgd", metrics=None, **arguments):
    made = model(*layers, loss=loss, optimizer=optimizer, metrics=metrics)
    return made.fit(x, y, verbose=0, **arguments)


# Activation and loss ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "match"),
    [
        (1, None, "BinaryCrossentropy", Y, "takes .* linear. Use activation='sigm"),
        (3, None, "SparseCategoricalCrossentropy", CLASSES, "takes .* Use activation='softm"),
        (3, "relu", "SparseCategoricalCrossentropy", CLASSES, "takes probabilities, but .* relu"),
    ],
)
def test_outputs_that_are_no_probabilities(units, activation, loss, y, match):
    layer = nl.layers.Dense(units, activation)
    with pytest.warns(UserWarning, match=f"{loss} {match}"):
        fit(layer, loss=loss, y=y)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (1, "sigmoid", nl.losses.BinaryCrossentropy, Y),
        (3, "softmax", nl.losses.SparseCategoricalCrossentropy, CLASSES),
    ],
)
def test_probabilities_where_logits_are_meant(units, activation, loss, y):
    layer = nl.layers.Dense(units, activation)
    message = rf"\(from_logits=True\) takes logits, but the last activation is {activation}"
    with pytest.warns(UserWarning, match=message):
        fit(layer, loss=loss(from_logits=True), y=y)
    fit(nl.layers.Dense(units), loss=loss(from_logits=True), y=y)
    fit(nl.layers.Dense(units, activation), loss=loss(), y=y)


# Runs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "warned"),
    [
        (nl.layers.Dense(4, trainable=False), True),
        (nl.layers.ReLU(), True),
        (nl.layers.Dense(4), False),
    ],
)
def test_a_model_that_cannot_learn(layer, warned, recwarn):
    fit(layer, y=X)
    texts = [str(w.message) for w in recwarn]
    assert any("has no trainable weights" in text for text in texts) == warned


def test_an_initial_epoch_behind_the_last_one():
    with pytest.warns(UserWarning, match="initial_epoch=2 is not below epochs=2"):
        history = fit(epochs=2, initial_epoch=2)
    assert history.epoch == []
    assert fit(epochs=0).epoch == []


def test_a_validation_that_never_comes():
    with pytest.warns(UserWarning, match="validation_freq=3 is above epochs=2: no validation"):
        history = fit(epochs=2, validation_data=(X, Y), validation_freq=3)
    assert list(history.history) == ["loss"]
    assert "val_loss" in fit(epochs=2, validation_data=(X, Y), validation_freq=2).history


def test_compile_within_a_run():
    class Compile(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.compile("adam", "mae")

    with pytest.raises(
        BusyError, match=r"compile\(\) was called within fit\(\).*it afterwards\.\n"
    ):
        fit(callbacks=[Compile()])


@pytest.mark.parametrize("name", ["optimizer", "loss"])
def test_what_compile_sets_cannot_be_replaced(name):
    made = model()
    before = getattr(made, name)
    with pytest.raises(ConfigurationError, match=f"{name} cannot be replaced"):
        setattr(made, name, nl.optimizers.Adam())
    assert getattr(made, name) is before
    assert getattr(nl.Sequential([nl.layers.Dense(1)]), name) is None


# Optimizers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"ema_overwrite_frequency": 3}, "ema_overwrite_frequency=3 needs use_ema=True"),
        ({"ema_momentum": 0.5}, "ema_momentum=0.5 needs use_ema=True"),
        ({"learning_rate": 10**400}, "learning_rate must be a finite number >= 0"),
    ],
)
def test_arguments_without_effect(arguments, match):
    with pytest.raises(ConfigurationError, match=f"SGD: {match}"):
        SGD(**arguments)


def test_nesterov_momentum_of_0_is_gradient_descent():
    with pytest.warns(UserWarning, match="nesterov=True has no effect without momentum"):
        optimizer = SGD(0.1, nesterov=True)
    fit(optimizer=optimizer)
    assert optimizer.iterations > 0
    assert optimizer.state == {}


def test_the_old_name_of_the_learning_rate():
    optimizer = SGD(0.1)
    with pytest.raises(AttributeError, match="it is called learning_rate"):
        optimizer.lr = 0.5
    assert not hasattr(optimizer, "lr")


def test_an_exclusion_from_weight_decay_that_matches_nothing():
    optimizer = AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias", "no such"])
    with pytest.warns(UserWarning, match="'no such' matches no weight; 'dense/kernel' is one") as w:
        fit(optimizer=optimizer)
    assert len(w) == 1


@pytest.mark.parametrize("value", [None, np.ones(3), "fast", 10**400])
def test_a_schedule_without_a_number(value):
    class Schedule(LearningRateSchedule):
        def __call__(self, step):
            return value

    with pytest.raises(ConfigurationError, match=r"returned the learning rate .* for update 0"):
        fit(optimizer=SGD(Schedule()))


def test_a_step_of_plain_arrays():
    with pytest.raises(ConfigurationError, match=r"step\(\) takes model.parameters, got a ndarray"):
        SGD().step(np.ones(3))


# Callbacks ----------------------------------------------------------------------------------------


def test_a_misspelt_hook(recwarn):
    class Misspelt(Callback):
        def on_epoch_ends(self, epoch, logs=None): ...

    class Other(Callback):
        def on_whatever_happens_elsewhere(self): ...

    fit(callbacks=[Other()])
    assert not recwarn
    with pytest.warns(UserWarning, match=r"nothing calls Misspelt.on_epoch_ends. Did you mean 'on"):
        fit(callbacks=[Misspelt()])


def test_a_single_file_is_always_the_last():
    with pytest.raises(ConfigurationError, match="keep_last=3 has no effect on the single file"):
        ModelCheckpoint("a.safetensors", keep_last=3)


def test_nothing_is_appended_to_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ConfigurationError, match="is not a text file"):
        fit(callbacks=[CSVLogger(path, append=True)])
    assert path.read_bytes() == bytes(range(256))


# Losses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "categorical_hinge"])
@pytest.mark.parametrize("factor", [0, 5])
def test_rows_that_are_not_one_hot(loss, factor, recwarn):
    layer, y = nl.layers.Dense(3, "softmax"), np.eye(3)[CLASSES]
    fit(layer, loss=loss, y=y)
    fit(layer, loss=loss, y=0.9 * y + 0.1 / 3)
    assert not recwarn
    with pytest.warns(
        UserWarning, match=f"loss '{loss}': rows of y sum to {factor} up to {factor}"
    ):
        fit(layer, loss=loss, y=factor * y)


def test_weights_that_are_all_zero():
    with pytest.warns(UserWarning, match="fit: sample_weight is 0 for all rows"):
        fit(sample_weight=np.zeros(32))
    fit(sample_weight=np.eye(32)[0])


@pytest.mark.parametrize(
    ("value", "gradient", "error", "match"),
    [
        (
            1.0,
            None,
            ConfigurationError,
            r"forward_samples must return an array .* \(32,\), got 1.0",
        ),
        (None, None, ConfigurationError, r"forward_samples must return an array .* got None"),
        (X[:, 0], np.ones((3, 3)), ShapeError, r"dL/dy_pred, of the shape \(32, 1\), got \(3, 3\)"),
    ],
)
def test_losses_that_return_something_else(value, gradient, error, match):
    class Odd(nl.losses.Loss):
        def forward_samples(self, y_true, y_pred):
            return value

        def backward_samples(self, dl):
            return gradient

    with pytest.raises(error, match=f"loss 'odd': .*{match}"):
        fit(loss=Odd())


# Metrics ------------------------------------------------------------------------------------------


def test_an_accuracy_of_a_regression():
    with pytest.raises(DataError, match="'accuracy': y_true must be 0 or 1"):
        fit(y=X[:, 1], metrics=["accuracy"])


def test_an_accuracy_of_classes_that_do_not_exist():
    with pytest.raises(DataError, match=r"class indices from 0 to 1, .* got 7"):
        nl.metrics.SparseCategoricalAccuracy()([7, 1], np.eye(2))


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf])
@pytest.mark.parametrize("kind", ["MeanSquaredError", "Mean", "Precision", "ConfusionMatrix"])
def test_weights_that_are_none(kind, weight):
    metric = getattr(nl.metrics, kind)()
    data = ([1, 0],) if kind == "Mean" else ([1, 0], [0.4, 0.2])
    before = metric.get_state()
    with pytest.raises(DataError, match="sample_weight must hold finite numbers >= 0"):
        metric.update_state(*data, sample_weight=[1, weight])
    assert str(metric.get_state()) == str(before)


@pytest.mark.parametrize("name", ["epoch", "batch", "learning_rate", "val_loss"])
def test_names_of_other_entries_in_the_logs(name):
    with pytest.raises(ConfigurationError, match=f"the name '{name}' is that of another entry"):
        fit(metrics=[nl.metrics.MeanSquaredError(name=name)])


@pytest.mark.parametrize(
    ("metric", "match"),
    [
        (lambda y: 1.0, "'lambda' must take y_true and y_pred"),
        (nl.metrics.Mean(), r"Mean.update_state does not take \(y_true, y_pred, sample_weight\)"),
    ],
)
def test_metrics_that_take_something_else(metric, match):
    with pytest.raises(ConfigurationError, match=match):
        model(metrics=[metric])


# Layers -------------------------------------------------------------------------------------------


class _Passes(nl.layers.Layer):
    def forward(self, x, training=False):
        return x

    def backward(self, dy):
        return dy


class _Declares(_Passes):
    def __init__(self):
        super().__init__()
        self.add_weight("w", (4,))


class _Forgets(_Passes):
    def __init__(self):
        self.a = 1


class _Infers(_Passes):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (_Declares, r"add_weight\('w'\) was called outside of build\(\)"),
        (_Forgets, r"_Forgets.__init__\(\) must call super\(\).__init__"),
        (_Infers, r"_Infers.forward must take \(self, x, training=False\)"),
    ],
)
def test_layers_that_lack_something(kind, match):
    with pytest.raises(ConfigurationError, match=match):
        model(kind(), nl.layers.Dense(1))


def test_a_layer_that_returns_nothing():
    class Silent(_Passes):
        def forward(self, x, training=False):
            x + 1

    with pytest.raises(DataError, match=r"x is None; .* may lack a return"):
        fit(Silent(), nl.layers.Dense(1))


def test_weights_that_are_not_finite():
    made = model(nl.layers.Dense(1, name="last"))
    made.build((None, 4))
    with pytest.warns(UserWarning, match="NaN or infinity for the weight 'last/kernel'") as warned:
        made.set_weights([np.full((4, 1), np.nan), np.zeros(1)])
    assert len(warned) == 1
    assert np.isnan(made.get_weights()[0]).all()


def test_two_weights_from_one_seed(recwarn):
    def build(one, other):
        layers = [nl.layers.Dense(4, kernel_initializer=its) for its in (one, other)]
        nl.Sequential(layers).build((None, 4))

    shared = nl.initializers.HeNormal(seed=3)
    build(shared, nl.initializers.HeNormal(seed=4))
    build(shared, nl.initializers.HeUniform(seed=3))
    build("he_normal", "he_normal")
    build(nl.initializers.HeNormal(), nl.initializers.HeNormal())
    assert not recwarn
    with pytest.warns(UserWarning, match="'dense/kernel' and 'dense_1/kernel' start with the same"):
        build(shared, shared)


# Data ---------------------------------------------------------------------------------------------


def test_a_memoryview_is_an_array():
    np.testing.assert_array_equal(fit(x=memoryview(X)).history["loss"], fit(x=X).history["loss"])


def test_a_generator_function_that_takes_an_argument():
    def batches(size):
        yield X[:size], Y[:size]

    with pytest.raises(ConfigurationError, match="takes no arguments; pass lambda"):
        model().fit(batches, verbose=0)


def test_a_sequence_that_is_shorter_than_it_says():
    class Batches:
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return [(X, Y), (X, Y)][i]

    with pytest.raises(DataError, match="have the length 3, but no batch 2"):
        model().fit(Batches(), shuffle=False, verbose=0)


def test_a_model_of_two_outputs():
    class Twice(_Passes):
        def compute_output_shape(self, input_shape):
            return (input_shape, input_shape)

        def forward(self, x, training=False):
            return (x, x)

    made = model(Twice())
    made.build((None, 4))
    with pytest.raises(
        ConfigurationError, match=r"it has 2 outputs, of the shapes \(batch, 4\) and \(batch, 4\)"
    ):
        made.fit(X, [X, X], verbose=0)
