"""Checks of the callbacks that are passed to a method of the model."""

from __future__ import annotations

from typing import Any

from netlayers._suggestions import suggestion
from netlayers._warn import warn
from netlayers.checks import listed, takes
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback, is_foreign_hook


def as_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list; ``None`` and a single callback are allowed.

    Raises:
        ConfigurationError: one of them is not a callback.
    """
    chosen = listed(callbacks)
    for callback in chosen:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise ConfigurationError(
                f"callbacks: expected objects of netlayers.callbacks.Callback, got {callback!r}."
            )
        _check_hooks(callback)
    return chosen


def _check_hooks(callback: Any) -> None:
    """Check the arguments of hooks, and warn about methods that are named like hooks, but are none.

    Raises:
        ConfigurationError: a hook does not take what it is called with.
    """
    hooks = {name for name in dir(Callback) if name.startswith("on_")}
    for name in sorted(hooks):
        first = [word for word in ("epoch", "batch") if f"_{word}_" in name]
        if is_foreign_hook(callback, name) and not takes(getattr(callback, name), len(first) + 1):
            raise ConfigurationError(
                f"callbacks: {type(callback).__name__}.{name} must take the arguments "
                f"({', '.join([*first, 'logs'])})."
            )
    its = {name for kind in type(callback).__mro__ for name in vars(kind) if name.startswith("on_")}
    for name in sorted(its - hooks):
        close = suggestion(name, sorted(hooks))
        if close:
            warn(f"callbacks: nothing calls {type(callback).__name__}.{name}.{close}")
