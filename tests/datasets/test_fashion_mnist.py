"""Fashion-MNIST is found where MNIST cannot be taken for it."""

from pathlib import Path

import pytest

from netlayers.datasets import fashion_mnist, mnist
from tests.datasets.mnist_files import check, fill


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a download, nor a package of the system, nor a cache."""
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ())
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("NETLAYERS_DATA", raising=False)


def test_a_folder(tmp_path: Path) -> None:
    check(fashion_mnist.load_data(fill(tmp_path / "some")))


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion_mnist"])
def test_the_folder_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fill(tmp_path / "data" / name)
    monkeypatch.setenv("NETLAYERS_DATA", str(tmp_path / "data"))
    check(fashion_mnist.load_data())


def test_the_files_of_mnist_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "data")
    monkeypatch.setenv("NETLAYERS_DATA", str(tmp_path / "data"))
    check(mnist.load_data())
    with pytest.raises(ConnectionError, match="Fashion-MNIST was not found"):
        fashion_mnist.load_data()


def test_the_package_of_the_system(tmp_path: Path) -> None:
    fill(tmp_path / "installed")
    check(fashion_mnist.load_data())


def test_an_incomplete_package_is_passed_over(tmp_path: Path) -> None:
    folder = fill(tmp_path / "installed")
    next(iter(sorted(folder.iterdir()))).unlink()
    with pytest.raises(ConnectionError, match="put them in"):
        fashion_mnist.load_data()


def test_the_cache(tmp_path: Path) -> None:
    fill(tmp_path / "xdg" / "netlayers" / "fashion-mnist")
    check(fashion_mnist.load_data())


def test_there_is_a_class_for_each_label() -> None:
    assert len(fashion_mnist.CLASSES) == 10
    assert len(set(fashion_mnist.CHECKSUMS.values()) | set(mnist.CHECKSUMS.values())) == 8
