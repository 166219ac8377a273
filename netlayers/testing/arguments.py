"""Constructor arguments: each is in the configuration, returns unchanged, and has an effect."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import sys
from typing import TYPE_CHECKING, Any

from netlayers.registry import constructor_arguments, same_argument, serialize
from netlayers.testing.contract import Example, Mismatch, check
from netlayers.testing.values import differ, require, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAMILIES = (
    "layer",
    "activation",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "initializer",
    "regularizer",
    "constraint",
)
# The base class of each family with its name.
BASES: dict[type, str] = {}
# What an object does, as a list of arrays that depends on every argument; one for each family.
OBSERVE: dict[str, Callable[[Example, Any], list[Any]]] = {}
# Arguments that the base class of a family takes; the examples need not show them.
COMMON: dict[str, list[dict[str, Any]]] = {
    "layer": [
        {"name": "mine", "trainable": False, "dtype": "float64", "learning_rate_multiplier": 0.5}
    ],
    "loss": [{"reduction": "sum", "name": "mine", "dtype": "float64"}],
    "metric": [{"name": "mine", "dtype": "float32"}],
    "schedule": [{"name": "mine"}],
    "optimizer": [
        {"learning_rate": 0.07, "weight_decay": 0.2, "clipnorm": 0.25, "name": "mine"},
        {"clipvalue": 0.05, "gradient_accumulation_steps": 2},
        {"global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.5, "on_nonfinite": "skip"},
        {"use_ema": True, "ema_overwrite_frequency": 2},
    ],
}
COMMON["activation"] = COMMON["layer"]
# Arguments that need no effect on what an object computes.
_QUIET = {"name", "dtype"}


def observe(kind: str, example: Example, thing: Any) -> list[Any]:
    """Return what an object does, as a list of arrays."""
    return OBSERVE[kind](example, thing)


def kind_of(example: Example) -> str:
    """Return the family of a class, by the base classes that the families have set."""
    return next(BASES[cls] for cls in example.cls.__mro__ if cls in BASES)


def defaults(cls: type) -> dict[str, Any]:
    """Return the optional arguments of a constructor with their defaults."""
    arguments = constructor_arguments(cls)
    return {k: v for k, v in arguments.items() if v is not inspect.Parameter.empty}


def varied(example: Example) -> list[str]:
    """Return the optional arguments that an example gives another value than the default."""
    default = defaults(example.cls)
    return [
        name
        for name, value in example.arguments.items()
        if name in default and not same_argument(value, default[name])
    ]


def with_common(example: Example) -> Iterator[Example]:
    """Yield the example with the arguments of its family's base class that its class takes."""
    taken = constructor_arguments(example.cls)
    for common in COMMON.get(kind_of(example), ()):
        more = {k: v for k, v in common.items() if k in taken and k not in example.arguments}
        if more:
            yield Example(example.cls, {**example.arguments, **more}, example.data)


@check(*FAMILIES, whole=True)
def examples_show_every_argument(examples: list[Example]) -> None:
    """Check that each optional argument has another value than its default in an example."""
    cls = examples[0].cls
    shown = {name for example in examples for name in varied(example)}
    shown |= {name for example in with_common(examples[0]) for name in varied(example)}
    quiet = getattr(cls, "arguments_without_effect", ())
    missing = [name for name in defaults(cls) if name not in shown and name not in quiet]
    require(
        not missing,
        "each optional argument of the constructor to have a value other than its default in one "
        "of the examples",
        f"no example for {', '.join(missing)}",
        f"add an example to {cls.__name__}.examples() that sets {missing[0] if missing else ''}",
    )


@check(*FAMILIES)
def config_holds_every_argument(example: Example) -> None:
    """Check that get_config() returns each constructor argument with the value that was given."""
    for one in (example, *with_common(example)):
        config = _config(one.make())
        missing = [name for name in constructor_arguments(one.cls) if name not in config]
        require(
            not missing,
            f"get_config() to hold the constructor arguments "
            f"{', '.join(constructor_arguments(one.cls))}",
            f"no {', '.join(missing)}",
            "keep each argument in an attribute of its own name and let the inherited "
            "get_config() collect them, or add it to the dict",
        )
        default = defaults(one.cls)
        for name in varied(one):
            given, kept = _plain(serialize(one.arguments[name])), config[name]
            numbers = isinstance(given, (int, float)) and isinstance(kept, (int, float))
            lost = kept == _plain(serialize(default[name])) or (numbers and kept != given)
            require(
                not lost,
                f"get_config()[{name!r}] to be {given!r}, which the constructor was given",
                repr(kept),
                f"keep it: self.{name} = {name} in __init__, and the same value in get_config()",
            )


@check(*FAMILIES)
def config_round_trip(example: Example) -> None:
    """Check that from_config(get_config()) makes an equivalent object."""
    kind = kind_of(example)
    for one in (example, *with_common(example)):
        thing = one.make()
        config = _config(thing)
        again = one.cls.from_config(copy.deepcopy(config))
        _is_twin(again, thing, config, "cls.from_config(config)")
        same(
            observe(kind, one, again),
            observe(kind, one, one.make()),
            "the object that from_config() makes to compute the same bits as the original",
            "let from_config() hand every argument of the configuration to the constructor",
        )


@check(*FAMILIES)
def copies_and_pickles(example: Example) -> None:
    """Check that a deep copy and a pickle have the same configuration and behaviour."""
    kind = kind_of(example)
    thing = example.make()
    config = _config(thing)
    ways = {"copy.deepcopy": copy.deepcopy(thing)}
    if importable(example.cls):
        ways["pickle"] = pickle.loads(pickle.dumps(thing))
    wanted = observe(kind, example, example.make())
    for way, again in ways.items():
        _is_twin(again, thing, config, way)
        same(
            observe(kind, example, again),
            wanted,
            f"the object from {way} to compute the same bits as the original",
            "keep nothing in attributes that a copy leaves out; see __getstate__",
        )


@check(*FAMILIES, whole=True)
def every_argument_has_an_effect(examples: list[Example]) -> None:
    """Check that each argument has an effect."""
    cls, kind = examples[0].cls, kind_of(examples[0])
    todo = {name for example in examples for name in varied(example)} - _QUIET
    every = list(examples)
    if kind == "optimizer":
        every += with_common(examples[0])
        todo |= {name for example in every for name in varied(example)} - _QUIET
    todo -= set(getattr(cls, "arguments_without_effect", ()))
    last = None
    for example in every:
        names = [name for name in varied(example) if name in todo]
        if not names:
            continue
        acts = observe(kind, example, example.make())
        for name in names:
            plain = example.without(name)
            try:
                other = observe(kind, plain, plain.make())
            except Exception:  # the other arguments do not go without it
                todo.discard(name)
                continue
            if differ(acts, other):
                todo.discard(name)
            else:
                last = name, example, plain
    if todo and last is not None:
        name, example, plain = last
        raise Mismatch(
            f"the argument {', '.join(sorted(todo))} to change what the object computes in an "
            "example",
            f"{example} computes the same bits as {plain}",
            "use the argument; or add an example where it matters; or name it in the class "
            f"attribute arguments_without_effect = ({name!r},)",
        )


@check(*FAMILIES, whole=True)
def unknown_arguments_are_refused(examples: list[Example]) -> None:
    """Check that a misspelled argument raises a TypeError that names it."""
    example = examples[0]
    try:
        example.make(sede=3)
    except TypeError as error:
        require(
            "sede" in str(error),
            "the TypeError for the unknown argument sede=3 to name it",
            str(error),
            "hand **kwargs on to super().__init__()",
        )
    else:
        raise Mismatch(
            "a TypeError for the unknown argument sede=3",
            "an object",
            "do not swallow **kwargs: hand them on to super().__init__()",
        )


def _is_twin(again: Any, thing: Any, config: dict[str, Any], way: str) -> None:
    require(
        type(again) is type(thing) and _config(again) == config and repr(again) == repr(thing),
        f"{way} to give a {type(thing).__name__} with the configuration {config}",
        f"a {type(again).__name__} with {_config(again)}",
        "let the constructor take every entry of get_config() and keep it unchanged",
    )


def _config(thing: Any) -> dict[str, Any]:
    config = thing.get_config()
    try:
        return dict(json.loads(json.dumps(config)))
    except TypeError as error:
        raise Mismatch(
            "get_config() to return numbers, strings, lists and dicts, which JSON can hold",
            f"{config!r} ({error})",
            "turn arrays into lists and objects into their configurations "
            "(netlayers.registry.serialize)",
        ) from None


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return value


def importable(cls: type) -> bool:
    """Whether pickle can find the class by its name."""
    place: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        place = getattr(place, name, None)
    return place is cls
