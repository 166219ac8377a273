"""Named arrays and a description in one file that any safetensors reader opens; see FORMAT.md.

Files are written from and read into the memory of the arrays, without copies.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import threading
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._version import __version__
from netlayers.checks import check_path
from netlayers.errors import FileError
from netlayers.saving import description as text
from netlayers.saving.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from netlayers._typing import Array, Dtype

FORMAT = "netlayers"
# The names that safetensors gives to the types of numbers.
_DTYPES = {
    f"{letter}{8 * np.dtype(kind).itemsize}": np.dtype(kind)
    for letter, kinds in (("F", "f8 f4 f2"), ("I", "i8 i4 i2 i1"), ("U", "u8 u4 u2 u1"))
    for kind in kinds.split()
}
_DTYPES["BOOL"] = np.dtype(bool)  # in files of version 2
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_START = b'{"__metadata__":{"checksum":"'  # a header begins with it, and the checksum follows
_DIGEST = 64  # characters of a SHA-256
_ALIGNMENT = 64
_PIECE = 1 << 20  # bytes read at a time
_CHANGED = "The file was changed or cut after it was written; use an older one."
_NOT_NETLAYERS = "Only files that netlayers wrote are read; see netlayers/saving/FORMAT.md."
_FOREIGN = {  # how files of other formats begin
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, such as Keras's .h5",
    b"PK\x03\x04": "a ZIP archive, such as Keras's .keras, PyTorch's .pt or NumPy's .npz",
    b"\x80\x04\x95": "a pickle",
    b"\x93NUMPY": "an array that NumPy wrote, a .npy",
}


class Entry(NamedTuple):
    """An array in a file.

    Attributes:
        dtype: type of its numbers.
        shape: its shape.
        start: place of its first byte, counted from the end of the header.
        stop: place after its last byte.
        checksum: SHA-256 of its bytes, in hexadecimal digits.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    start: int
    stop: int
    checksum: str


# Write -------------------------------------------------------------------------------------------


def write_file(path: Any, arrays: Mapping[str, Array], description: Mapping[str, Any]) -> None:
    """Write arrays and a description atomically, replacing an existing file.

    Args:
        path: the file.
        arrays: by their names, in float64, float32, float16, integers or booleans; they must not
            change while they are written.
        description: plain data; see :func:`netlayers.saving.description.to_text`. With
            ``format_version`` 2, the file is of that version, as one with booleans always is.

    Raises:
        FileError: an array has an unsupported dtype, a name is not a string, or the description is
            not plain data.
        OSError: the disk is full, or the folder cannot be written to; the old file is whole.

    Example:
        >>> import os, tempfile, numpy as np
        >>> from netlayers.saving import StoredFile, write_file
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "numbers")
        >>> write_file(path, {"x": np.arange(3.0)}, {"unit": "m"})
        >>> with StoredFile(path) as file:
        ...     file.description["unit"], file.read("x")
        ('m', array([0., 1., 2.]))
        >>> folder.cleanup()
    """
    path = check_path("write_file", "path", path)
    # Numbers of eight bytes first, so that each array begins at a multiple of its numbers' size.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    entries: dict[str, Any] = {}
    data: dict[str, Any] = {}
    end = 0
    for name in order:
        array = arrays[name]
        if not _is_name(name):
            raise FileError(
                path, "names of arrays", "a string other than '__metadata__'", repr(name)
            )
        if array.dtype.newbyteorder("=") not in _NAMES:
            expected = "an array of real numbers of a common size"
            raise FileError(path, name, expected, f"the dtype {array.dtype}")
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("=")],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        data[name] = _bytes_of(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
    whole = {
        "format_version": 2 if any(a.dtype == bool for a in arrays.values()) else 1,
        "library": {"name": "netlayers", "version": __version__},
        "numpy": np.__version__,
        **description,
        "checksums": dict.fromkeys(order, "0" * _DIGEST),
    }
    length = len(_header(path, entries, whole))
    digests: dict[str, str] = {}

    def digest() -> None:
        digests.update({name: hashlib.sha256(d).hexdigest() for name, d in data.items()})

    # One thread computes checksums while this one writes; their length is known before.
    worker = threading.Thread(target=digest, name="netlayers-checksums")
    with replacing(path) as file:
        try:
            worker.start()
        except RuntimeError:  # at the end of the process there are no new threads
            digest()
        file.seek(length)
        for piece in data.values():
            file.write(piece)
        if hasattr(
            os, "posix_fadvise"
        ):  # lets Linux write to the disk while checksums are computed
            file.flush()
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if worker.ident is not None:
            worker.join()
        if digests.keys() != data.keys():
            raise RuntimeError("netlayers: the checksums of a file could not be computed.")
        whole["checksums"] = {name: digests[name] for name in order}
        file.seek(0)
        file.write(_header(path, entries, whole))


def _header(path: str, entries: Mapping[str, Any], description: Mapping[str, Any]) -> bytes:
    """Return the length, the header and the spaces behind it, as bytes."""
    words = {
        "format": FORMAT,
        "description": text.to_text(path, "description", description),
    }
    metadata = json.dumps(words, separators=(",", ":"))[1:]
    listed = json.dumps(entries, separators=(",", ":"))[1:]
    body = f'",{metadata}{"," if entries else ""}{listed}'.encode()
    size = len(_START) + _DIGEST + len(body)
    body += b" " * (-(8 + size) % _ALIGNMENT)
    text.check_size(path, "header", _START + body)
    length = (len(_START) + _DIGEST + len(body)).to_bytes(8, "little")
    return length + _START + _checksum(length, body) + body


def _checksum(length: bytes, body: bytes) -> bytes:
    """Return the checksum of a header: of all its bytes but those of the checksum itself."""
    return hashlib.sha256(length + body).hexdigest().encode()


def _bytes_of(array: Array) -> memoryview:
    """Return the memory of a contiguous array as bytes."""
    flat: Any = array.reshape(-1)
    return memoryview(flat).cast("B") if flat.size else memoryview(b"")


def _is_name(name: Any) -> bool:
    return text.is_text(name) and name != "__metadata__"


# Read --------------------------------------------------------------------------------------------


class StoredFile:
    """A file that is open for reading, with all its claims checked.

    What the header says of sizes, types and places is checked when the file is opened, the bytes of
    an array when it is read. Use it in a ``with``.

    Args:
        path: the file.

    Attributes:
        version: of the format.
        entries: the arrays: :class:`Entry` by name.
        description: the description.

    Raises:
        FileError: the file is invalid, truncated, changed, or of another version.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Any) -> None:
        self.path = check_path("StoredFile", "path", path)  # opening a pipe would wait forever
        self._file: IO[bytes] = open(self.path, "rb", buffering=0)  # noqa: SIM115
        self._unread: set[str] = set()
        try:
            size = os.fstat(self._file.fileno()).st_size
            header = self._read_header(size)
            values = text.from_text(self.path, "header", header.decode("ascii"))
            metadata = text.Section(self.path, "header", values).section("__metadata__")
            if metadata.values.keys() != {"checksum", "format", "description"}:
                raise self._fail("header", "the metadata of this format", "others", _NOT_NETLAYERS)
            if metadata.text("format") != FORMAT:
                raise metadata.fail("format", FORMAT, _NOT_NETLAYERS)
            described = metadata.text("description")
            del header, values["__metadata__"]["description"]
            self.description = text.from_text(self.path, "description", described)
            self.section = text.Section(self.path, "description", self.description)
            self.version: Any = self.section.values.get("format_version")
            if type(self.version) is not int or self.version not in (1, 2):
                raise self.section.fail(
                    "format_version", "1 or 2", "A newer netlayers may read it."
                )
            checksums = self.section.section("checksums")
            del values["__metadata__"]
            self.entries = self._check_entries(values, checksums, size - self._begin)
        except BaseException:
            self._file.close()
            raise
        self._unread = set(self.entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _fail(self, place: str, expected: object, got: object, hint: str = "") -> FileError:
        return FileError(self.path, place, expected, got, hint)

    def _read_header(self, size: int) -> bytes:
        """Return the text of the header, whose checksum is right."""
        first = self._file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or not len(_START) + _DIGEST + 2 <= length <= size - 8:
            expected = f"the length of a header, within the {size} bytes of the file"
            known = [kind for start, kind in _FOREIGN.items() if first.startswith(start)]
            raise self._fail("first 8 bytes", expected, (*known, length)[0], _NOT_NETLAYERS)
        if length > text.MAX_BYTES:
            raise self._fail("first 8 bytes", f"a header of at most {text.MAX_BYTES} bytes", length)
        self._begin = 8 + length
        header = bytearray(length)
        self._fill(memoryview(header), 8, "header")
        body = bytes(header[len(_START) + _DIGEST :])
        if not header.startswith(_START) or self._begin % _ALIGNMENT:
            raise self._fail("header", "that of a netlayers file", "another", _NOT_NETLAYERS)
        text.check_size(self.path, "header", body)
        found = _checksum(first, body)
        claimed = bytes(header[len(_START) : len(_START) + _DIGEST])
        if claimed != found:
            raise self._fail("header: checksum", found.decode(), repr(claimed)[2:-1], _CHANGED)
        if not body.isascii():
            raise self._fail("header", "ASCII text", "other bytes")
        return bytes(header)

    def _check_entries(
        self, values: dict[str, Any], checksums: text.Section, size: int
    ) -> dict[str, Entry]:
        """Return the entries; each byte of the data belongs to exactly one of them."""
        found: dict[str, Entry] = {}
        for name, value in values.items():
            if not _is_name(name):
                raise self._fail("names of arrays", "strings", repr(name)[:80])
            found[name] = self._check_entry(name, value, checksums)
        if len(checksums.values) != len(found):
            raise self._fail("checksums", f"those of {len(found)} arrays", len(checksums.values))
        end = 0
        for name, entry in sorted(found.items(), key=lambda item: item[1][2:4]):
            if entry.start != end:
                raise self._fail(name, f"an array that begins at {end}", entry.start)
            end = entry.stop
        if end != size:
            raise self._fail("data", f"{end} bytes, as the header says", size, _CHANGED)
        return found

    def _check_entry(self, name: str, value: Any, checksums: text.Section) -> Entry:
        section = text.Section(self.path, name, value)
        if value.keys() != {"dtype", "shape", "data_offsets"}:
            raise self._fail(name, "dtype, shape and data_offsets", f"{len(value)} entries")
        dtype = _DTYPES.get(section.text("dtype"))
        if dtype is None or (dtype.kind == "b" and self.version == 1):
            raise section.fail("dtype", f"one of {', '.join(_DTYPES)}, the last from version 2 on")
        shape, offsets = (
            section.get("shape", list, "a list"),
            section.get("data_offsets", list, "a list"),
        )
        for key, sizes in (("shape", shape), ("data_offsets", offsets)):
            if not all(type(n) is int and 0 <= n < 1 << 48 for n in sizes):
                raise section.fail(key, "a list of integers from 0 to 2^48")
        if len(shape) > 32 or math.prod(n or 1 for n in shape) >= 1 << 59:
            raise section.fail("shape", "at most 32 axes, and as many numbers as NumPy can count")
        if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
            expected = f"places that are {math.prod(shape) * dtype.itemsize} bytes apart"
            raise self._fail(f"{name}: data_offsets", expected, offsets[:3])
        return Entry(dtype, tuple(shape), offsets[0], offsets[1], checksums.text(name))

    def _fill(self, memory: memoryview, place: int, name: str, look: Any = None) -> None:
        """Read bytes from a place in the file until ``memory`` is full."""
        self._file.seek(place)
        done = 0
        while done < len(memory):
            count = self._file.readinto(memory[done : done + _PIECE])  # type: ignore[attr-defined]
            if not count:
                raise self._fail(name, f"{len(memory)} bytes", f"{done}, then the end of the file")
            if look is not None:
                look(memory[done : done + count])
            done += count

    def read(self, name: str, out: Array | None = None) -> Array:
        """Return an array.

        Args:
            name: its name.
            out: a contiguous array of its shape and type to read into; by default a new one.

        Raises:
            FileError: there is no array of this name, shape and type, or its bytes have changed.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise self._fail(name, "an array of this name", "none")
        if out is None:
            out = np.empty(entry.shape, entry.dtype)
        elif out.shape != entry.shape or out.dtype != entry.dtype:
            self.check(name, out.shape, out.dtype)
        digest = hashlib.sha256()
        self._fill(_bytes_of(out), self._begin + entry.start, name, digest.update)
        self._compare(name, digest.hexdigest())
        if out.dtype == bool and out.size and out.view(np.uint8).max() > 1:
            raise self._fail(name, "booleans as the bytes 0 and 1", "others")
        if sys.byteorder == "big":
            out.byteswap(inplace=True)
        return out

    def check(
        self, name: str, shape: tuple[int, ...], dtype: Dtype, any_float: bool = False
    ) -> None:
        """Raise a FileError unless there is an array of this name, shape and type.

        Args:
            name: name of the array.
            shape: its shape.
            dtype: its type.
            any_float: whether floats of another size are of the type of floats too.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise self._fail(name, f"an array of shape {shape}", "none")
        same = entry.dtype == dtype or (any_float and entry.dtype.kind == dtype.kind == "f")
        if entry.shape != shape or not same:
            raise self._fail(
                name, f"shape {shape} and {dtype}", f"shape {entry.shape} and {entry.dtype}"
            )

    def check_rest(self) -> None:
        """Raise a FileError if the bytes of an array that was not read yet have changed."""
        memory = memoryview(bytearray(_PIECE if self._unread else 0))
        for name in sorted(self._unread):
            entry, digest = self.entries[name], hashlib.sha256()
            for place in range(entry.start, entry.stop, _PIECE):
                piece = memory[: min(_PIECE, entry.stop - place)]
                self._fill(piece, self._begin + place, name, digest.update)
            self._compare(name, digest.hexdigest())

    def _compare(self, name: str, digest: str) -> None:
        claimed = self.entries[name].checksum
        if digest != claimed:
            raise self._fail(f"{name}: checksum", claimed, digest, _CHANGED)
        self._unread.discard(name)
