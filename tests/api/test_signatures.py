"""The public API changes only on purpose."""

import difflib

import pytest

from tests.api import signatures


def test_signatures_are_those_written_down():
    expected = signatures.FILE.read_text().splitlines()
    lines = difflib.unified_diff(expected, signatures.lines(), "written", "now", lineterm="", n=0)
    changed = [line for line in lines if not line.startswith("@@")]
    if changed:
        pytest.fail(
            "The public API has changed. If this is meant, run `python tests/api/signatures.py` "
            "and add a line to CHANGELOG.md.\n" + "\n".join(changed),
            pytrace=False,
        )
