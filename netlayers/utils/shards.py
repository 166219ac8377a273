"""Arrays in folders of ``.npy`` files: shards of a few thousand rows each, read in slices."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import as_data
from netlayers.arrays.foreign import blocks
from netlayers.arrays.tables import as_table
from netlayers.checks import check_integer, check_path
from netlayers.data.streams import Stream, is_stream
from netlayers.data.structure import unpack_batch
from netlayers.errors import ConfigurationError, DataError, FileError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array

_SHARD = 32 << 20  # bytes of a file
_NAMES = ("x", "y", "sample_weight")


class Shards:
    """Arrays in ``.npy`` files, one after the other, as an array that is read in slices.

    ``fit`` and the other methods take it as x, y or weights. The files are mapped into memory,
    where they take no place until they are read.

    Args:
        files: paths of the files, in order.

    Attributes:
        files: the paths.
        shape, dtype: as of an array.

    Raises:
        DataError: a file has another dtype or other rows than the first; it is named.
        FileError: a file cannot be read, or holds objects.
    """

    def __init__(self, files: Sequence[str]) -> None:
        if not files:
            raise DataError("open_shards: there are no files.")
        self.files = [os.fspath(file) for file in files]
        self._maps: list[Array] = []
        for file in self.files:
            array = _mapped(file)
            self._maps.append(array)
            first = self._maps[0].dtype, self._maps[0].shape[1:]
            if array.ndim == 0:
                raise DataError(f"open_shards: the file {file!r} holds a single number, not rows.")
            its = array.dtype, array.shape[1:]
            if its != first:
                raise DataError(
                    f"open_shards: the file {file!r} has rows of shape {its[1]} and dtype "
                    f"{its[0]}, but {self.files[0]!r} has {first[1]} and {first[0]}. All must be "
                    "equal."
                )
        self._bounds = np.cumsum([0, *map(len, self._maps)])
        self.dtype = first[0]
        self.shape: tuple[int, ...] = (int(self._bounds[-1]), *first[1])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """Read the rows of a slice."""
        if not isinstance(rows, slice):
            raise TypeError(f"shards are read in slices, such as shards[10:20], got {rows!r}")
        start, stop, step = rows.indices(len(self))
        if step < 0:
            raise ValueError(f"the step of a slice of shards must be positive, got {step}")
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        i = int(np.searchsorted(self._bounds, start, side="right")) - 1
        position = start
        while position < stop:
            first, end = int(self._bounds[i]), min(int(self._bounds[i + 1]), stop)
            if end > position:
                out[position - start : end - start] = self._maps[i][position - first : end - first]
            position, i = end, i + 1
        return out[::step]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def __repr__(self) -> str:
        return f"<Shards of shape {self.shape}, {self.dtype}, in {len(self.files)} files>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.files,)


def _mapped(file: str) -> Array:
    """Return the memory map of a file."""
    try:
        array: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(file, "file", "an array that np.save wrote", error) from error
    return array


def open_shards(folder: str | os.PathLike[str]) -> Any:
    """Open a folder of ``.npy`` files as an array, or those in its subfolders by their names.

    The files are in the order of their names, with numbers by value: ``2.npy`` before ``10.npy``.

    Args:
        folder: a folder of ``.npy`` files, or one that :func:`write_shards` wrote.

    Returns:
        An array that is read in slices, with ``shape`` and ``dtype``; for a folder of folders a
        dict of these, which are arguments of ``fit``: ``model.fit(**open_shards(folder))``.

    Raises:
        FileError: there are no such files.
        DataError: the files do not fit together.

    Example:
        >>> import tempfile, numpy as np, netlayers as nl
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i in range(3):
        ...         np.save(f"{folder}/{i}.npy", np.full((4, 2), i))
        ...     shards = nl.utils.open_shards(folder)
        ...     print(shards.shape, shards[3:5].tolist())
        (12, 2) [[0, 0], [1, 1]]
    """
    path = check_path("open_shards", "folder", folder, folder=True)
    if not os.path.isdir(path):
        raise MissingFileError(path)
    files = files_in(path, ".npy")
    if files:
        return Shards(files)
    inner = {name: os.path.join(path, name) for name in sorted(os.listdir(path))}
    listed = {name: files_in(its, ".npy") for name, its in inner.items() if os.path.isdir(its)}
    found = {name: Shards(files) for name, files in listed.items() if files}
    if not found:
        raise FileError(path, "folder", ".npy files, or folders of these", "none")
    return found


def write_shards(
    folder: str | os.PathLike[str],
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    rows: int | None = None,
) -> dict[str, Shards]:
    """Write arrays, frames or data that come in batches as folders of ``.npy`` files.

    Nothing is held in memory but a file's rows. The folder appears when all is written.

    Args:
        folder: a folder that does not exist yet, or is empty. It gets the folders ``x``, ``y`` and
            ``sample_weight``, as far as these are given, with files ``00000.npy``, ``00001.npy``...
        x: an array, a frame of pandas or polars, a table of Arrow, a data set of h5py or zarr, or
            data that come in batches ``(x, y)``, see ``Model.fit``; or batches of x alone.
        y: targets; not with batches.
        sample_weight: weights; not with batches.
        rows: rows in a file; by default as many as take 32 MB.

    Returns:
        What :func:`open_shards` returns for the folder: ``model.fit(**write_shards(...))``.

    Raises:
        ConfigurationError: the folder is not empty; x comes in batches and y is given.
        DataError: values are not numeric, the numbers of rows differ, or batches do.

    Example:
        >>> import tempfile, numpy as np, netlayers as nl
        >>> def batches():
        ...     for i in range(5):
        ...         yield np.full((4, 2), i), np.arange(4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = nl.utils.write_shards(folder, batches, rows=8)
        ...     print({name: (a.shape, len(a.files)) for name, a in data.items()})
        {'x': ((20, 2), 3), 'y': ((20,), 3)}
    """
    owner = "write_shards"
    path = os.path.abspath(check_path(owner, "folder", folder, folder=True))
    size = None if rows is None else check_integer(owner, "rows", rows, minimum=1)
    if os.path.isdir(path) and os.listdir(path):
        raise ConfigurationError(
            f"{owner}: the folder {path!r} is there already and not empty; name a new one."
        )
    pieces = _pieces(owner, x, y, sample_weight)
    above = os.path.dirname(path)
    os.makedirs(above, exist_ok=True)
    temporary = f"{path}.{secrets.token_hex(4)}.partial"
    os.mkdir(temporary)
    try:
        _write(owner, temporary, pieces, size)
        if os.path.isdir(path):
            os.rmdir(path)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    result: dict[str, Shards] = open_shards(path)
    return result


def files_in(folder: str, *endings: str) -> list[str]:
    """Return the paths of the files in a folder with these endings, numbers in names by value."""

    def by_number(name: str) -> list[Any]:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]

    names = sorted(os.listdir(folder), key=by_number)
    return [os.path.join(folder, name) for name in names if name.endswith(endings)]


# Details -----------------------------------------------------------------------------------------


def _numbers(owner: str, argument: str, value: Any) -> Any:
    """Return an array, or rows that are read in slices."""
    array = as_data(owner, argument, as_table(value))
    if array.ndim == 0:
        raise DataError(f"{owner}: {argument} must have an axis of rows, got {value!r:.60}.")
    return array


def _pieces(owner: str, x: Any, y: Any, weight: Any) -> Iterator[dict[str, Array]]:
    """Return an iterator over pieces of the data, by name, with equal numbers of rows."""
    if y is None and is_stream(x):
        if weight is not None:
            raise ConfigurationError(
                f"{owner}: sample_weight cannot be used with data that come in batches: the "
                "weights are part of each batch, (x, y, sample_weight)."
            )
        return _batches(owner, x)
    given = {n: v for n, v in zip(_NAMES, (x, y, weight), strict=True) if v is not None}
    if not given:
        raise ConfigurationError(f"{owner}: x is missing.")
    arrays = {name: _numbers(owner, name, value) for name, value in given.items()}
    _check_rows(owner, arrays)
    return _slices(arrays)


def _slices(arrays: dict[str, Any]) -> Iterator[dict[str, Array]]:
    widest = max(arrays.values(), key=lambda a: a[:1].size)
    for start, block in blocks(widest):
        stop = start + len(block)
        yield {
            name: block if array is widest else np.asarray(array[start:stop])
            for name, array in arrays.items()
        }


def _batches(owner: str, source: Any) -> Iterator[dict[str, Array]]:
    with closing(Stream(owner, source, lambda batch: batch, read_ahead=0)) as stream:
        for number, batch in enumerate(stream.batches() if stream.ready() else ()):
            parts = unpack_batch(owner, batch, targets=False)  # x alone is a batch too
            given = {n: v for n, v in zip(_NAMES, parts, strict=True) if v is not None}
            arrays = {
                name: np.asarray(_numbers(owner, f"{name} of batch {number}", value))
                for name, value in given.items()
            }
            _check_rows(f"{owner}: in batch {number}", arrays)
            yield arrays


def _check_rows(where: str, arrays: dict[str, Any]) -> None:
    """Raise a DataError if the numbers of rows differ."""
    if len({len(array) for array in arrays.values()}) > 1:
        listed = ", ".join(f"{name} has {len(array)} rows" for name, array in arrays.items())
        raise DataError(f"{where}: {listed}. Give one row per sample in each.")


def _write(owner: str, folder: str, pieces: Iterator[dict[str, Array]], rows: int | None) -> None:
    """Write pieces of any size as files of equal size; the last ones may be smaller."""
    first: dict[str, Any] | None = None
    waiting: list[dict[str, Array]] = []
    held = written = 0
    for number, piece in enumerate(pieces):
        its = {name: (array.shape[1:], array.dtype) for name, array in piece.items()}
        if first is None:
            first = its
            size = max(int(np.prod(shape)) * dtype.itemsize for shape, dtype in its.values())
            rows = rows or max(1, _SHARD // max(1, size))
            for name in its:
                os.mkdir(os.path.join(folder, name))
        if its != first:
            raise DataError(
                f"{owner}: batch {number} has {_described(its)}, but the first has "
                f"{_described(first)}; all must be equal."
            )
        waiting.append({name: array.copy() for name, array in piece.items()})  # may be overwritten
        held += len(piece["x"])
        assert rows is not None
        if held >= rows:
            joined = _joined(waiting)
            for start in range(0, held - held % rows, rows):
                _save(folder, written, joined, start, start + rows)
                written += 1
            waiting = [{name: array[held - held % rows :].copy() for name, array in joined.items()}]
            held %= rows
    if first is None:
        raise DataError(f"{owner}: the data are empty; there must be a batch.")
    if held or not written:
        _save(folder, written, _joined(waiting), 0, held)


def _joined(pieces: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _save(folder: str, number: int, arrays: dict[str, Array], start: int, stop: int) -> None:
    for name, array in arrays.items():
        np.save(os.path.join(folder, name, f"{number:05d}.npy"), array[start:stop])


def _described(kinds: dict[str, Any]) -> str:
    return ", ".join(f"{n} with rows of shape {s} and dtype {d}" for n, (s, d) in kinds.items())
