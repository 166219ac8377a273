"""Datasets of four IDX files: images and labels, for training and for tests.

Source of the format: Y. LeCun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten
digits*, http://yann.lecun.com/exdb/mnist/: two zero bytes, a byte for the type (8: unsigned byte),
a byte for the number of dimensions, each dimension as a big-endian 32-bit integer, then the values
in C order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netlayers.checks import check_path

UInt8 = npt.NDArray[np.uint8]
Pairs = tuple[tuple[UInt8, UInt8], tuple[UInt8, UInt8]]

TIMEOUT = 20.0  # seconds without a response


@dataclass(frozen=True)
class Source:
    """Where the files of a dataset are found.

    Attributes:
        title: its name in messages.
        folder: its folder in the cache.
        mirrors: addresses to download from, tried in this order.
        checksums: MD5 of the uncompressed bytes by name, in the order of loading.
        below: folders to try in that of ``NETLAYERS_DATA``; ``""`` is the folder itself.
        installed: a folder of the system that may have the files.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...]
    checksums: dict[str, str]
    below: tuple[str, ...]
    installed: Path | None = None


def load(source: Source, path: str | os.PathLike[str] | None) -> Pairs:
    """Return the arrays of a dataset as ``(x_train, y_train), (x_test, y_test)``."""
    files = _locate(source, path)
    train, test = (
        _read_pair(files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"])
        for part in ("train", "t10k")
    )
    return train, test


def _locate(source: Source, path: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Return the paths of the four files, after downloading missing ones."""
    if path is not None:
        folder = Path(check_path("load_data", "path", path, folder=True))
        return _complete(source, folder, _find(source, folder))
    if data := os.environ.get("NETLAYERS_DATA"):
        root = Path(data).expanduser()
        for folder in (root / name for name in source.below):
            if found := _find(source, folder):
                # Completing the files from elsewhere could mix two datasets.
                return _complete(source, folder, found)
    if source.installed is not None:
        found = _find(source, source.installed)
        if len(found) == len(source.checksums):
            return found
    cache = _cache_folder() / source.folder
    names = [name for name in source.checksums if name not in _find(source, cache)]
    _download(source, names, cache)
    return _find(source, cache)


def _find(source: Source, folder: Path) -> dict[str, Path]:
    """Return the paths of those of the four files that exist in `folder`."""
    found = {}
    for name in source.checksums:
        for stem in (name, name.replace("-idx", ".idx")):
            for file in (folder / stem, folder / f"{stem}.gz"):
                if name not in found and file.is_file():
                    found[name] = file
    return found


def _complete(source: Source, folder: Path, found: dict[str, Path]) -> dict[str, Path]:
    """Return `found` if it has all four files, else raise FileNotFoundError."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected a folder with the {source.title} files, but {folder} is not a folder."
        )
    if missing := [name for name in source.checksums if name not in found]:
        raise FileNotFoundError(
            f"The folder {folder} lacks {', '.join(missing)} (each may also end in .gz). "
            "Add them, or call load_data() without path and NETLAYERS_DATA to download them."
        )
    return found


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path.
    root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "netlayers"


def _read_pair(images: Path, labels: Path) -> tuple[UInt8, UInt8]:
    """Read images (n, rows, columns) and their labels (n,)."""
    x, y = read(images, 3), read(labels, 1)
    if len(x) != len(y):
        raise ValueError(
            f"Expected a label for each image, but {images} has {len(x)} images and {labels} has "
            f"{len(y)} labels. Use files of the same dataset."
        )
    return x, y


def read(file: Path, ndim: int) -> UInt8:
    """Read an IDX file of unsigned bytes with `ndim` dimensions, compressed or not."""
    import gzip
    import math
    import zlib

    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b":  # gzip signature; an IDX file starts with two zero bytes
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{file} is a damaged or truncated gzip file ({error}). Replace or delete it."
            ) from error
    start = 4 + 4 * ndim
    magic = bytes((0, 0, 8, ndim))
    if data[:4] != magic or len(data) < start:
        raise ValueError(
            f"Expected {file} to start with the IDX header of unsigned bytes in {ndim} "
            f"dimension(s), {magic.hex()} and {ndim} size(s), but it has {len(data)} bytes and "
            f"starts with {data[:4].hex() or 'nothing'}. Replace or delete it."
        )
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    if len(data) - start != math.prod(shape):
        raise ValueError(
            f"Expected {math.prod(shape)} bytes after the header of {file}, which declares the "
            f"shape {shape}, but it has {len(data) - start}. Replace or delete it."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()  # copy: writable


def _download(source: Source, names: list[str], cache: Path) -> None:
    """Download the named files to `cache`, each from the first mirror that works."""
    import zlib
    from http.client import HTTPException

    for position, name in enumerate(names):
        reasons = []
        for mirror in source.mirrors:
            url = f"{mirror}{name}.gz"
            try:
                content = _fetch(url, source.checksums[name])
            except (OSError, EOFError, ValueError, HTTPException, zlib.error) as error:
                reasons.append(f"\n  {url}: {type(error).__name__}: {error}")
            else:
                _write(cache / f"{name}.gz", content)
                break
        else:
            missing = [f"{each}.gz" for each in names[position:]]
            raise ConnectionError(
                f"{source.title} was not found on this machine and {name}.gz could not be "
                f"downloaded. Try again later, or obtain {', '.join(missing)} in another way and "
                f"put them in {cache}; or pass a folder with the four files as load_data(path=...) "
                "or in the environment variable NETLAYERS_DATA. The mirrors failed:"
                f"{''.join(reasons)}"
            )


def _fetch(url: str, checksum: str) -> bytes:
    """Return the gzip file at `url` if the MD5 of its content is `checksum`."""
    import gzip
    import hashlib
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    content = bytearray()
    # Some servers reject urllib's default user agent.
    request = Request(url, headers={"User-Agent": "netlayers"})
    try:
        with (
            urlopen(request, timeout=TIMEOUT) as response,
            tqdm(  # disable=None: no bar unless stderr is a terminal
                desc=url.rpartition("/")[2],
                total=response.length,
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar,
        ):
            while chunk := response.read(1 << 16):
                content += chunk
                bar.update(len(chunk))
    except HTTPError as error:
        error.close()  # closes the connection; recent Python versions warn otherwise
        raise
    actual = hashlib.md5(gzip.decompress(content), usedforsecurity=False).hexdigest()
    if actual != checksum:
        raise ValueError(f"expected content with the MD5 {checksum}, but it has {actual}")
    return bytes(content)


def _write(file: Path, content: bytes) -> None:
    """Write `file` atomically."""
    import tempfile

    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)  # exists only after an error
