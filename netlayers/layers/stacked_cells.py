"""Several cells in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.errors import ConfigurationError
from netlayers.kernels.memory import Workspace
from netlayers.layers.containers import Container
from netlayers.layers.network import backward_of
from netlayers.layers.recurrent_cell import RNNCell, check_cell, state_shapes
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlayers._typing import Examples


@register("layer")
class StackedRNNCells(RNNCell, Container):
    """Cells one after the other in each step: the output of a cell is the input of the next.

    Shapes: the inputs x (batch, features), and the states of all cells in their order, (batch,
    units) each; the outputs y, of the last cell, and the new states.

    Args:
        cells: a list of cells.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> cells = [nl.layers.GRUCell(4), nl.layers.LSTMCell(3)]
        >>> layer = nl.layers.RNN(nl.layers.StackedRNNCells(cells), return_state=True)
        >>> y, h_first, (h, c) = layer(np.ones((2, 5, 6)))
        >>> y.shape, h_first.shape, h.shape, c.shape
        ((2, 3), (2, 4), (2, 3), (2, 3))
    """

    def __init__(self, cells: Iterable[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._add_sublayers("cells", cells)
        if not self.layers:
            raise ConfigurationError("StackedRNNCells: cells must have at least one cell, got [].")
        for cell in self.layers:
            check_cell("StackedRNNCells", cell)
        parts = list(self._flatten_layers())[1:]
        self.random = any(part.random for part in parts)
        self.same_in_training = all(part.same_in_training for part in parts)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""

        def cell(kind: str, units: int) -> dict[str, Any]:
            return {"class_name": kind, "config": {"units": units}}

        cells = [cell("GRUCell", 3), cell("LSTMCell", 2)]
        return [({"cells": cells}, ((4, 3), (4, 3), (4, 2), (4, 2)))]

    @property
    def cells(self) -> list[Any]:
        """The cells."""
        return list(self.layers)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The number of units of the last cell."""
        last = self.cells[-1]
        return getattr(last, "output_size", None) or state_shapes(last)[0][0]

    @property
    def _output_state(self) -> int:
        """Number of the state that the output is: the first of the last cell."""
        return sum(len(state_shapes(cell)) for cell in self.cells[:-1])

    def _with_states(self, states: Any) -> list[tuple[int, list[Any]]]:
        """Return the number of each cell, and those of the states that are its."""
        found, start = [], 0
        for number, cell in enumerate(self.cells):
            end = start + len(state_shapes(cell))
            found.append((number, list(states[start:end])))
            start = end
        return found

    def build(self, input_shape: Any) -> None:
        """Build each cell for the output of the one before."""
        self._build_sublayers(self._build_order(input_shape))

    def _build_order(self, input_shape: Any) -> Any:
        step, *states = input_shape
        for number, its in self._with_states(states):
            cell, shapes = self.cells[number], (step, *its)
            yield cell, shapes
            step = cell.compute_output_shape(shapes)[0]

    def check_input_shape(self, shape: Any) -> None:
        """Raise a ShapeError unless the cells take these shapes."""
        for cell, its in self._build_order(shape):
            cell.check_input_shape(its)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the output and of the new states."""
        step, new = input_shape[0], []
        for cell, its in self._build_order(input_shape):
            step, *states = cell.compute_output_shape(its)
            new += states
        return (step, *new)

    def _draw_masks(self, count: int, memory: Workspace) -> list[Any]:
        """Return the dropout masks of each cell, for the steps of a sequence."""
        own = vars(memory).setdefault("cells", [Workspace() for _ in self.cells])
        return [
            cell._draw_masks(count, its) if hasattr(cell, "_draw_masks") else None
            for cell, its in zip(self.cells, own, strict=True)
        ]

    def forward(  # type: ignore[override]
        self, x: Any, training: bool = False, masks: list[Any] | None = None
    ) -> Any:
        """``y_i, h_i = cell_i(y_{i-1}, h_i)`` with ``y_0 = x``.

        Args:
            x: the tuple of the step and the states.
            training: cache what :meth:`backward` needs.
            masks: the dropout masks of each cell; by default they are drawn.
        """
        y, *states = self.prepare(x)
        new: list[Any] = []
        for number, its in self._with_states(states):
            options = {"masks": masks[number]} if masks and masks[number] else {}
            call: Any = self.calls[number]
            y, *after = call.forward((y, *its), training, **options)
            new += after
        if training:
            self.cache.shapes = [a.shape for a in (y, *new)]
        return (y, *new)

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """Apply the chain rule, from the last cell to the first."""
        shapes = self.cache.shapes
        d, *d_states = (self.check_gradient(a, s) for a, s in zip(dy, shapes, strict=True))
        found: list[Any] = []
        for number, its in reversed(self._with_states(d_states)):
            d, *before = backward_of(self.calls[number], (d, *its), True)
            found = before + found
        return (d, *found)
