"""Warn about attributes that change in a run, and that nobody saves."""

from __future__ import annotations

import dis
import functools
import inspect
import random
import types
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import is_foreign
from netlayers.core.calls import Call
from netlayers.core.module import Module
from netlayers.core.parameters import Parameter
from netlayers.losses import Loss
from netlayers.metrics import Metric
from netlayers.optimizers import Optimizer
from netlayers.random import generators_in
from netlayers.registry import Configurable, constructor_arguments
from netlayers.training.callback import Callback
from netlayers.training.compilation import CompilableModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BYTES = 1 << 20  # larger arrays are compared at as many bytes, spread over the array
_ITEMS = 1000  # of a longer list, so many are compared at each end


class Watch:
    """Compares attributes of objects of the user's classes with those at the start of a run.

    An object whose class defines ``get_state`` says itself what its state is. Of others, arguments
    of the constructor, generators of layers and what the package keeps are saved; all else is
    compared.

    Args:
        owner: the callback that saves, for the warning.
        things: the objects; those of the package are left out.
    """

    def __init__(self, owner: str, things: Iterable[Any]) -> None:
        self._owner = owner
        self._things = [thing for thing in things if _is_watched(thing)]
        self._before = [dict(_attributes(thing)) for thing in self._things]
        self._named: set[tuple[type, str]] = set()

    def warn_of_changes(self) -> None:
        """Warn about the attributes that have changed, each once."""
        found: dict[type, list[str]] = {}
        for thing, before in zip(self._things, self._before, strict=True):
            cls = type(thing)
            for name, value in _attributes(thing):
                changed = value is not None and before.get(name, "") != value
                if changed and (cls, name) not in self._named:
                    self._named.add((cls, name))
                    found.setdefault(cls, []).append(name)
        for cls, names in found.items():
            kind = cls.__name__
            shown = ", ".join(f"{name!r}: self.{name}" for name in names[:3])
            more = ", ..." * (len(names) > 3)
            cached = " What only one step needs belongs in self.cache." * hasattr(cls, "backward")
            warn(
                f"{self._owner}: {', '.join(f'{kind}.{name}' for name in names)} changed in the "
                "run without being saved, so a resumed run may end differently. Define in "
                f"{kind} get_state(), which returns {{{shown}{more}}}, and set_state(state), which "
                "restores it. If nothing depends on it, let get_state() return {}."
                f"{cached}"
            )


def _is_watched(thing: Any) -> bool:
    cls = type(thing)
    home = next((c for c in cls.__mro__ if "get_state" in vars(c)), None)
    return is_foreign(cls) and (home is None or not is_foreign(home))


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that nobody saves, each with a value that shows whether it changes."""
    cls, values = type(thing), getattr(thing, "__dict__", {})
    left_out = _of_the_package(cls) | {"model", "params"} | values.get("_views", {}).keys()
    if issubclass(cls, Configurable) and not issubclass(cls, Metric):
        left_out |= constructor_arguments(cls).keys()
    if hasattr(thing, "get_state"):
        left_out |= thing.get_state().keys()
    if isinstance(thing, Module):
        left_out |= {name.partition("[")[0] for name, _ in generators_in(thing)}
    kept = (Metric, Optimizer, Loss) if isinstance(thing, CompilableModel) else ()
    for name, value in values.items():
        if isinstance(value, kept) and not (isinstance(value, Loss) and is_foreign(value)):
            continue  # see netlayers.training.own_steps; a loss has no state
        if name not in left_out:
            yield name, _seen(value, cls.__module__.partition(".")[0], ())


def _find_names(cls: type) -> set[str]:
    """Return the names of the attributes that classes of the package set in objects of a class."""
    found: set[str] = set()
    for base in cls.__mro__:
        if not is_foreign(base) and base is not object:
            found |= vars(base).keys()
            for member in vars(base).values():
                its = (member.fget, member.fset) if isinstance(member, property) else (member,)
                for function in its:
                    code = getattr(inspect.unwrap(function), "__code__", None)  # type: ignore[arg-type]
                    found |= _stored(code) if isinstance(code, types.CodeType) else set()
    if issubclass(cls, Module):
        found |= vars(Module()).keys()
    return found


_of_the_package: Callable[[type], set[str]] = functools.cache(_find_names)


def _stored(code: types.CodeType) -> set[str]:
    found = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_ATTR"}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _stored(constant)
    return found


def _seen(value: Any, package: str, around: tuple[int, ...]) -> Any:
    """Return a small value that differs if a value has changed; ``None`` for what has no state.

    Args:
        value: of an attribute.
        package: where the classes of the user's objects are from that are looked into.
        around: ids of the objects that contain it.
    """
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        return repr(value)
    if isinstance(value, np.ndarray):
        flat = value.reshape(-1) if value.flags.c_contiguous else value.ravel()
        step = max(1, value.nbytes // _BYTES)
        some = np.ascontiguousarray(flat[::step])
        data = repr(some.tolist()).encode() if value.dtype.hasobject else some.tobytes()
        return value.shape, value.dtype.str, zlib.crc32(data)
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state(legacy=False))
    if type(value) is random.Random:
        return hash(value.getstate())
    if id(value) in around or len(around) > 20:
        return None
    around = (*around, id(value))
    if isinstance(value, (set, frozenset)):
        value = sorted(map(repr, value))
    if isinstance(value, dict):
        ends = list(value.items())
        return len(ends), [(repr(k), _seen(v, package, around)) for k, v in _ends(ends)]
    if isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
        return len(value), [_seen(item, package, around) for item in _ends(list(value))]
    if isinstance(value, (Module, Parameter, Call, Callback, type, types.ModuleType)):
        return None  # looked at by itself, or not a state
    module = type(value).__module__.partition(".")[0]
    if module in (package, "netlayers") and hasattr(value, "__dict__"):
        left_out = ("cache", "workspace")
        its = [(k, v) for k, v in vars(value).items() if k not in left_out]
        return [(name, _seen(item, package, around)) for name, item in its]
    return None


def _ends(items: list[Any]) -> list[Any]:
    return items if len(items) <= 2 * _ITEMS else items[:_ITEMS] + items[-_ITEMS:]
