"""What evaluate and the methods for one batch return."""

from __future__ import annotations

from typing import Any


def batch_result(logs: dict[str, Any], return_dict: bool) -> Any:
    """Return logs as Keras does: the loss, or ``[loss, metric, ...]``, or the dict.

    Takes ownership of ``logs``.
    """
    if return_dict:
        return logs
    logs.pop("grad_norm", None)
    return logs["loss"] if len(logs) == 1 else list(logs.values())
