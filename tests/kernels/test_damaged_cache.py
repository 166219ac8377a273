"""Compiled code on disk that is damaged, or another's, is compiled again."""

import os
import pickle
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import warnings
import numpy as np
import netlayers as nl
nl.use_kernels("numba")
from netlayers.kernels.select import kernels
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    x = np.arange(5.0)
    print(kernels.sum_of_squares(x), kernels.sum_of_squares(x[:3].astype("float32")))
for warning in found:
    print(str(warning.message))
"""


def run(folder):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_damaged_files(tmp_path):
    pytest.importorskip("numba")
    assert run(tmp_path) == ["30.0 5.0"]
    for kind in ("nbi", "nbc"):
        files = list(tmp_path.rglob(f"*.{kind}"))
        assert files
        for damaged in (b"", b"cut", os.urandom(400)):
            for file in files:
                file.write_bytes(damaged)
            first, *said = run(tmp_path)
            assert first == "30.0 5.0"
            assert len(said) == 1
            assert "cannot be read or written" in said[0]
            assert str(tmp_path) in said[0]
            assert run(tmp_path) == ["30.0 5.0"]  # they have been written again


@pytest.mark.slow
@pytest.mark.parametrize("change", ["types", "source"])
def test_code_of_another_key_under_the_same_name(tmp_path, change):
    """As two processes leave it that write at the same time, or one that is killed meanwhile."""
    pytest.importorskip("numba")
    assert run(tmp_path) == ["30.0 5.0"]
    first, second = sorted(tmp_path.rglob("*sum_of_squares*.nbc"))
    if change == "types":
        shutil.copy(second, first)
    else:  # the code of both types, from another source with the same bytecode
        for file in (first, second):
            _, key, code = pickle.loads(file.read_bytes())
            file.write_bytes(pickle.dumps(("older", key, code)))
    before = {file: file.read_bytes() for file in (first, second)}
    assert run(tmp_path) == ["30.0 5.0"]
    assert run(tmp_path) == ["30.0 5.0"]
    assert first.read_bytes() != before[first]
