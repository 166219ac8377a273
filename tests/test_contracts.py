"""What every class promises, whoever wrote it: the checks of netlayers.testing on all classes."""

import importlib
import itertools
import pkgutil

import pytest

import netlayers as nl
from netlayers.activations import ActivationFunction, ActivationLayer
from netlayers.errors import ConfigurationError
from netlayers.registry import registered, snake_case
from netlayers.testing import list_checks
from tests.classes import KINDS, concrete, ours
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed

MODULES = [
    importlib.import_module(m.name)
    for m in pkgutil.walk_packages(nl.__path__, "netlayers.")
    if not m.name.endswith("__main__")
]
# Several inputs and outputs, indices, masks, states: what a user's layers may be.
USERS = [Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed]


# What takes longest runs with the slow tests: these classes, and a check that traces memory.
LONG = {"ConvLSTM2D", "ConvLSTM3D"}
LONG_CHECKS = {"third_step_allocates_nothing_large", "third_loss_allocates_nothing_large"}


def contracts():
    """The checks of each class, with all examples that they run on."""
    for cls in [cls for kind in KINDS for cls in concrete(kind)] + USERS:
        cases = list_checks(cls, strict=cls not in USERS)
        for name, its in itertools.groupby(cases, key=lambda case: case.check.name):
            yield pytest.param(
                list(its),
                id=f"{cls.__module__.split('.')[1]}-{cls.__name__}-{name}",
                marks=[pytest.mark.slow] if cls.__name__ in LONG or name in LONG_CHECKS else [],
            )


@pytest.mark.filterwarnings("ignore:RemoteMonitor")  # nobody listens
@pytest.mark.parametrize("cases", list(contracts()))
def test_contract(cases):
    for case in cases:
        case()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "callback"])
def test_every_class_is_registered_and_exported(kind):
    classes = concrete(kind)
    known, exported = registered(kind), KINDS[kind][1]
    assert classes
    for cls in classes:
        for name in (cls.__name__, snake_case(cls.__name__)):
            assert known.get(name) is cls, f"{cls.__name__} is not registered as {name!r}"
        if cls.__name__ in ("Graph", "FeatureSpace"):  # for functional models; in utils
            continue
        place = nl if cls is nl.Sequential else exported
        assert cls.__name__ in place.__all__, f"{cls.__name__} is not exported"
        assert getattr(place, cls.__name__) is cls
    others = KINDS[kind][2]  # bases, and those with tests of their own
    mine = {c for c in known.values() if isinstance(c, type) and ours(c)}
    assert {c for c in mine if c.__name__ not in others} == set(classes)


def test_every_callback_is_exported():
    names = {cls.__name__ for cls in concrete("callback")}
    assert names
    others = {"Callback", "CallbackList", "MonitorCallback", "ProgbarLogger", "SwapEMAWeights"}
    assert names == set(nl.callbacks.__all__) - others


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_public_names_exist_and_have_docstrings(module):
    assert module.__doc__
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    for name in names:
        value = getattr(module, name)
        assert (value.__doc__ or "").strip(), f"{module.__name__}.{name} has no docstring"
        assert name in dir(module)


def test_root_exports():
    assert set(nl.__all__) <= set(dir(nl))
    assert all(getattr(nl, name).__doc__ for name in nl.__all__)


def test_activation_names():
    names = registered("activation")
    functions = [v for v in vars(nl.activations).values() if isinstance(v, ActivationFunction)]
    classes = {cls for cls in concrete("layer") if issubclass(cls, ActivationLayer)}
    arguments = {cls: cls.examples()[0][0] for cls in classes}  # the fewest that it can do with
    made = {f.make: f._layer for f in functions}
    assert set(made.values()) == classes
    assert {names[cls.__name__] for cls in classes} == classes
    for function in functions:
        assert function.__name__ in nl.activations.__all__
        assert function.__name__ in names
    for name, factory in names.items():
        cls = made.get(factory, factory)
        assert type(factory(**arguments[cls])) is cls, name
        if arguments[cls]:
            with pytest.raises(ConfigurationError, match="needs arguments"):
                nl.activations.get(name)
        else:
            assert type(nl.activations.get(name)) is cls


def test_layers_with_randomness_are_among_them():
    random = [cls for cls in concrete("layer") if cls.random]
    assert len(random) > 3
    names = {case.check.name for cls in random for case in list_checks(cls)}
    assert {"follows_the_seed_of_its_model", "draws_in_each_step_and_never_at_inference"} <= names


@pytest.mark.parametrize("cls", concrete("layer"), ids=lambda c: c.__name__)
def test_misspelled_layer_arguments_get_a_suggestion(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__}.*'nmae'.*Did you mean 'name'"):
        cls(**cls.examples()[0][0], nmae="x")
