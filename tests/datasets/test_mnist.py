"""MNIST from folders, from the cache and from mirrors; all servers are local and tiny."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlayers.datasets import mnist

REAL = os.environ.get("NETLAYERS_DATA")  # before the tests unset it
NAMES = list(mnist.CHECKSUMS)


def idx(array: np.ndarray) -> bytes:
    """Return `array` as an IDX file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def tiny() -> dict[str, np.ndarray]:
    """Return five training and three test images of 2x3, with labels."""
    rng = np.random.default_rng(1)
    shapes = [(5, 2, 3), (5,), (3, 2, 3), (3,)]
    pairs = zip(NAMES, shapes, strict=True)
    return {name: rng.integers(0, 256, shape, dtype=np.uint8) for name, shape in pairs}


ARRAYS = tiny()
FILES = {name: idx(array) for name, array in ARRAYS.items()}


class Server(ThreadingHTTPServer):
    """Two mirrors, /a/ and /b/, with a list of the requests they got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[str] = []
        both = [f"/{mirror}/{name}.gz" for mirror in "ab" for name in NAMES]
        self.contents = {path: gzip.compress(FILES[path[3:-3]]) for path in both}
        self.announced: dict[str, int] = {}  # lengths other than the true one


class Handler(BaseHTTPRequestHandler):
    """Serve the contents of a Server."""

    def do_GET(self) -> None:
        """Send the file, or 404."""
        server = self.server
        assert isinstance(server, Server)
        server.requests.append(self.path)
        content = server.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        length = server.announced.get(self.path, len(content))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Two local mirrors in the place of the real ones."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(mnist, "MIRRORS", (f"{server.url}/a/", f"{server.url}/b/"))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test off the network and off the user's files; return the cache folder."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(mnist, "CHECKSUMS", sums)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("NETLAYERS_DATA", raising=False)
    return tmp_path / "xdg" / "netlayers" / "mnist"


def fill(folder: Path, suffix: str = ".gz", mark: str = "-") -> Path:
    """Write the four files into `folder`, compressed if the suffix says so."""
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        file = folder / (name.replace("-idx", f"{mark}idx") + suffix)
        file.write_bytes(gzip.compress(content) if suffix else content)
    return folder


def check(data: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    """Assert that `data` is what tiny() made."""
    (x_train, y_train), (x_test, y_test) = data
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test), strict=True):
        assert array.dtype == np.uint8
        assert array.flags.writeable
        np.testing.assert_array_equal(array, ARRAYS[name])


# Folders


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_path(tmp_path: Path, suffix: str, mark: str) -> None:
    folder = fill(tmp_path / "own", suffix, mark)
    check(mnist.load_data(folder))
    check(mnist.load_data(str(folder)))


def test_path_of_a_mixture(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own")
    (folder / f"{NAMES[0]}.gz").rename(folder / NAMES[0])  # compressed, but not called so
    (folder / f"{NAMES[1]}.gz").unlink()
    (folder / f"{NAMES[1]}.gz").write_bytes(FILES[NAMES[1]])  # the other way round
    check(mnist.load_data(folder))


def test_path_with_missing_files_downloads_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "own")
    monkeypatch.setenv("NETLAYERS_DATA", str(fill(tmp_path / "other")))
    for name in NAMES[1:3]:
        (folder / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=f"own lacks {NAMES[1]}, {NAMES[2]} "):
        mnist.load_data(folder)
    assert server.requests == []


def test_path_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Expected a folder .*nowhere is none"):
        mnist.load_data(tmp_path / "nowhere")


@pytest.mark.parametrize("below", ["", "mnist"])
def test_environment_variable(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    fill(tmp_path / "data" / below)
    monkeypatch.setenv("NETLAYERS_DATA", str(tmp_path / "data"))
    check(mnist.load_data())
    assert server.requests == []


def test_environment_variable_with_a_part_of_the_files(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "data" / "mnist")
    (folder / f"{NAMES[3]}.gz").unlink()
    monkeypatch.setenv("NETLAYERS_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError, match=f"mnist lacks {NAMES[3]} "):
        mnist.load_data()
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "elsewhere"])
def test_environment_variable_without_mnist_leads_to_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    fill(cache)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETLAYERS_DATA", value)
    check(mnist.load_data())


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_cache_is_below_home_without_xdg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    if value is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    fill(tmp_path / ".cache" / "netlayers" / "mnist", "")
    check(mnist.load_data())


def test_each_call_gives_new_arrays(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own")
    (x_train, _), _ = mnist.load_data(folder)
    x_train[...] = 0
    check(mnist.load_data(folder))


# Damaged files

IMAGES = FILES[NAMES[0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(gzip.compress(IMAGES)[:-9], "damaged or truncated gzip", id="cut gzip"),
        pytest.param(b"\x1f\x8b" + bytes(40), "damaged or truncated gzip", id="no gzip"),
        pytest.param(b"", "has 0 bytes and begins with nothing", id="empty"),
        pytest.param(IMAGES[:10], "00000803 and 3 size.s., but it has 10 bytes", id="cut header"),
        pytest.param(b"\x00\x00\x0d\x03" + IMAGES[4:], "begins with 00000d03", id="floats"),
        pytest.param(FILES[NAMES[1]], "begins with 00000801", id="labels"),
        pytest.param(b"<!DOCTYPE html>" + bytes(40), "begins with 3c21444f", id="web page"),
        pytest.param(IMAGES[:-1], r"Expected 30 bytes .*\(5, 2, 3\), but it has 29", id="cut"),
        pytest.param(IMAGES + b"\x00", r"Expected 30 bytes .* but it has 31", id="too long"),
        pytest.param(b"\x00\x00\x08\x03" + b"\xff" * 12, "but it has 0", id="huge"),
    ],
)
def test_damaged_file(tmp_path: Path, content: bytes, message: str) -> None:
    folder = fill(tmp_path / "own", "")
    (folder / NAMES[0]).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        mnist.load_data(folder)
    assert str(folder / NAMES[0]) in str(caught.value)


def test_labels_must_match_the_images(tmp_path: Path) -> None:
    folder = fill(tmp_path / "own", "")
    (folder / NAMES[3]).write_bytes(FILES[NAMES[1]])
    with pytest.raises(ValueError, match=r"has 3 images and .* has 5 labels"):
        mnist.load_data(folder)


@given(st.data(), st.sampled_from([1, 3]), st.booleans())
def test_idx_round_trip(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, ndim: int, compress: bool
) -> None:
    shape = hnp.array_shapes(min_dims=ndim, max_dims=ndim, min_side=0, max_side=4)
    array = data.draw(hnp.arrays(np.uint8, shape))
    file = tmp_path_factory.getbasetemp() / "round-trip"
    file.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    read = mnist._read_idx(file, ndim)
    np.testing.assert_array_equal(read, array)
    assert read.flags.writeable


# Downloads


def test_download_and_then_the_cache(server: Server, cache: Path) -> None:
    check(mnist.load_data())
    assert server.requests == [f"/a/{name}.gz" for name in NAMES]
    assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in NAMES)
    server.contents.clear()
    check(mnist.load_data())
    assert len(server.requests) == 4


def test_only_missing_files_are_downloaded(server: Server, cache: Path) -> None:
    fill(cache, "")
    (cache / NAMES[2]).unlink()
    check(mnist.load_data())
    assert server.requests == [f"/a/{NAMES[2]}.gz"]


def test_quiet_when_stderr_is_no_terminal(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    mnist.load_data()
    assert capsys.readouterr() == ("", "")


def test_bar_when_stderr_is_a_terminal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stderr)
    mnist.load_data()
    assert all(f"{name}.gz: 100%" in stderr.getvalue() for name in NAMES)


def broken(kind: str, good: bytes) -> bytes | None:
    """Return what a mirror in trouble sends in the place of `good`; None for a 404."""
    if kind == "other bytes":
        return gzip.compress(idx(np.zeros((5, 2, 3), np.uint8)))
    if kind == "bad deflate":
        return good[:10] + b"\xff" * (len(good) - 10)
    return {"cut": good[:-5], "no gzip": b"<html>", "empty": b"", "404": None}[kind]


KINDS = ["other bytes", "bad deflate", "cut", "no gzip", "empty", "404"]


@pytest.mark.parametrize("kind", KINDS)
def test_second_mirror_when_the_first_is_broken(server: Server, cache: Path, kind: str) -> None:
    path = f"/a/{NAMES[0]}.gz"
    good = server.contents.pop(path)
    if (bad := broken(kind, good)) is not None:
        server.contents[path] = bad
    check(mnist.load_data())
    assert server.requests[:2] == [path, f"/b/{NAMES[0]}.gz"]
    assert len(os.listdir(cache)) == 4
    assert (cache / f"{NAMES[0]}.gz").read_bytes() == good


def test_connection_lost_on_the_way(server: Server, cache: Path) -> None:
    path = f"/a/{NAMES[0]}.gz"
    server.announced[path] = len(server.contents[path])
    server.contents[path] = server.contents[path][:20]
    check(mnist.load_data())
    assert server.requests[1] == f"/b/{NAMES[0]}.gz"
    assert len(os.listdir(cache)) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_broken_download(server: Server, cache: Path, kind: str) -> None:
    for mirror in "ab":
        path = f"/{mirror}/{NAMES[1]}.gz"
        if (bad := broken(kind, server.contents.pop(path))) is not None:
            server.contents[path] = bad
    with pytest.raises(ConnectionError, match=NAMES[1]):
        mnist.load_data()
    assert os.listdir(cache) == [f"{NAMES[0]}.gz"]  # whole, and kept for the next time


def test_offline(server: Server, cache: Path) -> None:
    server.contents.clear()
    with pytest.raises(ConnectionError) as caught:
        mnist.load_data()
    message = str(caught.value)
    assert all(f"{name}.gz" in message for name in NAMES)
    assert str(cache) in message
    assert "NETLAYERS_DATA" in message
    assert "path=" in message
    for mirror in "ab":
        assert f"{server.url}/{mirror}/{NAMES[0]}.gz: HTTPError: HTTP Error 404" in message
    assert len(server.requests) == 2  # the other files are not tried
    assert not cache.exists()


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as gone:
        url = f"{gone.url}/a/"
    monkeypatch.setattr(mnist, "MIRRORS", (url,))
    with pytest.raises(ConnectionError, match=f"{url}.*: URLError: "):
        mnist.load_data()


def test_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as silent:  # it listens, but nobody serves
        monkeypatch.setattr(mnist, "MIRRORS", (f"{silent.url}/a/",))
        monkeypatch.setattr(mnist, "TIMEOUT", 0.05)
        with pytest.raises(ConnectionError, match="timed out"):
            mnist.load_data()


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_no_partial_file_when_writing_fails(
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
) -> None:
    def fail(*_: object) -> None:
        assert len(os.listdir(cache)) == 1  # the temporary file
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        mnist.load_data()
    assert os.listdir(cache) == []
    assert len(server.requests) == 1  # not the mirror's fault: no other is tried


# The real thing


@pytest.mark.skipif(not REAL, reason="NETLAYERS_DATA is not set")
def test_real_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real checksums and environment again
    monkeypatch.setattr(mnist, "MIRRORS", ())
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except ConnectionError:
        pytest.skip("NETLAYERS_DATA has no MNIST files")
    assert (x_train.shape, y_train.shape) == ((60000, 28, 28), (60000,))
    assert (x_test.shape, y_test.shape) == ((10000, 28, 28), (10000,))
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for array, checksum in zip(
        (x_train, y_train, x_test, y_test), mnist.CHECKSUMS.values(), strict=True
    ):
        assert hashlib.md5(idx(array)).hexdigest() == checksum
