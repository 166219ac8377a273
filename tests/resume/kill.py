"""End real training processes at random moments, and compare the bits that they end with.

    python tests/resume/kill.py --kills 500 --seed 1

Each script of `training.py` is run once in one go, without backups, and then with backups, ended by
a signal and started again until it has been ended its share of times and is let run to its end. All
that a run ends with must be the same to the bit: weights, optimizer, history, settings, generators,
states of callbacks, and the rows of its files.

Two signals in three are SIGKILL; the others are SIGTERM and SIGINT, at which a run writes a backup,
some of them followed by another within 20 ms. One process in five is a new interpreter, the others
are forks of one that has only imported netlayers.
"""

import argparse
import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import training  # noqa: E402 - beside this file

ENDS = (signal.SIGKILL,) * 4 + (signal.SIGTERM, signal.SIGINT)
AGAIN = (signal.SIGKILL, signal.SIGTERM)
SECONDS = 120  # that a run may take


class Forked:
    """A process that runs a script, forked from this one."""

    def __init__(self, script, folder, backup):
        reading, writing = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(writing, 1)
            os._exit(self._run(script, folder, backup))
        os.close(writing)
        self.stdout = os.fdopen(reading)

    def _run(self, script, folder, backup):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                training.run(script, folder, backup)
        except KeyboardInterrupt:
            return -signal.SIGINT & 255
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            return 1
        return 0

    def send_signal(self, number):
        os.kill(self.pid, number)

    def finish(self):
        """Wait until it has ended; return the code, negative for a signal."""
        with self.stdout:
            self.stdout.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Spawned(subprocess.Popen):
    """The same in a new interpreter."""

    def __init__(self, script, folder, backup):
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-W", "error", str(HERE / "training.py"), script, str(folder)]
        super().__init__(
            [*command, *["--backup"] * backup],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def finish(self):
        self.communicate(timeout=SECONDS)
        return self.returncode


def start(script, folder, chance, backup=True):
    """Start a process; return it."""
    fork = hasattr(os, "fork") and chance.random() < 0.8
    return (Forked if fork else Spawned)(script, folder, backup)


def wait_for_training(process):
    """Wait for the line that says that the training has begun; return whether it came."""
    ready, _, _ = select.select([process.stdout], [], [], SECONDS)
    assert ready, f"no training within {SECONDS} s"
    return process.stdout.readline() == "training\n"


def backups_of(folder):
    return [p for p in folder.glob("backup*/*.safetensors") if not p.name.startswith(".")]


def ended(script, folder, kills, chance, longest):
    """Run a script, ended so many times; return how, as counts."""
    counts = Counter()
    while counts["kills"] < kills:
        if not backups_of(folder):
            # What starts now is another run: before the first backup, or after fit has ended and
            # deleted the last. TensorBoard and a table that is appended to hold the rows of both.
            shutil.rmtree(folder / "board", ignore_errors=True)
            restart(folder)
        process = start(script, folder, chance)
        if wait_for_training(process):
            time.sleep(chance.uniform(0, longest))
        number = chance.choice(ENDS)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
            if number != signal.SIGKILL and chance.random() < 0.3:
                time.sleep(chance.uniform(0, 0.02))
                process.send_signal(chance.choice(AGAIN))
        code = process.finish()
        if code == 0:  # it was faster; nothing is left to go on with
            for path in [folder / "end.npz", *folder.glob("board"), *folder.glob("backup*")]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            restart(folder)
            counts["ended before"] += 1
            longest /= 2
            continue
        expected = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGINT & 255, 130}
        assert code in expected, f"{script}: the process ended with {code}"
        counts["kills"] += 1
        counts[number.name] += 1
        counts["within a backup"] += any(folder.glob("backup*/.*tmp"))
        counts["no backup yet"] += not backups_of(folder)
    code = start(script, folder, chance).finish()
    assert code == 0, f"{script}: the last process ended with {code}"
    return counts


def restart(folder):
    """Delete what a script finds at its start, where it goes on behind it."""
    for path in folder.glob("*.csv"):
        path.unlink()


def differing(first, second):
    """Return the names of what two runs ended with that is not the same to the bit."""
    with np.load(first) as a, np.load(second) as b:
        if set(a) != set(b):
            return sorted(set(a) ^ set(b))
        return [
            name
            for name in a
            if (a[name].dtype, a[name].shape) != (b[name].dtype, b[name].shape)
            or a[name].tobytes() != b[name].tobytes()
        ]


COLUMNS = ("kills", "SIGKILL", "SIGTERM", "SIGINT", "within a backup", "no backup yet")


def run_script(script, folder, kills, seed):
    """Return a line of the table, and what differs."""
    chance = random.Random(f"{seed} {script}")
    name = script.replace(", ", "-")
    whole, cut = folder / f"{name}-whole", folder / f"{name}-cut"
    code = start(script, whole, chance, backup=False).finish()
    assert code == 0, f"{script}: the run in one go ended with {code}"
    wrong, counts, compared = [], Counter(), 0
    try:
        counts = ended(script, cut, kills, chance, longest=0.9 / max(1, kills) + 0.15)
        wrong = differing(whole / "end.npz", cut / "end.npz")
        with np.load(whole / "end.npz") as end:
            compared = len(end.files)
        # A process that ended while it made or deleted the folder may leave it empty.
        left = sorted(
            p.name for p in cut.rglob("*") if "tmp" in p.name or p.parent.name == "backup"
        )
        wrong += [f"left behind: {name}" for name in left]
    except AssertionError as error:
        wrong = [str(error)]
    cells = [script, *(counts[name] for name in COLUMNS), compared, ", ".join(wrong) or "none"]
    return f"| {' | '.join(map(str, cells))} |", counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scripts", nargs="*", default=training.SCRIPTS, choices=training.SCRIPTS)
    parser.add_argument("--folder", type=Path, help="where the runs are kept; by default nowhere")
    arguments = parser.parse_args()
    count = len(arguments.scripts)
    print(f"| script | {' | '.join(COLUMNS)} | arrays compared | differing |")
    print("| --- |" + " --- |" * (len(COLUMNS) + 2))
    total, failed = Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for i, script in enumerate(arguments.scripts):
            kills = arguments.kills // count + (i < arguments.kills % count)
            place = arguments.folder or Path(folder)
            line, counts, wrong = run_script(script, place, kills, arguments.seed)
            print(line, flush=True)
            total += counts
            failed += bool(wrong)
    print(f"| all | {' | '.join(str(total[name]) for name in COLUMNS)} | | {failed} scripts |\n")
    for case, function in training.CASES.items():
        print(f"- `{case}`: {function.__doc__}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
