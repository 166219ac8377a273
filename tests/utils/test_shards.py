"""Folders of .npy files: written from arrays, frames and streams, opened, read, and refused."""

import os
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, FileError, MissingFileError
from netlayers.utils import open_shards, split_dataset, write_shards
from tests.data.kinds import Batches, Lazy, Loader

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype(np.float32)
Y = RNG.integers(0, 4, 50)


def frames(x, y):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x, columns=list("abc")), pandas.Series(y)


SOURCES = {
    "arrays": lambda: (X, Y),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "lazy": lambda: (Lazy(X), Lazy(Y)),
    "frames": lambda: frames(X, Y),
    "loader": lambda: (Loader(X, Y, size=7),),
    "sequence": lambda: (Batches(X, Y, size=20),),
    "generator": lambda: (((X[i : i + 1], Y[i : i + 1]) for i in range(50)),),
    "function": lambda: (lambda: (frames(X[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)),),
}


@pytest.mark.parametrize("rows", [1, 8, 25, 50, 1000, None])
@pytest.mark.parametrize("source", SOURCES)
def test_what_is_written_is_read(tmp_path, source, rows):
    data = write_shards(tmp_path / "data", *SOURCES[source](), rows=rows)
    again = open_shards(str(tmp_path / "data"))
    assert list(data) == list(again) == ["x", "y"]
    for name, expected in (("x", X), ("y", Y)):
        dtype = "f8" if source == "lists" and name == "x" else expected.dtype
        for shards in (data[name], again[name]):
            assert (shards.shape, shards.dtype, len(shards)) == (expected.shape, dtype, 50)
            np.testing.assert_array_equal(shards[:], expected)
            np.testing.assert_array_equal(shards, expected)
        sizes = [len(np.load(file)) for file in shards.files]
        size = min(rows or 50, 50)
        assert sizes == [size] * (50 // size) + [50 % size] * (50 % size > 0)
    assert sorted(os.listdir(tmp_path)) == ["data"]


@pytest.fixture
def shards(tmp_path):
    for i, (start, stop) in enumerate(((0, 4), (4, 4), (4, 5), (5, 47))):
        np.save(tmp_path / f"part-{i + 8}.npy", np.arange(start, stop, dtype=float)[:, None])
    return open_shards(tmp_path)


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize("stop", [None, 0, 4, 5, 47, 90, -1])
@pytest.mark.parametrize("start", [None, 0, 3, 4, 5, 46, 47, -9])
def test_a_slice_is_that_of_the_joined_array(shards, start, stop, step):
    found = shards[start:stop:step]
    assert found.tolist() == np.arange(47.0)[:, None][start:stop:step].tolist()
    assert found.dtype == float


def test_what_shards_are_and_refuse(shards):
    assert [os.path.basename(file) for file in shards.files] == [
        f"part-{i}.npy" for i in (8, 9, 10, 11)
    ]
    assert repr(shards) == "<Shards of shape (47, 1), float64, in 4 files>"
    copy = pickle.loads(pickle.dumps(shards))
    np.testing.assert_array_equal(copy[:], shards[:])
    for index in (3, "a", [1, 2]):
        with pytest.raises(TypeError, match="read in slices"):
            shards[index]
    with pytest.raises(ValueError, match=r"step .* must be positive"):
        shards[::-1]


def test_threads_read_different_files(shards):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: shards[i % 47 : i % 47 + 1].item(), range(2000)))
    assert found == [i % 47 for i in range(2000)]


def test_fit_takes_a_folder_in_one_line(tmp_path):
    def model():
        layers = [nl.layers.Dense(5, "relu"), nl.layers.Dense(4)]
        its = nl.Sequential(layers, seed=0)
        its.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
        return its

    one, two = model(), model()
    data = write_shards(tmp_path / "data", X, Y, np.arange(50.0), rows=7)
    options = {"validation_split": 0.2, "epochs": 3, "verbose": 0, "batch_size": 8}
    one.fit(**data, **options)
    two.fit(X, Y, sample_weight=np.arange(50.0), **options)
    assert one.parameters.values.tobytes() == two.parameters.values.tobytes()
    assert one.evaluate(**data, verbose=0) == two.evaluate(
        X, Y, sample_weight=np.arange(50.0), verbose=0
    )
    assert one.predict(data["x"]).tobytes() == two.predict(X).tobytes()


def test_two_parts_without_a_copy(shards, tmp_path):
    x = Lazy(np.arange(47.0)[:, None])
    left, right = split_dataset({"a": shards, "b": x}, left_size=0.8)
    assert x.largest == 0  # nothing has been read
    for name in "ab":
        assert (left[name].shape, right[name].shape) == ((38, 1), (9, 1))
        assert right[name][2:4].tolist() == [[40], [41]]
        assert np.asarray(left[name]).ravel().tolist() == list(range(38))
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    assert model.predict(right["a"]).shape == (9, 1)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    parts = split_dataset((mapped, Y), left_size=10)
    assert np.shares_memory(parts[0][0], mapped)
    assert not np.shares_memory(parts[0][1], Y)
    shuffled = split_dataset([shards], left_size=10, shuffle=True, seed=1)
    assert sorted(np.concatenate([*shuffled[0], *shuffled[1]]).ravel()) == list(range(47))


# What is refused -----------------------------------------------------------------------------


def test_files_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="nothing"):
        open_shards(tmp_path / "nothing")
    with pytest.raises(FileError, match=r"expected .npy files.* got none"):
        open_shards(tmp_path)
    for name, array in {
        "0": X,
        "1": X,
        "2": X[:, :2],
        "3": Y,
        "4": np.array(["a"], object),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(DataError, match=r"2\.npy' has rows of shape \(2,\) .*0\.npy' has \(3,\)"):
        open_shards(tmp_path)
    (tmp_path / "2.npy").unlink()
    with pytest.raises(DataError, match=r"3\.npy' has rows of shape \(\) and dtype int64"):
        open_shards(tmp_path)
    (tmp_path / "3.npy").unlink()
    with pytest.raises(FileError, match=r"4\.npy: file: expected an array"):
        open_shards(tmp_path)
    np.save(tmp_path / "4.npy", X.astype("f8"))
    with pytest.raises(DataError, match=r"4\.npy' .* float64, but .* float32"):
        open_shards(tmp_path)
    np.save(tmp_path / "4.npy", np.float32(1))
    with pytest.raises(DataError, match=r"4\.npy' holds a single number"):
        open_shards(tmp_path)
    (tmp_path / "4.npy").write_bytes(b"\x93NUMPY cut")
    with pytest.raises(FileError, match=r"4\.npy"):
        open_shards(tmp_path)


REFUSED = {
    "no rows in common": ((X, Y[:40]), DataError, "x has 50 rows, y has 40 rows"),
    "text": ((X, ["a"] * 50), DataError, "y must hold real numbers"),
    "objects": ((np.array([{}] * 3),), DataError, "x"),
    "a number": ((3.0,), DataError, "x must have an axis of rows"),
    "nothing": ((None,), ConfigurationError, "x is missing"),
    "no batch": ((iter([]),), DataError, "the data are empty"),
    "weights beside batches": (
        (iter([(X, Y)]), None, Y), ConfigurationError, "sample_weight cannot be used with"),
    "other rows later": (
        (iter([(X, Y), (X[:, :2], Y)]),), DataError,
        r"batch 1 has x with rows of shape \(2,\).* first has x with rows of shape \(3,\)"),
    "other dtype later": (
        (iter([(X, Y), (X, Y * 1.0)]),), DataError, "batch 1 has .* float64, but .* int64"),
    "y in a batch alone": ((iter([(X, Y), X]),), DataError, "batch 1 has x with .* and dtype"),
    "rows in a batch": ((iter([(X, Y[:9])]),), DataError, "in batch 0: x has 50 rows, y has 9"),
    "text in a batch": ((iter([(X, Y), (X, ["a"])]),), DataError, "y of batch 1 must hold real"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_written(tmp_path, case):
    arguments, error, text = REFUSED[case]
    with pytest.raises(error, match=text):
        write_shards(tmp_path / "data", *arguments)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_overwritten_and_an_error_of_a_source_leaves_nothing(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"old' .*not empty; name a new one"):
        write_shards(tmp_path / "old", X)

    def broken():
        yield X
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        write_shards(tmp_path / "new", broken, rows=3)
    assert os.listdir(tmp_path) == ["old"]
    (tmp_path / "empty").mkdir()
    assert list(write_shards(tmp_path / "empty", X)) == ["x"]
    assert list(write_shards(tmp_path / "a" / "b", X, sample_weight=Y)) == ["sample_weight", "x"]
    with pytest.raises(ConfigurationError, match="rows must be an integer >= 1"):
        write_shards(tmp_path / "c", X, rows=0)
