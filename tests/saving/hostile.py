"""How the tests of hostile files make a file with valid checksums, and how it is refused."""

import copy

import pytest

import netlayers as nl
from netlayers.errors import FileError
from tests.saving import mutations


def refuses(path, data, match=None):
    path.write_bytes(data)
    with pytest.raises(FileError, match=match) as caught:
        nl.load_model(path)
    error = caught.value
    assert isinstance(error, ValueError)
    assert isinstance(error, nl.errors.NetlayersError)
    assert error.path == str(path)
    assert str(error).startswith(f"{path}: {error.place}: expected {error.expected}, got")
    assert len(str(error)) < 2000
    return error


def lying(files, change, name="plain"):
    entries, description, body = mutations.opened(files[name][1])
    entries, description = copy.deepcopy(entries), copy.deepcopy(description)
    changed = change(entries, description)
    return mutations.sealed(entries, description, body if changed is None else changed)
