"""Where files of images are found, what is downloaded, and what is said of files that are none."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np

from netlayers.datasets import _idx, fashion_mnist, mnist
from tests.golden import check_text

NAMES = tuple(mnist.CHECKSUMS)
SOURCE = _idx.Source("Things", "things", ("http://a/", "http://b/"), mnist.CHECKSUMS, ("", "below"))


def idx(*shape, dims=None, kind=8):
    data = bytes(range(int(np.prod(shape, dtype=int)) % 256))
    head = bytes((0, 0, kind, len(shape) if dims is None else dims))
    return head + b"".join(n.to_bytes(4, "big") for n in shape) + data


def said(call, folder):
    try:
        result = call()
    except (OSError, ValueError) as error:
        result = f"{type(error).__name__}: {error}"
    if isinstance(result, np.ndarray):
        result = f"{result.dtype} {result.shape} {result.flags.writeable} {result.ravel().tolist()}"
    return str(result).replace(str(folder), "FOLDER").replace("\\", "/")


def test_what_a_file_must_hold(tmp_path):
    files = {
        "whole": idx(2, 2, 3), "packed": gzip.compress(idx(2, 2, 3)), "empty": b"",
        "none": idx(0, 2, 3),
        "short": idx(2, 2, 3)[:-1], "long": idx(2, 2, 3) + b"x", "of floats": idx(2, 2, 3, kind=13),
        "of labels": idx(3), "half a header": idx(2, 2, 3)[:15], "a header": idx(2, 2, 3)[:16],
        "a text": b"\0\0hello", "half packed": gzip.compress(idx(2, 2, 3))[:-9],
        "damaged": gzip.compress(idx(2, 2, 3))[:20] + b"\0" * 30,
        "other magic": b"\1" + idx(1, 1, 1)[1:],
    }  # fmt: skip
    lines = []
    for name, data in files.items():
        file = tmp_path / "file"
        file.write_bytes(data)
        found = {dims: said(partial(_idx.read, file, dims), tmp_path) for dims in (1, 3)}
        lines += [f"{name} {dims}: {its}" for dims, its in found.items()]
    (tmp_path / "x").write_bytes(idx(2, 1, 1))
    for count in (1, 2, 3):
        (tmp_path / "y").write_bytes(idx(count))
        pair = said(partial(_idx._read_pair, tmp_path / "x", tmp_path / "y"), tmp_path)
        lines.append(f"{count} labels: {pair}")
    check_text(__file__, "files.txt", "\n".join(lines))


def test_where_files_are_found(tmp_path, monkeypatch):
    """Some or all files in some or all places, under each name that a file may have."""
    lines = []
    monkeypatch.setattr(
        _idx, "_download", lambda source, names, cache: asked.append((names, cache))
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = {"": "data", "below": "data/below", "cache": "cache/netlayers/things", "own": "own",
              "installed": "installed"}  # fmt: skip
    forms = (str, lambda n: f"{n}.gz", lambda n: n.replace("-idx", ".idx"))
    for filled in (
        {}, {"": 4}, {"": 1}, {"below": 4}, {"below": 3, "": 4}, {"": 2, "below": 4}, {"cache": 4},
        {"cache": 2}, {"own": 4}, {"own": 3, "": 4}, {"installed": 4}, {"installed": 3, "cache": 1},
        {"": 4, "cache": 4, "installed": 4},
    ):  # fmt: skip
        root = tmp_path / f"case {len(lines)}"
        for place, count in filled.items():
            for i, name in enumerate(NAMES[:count]):
                file = root / places[place] / forms[i % 3](name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        source = _idx.Source(**{**vars(SOURCE), "installed": root / "installed"})
        for data in (None, root / "data"):
            monkeypatch.setenv("NETLAYERS_DATA", "" if data is None else str(data))
            for path in (None, root / "own"):
                asked = []

                def places_of(source=source, path=path, root=root):
                    found = _idx._locate(source, path)
                    return [f.relative_to(root).as_posix() for f in found.values()]

                known = said(places_of, root), said(lambda a=asked: a, root)
                lines.append(f"{filled} {data is not None} {path is not None}: {known}")
    text = "\n".join(lines).replace("PosixPath", "").replace("WindowsPath", "")
    check_text(__file__, "places.txt", text)


def test_what_is_said_of_downloads(tmp_path, monkeypatch):
    lines, kept = [], []

    def fetch(url, checksum):
        kept.append(f"{url} {checksum[:4]}")
        if "labels" in url and (url.startswith("http://a") or "t10k" in url):
            raise fetch.error
        return b"content"

    monkeypatch.setattr(_idx, "_fetch", fetch)
    for fetch.error in (OSError("no way"), ValueError("expected"), EOFError("end")):
        folder = tmp_path / type(fetch.error).__name__
        for names in (list(NAMES[:2]), list(NAMES)):
            lines.append(said(partial(_idx._download, SOURCE, names, folder), tmp_path))
            lines.append(f"  {sorted(file.name for file in folder.iterdir())} {kept}")
            kept.clear()
        assert {file.read_bytes() for file in folder.iterdir()} == {b"content"}
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    lines.append(said(_idx._cache_folder, tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    lines.append(said(_idx._cache_folder, tmp_path))
    for module in (mnist, fashion_mnist):
        monkeypatch.setattr(module, "load", lambda source, path: (source, path))
        lines += [f"{k}: {v}" for k, v in vars(module.load_data("p")[0]).items()]
        assert module.load_data("p")[1] == "p"
    lines += [str(fashion_mnist.CLASSES), f"{_idx.TIMEOUT}"]
    text = "\n".join(lines).replace("PosixPath", "").replace("WindowsPath", "")
    check_text(__file__, "downloads.txt", text)
