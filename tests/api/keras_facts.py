"""The public names of Keras with their arguments and defaults, as lines of text.

    KERAS_BACKEND=jax python tests/api/keras_facts.py

writes them to ``keras_facts.txt``, from the installed Keras: facts about its API, no code of it.
"""

import inspect
import re
from pathlib import Path

FILE = Path(__file__).parent / "keras_facts.txt"
MODULES = """
layers losses metrics optimizers optimizers.schedules callbacks initializers regularizers
constraints activations models utils saving random config
"""
CLASSES = {  # those whose methods are compared, too
    "models.Model": "Model",
    "models.Sequential": "Sequential",
    "layers.Layer": "Layer",
    "losses.Loss": "Loss",
    "metrics.Metric": "Metric",
    "optimizers.Optimizer": "Optimizer",
    "callbacks.Callback": "Callback",
}


def read(file=FILE):
    """Return ``{section: {name: signature}}`` of the file; a signature may be ``= other name``."""
    found, section = {}, None
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            section = found.setdefault(line[2:], {})
        elif line and section is not None:
            name, signature = re.match(r"(\w+)(.*)", line).groups()
            section[name] = signature.strip()
    return found


def public(module, *, modules=False):
    """Return the public classes and functions of a module, or its modules."""
    values = {n: v for n, v in vars(module).items() if not n.startswith("_")}
    return {n: v for n, v in sorted(values.items()) if inspect.ismodule(v) == modules}


def signature_of(value):
    """Return the arguments with their defaults, without ``self`` and annotations."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    kept = [p.replace(annotation=p.empty) for n, p in found.parameters.items() if n != "self"]
    text = str(found.replace(parameters=kept, return_annotation=found.empty))
    return re.sub(r"<[^<>]*?(\w+)( at 0x[0-9a-f]+)?>", r"'\1'", text)


def members(cls):
    """Return the public methods and properties of a class of Keras."""
    found = {}
    for name in sorted(dir(cls)):
        owner = next(c for c in cls.__mro__ if name in vars(c))
        if name.startswith("_") or not owner.__module__.startswith("keras."):
            continue
        value = getattr(cls, name)
        found[name] = signature_of(value) if callable(value) else ""
    return found


def lines(keras):
    """Return the API, a line each."""
    modules = [n for n in public(keras, modules=True) if n not in {"src", "legacy", "version"}]
    found = [f"# version {keras.__version__}", "", "# modules", "", *modules]
    found += ["", "# datasets", "", *public(keras.datasets, modules=True)]
    for section in MODULES.split():
        module = keras
        for part in section.split("."):
            module = getattr(module, part)
        found += ["", f"# {section}", ""]
        first = {}
        for name, value in public(module).items():
            other = first.setdefault(id(value), name)
            found.append(name + (signature_of(value) if other == name else f" = {other}"))
    known = members(keras.layers.Layer)
    for path, title in CLASSES.items():
        module, name = path.split(".")
        found += ["", f"# methods of {title}", ""]
        own = members(getattr(getattr(keras, module), name))
        if title in {"Model", "Sequential"}:  # the rest is that of a layer
            own = {n: s for n, s in own.items() if known.get(n) != s}
            known = known | own
        found += [n + s for n, s in own.items()]
    return found


if __name__ == "__main__":
    import keras

    FILE.write_text("\n".join(lines(keras)) + "\n", encoding="utf-8")
