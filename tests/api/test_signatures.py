"""The public API changes only on purpose: names, arguments, defaults, and the values they take."""

import difflib

import pytest

from tests.api import bounds, signatures


@pytest.mark.parametrize("table", [signatures, bounds], ids=lambda module: module.FILE.stem)
def test_the_api_is_the_one_written_down(table):
    expected = table.FILE.read_text().splitlines()
    lines = difflib.unified_diff(expected, table.lines(), "written", "now", lineterm="", n=0)
    changed = [line for line in lines if not line.startswith("@@")]
    if changed:
        pytest.fail(
            f"The public API has changed. If this is meant, run `python tests/api/"
            f"{table.FILE.stem}.py` and add a line to CHANGELOG.md.\n" + "\n".join(changed),
            pytrace=False,
        )
