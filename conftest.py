"""Which tests reach a kernel, so that the run with compiled kernels needs no others.

With ``--write-kernel-tests=FILE``, a run notes each test that looks up an attribute of
``kernels``, the one door to every kernel. With ``--kernel-tests=FILE``, a run selects those, and
the tests marked ``kernels``, which reach one in a process that they start. No list is kept up by
hand: whoever calls a new kernel looks it up.
"""

import gc
import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy is loaded: the workers share the cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_addoption(parser):
    """Add the two options."""
    group = parser.getgroup("netlayers")
    group.addoption(
        "--write-kernel-tests",
        metavar="FILE",
        help="append the names of the tests that reach a kernel to FILE",
    )
    group.addoption(
        "--kernel-tests",
        metavar="FILE",
        help="run only the tests that FILE names, and those marked 'kernels'",
    )


def pytest_configure(config):
    """Start to note the tests, if that is asked for."""
    target = config.getoption("--write-kernel-tests")
    if target:
        config.pluginmanager.register(KernelTests(Path(target).absolute()), "kernel-tests")


class KernelTests:
    """Writes the names of the tests that look up a kernel to a file, also from several workers."""

    def __init__(self, file):
        from netlayers.kernels.select import kernels

        self.file = file
        self.reached = reached = set()

        class Watched(type(kernels)):
            def __getattribute__(self, name):
                if name != "name" and not name.startswith("_"):
                    reached.add(name)
                return super().__getattribute__(name)

        kernels.__class__ = Watched

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Note the test if it, with its fixtures, looked up a kernel."""
        self.reached.clear()
        result = yield
        if self.reached:
            with self.file.open("a") as file:
                file.write(f"{item.nodeid}\n")
        return result


def pytest_collection_modifyitems(config, items):
    """Leave out the tests that do not reach a kernel, if that is asked for."""
    source = config.getoption("--kernel-tests")
    if not source:
        return
    names = set(Path(source).read_text().splitlines())
    chosen = [i for i in items if i.nodeid in names or i.get_closest_marker("kernels")]
    config.hook.pytest_deselected(items=[i for i in items if i not in set(chosen)])
    items[:] = chosen


def pytest_collection_finish():
    """Leave what there is now, such as 20,000 tests, out of each later search for cycles."""
    gc.collect()
    gc.freeze()
