"""What functions and methods say of some wrong values of each argument, word by word."""

import os
from pathlib import Path

import pytest

from tests.golden import check_text
from tests.snapshots import numpy_kernels  # noqa: F401
from tests.uses import calls
from tests.uses.outcomes import outcome

LABELS = ("-1", "'x'", "None", "1.5", "[]")


NAMES = [name for name in calls.CALLS if next(calls.uses(LABELS, [name]), None)]


@pytest.mark.parametrize("name", NAMES)
def test_functions_and_methods(name):
    kept = Path(__file__).parent / "golden" / f"{name}.txt"
    known = None
    if not os.environ.get("NETLAYERS_REWRITE"):  # arguments that are new have no line yet
        known = {line.partition(": ")[0] for line in kept.read_text("utf-8").splitlines()}
    lines = []
    for use in calls.uses(LABELS, [name]):
        if known is None or use.name in known:
            kind, text = outcome(use)
            text = " ".join(text.split()).partition(" Known names: ")[0]
            lines.append(f"{use.name}: {kind} {text}".rstrip())
    check_text(__file__, kept.name, "\n".join(lines))
