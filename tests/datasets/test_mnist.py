"""MNIST from folders and from the cache."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from netlayers.datasets import _idx, mnist
from tests.datasets.mnist_files import FILES, NAMES, Server, check, fill, idx

REAL = os.environ.get("NETLAYERS_DATA")  # before the tests unset it


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
    with pytest.raises(FileNotFoundError, match=r"Expected a folder .*nowhere is not a folder"):
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
        pytest.param(b"", "has 0 bytes and starts with nothing", id="empty"),
        pytest.param(IMAGES[:10], "00000803 and 3 size.s., but it has 10 bytes", id="cut header"),
        pytest.param(b"\x00\x00\x0d\x03" + IMAGES[4:], "starts with 00000d03", id="floats"),
        pytest.param(FILES[NAMES[1]], "starts with 00000801", id="labels"),
        pytest.param(b"<!DOCTYPE html>" + bytes(40), "starts with 3c21444f", id="web page"),
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
    read = _idx.read(file, ndim)
    np.testing.assert_array_equal(read, array)
    assert read.flags.writeable


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
