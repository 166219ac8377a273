"""Where the files of a dataset are taken from."""

from netlayers.datasets import _idx
from netlayers.datasets._idx import Source, _locate

KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in KINDS]


def test_files_of_the_system_are_used_if_all_are_there(tmp_path, monkeypatch):
    system, cache = tmp_path / "system", tmp_path / "cache"
    system.mkdir(), (cache / "data").mkdir(parents=True)
    downloaded = []

    def download(source, names, folder):
        downloaded.append(list(names))
        for name in names:
            (folder / name).write_bytes(b"")

    monkeypatch.delenv("NETLAYERS_DATA", raising=False)
    monkeypatch.setattr(_idx, "_download", download)
    monkeypatch.setattr(_idx, "_cache_folder", lambda: cache)
    source = Source("Data", "data", (), dict.fromkeys(NAMES, ""), ("data",), system)
    for name in NAMES[:3]:
        (system / name).write_bytes(b"")
    assert {path.parent for path in _locate(source, None).values()} == {cache / "data"}
    assert downloaded == [NAMES]
    (system / NAMES[3]).write_bytes(b"")
    assert {path.parent for path in _locate(source, None).values()} == {system}
    assert downloaded == [NAMES]
    (cache / "data" / NAMES[1]).unlink()
    without = Source("Data", "data", (), dict.fromkeys(NAMES, ""), ("data",), None)
    assert list(_locate(without, None)) == NAMES
    assert downloaded == [NAMES, NAMES[1:2]]
