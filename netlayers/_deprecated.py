"""Old places of public names: they work for one more minor release, with a warning.

A module that moved leaves a file with a docstring and one assignment::

    __getattr__ = moved(__name__, "netlayers.gradient_check", removed_in="0.3")
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = object()


def moved(old: str, *new: str, removed_in: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module whose public names are elsewhere.

    Args:
        old: the name of the module.
        new: the modules that now have its names, searched in this order when a name is asked for.
        removed_in: the minor release that no longer has the old module.

    Returns:
        A function from a name to its value. It gives a DeprecationWarning that says where the name
        is, and raises AttributeError if it is nowhere.
    """

    def find(name: str) -> Any:
        if not name.startswith("_"):
            for module in new:
                value = getattr(import_module(module), name, _MISSING)
                if value is not _MISSING:
                    warnings.warn(
                        f"{old}.{name} is deprecated and will be removed in netlayers "
                        f"{removed_in}: use {module}.{name}.",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                    return value
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    find.removed_in = removed_in  # type: ignore[attr-defined]  # for the test that ends it
    return find
