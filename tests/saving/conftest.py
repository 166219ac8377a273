"""Fixtures of several test files of this folder."""

import pytest

from tests.saving import fuzz


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return fuzz.whole_files(tmp_path_factory.mktemp("whole"))
