"""Tests, benchmarks and examples have at most 400 lines a file, as the package has."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 400


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "examples"])
def test_no_file_is_too_long(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    lines = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert {name: n for name, n in lines.items() if n > LIMIT} == {}
