"""Several processes under MPI: the same bits for any number of them, and through kills."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mpi4py")

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
NETWORKS = ("dense", "accumulation", "words", "images", "graph")
pytestmark = [
    pytest.mark.skipif(MPIEXEC is None, reason="mpich's wheel is not installed"),
    pytest.mark.kernels,
]


def run(processes, *arguments, fails=False):
    """Return what the script prints, or its errors."""
    module = [sys.executable, "-W", "error", "-m", "tests.distribution.script", *arguments]
    command = module if processes == 0 else [MPIEXEC, "-n", str(processes), *module]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=300
    )
    if fails:
        assert done.returncode != 0
        return done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def alone():
    return run(0, *NETWORKS)


def test_two_processes_have_the_bits_of_one(alone):
    assert run(2, *NETWORKS) == alone


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3, 4, 8])
@pytest.mark.parametrize("way", [(), ("--messages",)], ids=["shared memory", "messages"])
def test_any_number_of_processes_has_the_bits_of_one(processes, way, alone):
    assert run(processes, *NETWORKS, *way) == alone


@pytest.mark.slow
def test_a_slow_process_changes_nothing(alone):
    found = run(3, "dense", "--disturb", "sleep", "--rank", "2")
    assert found == {"dense": alone["dense"]}


@pytest.mark.slow
@pytest.mark.parametrize("way", [(), ("--messages",)], ids=["shared memory", "messages"])
def test_the_shards_of_a_slow_process_move(way):
    long = ("dense", "--epochs", "8")  # 32 steps
    found = run(3, *long, "--slow", "1", *way)["dense"]
    first, slow, third = found.pop("shards")
    assert slow == 1  # of 3
    assert first + third == 7
    assert {"dense": found} == run(0, *long)


@pytest.mark.slow
def test_a_process_that_evaluates_alone_does_not_wait_for_ever():
    said = run(2, "dense", "--alone", fails=True)
    assert (
        "process 0 waits for the others in an evaluation, but process 1 has ended. All pr" in said
    )


def test_an_error_in_one_process_ends_all():
    said = run(3, "dense", "--disturb", "fail", "--rank", "1", fails=True)
    assert "netlayers: process 1 of 3 failed:" in said
    assert "RuntimeError: something happened" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--other", "data"), "process 1 differs from process 0. data: checksum: y: "),
        (("--other", "seed"), "process 1 differs from process 0. seed of the model: 0 there, 1 h"),
        (("--disturb", "weights"), "after update 12 the weights of the processes differ"),
    ],
)
def test_differences_are_refused_by_name(arguments, message):
    assert message in run(2, "dense", *arguments, fails=True)


@pytest.mark.slow
def test_killed_runs_go_on_with_another_number_of_processes(tmp_path):
    expected = run(0, "dense", "--epochs", "6")
    rng = np.random.default_rng(0)
    for epoch, what in enumerate(["kill", "term", "kill", "term", "kill"], 1):
        processes = int(rng.integers(1, 5))
        where = ["--rank", str(rng.integers(processes)), "--epoch", str(epoch)]
        backup = ["--epochs", "6", "--backup", str(tmp_path / "backup")]
        run(processes, "dense", "--disturb", what, *where, *backup, fails=True)
    assert run(3, "dense", "--epochs", "6", "--backup", str(tmp_path / "backup")) == expected
