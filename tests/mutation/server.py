"""A pytest plugin that collects the tests once and runs some of them for each planted fault.

Reads requests, a line of JSON each, from the file descriptor ``NETLAYERS_REQUESTS``. For each it
forks; the child gives the changed functions their new code, runs the tests until one fails, and the
answer, a line of JSON, goes to ``NETLAYERS_ANSWERS``. Where a fault changes more than the code of
functions (a constant of a module, a default), the answer is ``{"outcome": "not here"}``.
"""

import ast
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import shutil
import signal
import sys
import tempfile
import types
from pathlib import Path

import pytest

ROOT = os.path.join(os.getcwd(), "netlayers") + os.sep
WAIT = 6  # a process that says nothing for this many times its processor time hangs
OPTIMIZED = 1  # inspect.CO_OPTIMIZED: the code of a function, not of a module or class
_failed, _mine = [], False


def pytest_runtest_logreport(report):
    if _mine and report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = getattr(crash, "message", "") or str(report.longrepr)[-200:]
        _failed.append(f"FAILED {report.nodeid} - {text.strip().splitlines()[:1]}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    requests = os.fdopen(int(os.environ["NETLAYERS_REQUESTS"]))
    answers = os.fdopen(int(os.environ["NETLAYERS_ANSWERS"]), "w")
    items = {}
    for item in session.items:
        items[item.nodeid] = [item]
        items.setdefault(item.nodeid.partition("::")[0], []).append(item)
    _import_all()
    gc.unfreeze()  # conftest.py hides what there was after the collection of the tests
    functions = _functions()
    gc.collect()
    gc.freeze()
    ready = {"outcome": "ready", "said": f"{len(session.items)} tests"}
    print(json.dumps(ready), file=answers, flush=True)
    for line in requests:
        print(json.dumps(_answer(items, functions, json.loads(line))), file=answers, flush=True)
    return True


def _import_all():
    import netlayers

    for found in pkgutil.walk_packages(netlayers.__path__, "netlayers."):
        if "compiled" not in found.name and "__main__" not in found.name:
            with contextlib.suppress(Exception):
                importlib.import_module(found.name)


def _place(code):
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _functions():
    """Return {place of its code: functions with that code} of netlayers."""
    found = {}
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and thing.__code__.co_filename.startswith(ROOT):
            found.setdefault(_place(thing.__code__), []).append(thing)
    return found


def _inner(code):
    return [c for c in code.co_consts if isinstance(c, types.CodeType)]


def changes(old, new):
    """Return pairs of codes of functions, or None if a module or class body differs itself."""
    pairs, left = [], [(old, new)]
    while left:
        old, new = left.pop()
        inner_old, inner_new = _inner(old), _inner(new)
        same = [c.co_qualname for c in inner_old] == [c.co_qualname for c in inner_new]
        if old.co_flags & OPTIMIZED:
            pairs.append((old, new))
        elif not same or _body(old) != _body(new):
            return None
        if same:
            left += zip(inner_old, inner_new, strict=True)
    return [(old, new) for old, new in pairs if old != new]


def _body(code):
    plain = [repr(c) for c in code.co_consts if not isinstance(c, types.CodeType)]
    return code.co_code, code.co_names, plain


def swap(functions, path, old, new):
    """Give the functions that differ in two sources of a file their new code; whether it works."""
    sources = [compile(ast.parse(text), path, "exec", dont_inherit=True) for text in (old, new)]
    pairs = changes(*sources)
    if not pairs:
        return False
    swapped = False
    for was, becomes in pairs:
        if len(was.co_freevars) != len(becomes.co_freevars):
            return False
        for function in functions.get(_place(was), ()):
            function.__code__ = becomes
            swapped = True
    return swapped


def _answer(items, functions, request):
    """Run the tests of a request in a forked process."""
    folder = tempfile.mkdtemp(prefix="mutant-")
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        _child(items, functions, request, write, folder)
    os.close(write)
    try:
        return _wait(read, WAIT * request["timeout"])
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(read, timeout):
    data, quiet = b"", 0
    while True:
        ready, _, _ = select.select([read], [], [], timeout / 3)
        if not ready:
            quiet += 1
            if quiet > 2:  # more than once: this process may have been suspended itself
                return {"outcome": "caught", "said": "timeout"}
            continue
        got = os.read(read, 65536)
        if not got:
            break
        data += got
    if not data:
        return {"outcome": "caught", "said": "the process died"}  # or its processor time is over
    return json.loads(data)


def _limit(seconds):
    """End this process after so many seconds of the processor, however busy the machine is."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, resource.RLIM_INFINITY))


def _child(items, functions, request, write, folder):
    global _mine
    answer = {"outcome": "not here", "said": "an error of the tool"}
    try:
        os.setpgid(0, 0)
        _limit(request["timeout"])
        _mine = True
        path = os.path.join(os.getcwd(), request["path"])
        if swap(functions, path, request["old"], request["new"]):
            chosen = [item for test in request["tests"] for item in items.get(test, ())]
            answer = {"outcome": "survived", "said": f"{len(chosen)} tests"}
            for item, following in zip(chosen, [*chosen[1:], None], strict=True):
                factory = getattr(item.config, "_tmp_path_factory", None)
                if factory is not None:
                    factory._basetemp = Path(folder)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if _failed:
                    answer = {"outcome": "caught", "said": _failed[0]}
                    break
        else:
            answer["said"] = "not in the code of a function"
    except BaseException as error:  # a fault may raise anything, also out of a fixture or a hook
        answer = {"outcome": "caught", "said": f"{type(error).__name__}: {error}"}
    finally:
        answer["said"] = answer["said"][:500]
        os.write(write, json.dumps(answer).encode())
        sys.stdout.flush()
        os._exit(0)
