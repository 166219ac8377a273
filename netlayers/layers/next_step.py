"""The next step of a stream: one step of a stateful layer at inference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.memory import Workspace
from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from netlayers._typing import Array


def next_output(layer: Any, x: Any) -> Array | None:
    """Return the output of a stateful SimpleRNN, LSTM or GRU for the next observation of a stream.

    To find out what to compute where takes longer than a step of one sample, so that it is kept.

    Args:
        layer: the layer.
        x: its input; an observation is (batch, 1, features).

    Returns:
        (batch, units), or with ``return_sequences`` (batch, 1, units). ``None`` if the input needs
        more than that: to be converted, checked, or to allocate the states.
    """
    step: NextStep | None = vars(layer.workspace).get("next_step")
    h = None if step is None else step(x)
    if h is None and _is_observation(layer, x):
        step = layer.workspace.next_step = NextStep(layer, x)
        h = step(x)
    return h[:, None] if layer.return_sequences and h is not None else h


def _is_observation(layer: Any, x: Any) -> bool:
    return (
        type(x) is np.ndarray
        and layer._vector is not None
        and x.dtype is layer._dtype
        and x.shape[1:] == (1, len(layer.cell.kernel))
        and all(s.value is not None and len(s.value) == len(x) for s in layer.states.values())
        and not layer.return_state
        and layer.cell._runs_all_steps
    )


class NextStep:
    """What a layer computes for an observation, as long as weights, states and kernels are these.

    Args:
        layer: the layer.
        x: an observation.
    """

    def __init__(self, layer: Any, x: Array) -> None:
        memory = Workspace()

        def new(name: str, shape: tuple[int, ...]) -> Array:
            return memory(name, shape, x.dtype)

        self.x, self.cell = np.array(x, order="C"), layer.cell
        self.kernel = self.cell.kernel
        both = [np.zeros((2, *s.value.shape), x.dtype) for s in layer.states.values()]
        self.states = [(s, s.value, *h) for s, h in zip(layer.states.values(), both, strict=True)]
        series = self.x.reshape(1, len(x), -1)  # the same memory, with the time first
        self.compute, arguments, _ = self.cell._kernel_call(series, both, None, new)
        self.again = self.compute(*arguments) or partial(self.compute, *arguments)

    def __call__(self, x: Any) -> Array | None:
        """Return h after the observation ``x``; the states of the layer change.

        ``None``, and no change, if this is not what was prepared.
        """
        if (
            type(x) is not np.ndarray
            or x.dtype is not self.x.dtype
            or x.shape != self.x.shape
            or self.cell.kernel is not self.kernel
            or getattr(kernels, self.compute.__name__) is not self.compute
        ):
            return None
        for state, value, before, _ in self.states:
            if state.value is not value:
                return None
            np.copyto(before, value)
        np.copyto(self.x, x)
        self.again()
        for _, value, _, after in self.states:
            np.copyto(value, after)
        h: Array = self.states[0][3]
        return h.copy()
