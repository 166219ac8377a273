"""The files that say which version this is, and what it needs, agree."""

import re
import tomllib
from pathlib import Path

import pytest

import netlayers as nl

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UNVERSIONED = {"ruff", "mypy", "scipy-stubs", "types-tqdm"}  # tools: no test calls them


def lower_bounds(requirements):
    found = {}
    for requirement in requirements:
        name, _, version = requirement.partition(";")[0].partition(">=")
        found[name] = version.strip()
    return found


def pins(text):
    return dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.MULTILINE))


def test_the_oldest_versions_are_the_lower_bounds():
    extras = PROJECT["optional-dependencies"]
    tested = lower_bounds([*PROJECT["dependencies"], *extras["test"]])
    oldest = pins((ROOT / ".ci" / "oldest.txt").read_text())
    del oldest["pyparsing"]
    assert oldest == {n: v for n, v in tested.items() if n not in UNVERSIONED}
    for extra in ("hdf5", "images", "numba", "parquet", "plot", "polars", "tensorboard", "zarr"):
        for name, version in lower_bounds(extras[extra]).items():
            assert version == oldest[name]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("pyproject.toml", r'^version = "(.*)"'),
        ("CITATION.cff", r"^version: (.*)"),
        ("CHANGELOG.md", r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$"),
    ],
)
def test_there_is_one_version(file, pattern):
    found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert found[1] == nl.__version__


def test_the_date_of_the_citation_is_that_of_the_release():
    (released,) = re.findall(
        rf"^## \[{re.escape(nl.__version__)}\] - (.*)$",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )
    assert f'date-released: "{released}"' in (ROOT / "CITATION.cff").read_text()


def test_the_changelog_has_the_sections_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for part in text.split("\n## ")[1:]:
        sections = re.findall(r"^### (.*)$", part, re.MULTILINE)
        assert len(sections) == len(set(sections))
        assert set(sections) <= kinds


def test_files_that_the_pages_name_exist():
    for page in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/README.md"):
        path = ROOT / page
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{page}: {link}"
