"""A recurrent layer with any cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.layers.recurrent import Recurrent
from netlayers.layers.stacked_cells import StackedRNNCells
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Examples


@register("layer")
class RNN(Recurrent):
    """A recurrent layer with a cell of your choice: ``y[t], h[t] = cell(x[t], h[t-1])``.

    The cell is called for each time step, with the same weights; backward, the gradients of the
    steps are added up. With LSTMCell, GRUCell or SimpleRNNCell, it computes what :class:`LSTM`,
    :class:`GRU` or :class:`SimpleRNN` does.

    Shapes: input (batch, steps, ...), output that of the cell, (batch, units), or with
    ``return_sequences`` (batch, steps, units).

    Args:
        cell: a cell: see :class:`RNNCell` for one of your own; a list of cells stands for
            :class:`StackedRNNCells`.
        return_sequences: return the output of every step, instead of the last one.
        return_state: return the states after the last step too: a tuple of the output and them;
            called as in Keras, ``layer(x)``, those of stacked cells in a list for each cell.
        go_backwards: start with the last step; the outputs are in the order of their computation.
        stateful: start from the states in which the last batch ended, sample by sample, until
            ``reset_states()``. No gradient flows back into the last batch.
        unroll: accepted as in Keras, without effect.
        zero_output_for_mask: return 0 for steps that the mask leaves out, instead of the output
            of the step before.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        P. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of
        the IEEE 78 (1990).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.RNN(nl.layers.LSTMCell(4), return_sequences=True)
        >>> layer(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            zero_output_for_mask,
            **kwargs,
        )
        self._take_cell(StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""

        def cell(kind: str, **config: Any) -> dict[str, Any]:
            return {"class_name": kind, "config": {"units": 2, **config}}

        time = {"return_sequences": True, "go_backwards": True, "zero_output_for_mask": True}
        return [
            ({"cell": cell("GRUCell")}, (2, 3, 2)),
            ({"cell": cell("LSTMCell", activation="softsign"), **time}, (2, 3, 2)),
            ({"cell": cell("LSTMCell"), "return_state": True}, (2, 3, 2)),
            ({"cell": cell("SimpleRNNCell", activation="sigmoid"), "stateful": True}, (2, 3, 2)),
        ]
