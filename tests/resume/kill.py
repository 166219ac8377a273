"""Kill real training processes at random moments, and compare the bits that they end with.

    python tests/resume/kill.py --kills 25

Each case of `training.py` is run once in one go, without backups, and then with backups, ended by
SIGKILL and started again until it has been killed its share of times and is let run to its end. All
that a run ends with must be the same to the bit. The table, on standard output, has the place of
the backup after each kill, as epoch.batch (- for none yet), with * where a backup was being
written.
"""

import argparse
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from netlayers.saving import StoredFile  # noqa: E402 - this checkout's


def start(case, folder, *options):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(HERE / "training.py"), case, str(folder), *options],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process):
    process.communicate(timeout=120)
    assert process.returncode == 0, f"the run ended with {process.returncode}"


def wait_for_training(process):
    """Wait for the line that says that the training has begun."""
    ready, _, _ = select.select([process.stdout], [], [], 60)
    assert ready, "no training within a minute"
    assert process.stdout.readline() == "training\n", "the run ended before it began"


def place_of_backup(folder):
    """Return where the next process will go on."""
    mark = "*" if list(folder.glob("backup/.*tmp")) else ""
    for name in ("backup", "previous"):
        path = folder / "backup" / f"{name}.safetensors"
        if path.exists():
            with StoredFile(path) as file:
                place = file.description["extra"]["place"]
            return f"{place['epoch']}.{place['batch'] or 0}{mark}"
    return f"-{mark}"


def killed(case, folder, kills, chance, longest):
    """Run a case, killed so many times; return where each of these left it."""
    places = []
    while len(places) < kills:
        process = start(case, folder, "--backup")
        wait_for_training(process)
        time.sleep(chance.uniform(0, longest))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:  # it was faster; nothing is left to go on with
            (folder / "end.npz").unlink()
            longest /= 2
            continue
        places.append(place_of_backup(folder))
    finish(start(case, folder, "--backup"))
    return places


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


def run_case(case, folder, kills, seed):
    """Return a line of the table, and what differs."""
    chance = random.Random(f"{seed} {case}")
    whole, cut = folder / f"{case}-whole", folder / f"{case}-cut"
    finish(start(case, whole))
    places = killed(case, cut, kills, chance, longest=0.9 / max(1, kills) + 0.15)
    wrong = differing(whole / "end.npz", cut / "end.npz")
    with np.load(whole / "end.npz") as end:
        compared = len(end.files)
    left = sorted(p.name for p in cut.rglob("*") if "tmp" in p.name or p.name == "backup")
    wrong += [f"left behind: {name}" for name in left]
    return (
        f"| {case} | {kills} | {', '.join(places)} | {compared} | {', '.join(wrong) or 'none'} |",
        wrong,
    )


def main():
    import training

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="*", default=list(training.CASES), choices=training.CASES)
    arguments = parser.parse_args()
    count = len(arguments.cases)
    print("| case | kills | the backup after each | arrays compared | differing |")
    print("| --- | --- | --- | --- | --- |")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for i, case in enumerate(arguments.cases):
            kills = arguments.kills // count + (i < arguments.kills % count)
            line, wrong = run_case(case, Path(folder), kills, arguments.seed)
            print(line, flush=True)
            failed |= bool(wrong)
    print()
    for case in arguments.cases:
        print(f"- `{case}`: {training.CASES[case].__doc__}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
