"""A pytest plugin that notes which functions of netlayers each passing test enters.

Writes JSON into the folder named by ``NETLAYERS_REACH``, a file for each process of pytest-xdist:
{test: [seconds, [function, ...]]}. The seconds are of the processor, of this process and of those
that it has waited for, so that a busy machine does not make a test long.
"""

import json
import os
import sys
import threading
from pathlib import Path

import pytest

ROOT = os.path.join(os.getcwd(), "netlayers") + os.sep
_entered, _found = {}, {}


def _note(frame, event, _):
    code = frame.f_code
    _entered[id(code)] = code


def _function(code):
    """Return the innermost function with a name that a code object is part of."""
    name = code.co_qualname.replace(".<locals>", "")
    return ".".join(part for part in name.split(".") if not part.startswith("<"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _entered.clear()
    began = _processor_seconds()
    threading.settrace(_note)
    sys.settrace(_note)
    try:
        return (yield)
    finally:
        sys.settrace(None)
        threading.settrace(None)
        if item.nodeid in _found:
            ours = [c for c in list(_entered.values()) if c.co_filename.startswith(ROOT)]
            functions = sorted({_function(code) for code in ours})
            _found[item.nodeid] = [round(_processor_seconds() - began, 3), functions]


def _processor_seconds():
    return sum(os.times()[:4])


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        _found[report.nodeid] = [0, []]
    elif report.failed:
        _found.pop(report.nodeid, None)


def pytest_sessionfinish():
    if any(functions for _, functions in _found.values()):  # not in the process that only collects
        name = os.environ.get("PYTEST_XDIST_WORKER", "main")
        Path(os.environ["NETLAYERS_REACH"], f"{name}.json").write_text(json.dumps(_found))
