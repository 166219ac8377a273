"""State of the user's own objects: saved where they say what it is, else named by a warning."""

import copy
import random
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks, layers, losses, metrics
from netlayers.callbacks import unsaved
from netlayers.callbacks.unsaved import Watch
from netlayers.errors import ConfigurationError, FileError
from netlayers.saving.own_state import own_objects
from netlayers.training.state import pack, unpack
from tests.resume import own
from tests.resume.scripts import Cut, Knife, X
from tests.saving import mutations

Y = np.stack([X.sum(axis=1), X[:, 0] * X[:, 1]], axis=1)
STEPS = 4


def run(folder, knife=0, freq=1):
    model = own.model()
    chosen = [
        own.Counter(),
        Knife(knife, ["on_train_batch_end"]),
        callbacks.BackupAndRestore(folder, save_freq=freq),
    ]
    model.fit(X, Y, batch_size=10, epochs=4, callbacks=chosen, verbose=0)
    return model


@pytest.mark.parametrize("knife", range(1, 4 * STEPS + 1))
def test_a_run_with_objects_of_every_family_is_resumed(tmp_path, knife):
    whole = run(tmp_path / "a")
    with pytest.raises(Cut):
        run(tmp_path / "b", knife)
    again = run(tmp_path / "b")
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)
    np.testing.assert_equal(again.history.history, whole.history.history)
    assert again.layers[1].count == whole.layers[1].count == 4 * STEPS


def test_each_object_has_its_place():
    places = [
        "loss: losses[0]",
        "optimizer",
        "optimizer: _learning_rate",
        "layers/drift",
    ]
    assert sorted(own_objects(own.model())) == sorted(places)


def trained(epochs=1):
    model = own.model()
    model.fit(X, Y, batch_size=10, epochs=epochs, verbose=0)
    return model


def test_a_model_file_has_the_states(tmp_path):
    path = tmp_path / "model.safetensors"
    model = trained()
    model.save(path)
    again = nl.load_model(path, own.OBJECTS)
    for one in (model, again):
        one.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    assert again.layers[1].count == 3 * STEPS
    assert type(again.layers[1].old) is np.random.RandomState
    np.testing.assert_array_equal(again.parameters.values, model.parameters.values)
    bare = nl.load_model(path, own.OBJECTS, compile=False)
    assert bare.layers[1].count == STEPS


def test_a_checkpoint_has_the_states(tmp_path):
    path = tmp_path / "model.safetensors"
    model = own.model()
    model.fit(X, Y, batch_size=10, callbacks=[callbacks.ModelCheckpoint(path)], verbose=0)
    again = nl.load_model(path, own.OBJECTS)
    np.testing.assert_equal(again.layers[1].mean, model.layers[1].mean)
    assert again.loss.losses[0].factor == model.loss.losses[0].factor == 0.97**STEPS
    assert again.optimizer.learning_rate == model.optimizer.learning_rate < 0.2


class Weighted(losses.BinaryCrossentropy):
    """A loss of probabilities is computed from the logits, by a copy of it."""

    count = 0

    def forward_samples(self, y_true, y_pred):
        self.count += 1
        return super().forward_samples(y_true, y_pred)

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]


def test_the_state_of_a_loss_that_is_computed_with_the_activation(tmp_path):
    path = tmp_path / "model.safetensors"
    model = nl.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", Weighted())
    y = (Y[:, :1] > 0).astype(float)
    model.fit(X, y, batch_size=10, epochs=2, verbose=0)
    model.save(path)
    again = nl.load_model(path, {"Weighted": Weighted})
    again.fit(X, y, batch_size=10, verbose=0)
    assert own_objects(again)["loss"].count == 3 * STEPS


# Files that are not right -------------------------------------------------------------------------


def lying(path, change):
    entries, description, body = mutations.opened(path.read_bytes())
    change(entries, description)
    path.write_bytes(mutations.sealed(entries, description, body))


LIES = {
    "not a section": lambda e, d: d.update(own=[1]),
    "an unknown place": lambda e, d: d["own"].update({"layers/other": {}}),
    "a state of another type": lambda e, d: d["own"].update({"layers/drift": 3}),
    "a part is missing": lambda e, d: d["own"]["layers/drift"].pop("count"),
    "an array that is not there": lambda e, d: d["own"]["layers/drift"]["mean"].update(name="x"),
    "a generator of no kind": lambda e, d: d["own"]["layers/drift"]["old"].update(kind="Dense"),
    "a generator in no state": lambda e, d: d["own"]["layers/drift"]["plain"].update(state=[1]),
    "an unknown mark": lambda e, d: d["own"].update({"optimizer": {"__": "x"}}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(tmp_path, lie):
    path = tmp_path / "model.safetensors"
    trained(2).save(path)
    lying(path, LIES[lie])
    with pytest.raises(FileError, match="own"):
        nl.load_model(path, own.OBJECTS)
    model = trained()
    before = copy.deepcopy(model)
    with pytest.raises(FileError, match="own"):
        nl.saving.restore(path, model)
    np.testing.assert_array_equal(model.parameters.values, before.parameters.values)
    for (place, one), other in zip(
        own_objects(model).items(), own_objects(before).values(), strict=True
    ):
        kept = pack(one.get_state()), pack(other.get_state())
        np.testing.assert_equal(*kept, err_msg=place)


def test_a_state_that_cannot_be_stored(tmp_path):
    class Lost(own.Drift):
        def get_state(self):
            return {"file": object()}

    model = nl.Sequential([Lost(), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build((None, 3))
    message = "layers~1lost/file is <object .*random generators"
    with pytest.raises(FileError, match=message):
        model.save(tmp_path / "model.safetensors")
    backup = callbacks.BackupAndRestore(tmp_path / "b")
    with pytest.raises(ConfigurationError, match=message):
        model.fit(X, Y[:, :1], callbacks=[backup], verbose=0)


@pytest.mark.parametrize("bits", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_are_packed(bits):
    given = [
        np.random.Generator(getattr(np.random, bits)(1)),
        np.random.RandomState(2),
        random.Random(3),
    ]
    given[1].normal(), given[2].gauss(0, 1)
    again = unpack(*pack({"all": given}))["all"]
    assert [type(one) for one in again] == [type(one) for one in given]
    for draw in (lambda g: g[0].normal(), lambda g: g[1].normal(), lambda g: g[2].gauss(0, 1)):
        assert [draw(given) for _ in range(3)] == [draw(again) for _ in range(3)]


# Attributes that nobody saves ---------------------------------------------------------------------


class Unsaved(layers.Layer):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.seen, self.kept = scale, [], {"rng": np.random.RandomState(1)}
        self.large, self.still = np.zeros(1 << 20), np.ones(3)

    def forward(self, x, training=False):
        self.x = x
        self.seen.append(len(x))
        self.kept["rng"].normal()
        self.large += 1
        return x

    def backward(self, dy):
        return dy


class Ticking(losses.MeanSquaredError):
    ticks = 0

    def forward_samples(self, y_true, y_pred):
        self.ticks += 1
        return super().forward_samples(y_true, y_pred)


class Late(nl.optimizers.SGD):
    def update(self, w, g, lr, state, scratch):
        self.last = lr
        super().update(w, g, lr, state, scratch)


class Bare:
    """A callback of no base class, with an object of the user's own."""

    def __init__(self):
        self.helper, self.figure = Helper(), object()

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self.model = model

    def on_epoch_end(self, epoch, logs=None):
        self.helper.total += 1
        self.figure = object()


class Helper:
    total = 0


class Tuple(metrics.MeanMetric):
    """An argument that is not plain changes."""

    def __init__(self, limits=(0, 1), name=None):
        super().__init__(name)
        self.limits = limits

    def values(self, y_true, y_pred):
        self.limits = (*self.limits, 1)
        return y_pred


def watched(folder, objects=(), callback=None, **options):
    layer = [one for one in objects if isinstance(one, layers.Layer)]
    model = nl.Sequential([*layer, layers.Dense(1)], seed=0)
    its = {"optimizer": "sgd", "loss": "mse", **options}
    model.compile(**its)
    backup = callback or callbacks.BackupAndRestore(folder)
    others = [one for one in objects if not isinstance(one, layers.Layer)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y[:, :1], batch_size=10, epochs=3, callbacks=[*others, backup], verbose=0)
    return [str(one.message) for one in caught]


def test_attributes_that_change_are_named_once(tmp_path):
    (said,) = watched(tmp_path / "b", [Unsaved()])
    assert said == (
        "BackupAndRestore: Unsaved.seen, Unsaved.kept, Unsaved.large, Unsaved.x changed in the run "
        "without being saved, so a resumed run may end differently. Define in Unsaved get_state(), "
        "which returns {'seen': self.seen, 'kept': self.kept, 'large': self.large, ...}, and "
        "set_state(state), which restores it. If nothing depends on it, let get_state() return {}. "
        "What only one step needs belongs in self.cache."
    )


@pytest.mark.parametrize(
    ("names", "objects", "options"),
    [
        ("Ticking.ticks", [], {"loss": Ticking()}),
        ("Late.last", [], {"optimizer": Late()}),
        ("Bare.helper", [Bare()], {}),
        ("Tuple.limits", [], {"metrics": [Tuple()]}),
    ],
)
def test_every_family_is_watched(tmp_path, names, objects, options):
    (said,) = watched(tmp_path / "b", objects, **options)
    assert said.startswith(f"BackupAndRestore: {names} changed in the run")


def test_a_checkpoint_names_what_its_file_lacks(tmp_path):
    keep = callbacks.ModelCheckpoint(tmp_path / "m.safetensors")
    (said,) = watched(None, [Unsaved(), Bare()], keep)
    assert said.startswith("ModelCheckpoint: Unsaved.seen, Unsaved.kept")
    keep = callbacks.ModelCheckpoint(tmp_path / "w.safetensors", save_weights_only=True)
    assert watched(None, [Unsaved()], keep) == []


def test_what_is_saved_or_still_is_not_named(tmp_path):
    class Silent(Unsaved):
        def get_state(self):
            return {}

        def set_state(self, state):
            pass

    class Stop(callbacks.EarlyStopping):
        pass

    quiet = [Silent(), own.Drift(), own.Counter(), Stop("loss", patience=9)]
    assert watched(tmp_path / "b", quiet) == []


def test_plain_subclasses_of_all_classes_are_not_named(tmp_path):
    """What the package itself sets in an object is no attribute of the user's."""
    for cls in sorted(set(nl.registry.registered("layer").values()), key=lambda c: c.__name__):
        if not isinstance(cls, type) or not cls.__module__.startswith("netlayers."):
            continue
        if issubclass(cls, nl.models.Model):
            continue
        arguments, shape = cls.examples()[0][:2]
        if isinstance(shape[0], tuple) or isinstance(arguments.get("layers"), list):
            continue
        try:
            layer = type(f"Own{cls.__name__}", (cls,), {"__module__": "own"})(**arguments)
            x = np.random.default_rng(0).normal(size=shape)
            watch = Watch("Test", [layer])
            for _ in range(3):
                y = layer.forward(x, training=True)
                layer.backward(np.ones_like(y))
        except nl.errors.NetlayersError:
            continue
        layer.trainable = False
        watch.warn_of_changes()
    for cls in {c for c in nl.registry.registered("optimizer").values() if isinstance(c, type)}:
        if cls.__module__.startswith("netlayers."):
            own = type(f"Own{cls.__name__}", (cls,), {"__module__": "own"})
            rule = own(**cls.examples()[0])
            assert watched(tmp_path / cls.__name__, optimizer=rule) == []


def test_a_plain_subclass_of_a_model_is_not_named(tmp_path):
    class Mine(nl.Sequential):
        pass

    model = Mine([layers.Dense(2), layers.Dropout(0.5), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(
        X, Y[:, :1], epochs=2, callbacks=[callbacks.BackupAndRestore(tmp_path / "b")], verbose=0
    )


def test_watching_costs_nothing_in_a_step(tmp_path, monkeypatch):
    """It looks at the start and where a backup is written, not at each batch."""
    looked = []
    look = unsaved._attributes
    monkeypatch.setattr(unsaved, "_attributes", lambda thing: looked.append(thing) or look(thing))
    for size in (1, 37):
        model = nl.Sequential([own.Drift(), layers.Dense(1)], seed=0)
        model.compile("sgd", Ticking())
        backup = callbacks.BackupAndRestore(tmp_path / "b")
        with pytest.warns(UserWarning, match=r"Ticking\.ticks"):
            model.fit(X, Y[:, :1], batch_size=size, epochs=2, callbacks=[backup], verbose=0)
    assert len(looked) == 2 * 3
