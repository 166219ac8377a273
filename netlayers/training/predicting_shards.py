"""Predictions in shards, which several processes compute together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import each
from netlayers.errors import ConfigurationError
from netlayers.kernels.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.data.batch import Batch
    from netlayers.distribution import DataParallel


def in_shards(
    owner: str, distribution: DataParallel, forward: Callable[[Any], Any]
) -> Callable[[Batch], Any]:
    """Return what computes the outputs of a batch, for all rows in all processes.

    Each shard is computed alone, by one thread, so the bits do not depend on the processes.

    Args:
        owner: the model, for messages.
        distribution: the shards and the processes.
        forward: computes the outputs for the inputs of a shard.

    Raises:
        ConfigurationError: this is not the main thread, and there are several processes.
    """
    if distribution.size > 1 and threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            f"{owner}: predict() is computed by {distribution.size} processes together, which "
            "must call it in the same order, in the main thread of each. predict_on_batch() "
            "computes in this process alone, and may be called in any thread."
        )

    def compute(batch: Batch) -> Any:
        mine = []
        with one_thread():
            for _, _, part in distribution.parts_of(batch):
                if part.size:
                    mine.append([np.array(its) for its in each(forward(part.inputs))])
        what = f"a prediction of {getattr(batch, 'whole', batch.size)} rows"
        every = [its for those in distribution.processes.gather(mine, what) for its in those]
        outputs = tuple(np.concatenate(its) for its in zip(*every, strict=True))
        return outputs if len(outputs) > 1 else outputs[0]

    return compute
