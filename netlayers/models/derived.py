"""Classes derived from ``Model`` whose objects are made of symbolic inputs and outputs."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from netlayers.core.symbolic import symbols_in
from netlayers.registry import Configurable, lookup


def are_symbolic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether arguments of a constructor are symbolic inputs and outputs."""
    given = [*args[:2], *(kwargs[name] for name in ("inputs", "outputs") if name in kwargs)]
    return len(given) == 2 and all(map(symbols_in, given))


def functional_class(cls: type) -> Any:
    """Return a class that is both ``cls`` and ``Functional``, of the same name.

    ``Functional`` comes behind the classes of the user, so that ``super()`` finds its methods.
    """
    functional: Any = lookup("layer", "Functional")
    if issubclass(functional, cls):  # Model itself
        return functional
    return cls if issubclass(cls, functional) else _made(cls, functional)


@functools.cache
def _made(cls: Any, functional: Any) -> Any:
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    made: Any = type(cls.__name__, (cls, functional), {**named, "__reduce__": _reduced})
    if cls.forward.__module__.startswith("netlayers."):
        made.forward = functional.forward
    if not _passes_on(cls):
        made.get_config = Configurable.get_config
        made.from_config = cls.from_config
        made._not_stored = (*cls._not_stored, "inputs", "outputs")
    return made


def is_described(cls: type, config: dict[str, Any]) -> bool:
    """Whether a configuration is that of layers and calls, for a class that takes them."""
    return {"layers", "calls", "inputs", "outputs"} <= config.keys() and _passes_on(cls)


def _passes_on(cls: type) -> bool:
    """Whether the constructor of a class takes ``inputs`` and ``outputs``."""
    taken = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {"inputs", "outputs"} <= set(taken) or any(
        p.kind is p.VAR_POSITIONAL for p in taken.values()
    )


def _reduced(self: Any) -> Any:
    """Return how pickle makes the object again: the class is found by its name."""
    return _restored, (type(self).__mro__[1],), self.__getstate__()


def _restored(cls: Any) -> Any:
    made = functional_class(cls)
    return made.__new__(made)
