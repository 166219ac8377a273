"""Texts as indices and counts: Keras's values, every step, adapt, files."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

L = nl.layers
WORDS = ["earth", "wind", "and", "fire"]
TEXTS = ["Earth, wind & fire!", "  and   WIND  and\tmore", ""]


def test_indices():
    layer = L.TextVectorization(vocabulary=WORDS)
    assert layer.get_vocabulary() == ["", "[UNK]", *WORDS]
    expected = [[2, 3, 5, 0], [4, 3, 4, 1], [0, 0, 0, 0]]
    assert layer(TEXTS).tolist() == expected
    assert layer(np.array(TEXTS)[:, None]).tolist() == expected
    assert layer(np.array(TEXTS, "S")).tolist() == expected
    for length in (2, 6):
        layer = L.TextVectorization(vocabulary=WORDS, output_sequence_length=length)
        padded = [[*its, 0, 0][:length] for its in expected]
        assert layer(TEXTS).tolist() == padded
        assert layer.compute_output_shape((None, 1)) == (None, length)


def test_counts():
    layer = L.TextVectorization(vocabulary=WORDS, output_mode="count")
    assert layer(TEXTS).tolist() == [[0, 1, 1, 0, 1], [1, 0, 1, 2, 0], [0, 0, 0, 0, 0]]
    layer = L.TextVectorization(vocabulary=WORDS, output_mode="multi_hot")
    assert layer(TEXTS)[1].tolist() == [1, 0, 1, 1, 0]
    layer = L.TextVectorization(9, vocabulary=WORDS, output_mode="count", pad_to_max_tokens=True)
    assert layer(TEXTS).shape == (3, 9)
    weights = [1.0, 2.0, 3.0, 4.0]
    layer = L.TextVectorization(vocabulary=WORDS, output_mode="tf_idf", idf_weights=weights)
    assert layer(TEXTS)[1].tolist() == [2.5, 0, 2, 6, 0]


@pytest.mark.parametrize(
    ("standardize", "expected"),
    [
        (None, ["Earth,", "wind", "&", "fire!"]),
        ("lower", ["earth,", "wind", "&", "fire!"]),
        ("strip_punctuation", ["Earth", "wind", "fire"]),
        ("lower_and_strip_punctuation", ["earth", "wind", "fire"]),
        (lambda x: np.char.replace(x, "&", "and"), ["Earth,", "wind", "and", "fire!"]),
    ],
)
def test_standardize(standardize, expected):
    assert L.TextVectorization(standardize=standardize).words(TEXTS)[0] == expected


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (None, ["ab c", ""]),
        ("whitespace", ["ab", "c"]),
        ("character", ["a", "b", " ", "c"]),
        (lambda x: np.char.split(x, "b"), ["a", " c"]),
    ],
)
def test_split(split, expected):
    x = [["AB c", ""]] if split is None else ["AB c"]
    assert L.TextVectorization(split=split).words(x) == [expected]


@pytest.mark.parametrize(
    ("ngrams", "expected"),
    [
        (2, ["a", "b", "c", "a b", "b c"]),
        ((3, 1), ["a b c", "a", "b", "c"]),
        ([4], []),
    ],
)
def test_ngrams(ngrams, expected):
    layer = L.TextVectorization(ngrams=ngrams)
    assert layer.words(["a b c"]) == [expected]
    again = L.TextVectorization.from_config(layer.get_config())
    assert again.words(["a b c"]) == [expected]


def test_adapt():
    layer = L.TextVectorization(max_tokens=5)
    layer.adapt(TEXTS)
    assert layer.get_vocabulary() == ["", "[UNK]", "wind", "and", "more"]
    layer.adapt(lambda: iter([np.array(TEXTS[:1]), np.array(TEXTS[1:])]))
    assert layer.get_vocabulary() == ["", "[UNK]", "wind", "and", "more"]


def test_missing_texts_are_empty():
    layer = L.TextVectorization(vocabulary=WORDS)
    assert layer(np.array(["fire", None], object)).tolist() == [[5], [0]]
    pd = pytest.importorskip("pandas")
    assert layer(pd.Series(["fire", None])).tolist() == [[5], [0]]


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_a_network_of_texts(mode, tmp_path):
    x, y = np.array(TEXTS * 6), np.tile([[1.0], [0.0], [0.0]], (6, 1))
    layer = L.TextVectorization(
        output_mode=mode, output_sequence_length=4 if mode == "int" else None
    )
    layer.adapt(x)
    size = layer.vocabulary_size()
    behind = [L.Embedding(size, 3), L.Flatten()] if mode == "int" else []
    model = nl.Sequential([layer, *behind, L.Dense(1)], seed=0)
    model.compile(nl.optimizers.Adam(0.1), "mse")
    assert model.fit(x, y, epochs=40, verbose=0).history["loss"][-1] < 0.01
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: L.TextVectorization(standardize="upper"), ConfigurationError, "standardize must"),
        (lambda: L.TextVectorization(split=","), ConfigurationError, "split must be"),
        (lambda: L.TextVectorization(ngrams=0), ConfigurationError, "ngrams"),
        (lambda: L.TextVectorization(ngrams=[1.5]), ConfigurationError, "each of ngrams"),
        (lambda: L.TextVectorization(ragged=True), ConfigurationError, "ragged must be False"),
        (
            lambda: L.TextVectorization(output_mode="count", output_sequence_length=3),
            ConfigurationError,
            "output_sequence_length has no effect",
        ),
        (lambda: L.TextVectorization(num_oov_indices=2), TypeError, "num_oov_indices"),
        (lambda: L.TextVectorization(vocabulary=WORDS)([["a", "b"]]), ShapeError, r"\(batch, 1\)"),
        (
            lambda: L.TextVectorization(vocabulary=WORDS, standardize=lambda x: x[:1])(TEXTS),
            DataError,
            "function standardize must return strings in the shape",
        ),
        (
            lambda: L.TextVectorization(vocabulary=WORDS, split=lambda x: x)(TEXTS),
            DataError,
            "function split must return a list of words for each of the 3 texts",
        ),
        (
            lambda: L.TextVectorization(vocabulary=WORDS, split=len)(TEXTS),
            DataError,
            "function split must return a list of words for each of the 3 texts",
        ),
        (
            lambda: L.TextVectorization(vocabulary=WORDS, split=lambda x: [1, 2, 3])(TEXTS),
            DataError,
            "function split must return a list of words for each of the 3 texts",
        ),
        (lambda: L.TextVectorization()(TEXTS), ConfigurationError, "no vocabulary yet"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_one_hot_rows_of_words():
    layer = L.TextVectorization(output_mode="one_hot", vocabulary=["foo", "bar"])
    rows = layer(["foo bar", "new", ""])
    assert rows.shape == (3, 2, 3)
    np.testing.assert_array_equal(rows.argmax(-1)[:2], [[1, 2], [0, 0]])
    np.testing.assert_array_equal(rows.sum(-1), [[1, 1], [1, 0], [0, 0]])
    assert layer(["foo"]).shape == (1, 1, 3)  # one word: still an axis of words
    assert layer.compute_output_shape((None, 1)) == (None, None, 3)
