"""Data for the ``adapt`` of layers."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.data.streams import inputs_of, is_stream

if TYPE_CHECKING:
    from collections.abc import Iterable


def batches_for_adapt(
    owner: str, data: Any, steps: int | None = None, axes: int = 2
) -> Iterable[Any]:
    """Return x of each batch of data in any form that ``fit`` takes.

    Args:
        owner: the caller's name, for messages.
        data: an array or frame, which is one batch; a list of arrays, each a batch; or a stream of
            batches.
        steps: number of batches of a stream; ``None`` for all.
        axes: of arrays in a list that are batches; those with fewer are its rows.
    """
    if isinstance(data, list) and all(isinstance(a, np.ndarray) and a.ndim >= axes for a in data):
        return data[:steps] if data else [data]
    if not is_stream(data):
        return [data]
    return islice(inputs_of(owner, data), steps)
