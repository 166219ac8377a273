"""The code of the README and of every page of docs/ runs, and prints what is shown.

Python runs block by block, from top to bottom, in one namespace, and lines ``python -m netlayers``
of a shell block in a process. Other shell commands do not run: they install, or have a test of
their own in ``.ci/run``. A block without a language is what the block before it prints. A block
``python torch`` needs PyTorch, and is left out with what it prints where that is not installed.
"""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import netlayers as nl
from netlayers import registry

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
SHELL = {"bash", "sh", "console"}


@pytest.fixture(autouse=True)
def kernels_of_numpy():
    """Run pages with NumPy's kernels, whose output they show."""
    before = nl.kernels_in_use()
    nl.use_kernels("numpy")
    yield
    nl.use_kernels(before)


def blocks_of(text):
    """Return (language, text, number of the first line) of every block between fences."""
    found, block = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("```"):
            if block is not None:
                block[1].append(line)
        elif block is None:
            block = line.strip().strip("`"), [], number + 1
        else:
            found.append((block[0], "\n".join(block[1]) + "\n", block[2]))
            block = None
    assert block is None, f"the block at line {block[2]} has no end"
    return found


def run_python(code, names, place):
    """Return what the code prints, with the error that ends it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, place, "exec"), names)
        except Exception as error:
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            out.write(f"{module}{kind.__qualname__}: {error}\n")
            return out.getvalue(), error
    return out.getvalue(), None


def run_shell(code):
    """Return what the commands of netlayers print, or None for other commands."""
    printed = ""
    for line in code.splitlines():
        command = shlex.split(line)
        if command[:3] != ["python", "-m", "netlayers"]:
            return None
        process = subprocess.run(
            [sys.executable, *command[1:]], capture_output=True, text=True, check=False
        )
        printed += process.stdout + process.stderr
    return printed


def words(text):
    """Return the words of a text without numbers and times: the machine's own last digits."""
    return re.sub(r"\d\S*( m?s\b)?", "#", text).split()


def run_page(text, name="page"):
    """Run the blocks of a page.

    Raises:
        AssertionError: a block does not run, or prints something other than the page shows.
    """
    names = {"__name__": "page"}
    blocks = blocks_of(text)
    ran = 0
    for index, (language, code, line) in enumerate(blocks):
        language, _, needed = language.partition(" ")
        left_out = needed and importlib.util.find_spec(needed) is None
        place = f"{name}, line {line}"
        error = printed = None
        if language.startswith("{"):  # a list of pages for the site
            continue
        if language == "python":
            ran += 1
            if left_out:
                continue
            printed, error = run_python(code, names, place)
        elif language in SHELL:
            printed = run_shell(code)
            ran += printed is not None
        else:
            before = blocks[index - 1][0].partition(" ")[0] if index else None
            shows = not language and (before == "python" or before in SHELL)
            assert shows, f"{place}: a block in {language!r} that nothing runs or prints"
            continue
        shown = None
        if index + 1 < len(blocks) and not blocks[index + 1][0]:
            shown = blocks[index + 1][1]
        if error is not None and shown is None:
            raise AssertionError(f"{place}: {printed}") from error
        if printed is not None:
            assert words(printed) == words(shown or ""), f"{place}: it prints\n{printed}"
    return ran


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Run in an empty folder; pages save models, register classes, and set the seed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names = {kind: dict(found) for kind, found in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", names)
    yield
    nl.utils.clear_session(free_memory=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page, in_a_folder):
    text = page.read_text()
    ran = run_page(text, page.name)
    assert ran == len(re.findall(r"^```python|^python -m netlayers", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint('a')\n```\n\n```\nb\n```\n", "line 2: it prints"),
        ("```python\nprint('a')\n```\n", "line 2: it prints"),
        ("```python\nx = 1\n```\n```python\nprint(x + y)\n```\n", "NameError"),
        ("```python\nx = 1\n```\n\n```json\n{}\n```\n", "'json' that nothing runs"),
        ("```\nsomething\n```\n", "'' that nothing runs"),
        ("```python\n1\n```\n\n```\n```\n\n```\nsomething\n```\n", "'' that nothing runs"),
        ("```python\nprint(1)\n", "has no end"),
    ],
)
def test_a_page_that_does_not_run_is_found(page, complaint, in_a_folder):
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        run_page(page)


def test_a_page_may_show_an_error_and_commands_of_the_shell(in_a_folder):
    page = "```python\nraise KeyError('a')\n```\n\nIt says\n\n```\nKeyError: 'a'\n```\n"
    page += "```bash\npip install everything\n```\n"
    assert run_page(page) == 1


def test_the_readme_is_short():
    assert len(README.read_text().split()) <= 900


def test_every_file_that_a_page_names_exists():
    for page in PAGES:
        text = page.read_text()
        for link in re.findall(r"\]\(([^)\s#:]+)[^)\s:]*\)|src=\"([^\":]+)\"", text):
            assert (page.parent / (link[0] or link[1])).exists(), f"{page.name}: {link}"


def test_the_readme_or_a_list_of_pages_leads_to_every_page():
    lists = [README, *(ROOT / "docs" / f"{name}.md" for name in ("guide", "inside", "coming_from"))]
    linked = " ".join(page.read_text() for page in lists) + "](index.md)"  # the site begins there
    for page in PAGES[1:]:
        assert re.search(rf"\]\((docs/)?{page.name}", linked), page.name
