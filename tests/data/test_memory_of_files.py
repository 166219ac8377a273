"""Training on files that are five times larger than the memory that a process may take."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

ROWS, FEATURES, LIMIT = 600_000, 400, 180 << 20  # 960 MB of x, 180 MB for all that is allocated

# The limit (RLIMIT_DATA, private memory that is written to) begins when the libraries are loaded
# and have started their threads. Two buffers of 64 MB, of training and validation data, are within.
CODE = """
import json, resource, sys
import numpy as np
import netlayers as nl

kind, path, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "hdf5":
    import h5py
    file = h5py.File(path)
    x, y = file["x"], file["y"]
elif kind == "zarr":
    import zarr
    x, y = zarr.open_array(path + "/x", mode="r"), zarr.open_array(path + "/y", mode="r")
elif kind == "parquet":
    table = nl.utils.open_table(path)
    x, y = table["x"], table["y"]
elif kind == "safetensors":
    x, y = nl.utils.open_safetensors(path).values()
else:
    x, y = nl.utils.open_shards(path).values()
model = nl.Sequential([nl.layers.Dense(4)], seed=0)
model.compile("sgd", "mse", metrics=["mae"])
size = x.shape[0] * x.shape[1] * 4
model.fit(np.zeros((2000, x.shape[1]), "f4"), np.zeros((2000, 4), "f4"), verbose=0)
np.asarray(x[:5000]), np.asarray(y[:5000])  # starts the threads of zarr


def status(name):
    with open("/proc/self/status") as text:
        return next(int(line.split()[1]) << 10 for line in text if line.startswith(name))


held, before = resource.getrlimit(resource.RLIMIT_DATA), status("RssAnon")
resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + limit, held[1]))
most = 0


class Watch(nl.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        global most
        most = max(most, status("RssAnon") - before)

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


shuffle = 50_000 if kind == "safetensors" else True
options = {"batch_size": 1000, "verbose": 0, "callbacks": [Watch()]}
model.fit(x, y, validation_split=0.2, validation_steps=70, steps_per_epoch=100, shuffle=shuffle,
          **options)
model.evaluate(x, y, steps=50, **options)
assert model.predict(x, steps=50, **options).shape == (50_000, 4)
try:
    np.array(x, copy=True)
except MemoryError:
    print(json.dumps([most, size]))
except Exception as error:  # of Arrow
    assert "alloc" in str(error), error
    print(json.dumps([most, size]))
"""


def empty_hdf5(path, rows):
    with pytest.importorskip("h5py").File(path, "w") as file:  # zeros that take no place
        file.create_dataset("x", (rows, FEATURES), "f4", chunks=(64, FEATURES))
        file.create_dataset("y", (rows, 4), "f4")


def empty_zarr(path, rows):
    zarr = pytest.importorskip("zarr")
    for name, width in (("x", FEATURES), ("y", 4)):
        zarr.create_array(f"{path}/{name}", shape=(rows, width), chunks=(250, width), dtype="f4")


def empty_parquet(path, rows):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    size = 1000
    columns = {}
    for name, width in (("x", FEATURES), ("y", 4)):
        zeros = arrow.array(np.zeros(size * width, np.float32))
        columns[name] = arrow.FixedSizeListArray.from_arrays(zeros, width)
    table = arrow.table(columns)
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(rows // size):
            writer.write_table(table)


def empty_safetensors(path, rows):
    x, y = rows * FEATURES * 4, rows * 16
    header = (
        f'{{"x":{{"dtype":"F32","shape":[{rows},{FEATURES}],"data_offsets":[0,{x}]}},'
        f'"y":{{"dtype":"F32","shape":[{rows},4],"data_offsets":[{x},{x + y}]}}}}  '
    ).encode()
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + x + y)


def empty_shards(path, rows):
    for name, width in (("x", FEATURES), ("y", 4)):
        (path / name).mkdir(parents=True)
        for i in range(10):
            file = path / name / f"{i}.npy"
            np.lib.format.open_memmap(file, "w+", np.float32, (rows // 10, width)).flush()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, limits memory")
@pytest.mark.parametrize(
    "kind",
    ["shards", *(pytest.param(kind, marks=pytest.mark.slow) for kind in (
        "hdf5", "zarr", "parquet", "safetensors"))],
)  # fmt: skip
def test_five_times_more_data_than_memory(tmp_path, kind):
    globals()[f"empty_{kind}"](tmp_path / "data", ROWS)
    root = Path(nl.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CODE, kind, tmp_path / "data", str(LIMIT)],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=200,
        check=False,
        env={
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(root),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    most, size = map(int, done.stdout.strip("[]\n").split(", "))
    assert size >= 5 * LIMIT
    assert most < LIMIT
    print(kind, most >> 20, "MB of", size >> 20)
