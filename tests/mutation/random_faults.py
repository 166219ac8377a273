"""Plants random small faults outside the backward passes: does a test see them?

    python tests/mutation/random_faults.py --seed 7 --count 100 [paths]

plants 100 faults, one at a time, in a copy of the repository in a temporary folder, runs the tests
that enter the changed function, the closest first, and prints those that no test saw. A process
that has collected the tests once forks for each fault (``server.py``). ``paths`` are
files or folders of ``netlayers`` to choose from. ``sites.py`` says which faults there are. Which
test enters which function is noted once, which takes as long as the tests do (``--record``), and
kept in the temporary folder; ``--record tests/losses`` notes a part again. ``--tests tests/losses``
takes seconds instead: only these tests are noted and run. Faults that change no
behaviour are listed by hand in ``equivalent.txt``, with the reason.
"""

import argparse
import collections
import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("mutation_sites", HERE / "sites.py")
sites = importlib.util.module_from_spec(_spec)
sys.modules["mutation_sites"] = sites  # for its dataclass
_spec.loader.exec_module(sites)

# Looks at the source rather than at what it does, or is about this tool.
STATIC = (
    "tests/test_architecture.py",
    "tests/mutation/test_mutation.py",
    "tests/mutation/test_random_faults.py",
)
# See every default, bound and argument, and every constant of a module or class.
ALWAYS = ("tests/api/test_signatures.py", "tests/api/test_constants.py")
SKIPPED = ("numba", "compiled")  # held to the reference by their own tests, minutes to compile
LAST = "tests/test_contracts.py"  # takes seconds to collect
LONG = 2  # seconds of the processor, as all times here; others say more in the time of a long test
WAIT = 6  # a process that says nothing for this many times its processor time hangs
SLOWEST = 20  # seconds; a slower test is not worth running for one fault
PROCESSES = os.cpu_count() or 1  # that note what the tests enter
OUTCOMES = ("caught", "equivalent", "survived")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", re.MULTILINE)


class Copy:
    """A copy of a repository in a temporary folder, and what its tests enter.

    Args:
        root: the repository.
        folder: where the copy goes.
        only: files or folders of tests; the others are never run.
    """

    def __init__(self, root, folder=None, only=()):
        self.root, self.only = Path(root), tuple(only)
        key = "\n".join([str(self.root), *self.only])
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        self.folder = Path(folder or Path(tempfile.gettempdir()) / f"mutants-{name}")
        self.tree = self.folder / "tree"
        self.table = self.folder / "reach.json"
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        for part in ("netlayers", "tests", "docs", "examples", "benchmarks"):
            if (self.root / part).is_dir():
                shutil.rmtree(self.tree / part, ignore_errors=True)
                shutil.copytree(self.root / part, self.tree / part, ignore=ignore)
        for file in self.root.iterdir():
            if file.is_file():
                shutil.copy(file, self.tree)
        self.reach = json.loads(self.table.read_text()) if self.table.exists() else {}
        self.server = self._entered_by = None

    def pytest(self, *arguments, timeout=None, **environment):
        """Run pytest in the copy; return its exit code and what it printed, or None if it hung.

        ``timeout`` is in seconds of the processor.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=self.tree,
            env=self._environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if timeout:
            _limit(process.pid, timeout)
        try:
            text, _ = process.communicate(timeout=WAIT * timeout if timeout else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, "timeout"
        return process.returncode, text

    def start(self):
        """Start a process that collects the tests once and forks for each fault."""
        shutil.copy(HERE / "server.py", self.tree / "mutation_server.py")
        requests, answers = os.pipe(), os.pipe()
        self.server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "mutation_server",
                *self.only,
            ],
            cwd=self.tree,
            env=self._environment(
                PYTHONDONTWRITEBYTECODE="1",
                NETLAYERS_REQUESTS=str(requests[0]),
                NETLAYERS_ANSWERS=str(answers[1]),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=(requests[0], answers[1]),
        )
        os.close(requests[0])
        os.close(answers[1])
        self.requests, self.answers = os.fdopen(requests[1], "w"), os.fdopen(answers[0])
        print(self.answers.readline().strip(), flush=True)

    def stop(self):
        """Let that process end."""
        self.requests.close()
        self.answers.close()
        self.server.wait()
        self.server = None

    def _environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        return {**kept, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(self.tree), **more}

    def run_tests(self, fault, source, tests, seconds):
        """Run tests with a fault planted; return whether one failed, and what it said."""
        timeout = 20 + 4 * seconds
        if self.server is not None:
            new = fault.planted(source)
            request = {"path": fault.path, "old": source, "new": new, "tests": tests}
            request["timeout"] = timeout
            print(json.dumps(request), file=self.requests, flush=True)
            answer = json.loads(self.answers.readline())
            if answer["outcome"] != "not here":
                return answer["outcome"] == "caught", answer["said"]
        arguments = ("-x", "--tb=line", *tests)
        code, said = self.pytest(*arguments, timeout=timeout, PYTHONDONTWRITEBYTECODE="1")
        return code != 0, _last(said)

    def record(self, paths=()):
        """Note which functions the passing tests enter."""
        shutil.copy(HERE / "reach.py", self.tree / "reach.py")
        parts = self.folder / "parts"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        processes = ("-n", str(PROCESSES)) if PROCESSES > 1 and not (paths or self.only) else ()
        chosen = paths or self.only
        _, text = self.pytest(*chosen, *processes, "-p", "reach", NETLAYERS_REACH=str(parts))
        print(text.strip().splitlines()[-1], flush=True)
        prefixes = tuple(str(path) for path in paths) or ("",)
        self._entered_by = None
        self.reach = {k: v for k, v in self.reach.items() if not k.startswith(prefixes)}
        for part in parts.iterdir():
            self.reach.update(json.loads(part.read_text()))
        self.table.write_text(json.dumps(self.reach))

    def forget_missing(self):
        """Leave out what was noted of tests that are not there any more, or fail now."""
        _, text = self.pytest("--collect-only", *self.only)
        there = set(text.splitlines())
        every = [test for test in there if test.startswith(ALWAYS)]
        if every:  # one that fails would see every fault
            there -= set(FAILED.findall(self.pytest(*every)[1]))
        self.reach = {test: its for test, its in self.reach.items() if test in there}
        self._entered_by = None

    def broken(self, said):
        """Return the tests named in a report that fail without any fault."""
        tests = sorted(set(FAILED.findall(said.replace("tests; ", "tests;\n"))) & self.reach.keys())
        return FAILED.findall(self.pytest(*tests)[1]) if tests else []

    def faults(self, paths=()):
        """Return all faults that can be planted."""
        found = []
        for file in sorted((self.tree / "netlayers").rglob("*.py")):
            path = file.relative_to(self.tree).as_posix()
            if any(word in path for word in SKIPPED):
                continue
            if not paths or path.startswith(tuple(paths)):
                found += sites.faults(file.read_text(), path)
        return found

    def tests(self, fault):
        """Return the tests that enter the faulty function, the closest first, with seconds."""
        name = fault.function
        if name:
            entered = self._entering(lambda f: f == name or f.startswith(name + "."))
            if not entered:  # only in another process, or by a way that is not noted
                entered = self._entering(lambda f: f.startswith(name.rpartition(".")[0] + "."))
        else:
            source = (self.tree / fault.path).read_text()
            whole = {f.function for f in sites.faults(source, fault.path)} - {""}
            entered = self._entering(whole.__contains__)
        words = {word.lower() for word in (Path(fault.path).stem, *name.split("."))}
        words = {word for word in words if len(word) > 3}
        near = (f"tests/{package(fault)}/", "tests/test_surfaces.py")

        def distance(test):
            named = any(w in test.lower() for w in words)
            return 3 - 2 * test.startswith(near) - named

        ranked = sorted((distance(test), size, test, seconds) for test, size, seconds in entered)
        # In turn from each file: the tests of one file look at the same.
        turns, order = collections.Counter(), []
        for far, size, test, seconds in ranked:
            file = test.partition("::")[0]
            turns[far, file] += 1
            late = file == LAST or seconds > LONG
            order.append((late, far, turns[far, file], size, test, seconds))
        return [(test, seconds) for *_, test, seconds in sorted(order)]

    def _entering(self, wanted):
        """Return (test, how many functions it enters, seconds) for tests of wanted functions."""
        if self._entered_by is None:
            self._entered_by = {}
            for test, (seconds, functions) in self.reach.items():
                if seconds <= SLOWEST and not test.startswith(STATIC):
                    for function in functions:
                        self._entered_by.setdefault(function, []).append(test)
        found = {t: None for f, its in self._entered_by.items() if wanted(f) for t in its}
        return [(test, len(self.reach[test][1]), self.reach[test][0]) for test in found]

    def outcome(self, fault, budget, confirm):
        """Plant a fault; return "caught" or "survived", and what the tests said."""
        file = self.tree / fault.path
        source = file.read_text()
        tests = self.tests(fault)
        name = fault.function.rpartition(".")[2].lstrip("_")
        if fault.kind == "constant" or name == "init__" or not name or name[0].isupper():
            tests[:0] = [
                (test, its[0]) for test, its in self.reach.items() if test.startswith(ALWAYS)
            ]
        for cache in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
            cache.unlink()
        said = "no test enters it"
        try:
            file.write_text(fault.planted(source))
            for seconds in (budget, confirm):
                some = list(itertools.takewhile(_within(seconds), tests))
                tests = tests[len(some) :]
                if not some:
                    continue
                names = [test for test, _ in some]
                caught, said = self.run_tests(fault, source, names, seconds)
                said = f"{len(some)} tests; {said}"
                if caught:
                    return "caught", said
        finally:
            file.write_text(source)
        return "survived", said


def _within(seconds):
    """Return a function that is true as long as the tests it is given take that long."""
    left = [seconds]

    def fits(test):
        left[0] -= test[1] + 0.01
        return left[0] > 0

    return fits


def _limit(process, seconds):
    """End a process after so many seconds of the processor, however busy the machine is."""
    with contextlib.suppress(ImportError, AttributeError):  # not on Linux
        import resource

        resource.prlimit(process, resource.RLIMIT_CPU, (int(seconds) + 1, resource.RLIM_INFINITY))


def _last(text):
    """Return the line that names the test that failed, or the last."""
    lines = text.strip().splitlines() or [""]
    return next((line for line in lines if line.startswith(("FAILED", "ERROR"))), lines[-1])


def equivalents():
    """Return {fault's key: reason} of the faults that change no behaviour."""
    lines = (HERE / "equivalent.txt").read_text().splitlines()
    pairs = (line.rsplit(" # ", 1) for line in lines if line and not line.startswith("#"))
    return {key.strip(): reason for key, reason in pairs}


def table(rows, column):
    """Return a Markdown table of the outcomes by a function of the fault."""
    lines = [f"| | faults | {' | '.join(OUTCOMES)} |", "| --- | --: | --: | --: | --: |"]
    names = sorted({column(fault) for fault, _ in rows})
    for name in [*names, "all"]:
        here = [outcome for fault, outcome in rows if name in ("all", column(fault))]
        counts = [str(here.count(outcome)) for outcome in OUTCOMES]
        lines.append(f"| {name} | {len(here)} | {' | '.join(counts)} |")
    return "\n".join(lines)


def package(fault):
    """Return the package of netlayers that a fault is in."""
    return fault.path.split("/")[1].removesuffix(".py")


def run(tree, chosen, budget=10, confirm=40, report=print):
    """Plant the faults; return rows (fault, outcome)."""
    known, rows = equivalents(), []
    for number, fault in enumerate(chosen, 1):
        began = time.monotonic()
        if fault.key in known:
            outcome, said = "equivalent", known[fault.key]
        else:
            outcome, said = tree.outcome(fault, budget, confirm)
        rows.append((fault, outcome))
        took = time.monotonic() - began
        report(
            f"{number:4} {outcome:10} {took:4.0f} s  {fault.path}:{fault.line}  {fault.kind}\n"
            f"     {fault.key}\n     {said}"
        )
    return rows


def main():
    """Record, plant and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", help="files or folders to plant in; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--budget", type=float, default=10, help="seconds of tests for a fault")
    parser.add_argument("--confirm", type=float, default=40, help="more, for one that survived")
    parser.add_argument("--record", nargs="*", metavar="TESTS", help="note what tests enter")
    parser.add_argument("--tests", nargs="*", default=(), help="run only these tests")
    parser.add_argument("--only", default="", help="text that the function, old or new holds")
    options = parser.parse_args()
    tree = Copy(HERE.parents[1], only=options.tests)
    if options.record is not None or not tree.reach:
        tree.record(options.record or ())
    tree.forget_missing()
    chosen = [f for f in tree.faults(tuple(options.paths)) if options.only in f.key]
    random.Random(options.seed).shuffle(chosen)
    good = (f for f in chosen if f.compiles((tree.tree / f.path).read_text()))
    chosen = list(itertools.islice(good, options.count))
    said = []

    def report(text):
        said.append(text)
        print(text, flush=True)

    if hasattr(os, "fork"):
        tree.start()
    rows = run(tree, chosen, options.budget, options.confirm, report)
    if tree.server is not None:
        tree.stop()
    print("Failing without a fault:", *tree.broken("\n".join(said)) or ["none"])
    print(table(rows, package), "", table(rows, lambda fault: fault.kind), sep="\n")


if __name__ == "__main__":
    main()
