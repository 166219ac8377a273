"""MNIST from mirrors; all servers are local and tiny."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from netlayers.datasets import _idx, mnist
from tests.datasets.mnist_files import NAMES, Server, check, fill, idx


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
        monkeypatch.setattr(_idx, "TIMEOUT", 0.05)
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
