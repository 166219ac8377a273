"""Tables of Arrow, Parquet and polars, and arrays in HDF5, zarr and safetensors files."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.arrays.tables import Kind, Table, as_table
from netlayers.errors import ConfigurationError, DataError, FileError, MissingFileError
from netlayers.utils import open_safetensors, open_table, write_shards

RNG = np.random.default_rng(0)
N = 120
COLUMNS = {
    "a": RNG.normal(size=N),
    "b": RNG.integers(0, 5, N),
    "c": RNG.normal(size=N).astype("f4"),
    "d": RNG.integers(0, 2, N).astype(bool),
    "y": RNG.normal(size=N),
}
X, Y = np.column_stack([COLUMNS[name] for name in "abcd"]), COLUMNS["y"]


class Source:
    """Columns in memory that are read in slices: what :class:`Table` asks of its source."""

    def __init__(self, columns, chunk=1, missing=()):
        self.columns, self.chunk, self.missing = columns, chunk, dict(missing)
        self.rows = len(next(iter(columns.values())))
        self.kinds = {n: Kind(f"its {v.dtype}", v.dtype, v.shape[1:]) for n, v in columns.items()}

    def nulls(self, name):
        return self.missing.get(name, 0)

    def read(self, names, start, stop):
        return [self.columns[name][start:stop] for name in names]


def of_source(folder):
    table = Table(Source(COLUMNS, chunk=7))
    return table.drop("y"), table["y"]


def of_arrow(folder):
    table = pytest.importorskip("pyarrow").table(COLUMNS)
    return table.drop_columns("y"), table["y"]


def of_record_batch(folder):
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table(COLUMNS)
    return table.select(list("abcd")).to_batches()[0], arrow.array(Y)


def of_parquet(folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table(COLUMNS)
    parquet.write_table(table.slice(0, 50), folder / "part-9.parquet", row_group_size=20)
    parquet.write_table(table.slice(50), folder / "part-10.parquet", row_group_size=30)
    opened = open_table(folder)
    assert opened.chunks == (30, 5)
    return opened.drop("y"), opened["y"]


def of_polars(folder):
    frame = pytest.importorskip("polars").DataFrame(COLUMNS)
    return frame.drop("y"), frame["y"]


def of_lazy_polars(folder):
    frame = pytest.importorskip("polars").DataFrame(COLUMNS).lazy()
    return frame.drop("y"), open_table(frame)["y"]


def of_hdf5(folder):
    h5py = pytest.importorskip("h5py")
    file = h5py.File(folder / "data.h5", "w")
    return file.create_dataset("x", data=X, chunks=(16, 4)), file.create_dataset("y", data=Y)


def of_zarr(folder):
    zarr = pytest.importorskip("zarr")
    x = zarr.open_array(folder / "x", mode="w", shape=X.shape, chunks=(16, 4), dtype=X.dtype)
    y = zarr.open_array(folder / "y", mode="w", shape=Y.shape, chunks=(50,), dtype=Y.dtype)
    x[:], y[:] = X, Y
    return x, y


def of_safetensors(folder):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"x": X, "y": Y}, folder / "data.safetensors")
    data = open_safetensors(folder / "data.safetensors")
    return data["x"], data["y"]


def of_shards(folder):
    return write_shards(folder / "data", X, Y, rows=13).values()


KINDS = {f.__name__[3:]: f for f in (
    of_source, of_arrow, of_record_batch, of_parquet, of_polars, of_lazy_polars, of_hdf5, of_zarr,
    of_safetensors, of_shards,
)}  # fmt: skip


def model():
    its = nl.Sequential([nl.layers.Dense(3, "tanh"), nl.layers.Dense(1)], seed=0)
    its.compile("sgd", "mse", metrics=["mae"])
    return its


@pytest.mark.parametrize("kind", KINDS)
def test_fit_evaluate_and_predict_as_with_arrays(kind, tmp_path):
    x, y = KINDS[kind](tmp_path)
    one, two = model(), model()
    options = {"validation_split": 0.2, "epochs": 2, "batch_size": 16, "verbose": 0}
    histories = [
        one.fit(x, y, **options).history,
        two.fit(X, Y, **options).history,
    ]
    assert histories[0] == histories[1]  # the buffer holds all rows: they are in the same order
    one.fit(x, y, shuffle=False, verbose=0)
    two.fit(X, Y, shuffle=False, verbose=0)
    assert one.parameters.values.tobytes() == two.parameters.values.tobytes()
    assert one.evaluate(x, y, verbose=0) == two.evaluate(X, Y, verbose=0)
    assert one.predict(x, batch_size=50).tobytes() == two.predict(X, batch_size=50).tobytes()
    if kind in ("arrow", "polars", "shards", "safetensors"):  # others read whole chunks
        one.fit(x, y, batch_size=4, shuffle=100, verbose=0)
    left, right = nl.utils.split_dataset({"x": x, "y": y}, left_size=0.75)
    one.fit(left["x"], left["y"], validation_data=(right["x"], right["y"]), verbose=0)
    assert right["x"].shape == (30, 4)
    np.testing.assert_array_equal(right["x"][3:6], X[93:96])
    for name, array in write_shards(tmp_path / "again", x, y).items():
        np.testing.assert_array_equal(array, X if name == "x" else Y)
    assert one.train_on_batch(x, y)[0] > 0


@pytest.mark.parametrize("kind", ["source", "parquet", "lazy_polars"])
def test_a_table(kind, tmp_path):
    table = KINDS[kind](tmp_path)[0]
    table = open_table(table) if kind == "lazy_polars" else table
    assert (table.shape, table.ndim, len(table), table.columns) == ((N, 4), 2, N, list("abcd"))
    assert table.dtype == np.float64
    assert repr(table) == "<Table of 120 rows, float64: a, b, c, d>"
    np.testing.assert_array_equal(table[5:33], X[5:33])
    np.testing.assert_array_equal(table[5:33:4], X[5:33:4])
    assert table[9:3].shape == (0, 4)
    np.testing.assert_array_equal(np.asarray(table), X)
    np.testing.assert_array_equal(table.to_numpy(), X)
    column, two = table["b"], table[["c", "a"]]
    assert (column.shape, column.dtype, column.columns) == ((N,), np.int64, None)
    assert column[3:7].tolist() == COLUMNS["b"][3:7].tolist()
    assert two.columns == ["c", "a"]
    np.testing.assert_array_equal(two[:], X[:, [2, 0]])
    assert table.drop(["a", "b"]).columns == ["c", "d"]
    assert open_table(table, ["d"]).dtype == bool
    for wrong in (lambda: table["z"], lambda: table.drop("z"), lambda: table[["a", "z"]]):
        with pytest.raises(DataError, match="no column 'z'; it has 'a', 'b', 'c', 'd'"):
            wrong()
    with pytest.raises(TypeError, match="a list of names or a slice"):
        table[3]


def test_names_of_columns_are_compared_and_inputs_found_by_name():
    its, table = model(), Table(Source(COLUMNS))
    its.fit(table.drop("y"), table["y"], verbose=0)
    with pytest.raises(DataError, match="the same names in another order, from column 0: 'b'"):
        its.predict(table[["b", "a", "c", "d"]])
    inputs = [nl.Input((1,), name="b"), nl.Input((1,), name="a")]
    two = nl.Model(inputs, nl.layers.Concatenate()(inputs))
    np.testing.assert_array_equal(two.predict(table[["a", "b"]]), X[:, [1, 0]].astype("f4"))


def test_what_is_no_number_or_is_missing_is_named():
    columns = {**COLUMNS, "text": np.array(["u"] * N, object), "t": np.zeros(N, "M8[s]")}
    table = Table(Source(columns, missing={"a": 3, "c": 1}))
    with pytest.raises(DataError, match=r"predict: x .* not numeric: 'text' \(its object\), 't'"):
        model().predict(table[["b", "text", "t"]])
    text = r"predict: x has missing values \(null\) in the columns 'a' \(its float64, 3 of them\), "
    with pytest.raises(DataError, match=text + "'c'"):
        model().predict(table[["a", "b", "c"]])
    with pytest.raises(DataError, match=r"fit: y has missing values .* in the column 'a'"):
        model().fit(table[["b"]], table["a"], verbose=0)
    # A file that does not say how many are missing: they are found when they are read.
    source = Source(COLUMNS)
    source.columns = {**COLUMNS, "b": np.where(COLUMNS["b"] == 3, np.nan, COLUMNS["b"])}
    with pytest.raises(DataError, match=r"the column 'b' .* missing values \(null\) in rows 0 to"):
        model().predict(Table(source)[["b", "d"]])
    assert np.isnan(np.asarray(Table(source)["b"])).any()


def test_texts_are_looked_up():
    lookup = nl.layers.StringLookup(vocabulary=["u", "v"])
    its = nl.Sequential([nl.Input((1,), dtype="string"), lookup])
    values = np.array(["u", "v", "w"], object)
    assert its.predict(Table(Source({"s": values}))).ravel().tolist() == [1, 2, 0]
    arrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    for table in (arrow.table({"s": values}), polars.DataFrame({"s": values.tolist()})):
        assert its.predict(table).ravel().tolist() == [1, 2, 0]


def test_lists_of_one_length_are_several_features():
    arrow = pytest.importorskip("pyarrow")
    lists = arrow.array(np.arange(12.0).reshape(4, 3).tolist(), arrow.list_(arrow.float32(), 3))
    table = as_table(arrow.table({"z": [1, 2, 3, 4], "l": lists}))
    assert (table.shape, table["l"].shape) == ((4, 4), (4, 3))
    assert table[1:3].tolist() == [[2, 3, 4, 5], [3, 6, 7, 8]]
    assert table["l"][2:].tolist() == [[6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_nulls_and_texts_of_libraries(library):
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    frame = make({"a": [1, None, 3], "s": ["x", "y", None], "t": [True, False, True]})
    with pytest.raises(DataError, match=r"missing values \(null\) in the column 'a' \(.nt64, 1 of"):
        model().predict(frame.select(["a", "t"]))
    with pytest.raises(DataError, match=r"not numeric: 's' \(.tring\)"):
        model().predict(frame.select(["s", "t"]))
    assert model().predict(frame.select(["t"])).shape == (3, 1)


def test_parquet_that_does_not_fit_together(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    with pytest.raises(FileError, match=r"expected .parquet or .pq files"):
        open_table(tmp_path)
    with pytest.raises(MissingFileError, match=r"none\.parquet"):
        open_table([tmp_path / "none.parquet"])
    (tmp_path / "0.parquet").write_text("hello")
    with pytest.raises(FileError, match=r"0\.parquet: file: expected Parquet.*write_shards"):
        open_table(tmp_path / "0.parquet")
    parquet.write_table(arrow.table({"a": [1, 2]}), tmp_path / "0.parquet")
    parquet.write_table(arrow.table({"a": [1.0]}), tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"1\.parquet' has the columns 'a' \(double\), but .*int64"):
        open_table(tmp_path)
    unknown = tmp_path / "u.parquet"
    parquet.write_table(arrow.table({"a": [1, None]}), unknown, write_statistics=False)
    with pytest.raises(DataError, match=r"the column 'a' .* missing values"):
        model().predict(open_table(unknown))
    with pytest.raises(DataError, match="several columns 'a'; rename them"):
        as_table(arrow.table([[1], [2]], names=["a", "a"]))


@pytest.mark.parametrize("source", [3, None, [], [3], {"a": [1]}, np.ones(3)])
def test_what_is_no_table(source):
    with pytest.raises(ConfigurationError, match="open_table: source must be a Parquet file"):
        open_table(source)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_text("")
    with pytest.raises(ConfigurationError, match="open_table needs the package pyarrow"):
        open_table(tmp_path)


# safetensors ---------------------------------------------------------------------------------


def safetensors(path, header, body=b"\0" * 64):
    import json

    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(dtype="F32", shape=(4, 4), offsets=(0, 64)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_arrays_of_a_safetensors_file(tmp_path):
    values = np.arange(16, dtype="<f4").reshape(4, 4)
    file = safetensors(tmp_path / "a", {"__metadata__": {}, "w": entry()}, values.tobytes())
    (array,) = open_safetensors(file).values()
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, values)
    assert list(open_safetensors(file, [])) == []
    with pytest.raises(FileError, match=r"header: expected an array 'v', got arrays 'w'"):
        open_safetensors(file, ["v"])
    with pytest.raises(MissingFileError):
        open_safetensors(tmp_path / "b")


@pytest.mark.parametrize(
    "bad",
    [
        {"dtype": "BF16"}, {"dtype": "F4"}, {"shape": (4, 5)}, {"shape": (-4, -4)},
        {"offsets": (64, 0)}, {"offsets": (4, 64)}, {"offsets": (64, 128)}, {"offsets": (1,)},
        {"shape": (0, 4), "offsets": (0, 0)}, {"shape": ("a",)}, {"offsets": (-64, 0)},
    ],
)  # fmt: skip
def test_a_malformed_safetensors_file(tmp_path, bad):
    file = safetensors(tmp_path / "a", {"w": entry(**bad)})
    with pytest.raises(FileError, match="w: expected"):
        open_safetensors(file)


@pytest.mark.parametrize("header", [b"", b"[1]", b"{", b"\xff\xfe", {"w": 3}, {"w": {}}])
def test_no_safetensors_file(tmp_path, header):
    with pytest.raises(FileError):
        open_safetensors(safetensors(tmp_path / "a", header))
    (tmp_path / "a").write_bytes(b"\xff" * 20)
    with pytest.raises(FileError, match="expected a safetensors file"):
        open_safetensors(tmp_path / "a")
