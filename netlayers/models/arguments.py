"""Arguments that the methods of a model have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.checks import check_choice
from netlayers.errors import ConfigurationError


def check_verbose(owner: str, verbose: Any) -> int:
    """Return 0, 1 or 2."""
    if isinstance(verbose, (bool, np.bool_)):
        return int(verbose)
    check_choice(owner, "verbose", verbose, (0, 1, 2, "auto"))
    return 1 if verbose == "auto" else int(verbose)


def listed(values: Any) -> list[Any]:
    """Return values as a list: ``None`` and a single one may be given too."""
    if values is None:
        return []
    return list(values) if isinstance(values, (list, tuple)) else [values]


def callback_list(callbacks: Any) -> list[Any]:
    """Return callbacks as a list: ``None`` and a single one may be given too.

    Raises:
        ConfigurationError: one of them is no callback.
    """
    chosen = listed(callbacks)
    for callback in chosen:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise ConfigurationError(
                f"callbacks: expected objects of netlayers.callbacks.Callback, got {callback!r}."
            )
    return chosen


def batch_result(logs: dict[str, Any], return_dict: bool) -> Any:
    """Return logs as Keras does: the loss, or ``[loss, metric, ...]``, or the dict.

    The caller gives the dict away.
    """
    if return_dict:
        return logs
    logs.pop("grad_norm", None)
    return logs["loss"] if len(logs) == 1 else list(logs.values())
