"""The numbers and flags in all modules and classes, and the defaults of all functions.

    python -m tests.api.constants

writes them to ``constants.txt``, private ones too: limits, tolerances and sizes, whose effect is
often too small, or too far out, for another test.
"""

import importlib
import inspect
import pkgutil
import types
from pathlib import Path

import netlayers

FILE = Path(__file__).parent / "constants.txt"
LEFT_OUT = ("compiled", "numba", "__main__", "_version")
OF_PYTHON = ("__", "_abc_", "_is_protocol", "_is_runtime_protocol", "_field", "TYPE_CHECKING")


def text(value):
    """Return a number, a flag or a collection of some as text; "" of anything else."""
    if isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (tuple, list, set, frozenset)):
        parts = [text(its) for its in value if text(its)]
    else:
        return ""
    if not parts:
        return ""
    if isinstance(value, (set, frozenset)):
        parts.sort()
    return f"{type(value).__name__}({', '.join(parts)})"


def modules():
    """Yield the modules of the package that can be imported."""
    for found in pkgutil.walk_packages(netlayers.__path__, "netlayers."):
        if not any(word in found.name for word in LEFT_OUT):
            try:
                yield importlib.import_module(found.name)
            except ImportError:  # of an optional package
                continue


def values(owner, where, module):
    """Yield (name, text) of what a module or class defines, and of the classes in it."""
    for name, value in vars(owner).items():
        path = f"{where}.{name}"
        value = getattr(value, "__func__", value)  # of static and class methods
        value = inspect.unwrap(value) if isinstance(value, types.FunctionType) else value
        if isinstance(value, (type, types.FunctionType)):
            if value.__module__ != module.__name__ or value.__name__ != name:
                continue
            if isinstance(value, type):
                yield from values(value, path, module)
                continue
            for argument in inspect.signature(value).parameters.values():
                if text(argument.default):
                    yield f"{path}({argument.name})", text(argument.default)
        elif not name.startswith(OF_PYTHON):
            entries = (
                {f"[{k!r}]": v for k, v in value.items()} if type(value) is dict else {"": value}
            )
            yield from ((f"{path}{key}", text(its)) for key, its in entries.items() if text(its))


def table():
    """Return {name: value as text}."""
    every = (values(module, module.__name__.partition(".")[2], module) for module in modules())
    return {name: value for its in every for name, value in its}


def written():
    """Return the table in the file."""
    return dict(line.split(" = ", 1) for line in FILE.read_text().splitlines())


if __name__ == "__main__":
    FILE.write_text("".join(f"{name} = {its}\n" for name, its in sorted(table().items())))
