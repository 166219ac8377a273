"""The columns of frames are remembered when a model is trained, and compared afterwards."""

import copy
import json
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.arrays.frames import column_names
from netlayers.errors import DataError, FileError
from tests.data.kinds import TwoInputs

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(30, 3)).astype("f4"), columns=["age", "height", "weight"])
OTHER = FRAME[["height", "age", "weight"]]
Y = RNG.integers(0, 2, 30)


def make():
    model = nl.Sequential([nl.layers.Dense(2, activation="softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


TRAIN = {
    "fit": lambda model, x: model.fit(x, Y, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, Y),
    "stream": lambda model, x: model.fit([(x, Y)], verbose=0),
    "list of one": lambda model, x: model.fit([x], Y, verbose=0),
    "dict": lambda model, x: model.fit({"x": x}, Y, verbose=0),
    "fit_lbfgs": lambda model, x: model.fit_lbfgs(x, Y, 1, verbose=0),
    "fit_lbfgs of a stream": lambda model, x: model.fit_lbfgs(
        [(x, Y)], max_iterations=1, verbose=0
    ),
}
USE = {
    "predict": lambda model, x: model.predict(x),
    "predict of a stream": lambda model, x: model.predict(iter([x])),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "evaluate": lambda model, x: model.evaluate(x, Y, verbose=0),
    "test_on_batch": lambda model, x: model.test_on_batch(x, Y),
    "validation": lambda model, x: model.fit(FRAME, Y, validation_data=(x, Y), verbose=0),
    "trace": lambda model, x: model.trace(x, Y),
} | TRAIN


@pytest.mark.parametrize("use", USE)
@pytest.mark.parametrize("train", TRAIN)
def test_another_order_is_an_error(train, use):
    model = make()
    TRAIN[train](model, FRAME)
    USE[use](model, FRAME)
    weights = model.parameters.values.tobytes()
    with pytest.raises(DataError) as raised:
        USE[use](model, OTHER)
    for part in ("same names in another order", "column 0: 'height' for 'age'", "x[names]"):
        assert part in str(raised.value)
    assert model.parameters.values.tobytes() == weights
    USE[use](model, OTHER.to_numpy())  # plain arrays go by their places


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME[["age", "weight"]], r"missing: 'height'\).*Expected 'age', 'height', 'weight'"),
        (FRAME.assign(size=1.0), r"new: 'size'"),
        (FRAME.rename(columns={"age": "years"}), r"missing: 'age'; new: 'years'"),
        (FRAME.set_axis(["age", "age", "height"], axis=1), "missing: 'weight'"),
    ],
)
def test_missing_and_new_columns_are_listed(frame, message):
    model = make()
    model.fit(FRAME, Y, verbose=0)
    with pytest.raises(DataError, match=message):
        model.predict(frame)


def test_the_first_frame_counts_and_other_data_pass():
    model = make()
    model.predict(OTHER)  # is no training
    model.fit(FRAME.to_numpy(), Y, verbose=0)
    model.fit(FRAME, Y, verbose=0)
    with pytest.raises(DataError, match="another order"):
        model.predict(OTHER)
    model.predict(FRAME.set_axis([0, 1, 2], axis=1))  # numbers are places, no names
    model.predict(FRAME.to_numpy().tolist())
    assert column_names(FRAME.set_axis(["a", 1, "b"], axis=1)) is None
    assert column_names(FRAME["age"]) is None


@pytest.mark.parametrize("used", [False, True])
def test_nothing_is_remembered_of_data_that_are_wrong(used):
    model = make()
    if used:
        model.fit(FRAME.to_numpy(), Y, verbose=0)
    for x, y in ((FRAME, Y + 5), (FRAME, Y[:3]), (FRAME.assign(age=np.nan), Y)):
        for train in (model.fit, model.train_on_batch):
            with pytest.raises(DataError):
                train(x, y)
    with pytest.raises(DataError):
        model.fit(FRAME, Y, validation_data=(FRAME, Y + 5), verbose=0)
    model.fit(OTHER, Y, verbose=0)
    with pytest.raises(DataError, match="another order"):
        model.fit(FRAME, Y, verbose=0)


def test_copies_pickles_and_files_remember(tmp_path):
    model = make()
    model.fit(FRAME, Y, verbose=0)
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = pickle.loads(pickle.dumps(model))
    for other in (
        copy.deepcopy(model),
        again,
        nl.load_model(path),
        nl.load_model(path, None, False),
    ):
        np.testing.assert_array_equal(other.predict(FRAME), model.predict(FRAME))
        with pytest.raises(DataError, match="another order"):
            other.predict(OTHER)


def test_a_file_without_frames_is_what_it_was(tmp_path):
    from netlayers.saving.format import StoredFile

    model = make()
    model.fit(FRAME.to_numpy(), Y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    with StoredFile(str(tmp_path / "model.safetensors")) as file:
        assert "columns" not in file.description


@pytest.mark.parametrize("columns", [3, "age", [3], [["age", 3]], {"x": ["age"]}, [["age"], 1]])
def test_a_file_with_other_columns_is_refused(columns, tmp_path):
    model = make()
    model.fit(FRAME, Y, verbose=0)
    model._columns = columns
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert json.dumps(columns)
    with pytest.raises(FileError, match="columns"):
        nl.load_model(path)


def test_names_of_more_inputs_than_there_are_say_nothing(tmp_path):
    model = make()
    model.fit(FRAME, Y, verbose=0)
    model._columns = [["age"], None]
    model.save(tmp_path / "model.safetensors")
    assert nl.load_model(tmp_path / "model.safetensors").predict(OTHER).shape == (30, 2)


def test_each_of_several_inputs():
    model = TwoInputs([nl.layers.Dense(2, activation="softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    plain = FRAME.to_numpy()
    model.fit({"a": plain, "b": FRAME}, Y, verbose=0)
    model.predict([OTHER, FRAME])
    with pytest.raises(DataError, match=r"the columns of x\['b'\].*another order"):
        model.predict([plain, OTHER])
    model.fit([FRAME, plain], Y, verbose=0)
    with pytest.raises(DataError, match=r"the columns of x\['a'\].*another order"):
        model.predict([OTHER, plain])
