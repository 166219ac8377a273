"""The README's Python runs as it stands, one block after the other."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a model
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", README.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    names = {}
    for code, shown in blocks:
        if "model.backward(loss.backward())" in code:  # by hand, with the objects of the model
            names |= {"loss": names["model"].loss, "optimizer": names["model"].optimizer}
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "README.md", "exec"), names)
        if not shown:
            continue
        # The last digits of results are the machine's own; words, names and shapes are not.
        got, expected = (re.sub(r"\d\S*", "#", text).split() for text in (out.getvalue(), shown))
        assert got == expected
    assert np.isfinite(names["net"].parameters.values).all()


def test_every_file_that_the_readme_names_exists():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README.read_text())
    assert len(links) > 8
    for link in links:
        assert (README.parent / (link[0] or link[1])).exists(), link
