"""The examples fit the gallery of the site, which runs them (docs/_ext/gallery.py)."""

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

ROOT = Path(__file__).parents[1]
EXAMPLES = [p for p in sorted((ROOT / "examples").rglob("*.py")) if p.name != "ports_data.py"]
SETTINGS = runpy.run_path(str(ROOT / "docs" / "conf.py"))["gallery_arguments"]
gallery = importlib.import_module("gallery")  # in docs/_ext, where conf.py makes it importable
sys.path.remove(str(ROOT / "docs" / "_ext"))
# What these need besides netlayers and what it installs, already at the start.
NEEDS = {"serve": {"fastapi", "pydantic", "uvicorn"}}
INSTALLED = {"netlayers", "numpy", "scipy", "ports_data"} | set(sys.stdlib_module_names)


def name_of(path):
    return path.relative_to(ROOT / "examples").with_suffix("").as_posix()


def test_every_example_has_a_setting_and_one_place_in_the_list():
    names = [name_of(path) for path in EXAMPLES]
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\S+\.py)\]\(\.\./examples/(\S+)\.py\): \S", page, re.MULTILINE)
    assert sorted(names) == sorted(SETTINGS) == sorted(target for _, target in listed)
    assert all(label == f"{Path(target).name}.py" for label, target in listed)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_says_what_it_is_and_what_its_full_setting_prints(path):
    source = path.read_text(encoding="utf-8")
    title, text, full = gallery.docstring_of(source)
    assert 10 < len(title) < 100
    assert f"python examples/{name_of(path)}.py" in text
    if SETTINGS[name_of(path)]:  # the gallery runs a smaller setting
        assert re.match(r"Output[^\n]*(\n[^\n]+)*:\n\n    ", full)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_starts_with_what_netlayers_installs(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = set()
    for node in tree.body:  # other imports stand in the functions that need them
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    needed = {module.split(".")[0] for module in modules} - INSTALLED
    assert needed == NEEDS.get(path.stem, set())


def test_an_example_that_fails_breaks_the_build(tmp_path):
    with pytest.raises(RuntimeError, match=r"unet\.py --samples none failed:(.|\n)*invalid int"):
        gallery.run("python examples/unet.py --samples none", tmp_path / "unet.md", None)


def test_the_stand_in_for_mnist_has_the_digits_of_the_package(tmp_path):
    gallery.stand_ins.write_digits(tmp_path)
    parts = zip(nl.datasets.mnist.load_data(tmp_path), nl.datasets.digits.load_data(), strict=True)
    for (images, labels), (small, digits) in parts:
        assert images.shape == (len(small), 28, 28)
        np.testing.assert_array_equal(labels, digits)
        # Each of the 8 x 8 pixels has its own brightness where it is centred.
        centres = np.rint((np.arange(8) + 0.5) * 3.5 - 0.5).astype(int)
        off = images[:, centres][:, :, centres] / 255 - small / 16
        assert np.abs(off).mean() < 0.05


def test_an_example_runs_again_if_the_package_has_changed(tmp_path, monkeypatch):
    package, runs = tmp_path / "netlayers", []
    package.mkdir()
    source = package / "__init__.py"
    monkeypatch.setattr(gallery.netlayers, "__file__", str(source))
    monkeypatch.setattr(gallery, "run", lambda *given: runs.append(given) or "printed\n")
    for text in ("a = 1", "a = 1", "a = 2"):
        source.write_text(text)
        sources = gallery.digest_of_package()
        assert gallery.run_once("python x.py", sources, tmp_path / "x.md", None) == "printed\n"
    assert len(runs) == 2
