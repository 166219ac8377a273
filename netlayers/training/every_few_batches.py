"""Hooks that are called once for every few batches: ``steps_per_execution``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import each, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Logs


class EveryFewBatches:
    """A hook of a batch, called once for a group of batches.

    A hook at the begin of a batch is called with the number of the first batch of its group, one at
    the end with the number of the last and its logs; of ``predict``, with the outputs of the whole
    group. As in Keras, the number of the last batch is that of a complete group also where the data
    end before.

    Args:
        function: the hook.
        every: how many batches are a group.
        at_end: whether it is a hook at the end of a batch.
    """

    def __init__(self, function: Callable[[int, Logs], None], every: int, *, at_end: bool) -> None:
        self.function, self.every, self.at_end = function, every, at_end
        self._waiting: tuple[int, Logs] | None = None
        self._outputs: list[Any] = []

    def __call__(self, batch: int, logs: Logs) -> None:
        """Call the hook if the batch is the first or the last of a group."""
        place = batch % self.every
        if not self.at_end:
            if place == 0:
                self.function(batch, logs)
            return
        self._waiting = batch - place + self.every - 1, logs
        if "outputs" in logs:  # the next batch may overwrite them
            self._outputs.append([np.array(array) for array in each(logs["outputs"])])
        if place == self.every - 1:
            self.finish()

    def finish(self) -> None:
        """Call the hook for a group that is not complete."""
        if self._waiting is None:
            return
        number, logs = self._waiting
        if self._outputs:
            parts = zip(*self._outputs, strict=True)
            logs = {**logs, "outputs": one([np.concatenate(part) for part in parts])}
        self._waiting, self._outputs = None, []
        self.function(number, logs)


def every_few_batches(
    function: Callable[..., Any], hook: str, model: Any, groups: list[EveryFewBatches]
) -> Callable[..., Any]:
    """Return a hook that is called once for ``steps_per_execution`` batches.

    It is added to ``groups``. Hooks of runs and epochs are returned as they are.
    """
    every = getattr(model, "steps_per_execution", 1)
    if every == 1 or "batch" not in hook:
        return function
    groups.append(EveryFewBatches(function, every, at_end=hook.endswith("end")))
    return groups[-1]
