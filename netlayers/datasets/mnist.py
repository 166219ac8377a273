"""MNIST: 70,000 handwritten digits of 28x28 pixels, read from IDX files.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten digits*,
http://yann.lecun.com/exdb/mnist/, which also defines the IDX format: two zero bytes, a byte
for the type (8: unsigned byte), a byte for the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values in C order. The MD5 sums are the published ones.

Datasets in the format of MNIST, such as Fashion-MNIST, can be read from a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netlayers.checks import check_path

__all__ = ["load_data"]

_UInt8 = npt.NDArray[np.uint8]

# Tried in this order.
MIRRORS: tuple[str, ...] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# MD5 of the uncompressed bytes, as mirrors compress differently; in the order of loading.
CHECKSUMS: dict[str, str] = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
TIMEOUT = 20.0  # seconds without a response


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> tuple[tuple[_UInt8, _UInt8], tuple[_UInt8, _UInt8]]:
    """Return MNIST as ``(x_train, y_train), (x_test, y_test)``.

    The four files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, optionally with the suffix ``.gz``
    or a dot before ``idx``, are searched in

    1. ``path``, if given, and nowhere else;
    2. the folder named by the environment variable ``NETLAYERS_DATA``, or its ``mnist``;
    3. the cache, ``netlayers/mnist`` in ``$XDG_CACHE_HOME`` or else in ``~/.cache``.

    Missing files are downloaded to the cache and verified by their MD5 sums. Files in your own
    folders may belong to another dataset.

    Args:
        path: the folder of the four files.

    Returns:
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28), grey values from 0 (paper)
        to 255 (ink); ``y_train`` (60000,) and ``y_test`` (10000,), the digits 0 to 9. All are
        new, writable arrays of ``uint8``.

    Raises:
        FileNotFoundError: ``path`` lacks a file, or ``NETLAYERS_DATA`` has only some of them.
        ValueError: a file is not a complete IDX file of bytes with the expected dimensions, or
            the numbers of labels and images differ.
        ConnectionError: a download failed on all mirrors.

    Example:
        >>> from netlayers.datasets import mnist
        >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP
        >>> x_train.shape, y_test.shape  # doctest: +SKIP
        ((60000, 28, 28), (10000,))
    """
    files = _locate(path)
    train, test = (
        _read_pair(files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"])
        for part in ("train", "t10k")
    )
    return train, test


def _locate(path: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Return the paths of the four files, after downloading missing ones."""
    if path is not None:
        folder = Path(check_path("load_data", "path", path, folder=True))
        return _complete(folder, _find(folder))
    if data := os.environ.get("NETLAYERS_DATA"):
        root = Path(data).expanduser()
        for folder in (root, root / "mnist"):
            if found := _find(folder):
                # Completing the files from MNIST could mix two datasets.
                return _complete(folder, found)
    cache = _cache_folder()
    _download([name for name in CHECKSUMS if name not in _find(cache)], cache)
    return _find(cache)


def _find(folder: Path) -> dict[str, Path]:
    """Return the paths of those of the four files that exist in `folder`."""
    found = {}
    for name in CHECKSUMS:
        for stem in (name, name.replace("-idx", ".idx")):
            for file in (folder / stem, folder / f"{stem}.gz"):
                if name not in found and file.is_file():
                    found[name] = file
    return found


def _complete(folder: Path, found: dict[str, Path]) -> dict[str, Path]:
    """Return `found` if it has all four files, else raise FileNotFoundError."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected a folder with the MNIST files, but {folder} is not a folder."
        )
    if missing := [name for name in CHECKSUMS if name not in found]:
        raise FileNotFoundError(
            f"The folder {folder} lacks {', '.join(missing)} (each may also end in .gz). "
            "Add them, or call load_data() without path and NETLAYERS_DATA to download them."
        )
    return found


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path.
    root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "netlayers" / "mnist"


def _read_pair(images: Path, labels: Path) -> tuple[_UInt8, _UInt8]:
    """Read images (n, rows, columns) and their labels (n,)."""
    x, y = _read_idx(images, 3), _read_idx(labels, 1)
    if len(x) != len(y):
        raise ValueError(
            f"Expected a label for each image, but {images} has {len(x)} images and {labels} has "
            f"{len(y)} labels. Use files of the same dataset."
        )
    return x, y


def _read_idx(file: Path, ndim: int) -> _UInt8:
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


def _download(names: list[str], cache: Path) -> None:
    """Download the named files to `cache`, each from the first mirror that works."""
    import zlib
    from http.client import HTTPException

    for position, name in enumerate(names):
        reasons = []
        for mirror in MIRRORS:
            url = f"{mirror}{name}.gz"
            try:
                content = _fetch(url, CHECKSUMS[name])
            except (OSError, EOFError, ValueError, HTTPException, zlib.error) as error:
                reasons.append(f"\n  {url}: {type(error).__name__}: {error}")
            else:
                _write(cache / f"{name}.gz", content)
                break
        else:
            missing = [f"{each}.gz" for each in names[position:]]
            raise ConnectionError(
                f"MNIST was not found on this machine and {name}.gz could not be downloaded. "
                f"Try again later, or obtain {', '.join(missing)} in another way and put them in "
                f"{cache}; or pass a folder with the four files as load_data(path=...) or in "
                f"the environment variable NETLAYERS_DATA. The mirrors failed:{''.join(reasons)}"
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
