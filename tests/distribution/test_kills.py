"""Runs that are killed at random moments, and started again with another number of processes."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.distribution.launching import ENVIRONMENT, ROOT, SCRIPT, mpich, open_mpi, run

pytest.importorskip("mpi4py")

pytestmark = [
    pytest.mark.skipif(mpich() is None, reason="mpich's wheel is not installed"),
    pytest.mark.slow,
    pytest.mark.kernels,
]
KILLS = int(os.environ.get("NETLAYERS_KILLS", "6"))  # 50 were tried: see docs/distribution.md
RUN = ("dense", "--epochs", "20")


def start(processes, mpi, folder, backup, *more):
    """Start the script, and wait until all processes have left their numbers in the folder."""
    folder.mkdir()
    started = subprocess.Popen(
        [
            *(*mpi.command, "-n", str(processes), *SCRIPT, *RUN),
            *("--backup", str(backup), "--numbers", str(folder), *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT | mpi.variables,
    )
    while len(numbers := os.listdir(folder)) < processes:
        assert started.poll() is None, started.communicate()
        time.sleep(0.01)
    return started, [int(number) for number in numbers]


def test_kills_at_random_moments_change_nothing(tmp_path):
    expected = run(0, *RUN)
    rng = random.Random(0)
    backup, killed = tmp_path / "backup", 0
    for attempt in range(3 * KILLS):
        processes = rng.randint(1, 4)
        mpi = rng.choice([its for its in (mpich(), open_mpi()) if its])
        started, numbers = start(processes, mpi, tmp_path / str(attempt), backup)
        time.sleep(rng.uniform(0, 1))
        # A process dies, or all get the signal that a scheduler sends before the time is over.
        number, theirs = rng.choice(
            [
                (signal.SIGKILL, numbers[:1]),
                (signal.SIGTERM, numbers[:1]),
                (signal.SIGTERM, numbers),
            ]
        )
        for its in theirs if started.poll() is None else []:
            os.kill(its, number)
        out, errors = started.communicate(timeout=100)
        if started.returncode == 0:  # it was faster
            assert json.loads(out.splitlines()[-1]) == expected
            continue
        assert "Traceback" not in errors, errors
        killed += 1
        if killed == KILLS:
            break
    assert killed == KILLS
    assert run(3, *RUN, "--backup", str(backup)) == expected


@pytest.mark.parametrize("rank", ["1", "-1"], ids=["one process", "all processes"])
def test_sigterm_writes_one_backup_and_another_number_of_processes_goes_on(rank, tmp_path):
    backup = ["--backup", str(tmp_path / "backup"), "--save-freq", "1000", "--epochs", "3"]
    run(4, "dense", *backup, "--disturb", "term", "--rank", rank, "--epoch", "2", fails=True)
    assert sorted(os.listdir(tmp_path / "backup")) == ["backup.safetensors"]
    again = run(2, "dense", *backup, "--disturb", "fail", "--epoch", "1")  # which is over
    assert again == run(0, "dense")


@pytest.mark.parametrize("mpi", [mpich, open_mpi])
def test_a_second_sigterm_ends_all_also_if_one_is_stopped(mpi, tmp_path):
    if mpi() is None:
        pytest.skip("it is not installed")
    disturbed = ("--disturb", "stop", "--rank", "1")
    started, numbers = start(3, mpi(), tmp_path / "numbers", tmp_path / "backup", *disturbed)
    while sum(map(_is_stopped, numbers)) != 1:
        time.sleep(0.05)
    running = next(number for number in numbers if not _is_stopped(number))
    for _ in range(2):
        os.kill(running, signal.SIGTERM)
        time.sleep(0.2)
    _, errors = started.communicate(timeout=100)
    assert "Traceback" not in errors
    assert not any(map(_is_stopped, numbers))


def _is_stopped(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
