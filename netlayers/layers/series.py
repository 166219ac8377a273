"""Layers of series that take masks and initial states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.arrays.spec import InputSpec
from netlayers.core.shapes import shown_shape
from netlayers.core.symbolic import SymbolicValue
from netlayers.errors import DataError, ShapeError
from netlayers.layers.containers import Container
from netlayers.layers.recurrent_cell import flat

if TYPE_CHECKING:
    from netlayers._typing import Shape


class SeriesLayer(Container):
    """Base class of :class:`Recurrent` and :class:`Bidirectional`: what they are called with.

    ``forward`` takes the series, or a tuple of the series and the initial states.

    Args:
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    takes_mask = True
    _any_inputs = True  # the states can be given too
    _given_states = False  # whether they are
    _mixes_activations = True

    def _state_shapes(self, series: Any = None) -> list[tuple[int, ...]]:
        """Return the shape of each state of a sample, for a series of this shape."""
        return []

    def _connect(self) -> None:
        super()._connect()
        self.takes_mask, self._starts_masks = True, False

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """The series, and the initial states if they are given."""
        series = InputSpec(name="x")
        if not self._given_states:
            return series
        return (series, *(InputSpec(name=f"h_{i}") for i in range(len(self._state_shapes()))))

    def _check_series(self, shape: Shape) -> None:
        if len(shape) < 3 or shape[1] == 0:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): expected an input of shape (batch, steps, "
                f"features) with at least one step, got {shown_shape(shape)}."
            )

    def _check_states(self, states: Any, series: Shape) -> None:
        """Check the shapes of the initial states, if there are any."""
        expected = [(None, *shape) for shape in self._state_shapes(series)]
        if states and [its[1:] for its in states] != [its[1:] for its in expected]:
            wanted, got = (" and ".join(map(shown_shape, its)) for its in (expected, states))
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): initial_state must have the shapes "
                f"{wanted}, got {got}."
            )

    # Calls -----------------------------------------------------------------------------------

    def __call__(
        self,
        x: Any,
        *more: Any,
        training: bool | None = None,
        mask: Any = None,
        initial_state: Any = None,
    ) -> Any:
        """Return the output, or the output and the states; see :meth:`Layer.__call__`.

        Args:
            x: the series; or a list or tuple of the series and the initial states.
            more: ``initial_state``, by position.
            training: see :meth:`Layer.__call__`.
            mask: booleans (batch, steps); steps where it is false change nothing.
            initial_state: the states before the first step, a list, or one array for a cell with
                one state; for stacked cells a list of such lists. By default they are 0, or those
                in which the last batch ended.
        """
        if more and isinstance(more[0], (bool, np.bool_)):
            training, more = bool(more[0]), more[1:]
        if more and initial_state is None:
            initial_state = more[0]
        kinds = (np.ndarray, SymbolicValue)
        if isinstance(x, (list, tuple)) and len(x) > 1 and all(isinstance(a, kinds) for a in x):
            x, *states = x
        else:
            states = []
        if initial_state is not None:
            states = flat(initial_state)
        self._given_states = bool(states)
        self._check_count(states)
        found = super().__call__((x, *states) if states else x, training=training, mask=mask)
        return self._nested(found)

    def _nested(self, found: Any) -> Any:
        """Return the outputs with the states of stacked cells in lists."""
        return found

    def _check_count(self, states: Any) -> None:
        count = len(self._state_shapes())
        if states and len(states) != count:
            raise DataError(
                f"{self.owner} ({type(self).__name__}): initial_state must have {count} "
                f"{'arrays' if count > 1 else 'array'}, one for each state, got {len(states)}."
            )

    def prepare(self, x: Any) -> Any:
        """Return the series, or the tuple of the series and the initial states."""
        self._given_states = isinstance(x, tuple)
        if self._given_states:
            self._check_count(x[1:])
        elif isinstance(x, list):
            x = as_float(self.owner, "x", x, self._dtype)
        return super().prepare(x)

    def reset_state(self) -> None:
        """Reset the states; the same as :meth:`reset_states`."""
        self.reset_states()
