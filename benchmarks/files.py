"""How fast data are read from files, shuffled and in order, beside arrays in memory.

    python benchmarks/files.py

Each source holds the same 200,000 rows of 256 float32 (205 MB), which the system has in its page
cache. A pass makes batches of 256 rows as ``fit`` does, without training; the time is the median of
five passes of each source, in turns. Sources whose package is not installed are left out.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import netlayers as nl
from netlayers.arrays.checks import as_data
from netlayers.arrays.tables import as_table
from netlayers.data.arrays import ArrayData, column

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, FEATURES, BATCH, ROUNDS = 200_000, 256, 256, 5
BUFFER = 65_536  # rows; for memory maps, which are shuffled as a whole otherwise
Source = tuple[Any, int | None]


def in_memory(x: np.ndarray, folder: Path) -> Source:
    return x, None


def memory_map(x: np.ndarray, folder: Path) -> Source:
    np.save(folder / "map.npy", x)
    return np.load(folder / "map.npy", mmap_mode="r"), None


def memory_map_in_blocks(x: np.ndarray, folder: Path) -> Source:
    return memory_map(x, folder)[0], BUFFER


def shards(x: np.ndarray, folder: Path) -> Source:
    return nl.utils.write_shards(folder / "shards", x)["x"], None


def hdf5(x: np.ndarray, folder: Path) -> Source:
    import h5py

    return h5py.File(folder / "a.h5", "w").create_dataset("x", data=x), None


def hdf5_chunks(x: np.ndarray, folder: Path) -> Source:
    import h5py

    file = h5py.File(folder / "b.h5", "w")
    return file.create_dataset("x", data=x, chunks=(256, FEATURES)), None


def zarr_chunks(x: np.ndarray, folder: Path) -> Source:
    import zarr

    array = zarr.create_array(folder / "zarr", shape=x.shape, chunks=(256, FEATURES), dtype="f4")
    array[:] = x
    return array, None


def arrow_table(x: np.ndarray, folder: Path) -> Source:
    import pyarrow

    return pyarrow.table({f"x{i}": x[:, i] for i in range(FEATURES)}), None


def parquet_groups(x: np.ndarray, folder: Path) -> Source:
    from pyarrow import parquet

    path = folder / "x.parquet"
    parquet.write_table(arrow_table(x, folder)[0], path, row_group_size=2048)
    return nl.utils.open_table(path), None


def polars_frame(x: np.ndarray, folder: Path) -> Source:
    import polars

    return polars.DataFrame({f"x{i}": x[:, i] for i in range(FEATURES)}), None


SOURCES: dict[str, tuple[str | None, Callable[[np.ndarray, Path], Source]]] = {
    "array in memory": (None, in_memory),
    "memory map": (None, memory_map),
    f"memory map, shuffle={BUFFER:,}": (None, memory_map_in_blocks),
    "shards of 32 MB": (None, shards),
    "HDF5, contiguous": ("h5py", hdf5),
    "HDF5, chunks of 256 rows": ("h5py", hdf5_chunks),
    "zarr, chunks of 256 rows": ("zarr", zarr_chunks),
    "Arrow table": ("pyarrow", arrow_table),
    "Parquet, groups of 2,048 rows": ("pyarrow", parquet_groups),
    "polars frame": ("polars", polars_frame),
}


def seconds(source: Any, buffer: int | None, shuffled: bool) -> float:
    """Return the time of a pass over the batches."""
    rng = np.random.default_rng(0) if shuffled else None
    columns = [column(as_data("files", "x", as_table(source)), np.dtype("f4")), None, None]
    data = ArrayData(columns, BATCH, rng, buffer=buffer)  # type: ignore[arg-type]
    start = time.perf_counter()
    for batch in data.batches():
        batch.inputs[0, 0]
    return time.perf_counter() - start


def main() -> None:
    x = np.random.default_rng(0).standard_normal((ROWS, FEATURES), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        made = {
            name: make(x, Path(folder))
            for name, (package, make) in SOURCES.items()
            if package is None or importlib.util.find_spec(package)
        }
        times: dict[tuple[str, bool], list[float]] = {}
        for _ in range(ROUNDS):
            for name, (source, buffer) in made.items():
                for shuffled in (True, False):
                    found = seconds(source, buffer, shuffled)
                    times.setdefault((name, shuffled), []).append(found)
    print("| source | shuffled, MB/s | in order, MB/s |\n| --- | ---: | ---: |")
    for name in made:
        rates = [x.nbytes / 1e6 / statistics.median(times[name, s]) for s in (True, False)]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")


if __name__ == "__main__":
    main()
