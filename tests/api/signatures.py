"""The public names and their signatures, as lines of text.

    python tests/api/signatures.py

writes them to ``signatures.txt``, for a change of the API that is meant.
"""

import importlib
import importlib.util
import inspect
import re
import types
from pathlib import Path

import netlayers

FILE = Path(__file__).parent / "signatures.txt"
SPECIAL = ("__call__", "__len__", "__getitem__", "__iter__")
ON_DEMAND = ("estimators", "plotting", "testing")  # public, but not loaded with the package


def modules():
    """Return the public modules: those that the package names, and theirs."""
    found, todo = [], [netlayers]
    there = (n for n in ON_DEMAND if importlib.util.find_spec(f"netlayers.{n}"))
    todo += [importlib.import_module(f"netlayers.{name}") for name in there]
    while todo:
        module = todo.pop(0)
        if module not in found:
            found.append(module)
            values = (getattr(module, name) for name in names(module))
            todo += [value for value in values if isinstance(value, types.ModuleType)]
    return sorted(found, key=lambda module: (module is netlayers, module.__name__))


def names(module):
    """Return the public names of a module."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", 0) == module.__name__]
    return sorted(getattr(module, "__all__", [n for n in own if not n.startswith("_")]))


def signature(function):
    """Return the arguments with their defaults, without annotations."""
    try:
        found = inspect.signature(function)
    except ValueError:  # built in
        return "(...)"
    plain = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    found = found.replace(parameters=plain, return_annotation=found.empty)
    return re.sub(r" at 0x[0-9a-f]+", "", str(found))


def members(cls):
    """Yield the lines of a class's public methods, properties and plain attributes."""
    for name in sorted(set(dir(cls)) - {"__class__"}):
        owner = next(c for c in cls.__mro__ if name in vars(c))
        if not owner.__module__.startswith("netlayers"):
            continue
        if name.startswith("_") and name not in SPECIAL:
            continue
        value = vars(owner)[name]
        if isinstance(value, (staticmethod, classmethod)):
            yield f"    {type(value).__name__} {name}{signature(getattr(cls, name))}"
        elif inspect.isfunction(value):
            yield f"    {name}{signature(value)}"
        elif isinstance(value, property):
            yield f"    {name}: property{', writable' if value.fset else ''}"
        elif isinstance(value, (bool, int, float, str, tuple, type(None))):
            yield f"    {name} = {value!r}"


def lines():
    """Return the API, a line each; what a class shares with a public base stands there."""
    found = []
    table = {module: [(n, getattr(module, n)) for n in names(module)] for module in modules()}
    public = {v for its in table.values() for _, v in its if inspect.isclass(v)}
    homes = {}
    for module, values in table.items():
        found += ["", module.__name__, ""]
        for name, value in values:
            home = homes.setdefault(id(value), module)
            if inspect.isclass(value) and home is module:
                found.append(f"class {name}{signature(value)}")
                known = {
                    line for base in value.__mro__[1:] if base in public for line in members(base)
                }
                found += [line for line in members(value) if line not in known]
            elif home is not module:
                found.append(f"{name}: that of {home.__name__}")
            elif isinstance(value, netlayers.activations.ActivationFunction):
                order = "".join(f", {option}" for option in value._order)
                found.append(f"{name}(x{order}), {value._layer.__name__} with {value._defaults}")
            elif callable(value):
                found.append(f"{name}{signature(value)}")
            else:
                found.append(f"{name}: {type(value).__name__}")
    return found[1:]


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n")
