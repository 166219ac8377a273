"""Read-only arguments: classes and functions of the user cannot write to arrays of others."""

from __future__ import annotations

import copy
import functools
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import is_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Method = Callable[..., Any]

_NOTE = "are read-only, because they belong to the caller"


def read_only(value: Any) -> Any:
    """Return a read-only view of an array, a sparse matrix, or the arrays in a tuple or dict.

    Example:
        >>> import numpy as np
        >>> from netlayers._read_only import read_only
        >>> x = np.zeros(2)
        >>> y = read_only(x)
        >>> y.flags.writeable, x.flags.writeable, np.may_share_memory(x, y)
        (False, True, True)
    """
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            value = value.view()
            value.flags.writeable = False
    elif type(value) is tuple:
        value = tuple([read_only(item) for item in value])
    elif hasattr(value, "indptr"):  # a SciPy CSR matrix
        value = copy.copy(value)
        for part in ("data", "indices", "indptr"):
            setattr(value, part, read_only(getattr(value, part)))
    return value


def call_read_only(owner: str, function: Method, *args: Any, **kwargs: Any) -> Any:
    """Call a function with read-only views of the arrays in its arguments.

    A result that is a view of an argument can be written to if the argument can.

    Args:
        owner: the name of the function, for the note on NumPy's error.
        function: the function.
        args: its arguments.
        kwargs: its arguments by name.

    Raises:
        ValueError: it writes to an argument.
    """
    given = tuple([read_only(value) for value in args])
    try:
        result = function(*given, **{name: read_only(value) for name, value in kwargs.items()})
    except ValueError as error:
        if "read-only" in str(error) and not any(_NOTE in n for n in _notes(error)):
            error.add_note(
                f"{owner}: the arrays in its arguments {_NOTE}. Copy one before you write to it: "
                "x = x.copy()."
            )
        raise
    return _returned(result, given, args)


def with_read_only_logs(callback: Any, hook: str, function: Method) -> Method:
    """Return a hook of a callback of the user that gets the arrays in the logs read-only."""
    owner = f"{type(callback).__name__}.{hook}"

    def guarded(*args: Any) -> None:
        logs = args[-1] if args and isinstance(args[-1], dict) else {}
        views = {name: read_only(value) for name, value in logs.items()}
        before = {name: value for name, value in logs.items() if views[name] is not value}
        logs.update(views)
        try:
            call_read_only(owner, function, *args)
        finally:
            for name, value in before.items():
                if logs.get(name) is views[name]:
                    logs[name] = value

    return guarded


def guard_methods(
    cls: type, methods: Mapping[str, Sequence[int] | None], base: type = object
) -> None:
    """Make methods that a class of the user defines get read-only arguments.

    Nothing happens to classes of the package, so their calls cost the same.

    Args:
        cls: the class.
        methods: names, and which arguments are read-only; ``None`` for all.
        base: the class whose subclasses are all passed to this function.
    """
    if not is_foreign(cls):
        return
    for name, places in methods.items():
        home = next((c for c in cls.__mro__ if name in vars(c)), cls)
        function = vars(home).get(name)
        if not isinstance(function, FunctionType) or hasattr(function, "_read_only"):
            continue
        if is_foreign(home) and (home is cls or not issubclass(home, base)):
            setattr(cls, name, _guarded(function, name, places))


def _guarded(function: Method, name: str, places: Sequence[int] | None) -> Method:
    @functools.wraps(function)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("inplace") or (len(args) > 2 and args[2] is True):
            return function(self, *args, **kwargs)  # an activation that may overwrite its input
        owner = f"{type(self).__name__}.{name}"
        if places is None:
            return call_read_only(owner, functools.partial(function, self), *args, **kwargs)

        def call(*some: Any) -> Any:
            given = list(args)
            for place, value in zip(places, some, strict=True):
                given[place] = value
            return function(self, *given, **kwargs)

        return call_read_only(owner, call, *[args[place] for place in places])

    guarded._read_only = True  # type: ignore[attr-defined]
    return guarded


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _returned(result: Any, given: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
    """Return a result as it would be without the views."""
    if type(result) is tuple:
        return tuple([_returned(item, given, args) for item in result])
    if not isinstance(result, np.ndarray) or result.flags.writeable:
        return result
    for view, array in zip(given, args, strict=True):
        if result is view:
            return array
        if type(view) is tuple:
            for one, other in zip(view, array, strict=True):
                if result is one:
                    return other
    owner = result
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    ours = any(view is not array for view, array in zip(given, args, strict=True))
    if ours and owner.flags.writeable:  # a view of an argument, such as its transpose
        result = result.view()
        result.flags.writeable = True
    return result
