"""Lookups: the values of Keras's documentation and tests, missing values, adapt, files."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError

L = nl.layers
LETTERS = ["a", "b", "c", "d"]


def saved(layer, path, shape=(None, 2)):
    model = nl.Sequential([layer])
    model.build(shape)
    model.save(path / "m.safetensors")
    return nl.load_model(path / "m.safetensors").layers[0]


def test_indices_of_keras():
    assert L.StringLookup(vocabulary=LETTERS)([["a", "c", "d"], ["d", "z", "b"]]).tolist() == [
        [1, 3, 4], [4, 0, 2],
    ]  # fmt: skip
    layer = L.StringLookup(vocabulary=LETTERS, num_oov_indices=2)
    assert layer([["a", "c", "d"], ["m", "z", "b"]]).tolist() == [[2, 4, 5], [0, 1, 3]]
    layer = L.IntegerLookup(vocabulary=[12, 36, 1138, 42])
    assert layer(np.array([[12, 1138, 42], [42, 1000, 36]])).tolist() == [[1, 3, 4], [4, 0, 2]]
    layer = L.IntegerLookup(vocabulary=[12, 36, 1138, 42], num_oov_indices=2)
    assert layer(np.array([[12, 1138, 42], [37, 1000, 36]])).tolist() == [[2, 4, 5], [1, 0, 3]]


def test_adapted_as_in_keras():
    data = [["a", "c", "d"], ["d", "z", "b"]]
    layer = L.StringLookup()
    layer.adapt(data)
    assert layer.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]
    assert layer.vocabulary_size() == 6
    assert layer(data).tolist() == [[5, 3, 1], [1, 2, 4]]
    layer = L.IntegerLookup(max_tokens=4, mask_token=0)
    layer.adapt(np.array([[12, 1138, 42], [42, 0, 36]]))
    assert layer.get_vocabulary() == [0, -1, 42, 1138]
    assert layer.get_vocabulary(include_special_tokens=False) == [42, 1138]


def test_encodings_of_keras():
    x = [["a", "c", "d", "d"], ["d", "z", "b", "z"]]
    layer = L.StringLookup(vocabulary=LETTERS, output_mode="one_hot")
    np.testing.assert_array_equal(layer([*LETTERS, "z"]), np.eye(5)[[1, 2, 3, 4, 0]])
    layer = L.StringLookup(vocabulary=LETTERS, output_mode="multi_hot")
    assert layer(x).tolist() == [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]]
    layer = L.StringLookup(vocabulary=LETTERS, output_mode="count")
    assert layer(x).tolist() == [[0, 1, 0, 1, 2], [2, 0, 1, 0, 1]]
    layer = L.StringLookup(output_mode="tf_idf")
    layer.set_vocabulary(LETTERS, idf_weights=[0.25, 0.75, 0.6, 0.4])
    expected = [[0, 0.25, 0, 0.6, 0.8], [1.0, 0, 0.75, 0, 0.4]]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    layer = L.StringLookup(output_mode="tf_idf")
    layer.set_vocabulary(["[UNK]", *LETTERS], idf_weights=[0.9, 0.25, 0.75, 0.6, 0.4])
    expected[1][0] = 1.8
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)


def test_columns_for_entries_that_may_come():
    layer = L.StringLookup(5, vocabulary=["a"], output_mode="count", pad_to_max_tokens=True)
    assert layer([["a", "x"]]).tolist() == [[1, 1, 0, 0, 0]]
    layer.set_vocabulary(["x", "a"])  # also once it is built
    assert layer([["a", "x"]]).tolist() == [[0, 1, 1, 0, 0]]


def test_back():
    layer = L.StringLookup(vocabulary=LETTERS, invert=True)
    assert layer([[1, 3, 4], [4, 0, 9]]).tolist() == [["a", "c", "d"], ["d", "[UNK]", "[UNK]"]]
    layer = L.IntegerLookup(vocabulary=[12, 36], invert=True, mask_token=0)
    assert layer([[0, 1, 2, 3]]).tolist() == [[0, -1, 12, 36]]


def test_inverse_document_frequency():
    layer = L.StringLookup(output_mode="tf_idf")
    layer.adapt([["a", "b"], ["a", "a"], ["c", "a"]])
    idf = {"a": np.log(1 + 3 / 4), "b": np.log(1 + 3 / 2), "c": np.log(1 + 3 / 2)}
    assert layer.get_vocabulary() == ["[UNK]", "a", "c", "b"]
    expected = [[np.mean(list(idf.values())), 2 * idf["a"], 0, idf["b"]]]
    np.testing.assert_allclose(layer([["a", "b", "x", "a"]]), expected, rtol=1e-6)


MISSING = np.array([["a"], [None], [np.nan], ["new"], [""]], object)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 0, 0, 0, 0]),
        ({"mask_token": ""}, [2, 0, 0, 1, 0]),
        ({"mask_token": "", "num_oov_indices": 0, "vocabulary": ["a", "new"]}, [1, 0, 0, 2, 0]),
    ],
)
def test_missing_strings(options, expected):
    layer = L.StringLookup(**{"vocabulary": ["a"], **options})
    assert layer(MISSING).ravel().tolist() == expected
    encoded = L.StringLookup(**{"vocabulary": ["a"], **options}, output_mode="one_hot")(MISSING)
    counted = np.array(expected) - ("mask_token" in options)
    np.testing.assert_array_equal(
        encoded, [np.eye(encoded.shape[1])[i] if i >= 0 else 0 * encoded[0] for i in counted]
    )


def test_missing_integers():
    x = np.array([[3.0], [np.nan], [4.0]])
    assert L.IntegerLookup(vocabulary=[3])(x).ravel().tolist() == [1, 0, 0]
    assert L.IntegerLookup(vocabulary=[3], mask_token=-1)(x).ravel().tolist() == [2, 0, 1]
    pd = pytest.importorskip("pandas")
    series = pd.Series([3, None, 4], dtype="Int64")
    assert L.IntegerLookup(vocabulary=[3], mask_token=-1)(series).tolist() == [2, 0, 1]


def test_nothing_unseen_is_allowed():
    layer = L.StringLookup(vocabulary=["a"], num_oov_indices=0, name="cabin")
    with pytest.raises(DataError, match=r"layer 'cabin'.*x holds 'z' \(row 1\).*num_oov_indices=1"):
        layer([["a"], ["z"]])
    with pytest.raises(DataError, match=r"holds None \(row 0\).*mask_token"):
        layer(np.array([[None]], object))


def test_hashes_of_several_unseen():
    for salt in (None, [3, 5]):
        layer = L.StringLookup(vocabulary=["a"], num_oov_indices=4, salt=salt)
        x = [["x"], ["y"], ["z"]]
        assert layer(x).tolist() == L.Hashing(4, salt=salt)(x).tolist()
        integers = L.IntegerLookup(
            vocabulary=[7], num_oov_indices=4, oov_method="farmhash", salt=salt
        )
        assert integers([[1], [2]]).tolist() == L.Hashing(4, salt=salt)([[1], [2]]).tolist()


DATA = [["b", "a"], ["a", None], ["c", "a"]]


def forms():
    array = np.array(DATA, object)
    yield array
    yield DATA
    yield lambda: (row[None] for row in array)
    yield [(array[:2], np.zeros(2)), (array[2:], np.zeros(1))]
    yield array.T.copy()
    yield [array[:1], array[1:]]


@pytest.mark.parametrize(
    "data", list(forms()), ids=["array", "list", "stream", "xy", "T", "batches"]
)
def test_data_of_adapt(data):
    layer = L.StringLookup()
    layer.adapt(data)
    assert layer.get_vocabulary() == ["[UNK]", "a", "c", "b"]


def test_adapt_takes_frames():
    pd = pytest.importorskip("pandas")
    layer = L.StringLookup()
    layer.adapt(pd.DataFrame({"x": ["u", "v", None], "y": ["v", pd.NA, "v"]}))
    assert layer.get_vocabulary() == ["[UNK]", "v", "u"]
    layer.adapt(pd.Series(["k", "k", "l"], dtype="category"))
    assert layer.get_vocabulary() == ["[UNK]", "k", "l"]


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count", "tf_idf"])
def test_files_hold_the_vocabulary(mode, tmp_path):
    x = np.array([["a", "naïve"], ["new\n", "a"]])
    layer = L.StringLookup(output_mode=mode, mask_token="#")
    layer.adapt(x)
    assert layer.get_config()["vocabulary"] is None
    again = saved(layer, tmp_path)
    assert again.get_vocabulary() == layer.get_vocabulary()
    y = [["a", "?"], ["#", "new\n"]]
    assert again(y).tolist() == layer(y).tolist()
    numbers = L.IntegerLookup(output_mode=mode)
    numbers.adapt([[5, -3], [5, 4]])
    assert saved(numbers, tmp_path)([[4, 9]]).tolist() == numbers([[4, 9]]).tolist()


def test_a_given_vocabulary_is_an_argument(tmp_path):
    layer = L.StringLookup(vocabulary=np.array(LETTERS))
    assert layer.get_config()["vocabulary"] == LETTERS
    assert saved(layer, tmp_path).get_vocabulary() == layer.get_vocabulary()
    path = tmp_path / "words.txt"
    path.write_text("b\na\n", encoding="utf-8")
    layer = L.StringLookup(vocabulary=str(path))
    assert layer.get_config()["vocabulary"] is None
    assert saved(layer, tmp_path).get_vocabulary() == ["[UNK]", "b", "a"]
    layer.set_vocabulary(["[UNK]", "z"])
    assert saved(layer, tmp_path).get_vocabulary() == ["[UNK]", "z"]
    assert L.IntegerLookup(vocabulary=_numbers(tmp_path)).get_vocabulary() == [-1, 3, 5]


def _numbers(folder):
    (folder / "n.txt").write_text("3\n5\n", encoding="utf-8")
    return folder / "n.txt"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: L.StringLookup(vocabulary=["a", "a"]), "repeated term, 'a'"),
        (lambda: L.StringLookup(vocabulary=[]), "must not be empty"),
        (lambda: L.StringLookup(vocabulary=["a", 3]), "vocabulary must hold strings, got 3"),
        (lambda: L.StringLookup(vocabulary="no.txt"), "'no.txt' does not exist"),
        (lambda: L.StringLookup(2, vocabulary=["a", "b"]), "more than max_tokens=2"),
        (lambda: L.StringLookup(vocabulary=["a", ""], mask_token=""), "mask_token='' at index 1"),
        (
            lambda: L.StringLookup(vocabulary=["a", "[UNK]"], invert=True),
            r"oov_token='\[UNK\]' at index 1",
        ),
        (lambda: L.StringLookup(1), "max_tokens"),
        (lambda: L.TextVectorization(2), "max_tokens=2 leaves no place .* beside its 2 special"),
        (lambda: L.TextVectorization(vocabulary=["", "[UNK]"]), "must not be empty, got only the"),
        (lambda: L.StringLookup(pad_to_max_tokens=True), "needs max_tokens"),
        (lambda: L.StringLookup(invert=True, output_mode="count"), "needs output_mode='int'"),
        (lambda: L.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "needs idf_weights"),
        (lambda: L.StringLookup(vocabulary=["a"], idf_weights=[1]), "output_mode='tf_idf'"),
        (
            lambda: L.StringLookup(vocabulary=["a"], idf_weights=[1, 2], output_mode="tf_idf"),
            r"each of the 1 entries of vocabulary, got the shape \(2,\)",
        ),
        (lambda: L.StringLookup(output_mode="hot"), "output_mode"),
        (lambda: L.IntegerLookup(vocabulary=[1.5]), "must hold integers, got 1.5"),
        (lambda: L.IntegerLookup(vocabulary_dtype="int32"), "vocabulary_dtype"),
        (lambda: L.IntegerLookup(salt=3), "salt needs oov_method='farmhash'"),
        (lambda: L.StringLookup(vocabulary=["a"]).adapt(["b"]), "nothing to adapt"),
        (lambda: L.StringLookup()(["b"]), "no vocabulary yet"),
        (lambda: L.StringLookup(output_mode="count").build((None, 2)), "call adapt"),
    ],
)
def test_arguments(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()


def test_data_of_another_kind():
    with pytest.raises(DataError, match=r"must hold strings, got the dtype int64.*astype\(str\)"):
        L.StringLookup(vocabulary=["a"])(np.array([[1]]))
    with pytest.raises(DataError, match="must hold strings, got an entry 3"):
        L.StringLookup(vocabulary=["a"])(np.array([["a", 3]], object))
    with pytest.raises(DataError, match=r"must hold integers, got 0.5 \(row 1\)"):
        L.IntegerLookup(vocabulary=[1])(np.array([[1.0], [0.5]]))
    with pytest.raises(DataError, match="must hold integers, got the dtype <U1"):
        L.IntegerLookup(vocabulary=[1])([["a"]])
    with pytest.raises(DataError, match="no categories"):
        L.StringLookup().adapt(np.array([None], object))


def test_a_size_that_layers_behind_are_built_for():
    layer = L.StringLookup(output_mode="multi_hot")
    layer.adapt(["a", "b"])
    layer([["a", "b"]])
    with pytest.raises(ConfigurationError, match=r"3 columns.*would have 4 entries"):
        layer.adapt(["a", "b", "c"])
    layer.adapt(["c", "d"])


def test_bytes_are_decoded():
    x = np.array([["é", "a"]])
    layer = L.StringLookup(vocabulary=["é"], encoding="latin-1")
    assert layer(np.char.encode(x, "latin-1")).tolist() == layer(x).tolist() == [[1, 0]]


def test_a_network_learns_from_strings(tmp_path):
    x = np.array([["red", "s"], ["blue", "l"], ["red", "l"], ["green", "s"]] * 8)
    y = (x[:, :1] == "red").astype("float32")
    lookup = L.StringLookup()
    lookup.adapt(x)
    model = nl.Sequential(
        [lookup, L.Embedding(lookup.vocabulary_size(), 3), L.Flatten(), L.Dense(1)], seed=0
    )
    model.compile(nl.optimizers.LazyAdam(0.1), "mse")
    assert model.fit(x, y, epochs=30, verbose=0).history["loss"][-1] < 0.05
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    assert again.predict(x.astype(object)).tobytes() == model.predict(x).tobytes()


def test_the_weights_of_all_entries_can_be_read():
    layer = L.StringLookup(output_mode="tf_idf")
    assert layer.idf_weights is None
    layer.adapt([["one", "one"], ["one", "two"], ["two", "three"]])
    words = np.log(1 + 3 / (1 + np.array([2, 2, 1])))  # as in Keras's documentation
    assert layer.get_vocabulary()[1:] == ["one", "two", "three"]
    np.testing.assert_allclose(layer.idf_weights, [words.mean(), *words])
    assert layer.get_config()["idf_weights"] is None  # the file holds them
    given = L.StringLookup(vocabulary=["a", "b"], idf_weights=[1, 3], output_mode="tf_idf")
    assert given.get_config()["idf_weights"] == [1, 3]
    np.testing.assert_array_equal(given.idf_weights, [2, 1, 3])
