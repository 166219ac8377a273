"""The MPIs that are installed here, and runs of the script in several processes of them.

MPICH is the one beside Python, of the wheel ``mpich``. Open MPI is that of the folder
``NETLAYERS_OPENMPI`` (with ``bin`` and ``lib``), or the one whose ``mpiexec`` is found.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SCRIPT = [sys.executable, "-W", "error", "-m", "tests.distribution.script"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


class Launcher(NamedTuple):
    """What starts processes of an MPI, and the variables that they need."""

    command: list[str]
    variables: dict[str, str]


@functools.cache
def mpich():
    """Return the launcher of the MPICH beside Python; ``None`` if there is none."""
    found = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    return found and Launcher([found], {})


@functools.cache
def open_mpi():
    """Return the launcher of an Open MPI; ``None`` if there is none."""
    folder = os.environ.get("NETLAYERS_OPENMPI")
    path = str(Path(folder, "bin")) if folder else None
    for name in ("mpiexec", "mpiexec.openmpi"):
        if (found := shutil.which(name, path=path)) is None:
            continue
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if "open-mpi.org" in said.stdout:
            library = str(Path(folder, "lib", "libmpi.so.40")) if folder else "libmpi.so.40"
            command = [found, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]
            # mpi4py, whose wheel is for both, then loads this library.
            return Launcher(command, {"MPI4PY_LIBMPI": library, "MPI4PY_MPIABI": "openmpi"})
    return None


def run(processes, *arguments, fails=False, mpi=None, timeout=300, script="script"):
    """Return what a script prints, or its errors; in 0 processes, without MPI."""
    launcher = mpi or mpich()
    started = [] if processes == 0 else [*launcher.command, "-n", str(processes)]
    done = subprocess.run(
        [*started, *SCRIPT[:-1], f"tests.distribution.{script}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=ENVIRONMENT | ({} if processes == 0 else launcher.variables),
        timeout=timeout,
    )
    if fails:
        assert done.returncode != 0
        return done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
