"""The path of a training step stays short, and `docs/architecture.md` walks along it."""

import ast
import contextlib
import functools
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netlayers

ROOT = Path(netlayers.__file__).parent
PAGE = ROOT.parent / "docs" / "architecture.md"

# What a warm training step, and the first `fit` of a process, may enter. A person has to be able
# to step through it: these numbers may only go down.
STEP_FILES = 15
STEP_FUNCTIONS = 50
STEP_CALLS = 64
FIT_FILES = 36

# Counted in a process of its own: which caches are warm, which kernels are in use and what looks
# on is then the same whatever ran before.
PROGRAM = """
import json, os, sys
import numpy as np
import netlayers as nl

ROOT = os.path.dirname(nl.__file__)

def entered(run):
    calls = []
    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ROOT + os.sep):
            file = os.path.relpath(code.co_filename, ROOT).replace(os.sep, "/")
            calls.append((file, code.co_qualname.replace(".<locals>", "")))
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls

def make():
    model = nl.Sequential([nl.layers.Dense(16, "relu"), nl.layers.Dense(3)], seed=0)
    model.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

nl.use_kernels("numpy")
rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 8)).astype(np.float32), rng.integers(0, 3, 32)
model = make()
fit = entered(lambda: model.fit(x, y, epochs=1, verbose=0))
model = make()
for _ in range(3):
    model.train_on_batch(x, y)
step = entered(lambda: model.train_on_batch(x, y))
print(json.dumps({"fit": fit, "step": step}))
"""


@functools.cache
def counted():
    """Return the calls of `fit` and of the step, each as (file, function)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        env={**os.environ, "NETLAYERS_KERNELS": "numpy"},  # not to load numba for nothing
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: [tuple(call) for call in its] for name, its in json.loads(done.stdout).items()}


def too_many(what, found, limit):
    """Return the message of a failure: what was entered, a line each."""
    lines = "\n  ".join(found)
    return f"{len(found)} {what} were entered, {limit} are allowed:\n  {lines}"


def test_a_warm_step_is_short():
    calls = [": ".join(call) for call in counted()["step"]]
    functions = list(dict.fromkeys(calls))
    files = list(dict.fromkeys(file for file, _ in counted()["step"]))
    assert len(calls) > len(functions) > len(files) > 5  # something was counted
    assert len(files) <= STEP_FILES, too_many("files", files, STEP_FILES)
    assert len(functions) <= STEP_FUNCTIONS, too_many("functions", functions, STEP_FUNCTIONS)
    assert len(calls) <= STEP_CALLS, too_many("calls", calls, STEP_CALLS)


def test_the_first_fit_enters_few_files():
    files = list(dict.fromkeys(file for file, _ in counted()["fit"]))
    assert len(files) > STEP_FILES
    assert len(files) <= FIT_FILES, too_many("files", files, FIT_FILES)


# The page ------------------------------------------------------------------------------------


def walked():
    """Return the functions of the page's walk, in its order, as (file, function)."""
    _, _, walk = PAGE.read_text().partition("\n## The step\n")
    walk, end, _ = walk.partition("\n## ")
    assert end
    return re.findall(r"^- `([\w/]+\.py): ([\w.]+)`", walk, re.MULTILINE)


@functools.cache
def defined(file):
    """Return the names of a file's classes, functions and constants, those inside as `A.b`."""
    names = set()

    def visit(node, scope):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(scope + child.name)
                visit(child, f"{scope}{child.name}.")
            elif isinstance(child, ast.Assign):
                names.update(scope + t.id for t in child.targets if isinstance(t, ast.Name))
            else:
                visit(child, scope)

    visit(ast.parse((ROOT / file).read_text()), "")
    return names


def test_the_page_walks_along_the_step():
    path = list(dict.fromkeys(counted()["step"]))
    listed = walked()
    assert [name for name in path if name not in listed] == [], "not on the page"
    assert [name for name in listed if name not in path] == [], "on the page, not in the step"
    assert listed == path


def test_every_place_that_the_page_names_exists():
    text = PAGE.read_text()
    places = re.findall(r"`([\w/]+\.py):\s+([^`]+)`", text)
    assert len(places) > STEP_FUNCTIONS
    missing = [
        f"{file}: {name}"
        for file, name in places
        if not (ROOT / file).is_file() or name not in defined(file)
    ]
    assert missing == []
    methods = {name for _, name in places}  # a counterpart is named without its file
    assert set(re.findall(r"`([A-Z]\w+\.\w+)`", text)) <= methods
    files = re.findall(r"`([\w/]+\.(?:py|md))`", text)
    assert [file for file in files if not (ROOT / file).is_file()] == []
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["Gone", "Layer.gone", "prepare"])
def test_a_name_that_does_not_exist_is_found(name):
    assert name not in defined("core/layer.py")
    assert {"Layer", "Layer.prepare", "Layer.takes_mask"} <= defined("core/layer.py")


def test_the_numbers_of_the_page_are_those_of_the_step():
    numbers = f"{STEP_FILES} files and {STEP_FUNCTIONS} functions in {STEP_CALLS} calls"
    text = " ".join(PAGE.read_text().split())
    assert numbers in text
    assert f"first `fit` {FIT_FILES} files" in text


def test_the_page_lists_the_arguments_without_effect():
    _, _, section = PAGE.read_text().partition("\n## Arguments without effect\n")
    section = section.partition("\n## ")[0]
    assert set(netlayers.registry.EXECUTION_ARGUMENTS) <= set(re.findall(r"`(\w+)`", section))


def test_the_python_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", PAGE.read_text(), re.DOTALL)
    assert blocks
    names = {}
    for code, shown in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "architecture.md", "exec"), names)
        assert out.getvalue() == shown


def test_the_page_is_read_in_one_sitting():
    lines = len(PAGE.read_text().splitlines())
    assert lines <= 220
