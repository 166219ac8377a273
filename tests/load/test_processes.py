"""Processes made after training, in each way that Python has, predict and train and do not hang.

Each run is a script of its own: what hangs is ended, and the threads of other tests, which a fork
had better not meet, are not there.
"""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
METHODS = multiprocessing.get_all_start_methods()


@pytest.mark.slow
@pytest.mark.kernels
@pytest.mark.parametrize("method", [*METHODS, "within fit"])
def test_processes_after_training(method):
    if method == "within fit" and not hasattr(os, "fork"):
        pytest.skip("the system has no fork")
    paths = [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OPENBLAS_NUM_THREADS": "2",  # a fork after their work is the point
    }
    # From Python 3.12 on a fork beside other threads, those of BLAS too, is warned of: here it is
    # what is tested, and that it works.
    ignore = "ignore:This process:DeprecationWarning"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", ignore, str(HERE / "worker.py"), method],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "same\n"
