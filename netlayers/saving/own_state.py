"""State of objects of the user's classes, by their ``get_state`` and ``set_state``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from netlayers.checks import is_foreign
from netlayers.core.layer import Layer
from netlayers.errors import FileError
from netlayers.metrics import Metric
from netlayers.registry import Configurable
from netlayers.saving.description import Section, short
from netlayers.saving.names import paths_of
from netlayers.training.compilation import CompilableModel
from netlayers.training.state import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import Array
    from netlayers.saving.format import StoredFile

OWN = "own."  # begins the names of arrays


def objects_of(model: Layer) -> Iterator[tuple[str, Any]]:
    """Yield all objects that a model computes with, each once, with the place of each.

    These are layers, the loss, the optimizer, and what they have as attributes: regularizers,
    schedules, losses of parts. Metrics belong to an epoch and are left out.

    Example:
        >>> import netlayers as nl
        >>> from netlayers.saving.own_state import objects_of
        >>> model = nl.Sequential([nl.layers.Dense(1, kernel_regularizer="l2")])
        >>> [place for place, _ in objects_of(model) if "regularizer" in place]
        ['layers/dense: kernel_regularizer']
    """
    seen: set[int] = set()

    def visit(place: str, thing: Any) -> Iterator[tuple[str, Any]]:
        if id(thing) in seen or isinstance(thing, Metric):
            return
        seen.add(id(thing))
        yield place, thing
        for name, value in getattr(thing, "__dict__", {}).items():
            several = list(value) if isinstance(value, (list, tuple)) else [value]
            for i, item in enumerate(several):
                if isinstance(item, Configurable) and not isinstance(item, Layer):
                    index = f"[{i}]" if several is not value and len(several) > 1 else ""
                    yield from visit(f"{place}: {name}{index}", item)

    if isinstance(model, CompilableModel):
        steps = model._steps  # whose loss may be a copy that takes logits
        for place, thing in (
            ("loss", model.loss if steps is None else steps.loss),
            ("optimizer", model.optimizer),
        ):
            if thing is not None and not isinstance(thing, (str, dict)):
                yield from visit(place, thing)
        seen.add(id(model.loss))
    paths = paths_of(model)
    for part in model._flatten_layers():
        yield from visit(f"layers/{paths[id(part)]}", part)


def own_objects(model: Layer) -> dict[str, Any]:
    """Return the objects of a model with a state of their own, by place."""
    return {
        place: thing
        for place, thing in objects_of(model)
        if is_foreign(type(thing)) and hasattr(thing, "get_state") and hasattr(thing, "set_state")
    }


def own_state(model: Layer) -> tuple[Any, dict[str, Array]]:
    """Return the states of :func:`own_objects` as plain data, and their arrays by name.

    Raises:
        ConfigurationError: a ``get_state`` returned something else; the message says which.
    """
    states = {place: thing.get_state() for place, thing in own_objects(model).items()}
    plain, arrays = pack(states)
    return plain, {OWN + name: array for name, array in arrays.items()}


def stored_own_state(file: StoredFile) -> dict[str, Any]:
    """Return the states in a file, by place.

    Raises:
        FileError: the entry is invalid.
    """
    if "own" not in file.section.values:
        return {}
    plain = file.section.section("own").values
    arrays = {n[len(OWN) :]: file.read(n) for n in file.entries if n.startswith(OWN)}
    try:
        states: dict[str, Any] = unpack(plain, arrays)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        got = f"{type(error).__name__}: {short(error)}"
        raise FileError(file.path, "own", "states of objects", got) from error
    return Section(file.path, "own", states).values


def put_own_state(
    file: StoredFile, model: Layer, states: dict[str, Any], wanted: Callable[[str], bool]
) -> None:
    """Pass the states of a file to their objects.

    Args:
        file: the file, for messages.
        model: a model of the same classes.
        states: what :func:`stored_own_state` returned.
        wanted: which places take part.

    Raises:
        FileError: there is no such object, or it rejects its state.
    """
    objects = own_objects(model)
    for place, state in states.items():
        if not wanted(place):
            continue
        where = f"own: {short(place)}"
        if place not in objects:
            raise FileError(file.path, where, "an object with set_state in the model", "none")
        try:
            objects[place].set_state(copy.deepcopy(state))
        except Exception as error:  # whatever an object makes of a state that is not its own
            kind, got = type(objects[place]).__name__, f"{type(error).__name__}: {short(error)}"
            raise FileError(file.path, where, f"a state that {kind} takes", got) from error
