"""Checks are told whose argument they check, and which, in this order, also where all is right."""

import contextlib
import functools
import inspect
import sys
import types
import warnings

import numpy as np
import pytest

import netlayers as nl
from tests import test_surfaces as surfaces
from tests.api import constants, refusals, test_messages, test_who_and_what
from tests.classes import concrete


def checks():
    """Return the functions of the package that take an owner and then an argument's name."""
    return {
        its
        for module in constants.modules()
        for its in vars(module).values()
        if isinstance(its, types.FunctionType)
        and its.__module__ == module.__name__
        and list(inspect.signature(its).parameters)[:2] == ["owner", "argument"]
    }


@pytest.fixture
def told(monkeypatch):
    """What the checks are told: {(name of the check, owner, argument)}."""
    found, every = set(), checks()
    assert len(every) > 30

    def spied(function):
        @functools.wraps(function)
        def check(owner, argument, *more, **options):
            found.add((function.__name__, owner, argument))
            return function(owner, argument, *more, **options)

        return check

    spies = {function: spied(function) for function in every}
    for module in [m for n, m in sys.modules.items() if n.startswith("netlayers")]:
        for name, its in list(vars(module).items()):
            if isinstance(its, types.FunctionType) and its in spies:
                monkeypatch.setattr(module, name, spies[its])
    return found


def use_methods():
    """Call methods with good and with wrong arguments."""
    calls = list(test_who_and_what.CASES.values())
    for name, (data, arguments) in test_messages.METHODS.items():
        model = test_messages.model()
        calls.append(functools.partial(getattr(model, name), *data))
        wrong = [{argument: "x"} for argument in arguments.split()]
        calls += [functools.partial(getattr(model, name), *data, **one) for one in wrong]
    y = np.arange(6) % 2
    model = nl.Sequential([nl.layers.Input((2,)), nl.layers.Dense(2)], seed=0)
    model.compile(
        "sgd", nl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    x = np.sin(np.arange(12.0)).reshape(6, 2)
    for given in (x, x.tolist(), x.astype("int8")):
        calls += [
            functools.partial(model.fit, given, y, verbose=0, class_weight={0: 1.0, 1: 2.0}),
            functools.partial(model.fit, given, y, verbose=0, sample_weight=np.ones(6)),
            functools.partial(model.fit, given, y, verbose=0, validation_data=(given, y)),
            functools.partial(model.evaluate, given, y, verbose=0),
            functools.partial(model.predict, given, verbose=0),
            functools.partial(model.train_on_batch, given, y),
            functools.partial(model.predict_on_batch, given),
        ]
    calls += [functools.partial(nl.layers.Dense(2).build, shape) for shape in ("x", 3, (None, 2))]
    calls += [functools.partial(nl.layers.Dense(2).compute_output_shape, s) for s in ("x", (1, 2))]
    for call in calls:
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            call()


def test_owner_and_argument_have_their_places(told, capsys):
    names = {"callbacks", "mode"}
    for module in constants.modules():
        for its in vars(module).values():
            if isinstance(its, (type, types.FunctionType)) and its.__module__ == module.__name__:
                methods = [its, *vars(its).values()] if isinstance(its, type) else [its]
                for method in methods:
                    with contextlib.suppress(ValueError, TypeError):
                        names |= set(inspect.signature(method).parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refusals.table([-3, ("a", 1), [1.5, 2], {"a": "b"}])
        for kind in ("layer", "loss", "metric"):
            surfaces.table(kind, concrete(kind))
        use_methods()
    methods = {*dir(nl.Sequential), *dir(nl), *dir(nl.utils)}
    wrong = [
        f"{check}({owner!r}, {argument!r})"
        for check, owner, argument in sorted(told)
        if owner in names - methods - {"validation_data"}
        or owner.startswith("each ")
        or "'" in argument
        or argument in methods - names
        or argument[:1].isupper()
    ]
    assert wrong == []
    assert len(told) > 1000
