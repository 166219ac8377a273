"""Cells: one step of a recurrent network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.spec import InputSpec
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_cell(owner: str, cell: Any) -> None:
    """Raise a ConfigurationError unless a layer computes one step of a series."""
    if getattr(cell, "takes_mask", False):  # of the steps: it computes all
        kind = type(cell).__name__
        raise ConfigurationError(
            f"{owner}: a cell computes one step, and {kind} is a layer that computes all steps of "
            f"a series. Give a cell, such as LSTMCell(32), or use the layer {kind} alone."
        )
    state_shapes(cell)


def state_shapes(cell: Any) -> list[tuple[int, ...]]:
    """Return the shape of each state of a cell, for one sample.

    Args:
        cell: a cell. Its ``state_size`` is the number of units of its state, or a list or tuple
            with the size, or the shape, of each state; lists may be nested.

    Raises:
        ConfigurationError: it has no such ``state_size``.
    """
    found: list[tuple[int, ...]] = []
    size = getattr(cell, "state_size", None)
    todo = [list(size) if isinstance(size, tuple) else size]
    while todo:
        size = todo.pop(0)
        if isinstance(size, list):
            todo = [*size, *todo]
        elif isinstance(size, (int, np.integer)) and size > 0:
            found.append((int(size),))
        elif isinstance(size, tuple) and all(isinstance(n, int) and n > 0 for n in size):
            found.append(size)
        else:
            raise ConfigurationError(
                f"{type(cell).__name__}: a cell needs the attribute state_size, the number of "
                f"units of its state or a list with that of each state, got {size!r}."
            )
    return found


def flat(states: Any) -> list[Any]:
    """Return the states of nested lists in one."""
    if not isinstance(states, (list, tuple)):
        return [states]
    return [one for its in states for one in flat(its)]


def nested(like: Any, states: Iterator[Any], kinds: Any = list) -> Any:
    """Return the next of the states, or for a list a list of them, nested in the same way."""
    return [nested(one, states, kinds) for one in like] if isinstance(like, kinds) else next(states)


class RNNCell(Layer):
    """Base class of cells, which compute one time step of a recurrent network.

    The inputs of ``forward`` are a step and the states, ``(x, h_1, ...)``, its outputs are
    ``(y, new h_1, ...)``, and ``backward`` takes and returns their gradients in the same form.
    :class:`RNN` calls a cell for each time step, and adds up the gradients of the weights.

    A cell of your own sets ``state_size`` to the number of units of its state, or to a list of
    several, and defines ``build``, ``forward`` and ``backward``. ``y`` has the shape of the first
    state, unless the cell defines ``compute_output_shape``.

    Shapes: x (batch, features), each state and y (batch, units).

    Args:
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        A state that fades: ``h = decay h + x``, with a learned ``decay`` for each unit.

        >>> import numpy as np, netlayers as nl
        >>> class Fading(nl.layers.RNNCell):
        ...     def __init__(self, units, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.units = self.state_size = units
        ...     def build(self, input_shape):
        ...         self.add_weight("decay", (self.units,), initializer="ones")
        ...     def forward(self, x, training=False):
        ...         x, h = self.prepare(x)
        ...         if training:
        ...             self.cache.h = h
        ...         y = x + self.decay * h
        ...         return y, y
        ...     def backward(self, dy):
        ...         dy = dy[0] + dy[1]
        ...         np.sum(dy * self.cache.h, axis=0, out=self.d_decay)
        ...         return dy, dy * self.decay
        >>> nl.layers.RNN(Fading(1))(np.ones((1, 5, 1))).tolist()
        [[5.0]]
    """

    state_size: Any
    # Whether it has _run_all() and _run_all_backward(), for all steps of a layer.
    _runs_all_steps = False
    _at_inference = False  # see InferenceCall
    _mixes_activations = True

    @property
    def input_spec(self) -> tuple[InputSpec, ...]:  # type: ignore[override]
        """The step and the states."""
        states = range(len(state_shapes(self)))
        return (InputSpec(min_ndim=2, name="x"), *(InputSpec(name=f"h_{i}") for i in states))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the output and of the new states: those of the states before."""
        _, *states = input_shape
        return (states[0], *states)

    def __call__(self, x: Any, *more: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the output of a step and the list of the new states, as Keras's cells do.

        Args:
            x: the step; or, as for other layers, a tuple of the step and the states.
            more: a state, or the list of the states; for stacked cells a list of such lists.
            training: see :meth:`Layer.__call__`.
            mask: must be ``None``.
        """
        if not more:
            return super().__call__(x, training=training, mask=mask)
        y, *new = super().__call__((x, *flat(more[0])), training=training, mask=mask)
        return y, nested(more[0], iter(new), (list, tuple))
