"""Utilities with Keras's names."""

import gc
import weakref

import numpy as np
import pytest

import netlayers as nl
from netlayers import utils
from netlayers.errors import ConfigurationError, DataError, MissingMethodError


def test_one_seed_for_all_models():
    def weights():
        utils.set_random_seed(7)
        models = [nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)]) for _ in range(2)]
        return [m.get_weights()[0] for m in models], np.random.rand(2)

    (a, b), drawn = weights()
    (c, d), again = weights()
    np.testing.assert_array_equal([a, b], [c, d])
    np.testing.assert_array_equal(drawn, again)
    assert (a != b).any()
    nl.random._seeds.clear()
    other = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)]).get_weights()[0]
    assert (other != a).any()


def test_padding():
    rows = [[1], [2, 3], [4, 5, 6]]
    assert utils.pad_sequences(rows).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    after = utils.pad_sequences(rows, 2, padding="post", truncating="post", value=9)
    assert after.tolist() == [[1, 9], [2, 3], [4, 5]]
    assert utils.pad_sequences([[[1, 2]], []], dtype="float64").shape == (2, 1, 2)
    with pytest.raises(DataError, match="each entry of a sequence"):
        utils.pad_sequences([[[1, 2]], [[1]]])
    with pytest.raises(DataError, match="each of sequences must have a length"):
        utils.pad_sequences([1, 2])


def test_splits():
    x, y = np.arange(10), np.arange(10) * 2
    (a, b), (c, d) = utils.split_dataset((x, y), left_size=0.7)
    assert (len(a), len(c)) == (7, 3)
    np.testing.assert_array_equal(np.concatenate([b, d]), y)
    left, right = utils.split_dataset(x, right_size=4, shuffle=True, seed=0)
    assert sorted([*left, *right]) == x.tolist()
    assert len(right) == 4
    for wrong in ({}, {"left_size": 11}, {"left_size": 6, "right_size": 6}):
        with pytest.raises(ConfigurationError, match="split_dataset"):
            utils.split_dataset(x, **wrong)


def test_windows_of_a_series():
    series = np.arange(20.0)
    windows = utils.timeseries_dataset_from_array(
        series, series * 10, 3, sequence_stride=2, sampling_rate=2, batch_size=4, start_index=2,
        end_index=18,
    )  # fmt: skip
    batches = list(windows)
    assert len(batches) == len(windows) == 2
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    np.testing.assert_array_equal(x[0], [2, 4, 6])
    np.testing.assert_array_equal(x[:, 0], np.arange(2, 14, 2))
    np.testing.assert_array_equal(y, 10 * x[:, 0])
    assert utils.timeseries_dataset_from_array(series, None, 5)[0].shape == (16, 5)
    with pytest.raises(DataError, match="no window of sequence_length=30"):
        utils.timeseries_dataset_from_array(series, None, 30)
    with pytest.raises(IndexError):
        windows[2]


def test_data_without_a_length():
    class Endless(utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return np.full((2, 1), index), np.ones(2)

    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    assert len(model.fit(Endless(), epochs=2, steps_per_epoch=3, verbose=0).epoch) == 2
    with pytest.raises(MissingMethodError, match="must define __getitem__"):
        utils.PyDataset()[0]


def test_classes_by_name(tmp_path):
    class Mine(nl.initializers.Initializer):
        def fill(self, out, rng=None):
            out[...] = 5

    model = nl.Sequential([nl.layers.Input((1,)), nl.layers.Dense(1, kernel_initializer=Mine())])
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(nl.errors.FileError):
        nl.load_model(tmp_path / "m.safetensors")
    with utils.custom_object_scope({"Mine": Mine}):
        assert utils.get_custom_objects()["Mine"] is Mine
        loaded = nl.load_model(tmp_path / "m.safetensors")
    assert loaded.layers[0].kernel == 5
    assert "Mine" not in utils.get_custom_objects()
    assert utils.get_registered_object("Mine") is None
    assert utils.get_registered_object("Mine", {"Mine": Mine}) is Mine
    assert utils.get_registered_name(Mine) == "Mine"
    with pytest.raises(ConfigurationError, match="no subclass"):
        utils.register_keras_serializable()(dict)


def test_packing():
    for x, y, w in ((1, None, None), (1, 2, None), (1, 2, 3)):
        assert utils.unpack_x_y_sample_weight(utils.pack_x_y_sample_weight(x, y, w)) == (x, y, w)
    assert utils.pack_x_y_sample_weight([1]) == ([1],)
    with pytest.raises(DataError, match="4 parts"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


@pytest.mark.parametrize("module", ["losses", "metrics", "optimizers", "initializers"])
def test_serialize_and_back(module):
    family = getattr(nl, module)
    name = {"losses": "mse", "metrics": "mse", "optimizers": "adam"}.get(module, "zeros")
    thing = family.get(name)
    again = family.deserialize(family.serialize(thing))
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()
    assert family.get(None) is None


def test_serialize_functions_and_layers():
    assert nl.activations.serialize(nl.activations.relu) == "relu"
    assert nl.losses.serialize(nl.losses.mean_squared_error) == "mean_squared_error"
    layer = nl.layers.deserialize(nl.layers.serialize(nl.layers.Dense(3)))
    assert layer.units == 3
    schedules = nl.optimizers.schedules
    rate = schedules.ExponentialDecay(0.1, 10, 0.5)
    assert schedules.deserialize(schedules.serialize(rate))(5) == rate(5)


def test_global_settings_are_fixed():
    config = nl.config
    assert (config.floatx(), config.epsilon(), config.backend()) == ("float32", 1e-7, "numpy")
    config.set_floatx("float32")
    config.set_image_data_format(config.image_data_format())
    for change, value in ((config.set_floatx, "float64"), (config.set_epsilon, 1e-6)):
        with pytest.raises(ConfigurationError, match="cannot be set for all models"):
            change(value)


def test_random_arrays():
    for draw in (nl.random.normal, nl.random.uniform):
        np.testing.assert_array_equal(draw((3,), seed=1), draw((3,), seed=1))
        seed = nl.random.SeedGenerator(1)
        assert (draw((3,), seed=seed) != draw((3,), seed=seed)).any()
    assert set(nl.random.randint((100,), 2, 4, seed=0).tolist()) == {2, 3}
    assert sorted(nl.random.shuffle(np.arange(5), seed=0).tolist()) == [0, 1, 2, 3, 4]


def test_progress(capsys):
    bar = utils.Progbar(4, width=4, interval=0)
    bar.update(2, [("loss", 1.0)])
    bar.add(2, [("loss", 3.0)])
    assert capsys.readouterr().out.split("\r")[1:] == [
        "2/4 [==..] - loss: 1", "4/4 [====] - loss: 2\n"
    ]  # fmt: skip


def test_a_cleared_session_has_no_seed():
    def kernel():
        model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)])
        return model.get_weights()[0].tolist()

    kernels = []
    for clear in (nl.backend.clear_session, nl.utils.clear_session):
        nl.utils.set_random_seed(3)
        clear(free_memory=False)
        kernels.append(kernel())
    assert kernels[0] != kernels[1]
    assert nl.backend.backend() == "numpy"


def test_a_cleared_session_frees_models():
    model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(3)])
    alive = weakref.ref(model.layers[0])  # it and its parameters refer to each other
    gc.disable()
    try:
        del model
        nl.utils.clear_session(free_memory=False)
        assert alive() is not None
        nl.utils.clear_session()
        assert alive() is None
    finally:
        gc.enable()
    with pytest.raises(ConfigurationError, match="clear_session: free_memory must be True or Fa"):
        nl.utils.clear_session(free_memory="no")
