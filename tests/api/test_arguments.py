"""Every optional argument of a public function or method has an effect, or is refused.

Constructors of layers, losses, metrics, optimizers, callbacks and so on are held to the same by the
contracts (tests/test_contracts.py). Arguments of Keras that choose only how something is executed
are those of ``netlayers.registry.EXECUTION_ARGUMENTS``.
"""

import contextlib
import importlib.util
import inspect
import io
import warnings

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import NetlayersError
from netlayers.registry import EXECUTION_ARGUMENTS
from tests.api import signatures
from tests.api.arguments import CASES, ELSEWHERE, FILE

PLOTTED = importlib.util.find_spec("matplotlib") is not None


def optional(function):
    parameters = inspect.signature(function).parameters.values()
    return [
        p.name
        for p in parameters
        if p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


def walk():
    """Yield each public function and method of a model or report with its optional arguments."""
    seen = set()
    # The contracts hold for what these classes and their subclasses do.
    contracts = (
        nl.activations.ActivationFunction,
        nl.initializers.Initializer,
        nl.losses.Loss,
        nl.losses.LossFunction,
        nl.metrics.Metric,
        nl.optimizers.Optimizer,
    )
    for module in signatures.modules():
        place = module.__name__.removeprefix("netlayers").strip(".")
        if place == "testing":
            continue
        for name in signatures.names(module):
            value = getattr(module, name)
            if inspect.isfunction(value) and value not in seen:
                seen.add(value)
                yield f"{place}.{name}".strip("."), value
            elif inspect.isclass(value) and not issubclass(value, contracts):
                owner = nl.layers.Layer if issubclass(value, nl.layers.Layer) else None
                for member, function in vars(value).items():
                    if member.startswith(("_", "on_")) or not inspect.isfunction(function):
                        continue
                    if owner is None or not hasattr(owner, member):
                        yield f"{name}.{member}", function
    for cls in (c for c in nl.models.Model.__mro__ if c.__name__.endswith("Model")):
        for member, function in vars(cls).items():
            if not member.startswith("_") and inspect.isfunction(function):
                yield f"Model.{member}", function


def known(name):
    is_method = name[0].isupper()
    return name if is_method or name in CASES | ELSEWHERE else name.rsplit(".", 1)[-1]


def test_every_optional_argument_is_here():
    found = {}
    for name, function in walk():
        arguments = [a for a in optional(function) if a not in EXECUTION_ARGUMENTS]
        if arguments:
            found[known(name)] = set(arguments)
    missing = {name: its for name, its in found.items() if name not in CASES | ELSEWHERE}
    assert not missing
    cases = {name: set(its) for name, (_, its) in CASES.items()}
    assert cases == {name: its for name, its in found.items() if name in CASES}


def plain(value):
    """Return a value that compares by its contents."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tolist()
    if isinstance(value, dict):
        return {key: plain(its) for key, its in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(its) for its in value]
    return value if isinstance(value, (int, float, str)) else str(value)


def outcome(run, folder, arguments):
    """Return what a call returns, prints, writes, or by which error it refuses the arguments."""
    printed = io.StringIO()
    if "folder" in inspect.signature(run).parameters:
        arguments = {"folder": folder, **arguments}
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = plain(run(**arguments))
    except (NetlayersError, KeyError, TypeError) as error:
        result = f"{type(error).__name__}: {error}"
    return repr(result), printed.getvalue(), sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "argument"), [(name, its) for name, (_, table) in CASES.items() for its in table]
)
def test_the_argument_has_an_effect(name, argument, tmp_path):
    if "plot" in name and not PLOTTED:
        pytest.skip("matplotlib is not installed")
    run, table = CASES[name]
    beside, value = table[argument] if _has_others(table[argument]) else ({}, table[argument])
    value = tmp_path / "b" / value if value is FILE else value
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    given = value if argument in ("options", "kwargs") else {argument: value}
    without = outcome(run, folders[0], beside)
    assert without == outcome(run, folders[0], beside) or name == "Model.save"
    assert outcome(run, folders[1], {**beside, **given}) != without


def _has_others(value):
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], dict)
