"""A callback made of functions."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from netlayers._suggestions import suggestion
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.training.callback import RunPlan

    Hook = Callable[..., Any] | None

HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """Calls the given functions.

    Args:
        on_epoch_begin: called as ``function(epoch, logs)``.
        on_epoch_end: the same.
        on_train_begin: called as ``function(logs)``.
        on_train_end: the same.
        on_train_batch_begin: called as ``function(batch, logs)``.
        on_train_batch_end: the same.
        kwargs: any other hook of :class:`Callback`, by its name. Other values become attributes,
            such as functions that the hooks call.

    Raises:
        ConfigurationError: a name begins with ``on_`` and is not that of a hook, or a hook is not a
            function.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> seen = []
        >>> note = nl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
        >>> model = nl.Sequential([nl.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(np.ones((4, 1)), np.ones(4), epochs=3, callbacks=[note], verbose=0)
        >>> seen
        [0, 1, 2]
    """

    def __init__(
        self,
        on_epoch_begin: Hook = None,
        on_epoch_end: Hook = None,
        on_train_begin: Hook = None,
        on_train_end: Hook = None,
        on_train_batch_begin: Hook = None,
        on_train_batch_end: Hook = None,
        **kwargs: Any,
    ) -> None:
        given: dict[str, Hook] = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if name not in HOOKS and not name.startswith("on_") and not suggestion(name, HOOKS):
                setattr(self, name, function)
                continue
            if name not in HOOKS:
                raise ConfigurationError(
                    f"LambdaCallback: there is no hook {name!r}.{suggestion(name, HOOKS)} The "
                    f"hooks are {', '.join(HOOKS)}."
                )
            if function is None:
                continue
            if not callable(function):
                raise ConfigurationError(
                    f"LambdaCallback: {name} must be a function, got {function!r}."
                )
            setattr(self, name, function)

    def check_run(self, plan: RunPlan) -> None:
        """Refuse functions for batches in ``fit_lbfgs``, which has none."""
        for name in HOOKS:
            if name in vars(self) and name.startswith("on_train_batch"):
                plan.refuse_lbfgs(f"LambdaCallback: {name}", "which has no batches")

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        names = (
            "on_epoch_begin on_epoch_end on_train_begin on_train_end on_train_batch_begin "
            "on_train_batch_end"
        )
        return [{name: functools.partial(print, name) for name in names.split()}]
