"""Copies of objects by their configuration, also of classes that nobody has registered."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from netlayers.registry import BY_CLASS, Configurable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

Kind = TypeVar("Kind", bound=Configurable)


@contextmanager
def classes_in_configs() -> Iterator[None]:
    """Let configurations hold the user's classes themselves, not their names, which may be unknown.

    Such a configuration is read inside of this context, and in no file.
    """
    token = BY_CLASS.set(True)
    try:
        yield
    finally:
        BY_CLASS.reset(token)


def remade(thing: Kind, **changed: Any) -> Kind:
    """Return a new object of the arguments of another one.

    Args:
        thing: a layer, model, optimizer or another object with ``get_config``.
        changed: arguments with other values.
    """
    with classes_in_configs():
        return type(thing).from_config({**thing.get_config(), **changed})
