"""Which values every argument of the public classes takes, as lines of text.

    python tests/api/bounds.py

writes them to ``bounds.txt``, for a change that is meant.
"""

import contextlib
import inspect
import warnings
from pathlib import Path

import netlayers as nl

FILE = Path(__file__).parent / "bounds.txt"
VALUES = (-2, -1, -0.5, 0, 1e-9, 0.5, 1, 1.5, 2, 3, 1e9, float("nan"), float("inf"))
OTHERS = (True, None, "text", "mean", (1, 2), [], ())
MODULES = (
    nl.callbacks,
    nl.constraints,
    nl.initializers,
    nl.layers,
    nl.losses,
    nl.metrics,
    nl.optimizers,
    nl.optimizers.schedules,
    nl.regularizers,
)
# Arguments that have no default, by their names.
NEEDED = {
    "alpha_0": 0.1,
    "axis": 1,
    "backup_dir": "folder",
    "boundaries": [1, 2],
    "decay_rate": 0.5,
    "decay_steps": 4,
    "dims": (1,),
    "filename": "file",
    "filepath": "file",
    "initial_learning_rate": 0.1,
    "first_decay_steps": 4,
    "kernel_initializer": "zeros",
    "layers": [],
    "losses": ["mse", "mae"],
    "max_learning_rate": 0.1,
    "model_size": 8,
    "n": 2,
    "on_epoch_end": None,
    "quantile": 0.5,
    "rate": 0.25,
    "schedule": float,
    "sizes": [1, 1],
    "steps": 4,
    "target_shape": (1,),
    "total_steps": 8,
    "units": 2,
    "values": [1.0, 2.0, 3.0],
    "warmup_steps": 4,
}
LEFT_OUT = {"args", "kwargs", "name", "self"}


def arguments(cls):
    """Return the arguments of a class with their defaults, and those that an object needs."""
    given = {}
    if issubclass(cls, nl.layers.Layer) and "examples" in vars(cls):
        given = dict(cls.examples()[0][0])
    found = {}
    for name, p in inspect.signature(cls).parameters.items():
        if name in LEFT_OUT or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        found[name] = p.default
        if p.default is p.empty and name not in given:
            given[name] = NEEDED.get(name, 1)
    return found, given


def taken(cls, given, name, value, said):
    """Whether an object can be made with a value; if not, add who says so to ``said``."""
    try:
        cls(**{**given, name: value})
    except nl.errors.NetlayersError as error:
        said.add(str(error).partition(" must ")[0].partition(". ")[0].partition(" got ")[0][:60])
        return False
    return True


def lines():
    """Return a line for each argument of each class that can be made."""
    found, seen = [], set()
    for module in MODULES:
        for title in sorted(module.__all__):
            cls = getattr(module, title)
            if not isinstance(cls, type) or cls in seen:
                continue
            seen.add(cls)
            names, given = arguments(cls)
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cls(**given)
                found += [line(cls, given, name) for name in names]
    return found


def line(cls, given, name):
    """Return what an argument takes, and how the messages on other values begin."""
    said = set()
    values = [v for v in (*VALUES, *OTHERS) if taken(cls, given, name, v, said)]
    refused = f"; else {' | '.join(sorted(said))}" if said else ""
    return f"{cls.__module__.split('.')[1]}.{cls.__name__} {name}: {values}{refused}"


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n")
