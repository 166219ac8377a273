"""Texts and music in files that the user names."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from netlayers.datasets import labelled_lines, piano_rolls, text, trec
from netlayers.errors import ConfigurationError, DataError, FileError


def test_characters_are_numbered_in_the_order_of_their_code_points(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("añ🎵\r\nab".encode())
    x, characters = text.load_data(file)
    assert characters.tolist() == ["\n", "a", "b", "ñ", "🎵"]
    assert x.tolist() == [1, 3, 4, 0, 1, 2]
    assert x.dtype == np.int32
    x, characters = text.load_data(str(file), encoding="latin-1")
    assert "".join(characters[x]) == "añ🎵\nab".encode().decode("latin-1")


def test_lines_end_where_lines_end(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"1 one\x85two \r\n\n0\tthree\n12  4 5\n3\n")  # \x85 is NEL in Latin-1
    x, y = labelled_lines.load_data(file, "latin-1")
    assert x.tolist() == ["one\x85two", "three", "4 5", ""]
    assert y.tolist() == [1, 0, 12, 3]
    assert (x.dtype, y.dtype) == (object, np.int32)


def test_trec(tmp_path):
    (tmp_path / "TREC.train.all").write_bytes(b"0 What is a \xe9 ?\n5 How many ?\n")
    with pytest.raises(FileNotFoundError, match=r"TREC\.test\.all"):
        trec.load_data(tmp_path)
    (tmp_path / "TREC.test.all").write_bytes(b"3 Who ?\n")
    (x, y), (x_test, y_test) = trec.load_data(tmp_path)
    assert x.tolist() == ["What is a é ?", "How many ?"]
    assert [trec.CLASSES[i] for i in [*y, *y_test]] == ["description", "number", "human"]
    assert x_test.tolist() == ["Who ?"]


def test_piano_rolls(tmp_path):
    rng = np.random.default_rng(0)
    parts = {}
    for name, steps in (("traindata", [3, 5]), ("validdata", [2]), ("testdata", [4, 1, 2])):
        cells = np.empty((1, len(steps)), object)
        cells[0, :] = [rng.integers(0, 2, (n, 88), np.uint8) for n in steps]
        parts[name] = cells
    savemat(tmp_path / "a.mat", parts)
    loaded = piano_rolls.load_data(tmp_path / "a.mat")
    assert [len(pieces) for pieces in loaded] == [2, 1, 3]
    for pieces, cells in zip(loaded, parts.values(), strict=True):
        for piece, cell in zip(pieces, cells[0], strict=True):
            assert piece.dtype == np.uint8
            np.testing.assert_array_equal(piece, cell)


def test_files_that_are_none(tmp_path):
    empty, latin, words = tmp_path / "empty", tmp_path / "latin", tmp_path / "words"
    empty.write_bytes(b""), latin.write_bytes(b"0 \xe9"), words.write_bytes(b"0 a\nb c\n")
    with pytest.raises(DataError, match=r"the file .*empty.* is empty"):
        text.load_data(empty)
    with pytest.raises(DataError, match="has no lines"):
        labelled_lines.load_data(empty)
    with pytest.raises(DataError, match=r"not a text in the encoding 'utf-8'.*often 'latin-1'"):
        text.load_data(latin)
    with pytest.raises(DataError, match="line 2 starts with 'b'"):
        labelled_lines.load_data(words)
    words.write_bytes(b"9999999999 c\n")
    with pytest.raises(DataError, match="line 1 starts with '9999999999'"):
        labelled_lines.load_data(words)
    for load in (text.load_data, labelled_lines.load_data, piano_rolls.load_data):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "none")
        with pytest.raises(ConfigurationError, match="path must be the path of a file, got 3"):
            load(3)
        with pytest.raises(FileError):
            load(tmp_path)
    for load in (text.load_data, labelled_lines.load_data):
        for encoding in ("no", 3, None):
            with pytest.raises(ConfigurationError, match="encoding must be the name of"):
                load(latin, encoding)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"not a MAT file", "is not a MAT file"),
        ({"traindata": np.zeros((2, 2))}, "has no cell array 'traindata'; the three parts are"),
        ({"traindata": [[2, 0], [1, 1]]}, r"piece 0 of 'traindata'.* must be an array \(steps"),
    ],
)
def test_mat_files_of_something_else(tmp_path, content, match):
    file: Path = tmp_path / "a.mat"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        if isinstance(content["traindata"], list):
            cells = np.empty((1, 1), object)
            cells[0, 0] = np.array(content["traindata"])
            content = {"traindata": cells}
        savemat(file, content)
    with pytest.raises(DataError, match=match):
        piano_rolls.load_data(file)
