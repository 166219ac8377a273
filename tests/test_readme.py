"""The Python of the README and of pages of docs/ runs, one block after the other."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def run_blocks(page, fewest=4):
    """Run the Python of a page; compare what it prints, and return its names."""
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", page.read_text(), re.DOTALL)
    assert len(blocks) >= fewest
    names = {}
    for code, shown in blocks:
        if "model.backward(loss.backward())" in code:  # by hand, with the objects of the model
            names |= {"loss": names["model"].loss, "optimizer": names["model"].optimizer}
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, page.name, "exec"), names)
        if not shown:
            continue
        # The last digits of results are the machine's own; words, names and shapes are not.
        got, expected = (re.sub(r"\d\S*", "#", text).split() for text in (out.getvalue(), shown))
        assert got == expected
    return names


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a model
    names = run_blocks(README)
    assert np.isfinite(names["net"].parameters.values).all()


@pytest.mark.parametrize("page", ["targets.md", "resuming.md"])
def test_the_python_of_a_page_runs(page):
    run_blocks(ROOT / "docs" / page)


def test_every_file_that_the_readme_names_exists():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README.read_text())
    assert len(links) > 8
    for link in links:
        assert (README.parent / (link[0] or link[1])).exists(), link


def test_the_python_of_the_page_for_users_of_keras_runs():
    try:
        run_blocks(ROOT / "docs" / "keras.md", fewest=1)
    finally:
        nl.random._seeds.clear()
