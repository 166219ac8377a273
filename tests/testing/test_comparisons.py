"""What the checks compare: each comparison of a class that passes, with its words and numbers."""

import functools
import importlib
import json
import pkgutil
import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.random import Streams
from netlayers.testing import list_checks
from tests.golden import check_text
from tests.mutation.contract_faults import (
    Alternating,
    AtMostOne,
    Cubes,
    Halving,
    LargestError,
    Momentum,
    Squares,
    StopsAfter,
)
from tests.mutation.layer_faults import Centred, Scale
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed

MODULES = [
    importlib.import_module(f"netlayers.testing.{module.name}")
    for module in pkgutil.iter_modules(importlib.import_module("netlayers.testing").__path__)
]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


class Compared:
    """Collects comparisons: those that differ in their numbers alone make one line."""

    def __init__(self):
        self.found, self.hints = {}, {}

    def note(self, name, values, words, hint="", options=()):
        if hint:
            self.hints[NUMBER.sub("#", hint)] = None
        texts = " | ".join([name, *words])
        first, count, total = self.found.get(NUMBER.sub("#", texts), (texts, 0, 0.0))
        numbers = [float(n) for n in NUMBER.findall(texts)]
        total += sum(map(abs, numbers)) + sum(map(weight, values))
        self.found[NUMBER.sub("#", texts)] = first, count + 1, total
        if options:
            self.found[f"{name} within {options}"] = f"{name} within {options}", 1, 0.0

    def lines(self):
        """Return a line for each: how often, the sum of the numbers, and the first text."""
        found = [(f"{n} x {total:.6g}", first) for first, n, total in self.found.values()]
        self.found.clear()
        return [f"  {numbers:15} {json.dumps(first)[1:-1]}" for numbers, first in found]


def weight(value):
    """Return a number for what was compared: its entries and its form."""
    a = np.asarray(value)
    if a.size > 10_000:  # for a check of memory
        return float(a.size)
    if a.dtype.kind in "fiub":
        entries = np.abs(np.where(np.isfinite(a), a, 0.5).astype(float)).sum()
        return float(entries + a.dtype.itemsize + 10 * a.ndim + a.size)
    return float(len(NUMBER.sub("", str(a.tolist()))))


@pytest.fixture
def compared(monkeypatch):
    """The comparisons of checks, with NumPy's kernels, and a seed where there is none."""
    found, kernels = Compared(), nl.kernels_in_use()
    nl.use_kernels("numpy")
    start = Streams.__init__
    monkeypatch.setattr(
        Streams, "__init__", lambda self, seed=None: start(self, 7 if seed is None else seed)
    )

    def spied(name, function):
        @functools.wraps(function)
        def compare(*arguments):
            if name == "require":
                condition, expected, got, hint = arguments
                if any(word in got for word in ("bytes", "array(", "largest error")):
                    got, expected = (NUMBER.sub("#", t.partition("[")[0]) for t in (got, expected))
                found.note(name, [type(condition) is bool], [expected, got], hint)
            elif name == "differ":
                arguments = [*map(list, arguments)]
                found.note(name, [*arguments[0], *arguments[1]], [str(function(*arguments))])
            else:
                got, wanted, expected, hint, *tolerances = arguments
                arguments = [got := list(got), wanted := list(wanted), *arguments[2:]]
                found.note(name, [*got, *wanted], [expected], hint, tolerances)
            return function(*arguments)

        return compare

    for module in MODULES:
        if not module.__name__.endswith(".values"):
            for name in ("require", "same", "close", "differ"):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, spied(name, getattr(module, name)))
    yield found
    nl.use_kernels(kernels)


# What is called of a class; further arguments may hold memory that is not set yet.
METHODS = (
    "forward", "backward", "update_state", "update", "fill", "add_gradient", "apply", "__call__",
)  # fmt: skip


def spy_on(cls, found, monkeypatch):
    """Note also with which arguments the methods of a class are called."""
    for name in METHODS:
        function = getattr(cls, name, None)
        if function is None or (name == "__call__" and hasattr(cls, "forward")):
            continue

        def called(self, *arguments, _name=name, _function=function, **options):
            first = 3 if _name == "forward" else 2
            words = [*map(form, arguments[:first]), *(f"{k}={form(v)}" for k, v in options.items())]
            values = [a for a in arguments[:first] if isinstance(a, np.ndarray)]
            found.note(f"{_name}({', '.join(words)})", values, [])
            return _function(self, *arguments, **options)

        monkeypatch.setattr(cls, name, functools.wraps(function)(called))


def form(value):
    """Return what kind of an argument it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype.kind}{np.shape(value)}"
    return repr(value) if isinstance(value, (bool, type(None))) else type(value).__name__


CLASSES = [
    Scale, Centred, Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed, Squares,
    LargestError, Momentum, Halving, Alternating, Cubes, AtMostOne, StopsAfter,
    nl.activations.Softmax,
    nl.layers.Dense, nl.layers.Dropout, nl.losses.CategoricalCrossentropy,
    nl.losses.SparseCategoricalCrossentropy, nl.metrics.Mean, nl.metrics.Precision,
    nl.callbacks.EarlyStopping,
]  # fmt: skip


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_what_is_compared(cls, compared, monkeypatch, capsys):
    spy_on(cls, compared, monkeypatch)
    lines, seen = [], {}
    for case in list_checks(cls, strict=cls.__module__.startswith("netlayers")):
        name = case.check.name
        if seen.setdefault(name, 0) == 2:  # two examples are enough
            continue
        seen[name] += 1
        case()
        lines += [str(case), *compared.lines()]
    assert capsys.readouterr() == ("", "")
    hints = [f"  {json.dumps(hint)[1:-1]}" for hint in compared.hints]
    check_text(__file__, f"{cls.__name__}.txt", "\n".join([*lines, "hints", *hints]))
