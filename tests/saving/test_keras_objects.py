"""Objects as plain data, under Keras's names of `saving`."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import registry


@pytest.mark.parametrize(
    "thing",
    [
        nl.layers.Dense(3, "relu", name="d"),
        nl.losses.CosineSimilarity(axis=1),
        nl.metrics.CosineSimilarity(),
        nl.optimizers.Adam(0.25),
        nl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
        nl.initializers.Identity(2.0),
        nl.layers.Identity(name="i"),
        nl.regularizers.L1L2(0.1, 0.2),
        nl.constraints.MaxNorm(3),
        nl.activations.LeakyReLU(0.1),
    ],
)
def test_an_object_becomes_plain_data_and_back(thing):
    written = nl.saving.serialize_keras_object(thing)
    read = nl.saving.deserialize_keras_object(written)
    assert type(read) is type(thing)
    assert read.get_config() == thing.get_config()


def test_lists_and_dicts_are_converted_item_by_item():
    given = {"a": [nl.regularizers.L1(0.5), 3], "b": "text"}
    read = nl.saving.deserialize_keras_object(nl.saving.serialize_keras_object(given))
    assert read["a"][0].l1 == 0.5
    assert read["a"][1] == 3
    assert read["b"] == "text"


def test_a_description_without_a_kind_is_found_if_one_kind_has_its_name():
    read = nl.saving.deserialize_keras_object
    assert type(read({"class_name": "L2", "config": {"l2": 0.5}})) is nl.regularizers.L2
    with pytest.raises(nl.errors.ConfigurationError, match=r"2 kinds .*'CosineSimilarity'.*module"):
        read({"class_name": "CosineSimilarity"})
    with pytest.raises(nl.errors.ConfigurationError, match=r"no kinds .*'Nothing'"):
        read({"class_name": "Nothing"})


def test_a_class_of_the_user_is_given_by_its_name():
    class Halves(nl.initializers.Initializer):
        def fill(self, out, rng=None):
            out[...] = 0.5

    written = nl.saving.serialize_keras_object(Halves())
    for written["module"] in ("initializer", None):
        read = nl.saving.deserialize_keras_object(written, {"Halves": Halves})
        assert type(read) is Halves
    model = nl.Sequential([nl.layers.Dense(2, kernel_initializer=Halves())])
    read = nl.Sequential.from_config(model.get_config(), {"Halves": Halves})
    assert type(read.layers[0].kernel_initializer) is Halves
    with pytest.raises(nl.errors.UnknownNameError, match="Halves"):
        nl.Sequential.from_config(model.get_config())


def test_an_initializer_is_cloned():
    given = nl.initializers.HeNormal(seed=3)
    clone = given.clone()
    assert clone is not given
    assert clone.get_config() == {"seed": 3, "input_axes": None, "output_axes": None}


def test_files_are_named_by_filepath(tmp_path):
    model = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=0)
    nl.models.save_model(model, filepath=tmp_path / "m.safetensors")
    nl.saving.save_weights(model, filepath=tmp_path / "w.safetensors")
    other = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=1)
    nl.saving.load_weights(other, filepath=tmp_path / "w.safetensors")
    for again in (other, nl.load_model(filepath=tmp_path / "m.safetensors")):
        np.testing.assert_array_equal(again.layers[-1].kernel, model.layers[-1].kernel)


def test_a_loss_and_a_metric_of_one_name_are_saved(tmp_path):
    model = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=0)
    model.compile("sgd", nl.losses.MeanSquaredError(), metrics=[nl.metrics.MeanSquaredError()])
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    assert type(again.loss) is nl.losses.MeanSquaredError
    x, y = np.ones((4, 3)), np.zeros((4, 2))
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def cubed(x):
    return x**3


def distance(y_true, y_pred):
    return np.abs(y_true - y_pred).mean(axis=-1)


class Doubled(nl.activations.ActivationLayer):
    def forward(self, x, training=False, inplace=False):
        x, y = self.start_forward(x, training, inplace)
        return np.multiply(x, 2, out=y)

    def backward(self, dy):
        dy, dx = self.start_backward(dy)
        return np.multiply(dy, 2, out=dx)


def registered_as_keras():
    for thing in (cubed, distance, Doubled):
        nl.saving.register_keras_serializable("mine")(thing)


def registered_by_kind():
    nl.register("activation")(cubed)
    nl.register("activation")(Doubled)
    nl.register("loss")(distance)
    nl.register("metric")(distance)


@pytest.mark.parametrize("register", [registered_as_keras, registered_by_kind, None])
def test_functions_and_activations_are_found_by_name_and_in_files(register, monkeypatch, tmp_path):
    before = {kind: dict(names) for kind, names in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", before)
    own = {} if register else {"cubed": cubed, "distance": distance, "Doubled": Doubled}
    if register:
        register()
    x = np.ones((4, 3), np.float32)
    with nl.saving.custom_object_scope(own):
        layers = [nl.layers.Dense(2, "cubed"), Doubled(), nl.layers.Activation("cubed")]
        model = nl.Sequential([*layers, nl.layers.Residual([Doubled()])], seed=0)
        model.compile("sgd", "distance", metrics=["distance"])
        loss, metric = model.evaluate(x, x[:, :2], verbose=0)
        assert loss == pytest.approx(metric)
        model.save(tmp_path / "m.safetensors")
        again = nl.load_model(tmp_path / "m.safetensors", custom_objects=own)
        assert again.evaluate(x, x[:, :2], verbose=0) == [loss, metric]
        for get in (nl.initializers.get, nl.regularizers.get, nl.optimizers.get):
            assert register or refused(get)


def refused(get):
    with pytest.raises(nl.errors.ConfigurationError, match="got <function cubed"):
        get("cubed")
    return True


def test_a_registered_thing_leaves_a_built_in_its_name(monkeypatch, tmp_path):
    before = {kind: dict(names) for kind, names in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", before)
    register = nl.saving.register_keras_serializable

    @register()
    def relu(x):
        return 2 * x

    @register()
    def mse(y_true, y_pred):
        return np.abs(y_true - y_pred).mean(axis=-1) + 7

    @register("mine")
    class Dense(nl.layers.Dense):
        pass

    @register("mine")
    class Adam(nl.optimizers.SGD):
        pass

    @register("mine")
    class Mish(nl.layers.Dense):  # a layer of the name of an activation
        pass

    assert type(nl.activations.get("relu")) is nl.activations.ReLU
    assert type(nl.losses.get("mse")) is nl.losses.MeanSquaredError
    assert type(nl.metrics.get("mse")) is nl.metrics.MeanSquaredError
    assert type(nl.optimizers.get("adam")) is nl.optimizers.Adam
    assert type(nl.layers.deserialize({"class_name": "Mish", "config": {}})) is nl.activations.Mish
    plain = {"class_name": "Dense", "config": {"units": 2}}
    assert type(nl.layers.deserialize(plain)) is nl.layers.Dense
    for family, thing in ((nl.activations, relu), (nl.losses, mse)):
        assert family.get(family.serialize(thing)).fn is thing

    layers = [nl.layers.Dense(2, "Custom>relu"), Dense(2, "relu"), Mish(2), nl.layers.Mish()]
    model = nl.Sequential(layers, seed=0)
    model.compile("mine>Adam", "Custom>mse", metrics=["Custom>mse", "mse"])
    x = np.ones((4, 3), np.float32)
    loss, own, built_in = model.evaluate(x, x[:, :2], verbose=0)
    assert loss == pytest.approx(own)
    assert loss > 7 > built_in
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    assert again.evaluate(x, x[:, :2], verbose=0) == [loss, own, built_in]
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in layers]
    assert type(again.optimizer) is Adam
    again.load_weights(tmp_path / "m.safetensors")


def test_of_two_registered_things_of_one_name_each_is_found_by_its_package(monkeypatch):
    before = {kind: dict(names) for kind, names in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", before)
    things = []
    for package in ("first", "second"):

        class Own(nl.initializers.Initializer):
            def fill(self, out, rng=None):
                out[...] = 1

        things.append(nl.saving.register_keras_serializable(package)(Own))
    written = [nl.initializers.serialize(thing()) for thing in things]
    assert [its["class_name"] for its in written] == ["first>Own", "Own"]
    assert [type(nl.initializers.deserialize(its)) for its in written] == things
