"""Keras's functions ``serialize`` and ``deserialize`` for a family, and names of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_custom_objects
from netlayers.registry import (
    USER_OBJECTS,
    Configurable,
    serialize,
    snake_case,
    stored_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def serializers(
    get: Callable[..., Any],
) -> tuple[Callable[[Any], Any], Callable[..., Any]]:
    """Return the functions ``serialize`` and ``deserialize`` of a family, as Keras names them.

    Args:
        get: the family's ``get``.
    """

    def serialize_object(obj: Any) -> Any:
        """Return an object as plain data: class name and arguments; a function as its name.

        Args:
            obj: an object of the family, a function, or plain data, which stay as they are.
        """
        if isinstance(obj, Configurable):
            return serialize(obj)
        return stored_name(obj, obj.__name__) if hasattr(obj, "__name__") else obj

    def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return the object that ``serialize`` described.

        Args:
            config: the description, or a name.
            custom_objects: additional classes by name.
        """
        check_custom_objects("deserialize", custom_objects)
        token = USER_OBJECTS.set({**USER_OBJECTS.get(), **(custom_objects or {})})
        try:
            return get(config)
        finally:
            USER_OBJECTS.reset(token)

    for function, name in ((serialize_object, "serialize"), (deserialize, "deserialize")):
        function.__name__ = function.__qualname__ = name
        function.__module__ = get.__module__
    return serialize_object, deserialize


def function_name(fn: Callable[..., Any]) -> str:
    """Return the name of a callable, ``"lambda"`` for a lambda."""
    fn = getattr(fn, "func", fn)  # of functools.partial
    name = getattr(fn, "__name__", None) or getattr(fn, "name", None)
    if not isinstance(name, str):
        name = snake_case(type(fn).__name__)
    return name.strip("<>")


def same_settings(one: Configurable, other: object) -> bool:
    """Whether two objects have the same class and the same arguments, except for their names."""
    if type(one) is not type(other):
        return False
    assert isinstance(other, Configurable)
    given = [{**its.get_config(), "name": None} for its in (one, other)]
    return given[0] == given[1]
