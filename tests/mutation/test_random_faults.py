"""The tool for random faults, on a package of two functions; on this one: by hand, or slow."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "random_faults", Path(__file__).parent / "random_faults.py"
)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

PACKAGE = '''
"""A docstring with 1 < 2 in it."""

LIMIT = 3


def smallest(values, other=0):
    """Return the smallest; -1 of nothing."""
    if not values or len(values) > LIMIT:
        raise ValueError(f"wrong: {len(values) + 1}")
    pairs = zip(values, values, strict=True)
    return min(a for a, _ in pairs) + other


def backward(d):
    return d * 2


class Sum:
    def add(self, value: int = 1):
        self.total = value + 1
        return self.total
'''
TESTS = """
import pytest
import netlayers

def test_smallest():
    assert netlayers.smallest([3, 1, 2]) == 1
    with pytest.raises(ValueError):
        netlayers.smallest([])

def test_sum():
    netlayers.Sum().add(3)
"""


FORKS = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


@pytest.fixture
def tree(tmp_path):
    for path, text in {"netlayers/__init__.py": PACKAGE, "tests/test_both.py": TESTS}.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    made = tool.Copy(tmp_path, tmp_path / "work")
    made.record()
    return made


@pytest.mark.slow
def test_what_tests_enter(tree):
    assert {test: names for test, (_, names) in tree.reach.items()} == {
        "tests/test_both.py::test_smallest": ["smallest"],
        "tests/test_both.py::test_sum": ["Sum.add"],
    }
    again = tool.Copy(tree.root, tree.folder)
    assert again.reach == tree.reach


def test_which_faults_there_are():
    found = tool.sites.faults(PACKAGE, "netlayers/__init__.py")
    assert {fault.function for fault in found} == {"", "smallest", "Sum.add"}
    keys = [fault.key for fault in found]
    for key in (
        "smallest | not values or len(values) > LIMIT | (not values and len(values) > LIMIT)",
        "smallest | len(values) > LIMIT | (len(values) >= LIMIT)",
        "smallest | min | max",
        "smallest | 0 | 1",
        'smallest | raise ValueError(f"wrong: {len(values) + 1}") | pass',
        "smallest | return min(a for a, _ in pairs) + other | return None",
        "Sum.add | value + 1 | (value - 1)",
        "Sum.add | self.total = value + 1 | pass",
        "(module) | 3 | 4",
    ):
        assert key in keys
    assert not any("strict" in key for key in keys)  # they are of one length
    for fault in found:
        assert fault.planted(PACKAGE) != PACKAGE
        assert fault.compiles(PACKAGE)


@pytest.mark.slow
@pytest.mark.parametrize("forks", [False, pytest.param(True, marks=FORKS)])
def test_faults_are_caught_and_survive(tree, monkeypatch, forks):
    if forks:
        tree.start()
    found = {fault.key: fault for fault in tree.faults()}
    caught, known = found["smallest | min | max"], found["smallest | 0 | 1"]
    monkeypatch.setattr(tool, "equivalents", lambda: {known.key: "a reason"})
    unseen = found["Sum.add | value + 1 | (value - 1)"]  # the tests call it, and look no further
    said = []
    rows = tool.run(tree, [caught, known, unseen], report=said.append)
    if forks:
        tree.stop()
    assert [outcome for _, outcome in rows] == ["caught", "equivalent", "survived"]
    assert "test_smallest" in said[0]
    source = (tree.root / "netlayers" / "__init__.py").read_text()
    assert source == (tree.tree / "netlayers" / "__init__.py").read_text() == PACKAGE
    lines = tool.table(rows, tool.package).splitlines()
    assert lines[-1] == "| all | 3 | 1 | 1 | 1 |"


def test_the_list_of_equivalent_faults_can_be_read():
    for key, reason in tool.equivalents().items():
        assert key.count(" | ") >= 2
        assert reason.strip()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")
def test_random_faults_in_a_part_of_the_package(tmp_path):
    tree = tool.Copy(Path(__file__).parents[2], tmp_path)
    tree.record(["tests/optimizers", "tests/api"])
    every = tree.faults(["netlayers/optimizers/schedules"])
    rows = tool.run(tree, random.Random(0).sample(every, 10))
    assert sum(outcome == "survived" for _, outcome in rows) <= 1, rows


@pytest.mark.slow
@FORKS
def test_faults_outside_functions_get_a_process_of_their_own(tree):
    found = {fault.key: fault for fault in tree.faults()}
    tree.start()
    try:
        outcomes = {
            key: tree.outcome(found[key], 10, 0)[0]
            for key in ("(module) | 3 | 4", "(module) | 3 | (2)", "smallest | 0 | 1")
        }
    finally:
        tree.stop()
    # The limit of three values holds for two too, but not the default of an argument.
    assert outcomes == {
        "(module) | 3 | 4": "survived", "(module) | 3 | (2)": "caught",
        "smallest | 0 | 1": "caught",
    }  # fmt: skip
    source = (tree.root / "netlayers" / "__init__.py").read_text()
    assert (tree.tree / "netlayers" / "__init__.py").read_text() == source
