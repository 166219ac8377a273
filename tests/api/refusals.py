"""What arguments of the public classes say of values that they refuse, of pairs and lists too.

    python -m tests.api.refusals

writes it to ``refusals.txt``; ``bounds.py`` has which single values are taken.
"""

import contextlib
import warnings
from pathlib import Path

import netlayers as nl
from tests.api.bounds import MODULES, arguments

FILE = Path(__file__).parent / "refusals.txt"
VALUES = (
    -3, -1e-9, 0.25, 4, 255, 1e39, -(2**63) - 1, False, "", "same", b"x", {},
    [1], [[1]], (None,), ("a", 1), (1, "a"), (0.25, 0.5), (0.5, 0.25), (-0.5, 0.5), (0, 1), (1, 0),
    (1, -1), (2, 2), (1, 1), (3, True), (float("nan"), 1), (0.5, 1e39), (1, 2, 3), (1, 2, 2),
    (2, 1, 1, 1),
    ["a", "b"], ["a", "a"], ["a", None], [1.5, 2], {"a": 1}, {"a": "b"}, {1: 2},
)  # fmt: skip
# Of many classes, with the same answers; a list without arguments of its own.
LEFT_OUT = ("_initializer", "_regularizer", "_constraint", "activation", "trainable", "_multiplier")
CLASSES_LEFT_OUT = ("CallbackList", "OutputLosses")
MANY = 6  # texts for an argument; further ones differ in the value


def said(cls, given, name, value):
    """Return what is said of a value; "" if an object can be made with it."""
    try:
        cls(**{**given, name: value})
    except nl.errors.NetlayersError as error:
        return " ".join(str(error).partition(" Known names: ")[0].partition(" got ")[0].split())
    except Exception as error:
        return type(error).__name__
    return ""


def table(values=VALUES):
    """Return {"module.Class argument": what is taken, and what is said of other values}."""
    found, seen = {}, set()
    for module in MODULES:
        for title in sorted(module.__all__):
            cls = getattr(module, title)
            if not isinstance(cls, type) or cls in seen or title in CLASSES_LEFT_OUT:
                continue
            seen.add(cls)
            names, given = arguments(cls)
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cls(**given)
                for name in names:
                    if name.endswith(LEFT_OUT):
                        continue
                    texts = [said(cls, given, name, value) for value in values]
                    others = {text: None for text in texts if text}
                    taken = [v for v, text in zip(values, texts, strict=True) if not text]
                    key = f"{cls.__module__.split('.')[1]}.{cls.__name__} {name}"
                    found[key] = f"{taken} else {' | '.join([*others][:MANY])}"
    return found


def written():
    """Return the table in the file."""
    return dict(line.split(": ", 1) for line in FILE.read_text().splitlines())


if __name__ == "__main__":
    FILE.write_text("".join(f"{name}: {its}\n" for name, its in table().items()))
