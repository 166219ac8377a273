"""The run with compiled kernels gets the tests that reach a kernel, also one that is new."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).parent.parent / "conftest.py"
NEW_KERNEL = """
from netlayers.kernels.reference import Kernels
Kernels.brand_new = staticmethod(lambda: 1)
"""
TESTS = """
import numpy as np, pytest
import netlayers as nl
from netlayers.kernels.select import kernels

def test_of_a_new_kernel():
    assert kernels.brand_new() == 1

@pytest.fixture
def trained():
    return nl.optimizers.SGD(0.1), nl.losses.MeanSquaredError().forward([[1.0]], [[2.0]])

def test_through_a_fixture(trained):
    assert trained[1] == 1

def test_of_a_layer():
    model = nl.Sequential([nl.layers.Dense(2, "tanh"), nl.layers.Dense(2)])
    assert model.forward(np.ones((1, 2))).shape == (1, 2)

@pytest.mark.kernels
def test_of_another_process():
    pass

def test_without_kernels():
    assert nl.kernels_in_use() and nl.layers.Flatten().forward(np.ones((1, 2))).shape == (1, 2)
"""


def run(folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**kept, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    return {line.rpartition("::")[2] for line in lines if line.startswith("PASSED")}


def test_the_tests_of_a_new_kernel_are_selected(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = kernels")
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text() + NEW_KERNEL)
    (tmp_path / "test_some.py").write_text(TESTS)
    everything = run(tmp_path, "--write-kernel-tests=names.txt")
    assert len(everything) == 5
    noted = (tmp_path / "names.txt").read_text().splitlines()
    assert sorted(noted) == [
        "test_some.py::test_of_a_layer",
        "test_some.py::test_of_a_new_kernel",
        "test_some.py::test_through_a_fixture",
    ]
    assert run(tmp_path, "--kernel-tests=names.txt") == everything - {"test_without_kernels"}
