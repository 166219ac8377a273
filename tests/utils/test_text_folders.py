"""text_dataset_from_directory: batches of texts from a folder."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError

TEXTS = {"b/1.txt": "one", "b/sub/2.txt": "two words", "a/3.txt": "drei é", "a/4.TXT": "vier"}


@pytest.fixture
def folder(tmp_path):
    for name, text in TEXTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "a" / "5.csv").write_text("no text")
    return tmp_path


def read(folder, **arguments):
    return nl.utils.text_dataset_from_directory(folder, verbose=False, **arguments)


def test_batches_in_order(folder, capsys):
    data = nl.utils.text_dataset_from_directory(folder, shuffle=False, batch_size=3)
    assert capsys.readouterr().out == "Found 4 files belonging to 2 classes.\n"
    assert (len(data), data.class_names) == (2, ["a", "b"])
    (x, y), (rest, last) = data[0], data[1]
    assert x.tolist() == ["drei é", "vier", "one"]
    assert (x.dtype, y.dtype, y.tolist()) == (object, np.int32, [0, 0, 1])
    assert (rest.tolist(), last.tolist()) == (["two words"], [1])
    with pytest.raises(IndexError):
        data[2]


def test_forms_of_labels_and_cut_texts(folder):
    x, y = read(folder, shuffle=False, label_mode="binary", max_length=3)[0]
    assert x.tolist() == ["dre", "vie", "one", "two"]
    assert y.tolist() == [[0.0], [0.0], [1.0], [1.0]]
    _, y = read(folder, shuffle=False, label_mode="categorical", class_names=["b", "a"])[0]
    assert y.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert sorted(read(folder, labels=None, label_mode=None)[0]) == sorted(TEXTS.values())
    assert read(folder, shuffle=False, batch_size=None)[2] == ("one", 1)
    assert read(folder, shuffle=False, labels=[3, 1, 0, 2])[0][1].tolist() == [3, 1, 0, 2]


def test_parts_have_no_file_in_common(folder):
    train, validation = read(folder, validation_split=0.25, subset="both", seed=1)
    assert (len(train.file_paths), len(validation.file_paths)) == (3, 1)
    assert not set(train.file_paths) & set(validation.file_paths)
    again = read(folder, validation_split=0.25, subset="validation", seed=1)
    assert again.file_paths == validation.file_paths


def test_files_are_read_when_they_are_asked_for(folder):
    data = read(folder, shuffle=False, batch_size=2)
    (folder / "a" / "3.txt").write_bytes(b"\xff\xfe")
    assert data[1][0].tolist() == ["one", "two words"]
    with pytest.raises(DataError, match=r"3\.txt' is not a text in UTF-8"):
        data[0]


def test_a_network_learns_from_it(folder):
    words = nl.layers.TextVectorization(output_mode="count")
    data = read(folder, batch_size=2, seed=0)
    words.adapt(np.concatenate([x for x, _ in (data[0], data[1])]))
    model = nl.Sequential([words, nl.layers.Dense(2, "softmax")], seed=0)
    model.compile(nl.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    losses = model.fit(data, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"max_length": 0}, "text_dataset_from_directory: max_length"),
        ({"batch_size": 0}, "batch_size"),
        ({"label_mode": "float"}, "label_mode must be"),
        ({"format": "torch"}, "format must be"),
        ({"labels": [1]}, "a list with one for each of the 4 files"),
        ({"class_names": ["c"]}, "class_names must be names of subfolders"),
        ({"validation_split": 0.5}, "belong together"),
        ({"validation_split": 0.5, "subset": "training"}, "give a seed"),
        ({"shuffle": "yes"}, "shuffle must be True or False"),
        ({"seed": -1}, "seed"),
        ({"follow_links": 3}, "follow_links"),
    ],
)
def test_refused(folder, arguments, match):
    with pytest.raises(ConfigurationError, match=match):
        read(folder, **arguments)


def test_no_folder_or_no_texts(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read(tmp_path / "none")
    with pytest.raises(DataError, match=r"there are no texts .*; looked for \.txt"):
        read(tmp_path, labels=None)
