"""Methods that a class of the user has defined in place of those of its base class."""

from __future__ import annotations

import inspect

from netlayers.checks import is_foreign, takes
from netlayers.errors import ConfigurationError


def check_method_arguments(cls: type) -> None:
    """Check that the methods of a user's class take the arguments that they get.

    Looks at those that a class must define: see :func:`netlayers.registry.must_define`.

    Raises:
        ConfigurationError: one takes others; the message names what it gets.
    """
    for name in dir(cls) if is_foreign(cls) else ():
        method = next((vars(c)[name] for c in cls.__mro__[1:] if name in vars(c)), None)
        own = getattr(cls, name, None)
        while method is not None and not hasattr(method, "must_define"):
            method = getattr(method, "__wrapped__", None)
        if method is None or own is None or own is method:
            continue
        parameters = inspect.signature(method).parameters.values()
        needed = [p.name for p in parameters if p.default is p.empty]
        if not takes(own, len(needed)):
            raise ConfigurationError(f"{cls.__name__}.{name} must take ({', '.join(needed)}).")
