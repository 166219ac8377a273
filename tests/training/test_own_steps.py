"""Classes that override train_step, test_step or compute_loss."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, NonFiniteError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 5)).astype("float32")  # three batches of 32
Y = X[:, :1] * X[:, 1:2]


SNAPSHOT = nl.callbacks.TerminateOnNaN(snapshot="nan.safetensors")


class Written(nl.Model):
    """A training step as Keras's guide has it, with the backward pass written out."""

    def train_step(self, data):
        x, y, sample_weight = nl.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self.backward(self.compute_loss_gradient(), input_gradient=False)
        self.optimizer.step(self.parameters)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred, sample_weight)
        return {m.name: m.result() for m in self.metrics}


class Passed(nl.Model):
    """The usual steps, by super()."""

    def train_step(self, data):
        return super().train_step(data)

    def test_step(self, data):
        return super().test_step(data)


class Fourth(nl.Sequential):
    """The mean of the fourth powers of the errors."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.cache.error = y_pred - y
        return np.mean(self.cache.error**4)

    def compute_loss_gradient(self):
        return 4 * self.cache.error**3 / self.cache.error.size


def make(cls, loss="mse", optimizer="adam", **options):
    x = nl.Input((5,))
    h = L.Dropout(0.2)(L.Dense(8, "tanh", **options)(x))
    model = cls(x, L.Dense(1)(h), seed=3)
    model.compile(optimizer, loss, metrics=["mae"])
    return model


def chain(cls, loss=None, optimizer="adam", **options):
    model = cls([L.Dense(8, "tanh", **options), L.Dense(1)], seed=3)
    model.compile(optimizer, loss)
    return model


@pytest.mark.parametrize("cls", [Written, Passed])
def test_fit_calls_it_and_learns_the_same(cls):
    usual, own = make(nl.Model), make(cls)
    weights = np.linspace(0.1, 1, 96)
    for options in ({}, {"sample_weight": weights}):
        expected = usual.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), **options)
        found = own.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), **options)
        assert found.history.keys() == expected.history.keys()
        for name in ("val_loss", "val_mae"):
            assert found.history[name] == pytest.approx(expected.history[name], rel=1e-6)
    np.testing.assert_array_equal(own.predict(X), usual.predict(X))


def test_the_results_are_those_of_the_epoch():
    usual, own = make(nl.Model), make(Written)
    expected = usual.fit(X, Y, epochs=3, verbose=0).history
    found = own.fit(X, Y, epochs=3, verbose=0).history
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)  # reset in each epoch
    assert found["mae"] == pytest.approx(expected["mae"], rel=1e-6)
    assert own.evaluate(X, Y, verbose=0) == pytest.approx(usual.evaluate(X, Y, verbose=0))


def test_super_within_fit_has_the_sums_of_the_epoch():
    usual, own = make(nl.Model), make(Passed)
    options = {"epochs": 2, "batch_size": 40, "verbose": 0, "validation_split": 0.25}
    assert own.fit(X, Y, **options).history == usual.fit(X, Y, **options).history


def test_methods_of_one_batch_call_it_too():
    usual, own = make(nl.Model), make(Passed)
    for name in ("train_on_batch", "test_on_batch"):
        assert getattr(own, name)(X, Y) == getattr(usual, name)(X, Y)
    for name in ("train_step", "test_step"):
        assert getattr(own, name)((X, Y)) == getattr(usual, name)((X, Y))
    assert own.optimizer.iterations == 2


def test_arrays_are_read_only_and_results_are_checked():
    class Writes(Passed):
        def train_step(self, data):
            data[0][:] = 0

    with pytest.raises(ValueError, match="read-only"):
        make(Writes).fit(X, Y, verbose=0)

    class Returns(Passed):
        what = None

        def train_step(self, data):
            return self.what

    for what, text in (
        (None, "must return a dict of results"),
        ({"loss": "low"}, r"train_step\(\)\['loss'\] must be a number, got 'low'"),
    ):
        Returns.what = what
        with pytest.raises(ConfigurationError, match=text):
            make(Returns).fit(X, Y, verbose=0)


class Own(nl.Model):
    """Loss and metrics of its own, in attributes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = nl.metrics.Mean(name="loss")
        self.mae = nl.metrics.MeanAbsoluteError(name="mae")
        self.loss_fn = nl.losses.MeanSquaredError()

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        loss = self.loss_fn(y, y_pred)
        self.backward(self.loss_fn.backward())
        self.optimizer.step(self.parameters)
        self.loss_tracker.update_state(loss)
        self.mae.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae.result()}


@pytest.mark.parametrize("listed", [False, True])
def test_without_a_loss_in_compile(listed):
    cls = Own
    if listed:

        class Listed(Own):
            @property
            def metrics(self):
                return [self.loss_tracker, self.mae]

        cls = Listed
    x = nl.Input((5,))
    h = L.Dropout(0.2)(L.Dense(8, "tanh")(x))
    model = cls(x, L.Dense(1)(h), seed=3)
    model.compile("adam")
    found = model.fit(X, Y, epochs=3, verbose=0).history
    expected = make(nl.Model).fit(X, Y, epochs=3, verbose=0).history
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert found["mae"] == pytest.approx(expected["mae"], rel=1e-6)
    assert [m.name for m in model.metrics] == ["loss", "mae"]
    with pytest.raises(ConfigurationError, match=r"override test_step\(\) in"):
        model.evaluate(X, Y, verbose=0)


def test_compute_metrics():
    class Step(Written):
        def train_step(self, data):
            x, y, w = nl.utils.unpack_x_y_sample_weight(data)
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=w)
            self.backward(self.compute_loss_gradient())
            self.optimizer.step(self.parameters)
            self.metrics[0].update_state(loss)
            assert self.get_metrics_result().keys() == {"loss", "mae"}
            return self.compute_metrics(x, y, y_pred, sample_weight=w)

    expected = make(Written).fit(X, Y, epochs=2, verbose=0).history
    assert make(Step).fit(X, Y, epochs=2, verbose=0).history == expected


@pytest.mark.parametrize("by_name", [False, True])
def test_several_outputs(by_name):
    def made(cls):
        x = nl.Input((5,))
        h = L.Dense(8, "tanh")(x)
        first, second = L.Dense(1, name="first")(h), L.Dense(2, name="second")(h)
        model = cls(x, {"first": first, "second": second} if by_name else [first, second], seed=0)
        model.compile("adam", {"first": "mse", "second": "mae"}, metrics={"first": "mae"})
        return model

    class Step(Written):
        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            self.metrics[0].update_state(self.compute_loss(x, y, y_pred))
            self.backward(self.compute_loss_gradient())
            self.optimizer.step(self.parameters)
            return self.compute_metrics(x, y, y_pred)

    targets = {"first": Y, "second": X[:, 1:3]}
    given = targets if by_name else list(targets.values())
    usual, own = made(nl.Model), made(Step)
    expected = usual.fit(X, given, epochs=2, verbose=0).history
    found = own.fit(X, given, epochs=2, verbose=0).history
    for name in ("loss", "first_mae"):
        assert found[name] == pytest.approx(expected[name], rel=1e-6)
    value = own.compute_loss(y=given, y_pred=own.predict(X))
    assert value == pytest.approx(own.evaluate(X, given, verbose=0, return_dict=True)["loss"])


def test_only_test_step():
    class Tested(nl.Model):
        def test_step(self, data):
            x, y = data
            return {"largest": np.abs(self(x) - y).max()}

    model = make(Tested)
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert list(history) == ["loss", "mae", "val_largest"]
    largest = model.evaluate(X, Y, verbose=0)
    assert largest == pytest.approx(np.abs(model.predict(X) - Y).max())
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"largest": largest}


# compute_loss --------------------------------------------------------------------------------


def test_compute_loss_and_its_gradient():
    model = chain(Fourth)
    history = model.fit(X, Y, epochs=5, verbose=0, validation_data=(X, Y)).history
    assert history["loss"][-1] < history["loss"][0]
    value = np.mean((model.predict(X) - Y) ** 4)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(value, rel=1e-5)
    assert nl.check_gradients(model, X[:4], Y[:4]).passed
    found = model.gradients_of("dense_1", X[:4], Y[:4])["dense_1"]
    np.testing.assert_allclose(found, (model.predict(X[:4]) - Y[:4]) ** 3, rtol=1e-4)


def test_a_wrong_gradient_is_found():
    class Wrong(Fourth):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs)

        def compute_loss_gradient(self):
            return 2 * super().compute_loss_gradient()

    assert not nl.check_gradients(chain(Wrong), X[:4], Y[:4]).passed


def test_penalties_are_added_once():
    class Half(nl.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            assert x.shape[1] == 5
            return 0.5 * super().compute_loss(x, y, y_pred, sample_weight, training)

        def compute_loss_gradient(self):
            return 0.5 * super().compute_loss_gradient()

    class HalfError(nl.losses.MeanSquaredError):
        def forward_samples(self, y_true, y_pred):
            return 0.5 * super().forward_samples(y_true, y_pred)

        def backward_samples(self, dl):
            return 0.5 * super().backward_samples(dl)

    options = {"kernel_regularizer": nl.regularizers.L2(0.1)}
    own, usual = chain(Half, "mse", **options), chain(nl.Sequential, HalfError(), **options)
    found, expected = (m.fit(X, Y, epochs=2, verbose=0).history for m in (own, usual))
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert nl.check_gradients(own, X[:4], Y[:4]).passed


def test_compute_loss_needs_its_gradient():
    class Forgets(Fourth):
        def compute_loss(self, *args, **kwargs):
            return 3 * super().compute_loss(*args, **kwargs)

    with pytest.raises(ConfigurationError, match=r"Forgets.*must also have compute_loss_gradient"):
        chain(Forgets).fit(X, Y, verbose=0)


def test_compute_loss_of_probabilities():
    model = nl.Sequential([L.Dense(3, "softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    labels = np.arange(96) % 3
    model.fit(X, labels, verbose=0)
    found = model.compute_loss(y=labels, y_pred=model.predict(X))  # and not of logits
    assert found == pytest.approx(model.evaluate(X, labels, verbose=0), rel=1e-5)


def test_gradients_are_accumulated_and_clipped():
    optimizer = {"gradient_accumulation_steps": 3, "global_clipnorm": 0.1}
    results = []
    for cls in (nl.Model, Written, Passed):
        model = make(cls, optimizer=nl.optimizers.Adam(**optimizer))
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
        assert model.optimizer.iterations == 2
        results.append(model.predict(X))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_array_equal(results[2], results[0])


# Regularizers, steps that fail ----------------------------------------------------------------


def test_gradients_of_regularizers():
    class Regular(Written):
        def backward(self, dy, input_gradient=True):
            dx = super().backward(dy, input_gradient=input_gradient)
            self.parameters.add_regularization_gradients()
            return dx

    options = {"kernel_regularizer": nl.regularizers.L2(0.1)}
    expected, found = make(nl.Model, **options), make(Regular, **options)
    for model in (expected, found):
        model.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    with pytest.warns(UserWarning, match=r"call self.parameters.add_regularization_gradients\(\)"):
        make(Written, **options).fit(X, Y, verbose=0)
    make(Passed, **options).fit(X, Y, verbose=0)  # without a warning


def test_a_gradient_that_is_not_finite():
    model = make(Written)
    before = model.get_weights()
    before[0][:] = 1e30
    before[2][:] = 1e30
    model.set_weights(before)
    with pytest.raises(NonFiniteError) as caught, np.errstate(all="ignore"):
        model.fit(X, Y, verbose=0)
    assert "cannot be taken back and run again" in caught.value.__notes__[0]
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: m.fit_lbfgs(X, Y, verbose=0), "needs gradients without one"),
        (lambda m: m.trace(X[:4], Y[:4]), "needs gradients without one"),
        (lambda m: m.diagnose(X, Y, verbose=0), "needs gradients without one"),
        (lambda m: m.fit(X, Y, verbose=0, callbacks=[SNAPSHOT]), "cannot; leave it out"),
    ],
)
def test_what_is_refused(call, text):
    model = Written(inputs := nl.Input((5,)), L.Dense(1)(inputs), seed=0)
    model.compile("adam", "mse")
    with pytest.raises(ConfigurationError, match=text):
        call(model)


def test_callbacks_read_its_results(tmp_path):
    model = make(Written)
    callbacks = [
        nl.callbacks.EarlyStopping("mae", mode="min", patience=1),
        nl.callbacks.ModelCheckpoint(
            tmp_path / "best.safetensors", monitor="loss", save_best_only=True
        ),
        nl.callbacks.TerminateOnNaN(),
        nl.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    history = model.fit(X, Y, epochs=3, batch_size=96, verbose=0, callbacks=callbacks).history
    assert (tmp_path / "best.safetensors").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + len(history["loss"])


def test_a_metric_between_two_batches_is_kept():
    class Tests(nl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(X[:5], Y[:5], verbose=0)

    found = make(Written).fit(X, Y, epochs=2, verbose=0, callbacks=[Tests()]).history
    assert found == make(Written).fit(X, Y, epochs=2, verbose=0).history


@pytest.mark.parametrize("cls", [Written, Passed])
def test_copies_and_files(cls, tmp_path):
    model = make(cls)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m")
    loaded = nl.load_model(tmp_path / "m", custom_objects={cls.__name__: cls})
    copies = [loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    expected = model.fit(X, Y, verbose=0).history
    for again in copies:
        assert isinstance(again, cls)
        assert again.fit(X, Y, verbose=0).history == expected
    clone = nl.models.clone_model(model)
    assert isinstance(clone, cls)
