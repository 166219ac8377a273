"""Recurrent layers: a cell is applied to each time step, and hands its states on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_mask
from netlayers.checks import check_flag, is_several
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.network import backward_of
from netlayers.layers.recurrent_cell import check_cell, nested, state_shapes
from netlayers.layers.recurrent_steps import run_steps, run_steps_backward, spread
from netlayers.layers.series import SeriesLayer

if TYPE_CHECKING:
    from netlayers._typing import Array, Shape


class Recurrent(SeriesLayer):
    """Base class of layers that apply a cell to each time step of a series.

    Args:
        return_sequences: return the output of every step, instead of the last one.
        return_state: return the states after the last step too: a tuple of the output and them;
            called as in Keras, ``layer(x)``, those of stacked cells in a list for each cell.
        go_backwards: start with the last step; the outputs are in the order of their computation.
        stateful: start from the states in which the last batch ended, sample by sample; see
            :meth:`reset_states`. No gradient flows back into the last batch.
        unroll: accepted as in Keras, without effect.
        zero_output_for_mask: return 0 for steps that the mask leaves out, instead of the output
            of the step before.
        activity_regularizer: must be ``None``: add an :class:`ActivityRegularization` layer
            instead.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    arguments_without_effect = ("activity_regularizer",)  # refused, with what to use instead
    _at_inference = False  # see InferenceCall

    def __init__(
        self,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        activity_regularizer: None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.return_sequences = check_flag(owner, "return_sequences", return_sequences)
        self.return_state = check_flag(owner, "return_state", return_state)
        self.go_backwards = check_flag(owner, "go_backwards", go_backwards)
        self.stateful = check_flag(owner, "stateful", stateful)
        self.unroll = check_flag(owner, "unroll", unroll)
        self.zero_output_for_mask = check_flag(owner, "zero_output_for_mask", zero_output_for_mask)
        if activity_regularizer is not None:
            raise ConfigurationError(
                f"{owner}: activity_regularizer={activity_regularizer!r} is not taken; put "
                "layers.ActivityRegularization(l1, l2) behind the layer."
            )
        self.activity_regularizer = None

    def _take_cell(self, cell: Any) -> None:
        """Add the cell, in the constructor."""
        self._add_sublayers("cell", [cell])
        check_cell(type(self).__name__, self.cell)
        parts = list(self._flatten_layers())[1:]
        self.random = any(part.random for part in parts)
        self.same_in_training = all(part.same_in_training for part in parts)

    @property
    def cell(self) -> Any:
        """The cell."""
        return self.layers[0]

    def _state_shapes(self, series: Any = None) -> list[tuple[int, ...]]:
        """Return the shape of each state of a sample, for a series of this shape."""
        if series is not None and hasattr(self.cell, "_state_shapes_for"):
            found: list[tuple[int, ...]] = self.cell._state_shapes_for((series[0], *series[2:]))
            return found
        return state_shapes(self.cell)

    # Shapes ----------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Build the cell for one step."""
        self._given_states = is_several(input_shape)
        series: Any = input_shape[0] if self._given_states else input_shape
        self._check_series(series)
        if self.stateful:
            for i, shape in enumerate(self._state_shapes(series)):
                self.add_state(f"state_{i}", shape)
        if self._given_states:
            self._check_states(input_shape[1:], series)
        self._build_sublayers([(self.cell, self._step_shapes(series))])

    def _connect(self) -> None:
        super()._connect()
        self._repeated = {0: self.declared_parameters}  # see _step_backward

    def _step_shapes(self, series: Any, batch: int | None = None) -> Any:
        """Return the shapes of a step and of the states."""
        return ((batch, *series[2:]), *((batch, *shape) for shape in self._state_shapes(series)))

    def check_input_shape(self, shape: Any) -> None:
        """Raise a ShapeError unless the cell takes a step of the series, and the states."""
        series, *states = shape if is_several(shape) else (shape,)
        self._check_series(series)
        self.cell.check_input_shape(self._step_shapes(series))
        self._check_states(states, series)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, and with ``return_state`` those of the states."""
        series = input_shape[0] if is_several(input_shape) else input_shape
        self._check_series(series)
        step, *states = self.cell.compute_output_shape(self._step_shapes(series, series[0]))
        y = (step[0], series[1], *step[1:]) if self.return_sequences else step
        return (y, *states) if self.return_state else y

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the mask with ``return_sequences``; the states have none."""
        mask = mask[0] if isinstance(mask, tuple) else mask
        mask = mask if self.return_sequences else None
        return (mask, *(None for _ in self._state_shapes())) if self.return_state else mask

    def _nested(self, found: Any) -> Any:
        """Return the outputs with the states in the lists of ``state_size``, as Keras does."""
        sizes = self.cell.state_size
        while isinstance(sizes, list) and len(sizes) == 1:
            sizes = sizes[0]
        if not self.return_state or not isinstance(sizes, list):
            return found
        y, *states = found
        rest = iter(states)
        return type(found)([y, *(nested(size, rest) for size in sizes)])

    # Forward ---------------------------------------------------------------------------------

    def forward(
        self,
        x: Any,
        training: bool = False,
        mask: Any = None,
        mask_out: list[Any] | None = None,
    ) -> Any:
        """``y[t], h[t] = cell(x[t], h[t-1])`` for the steps t in order.

        Where the mask is false, ``h[t] = h[t-1]`` and ``y[t] = y[t-1]``, or 0 with
        ``zero_output_for_mask``.

        Args:
            x: the series, or the tuple of the series and the initial states.
            training: cache what :meth:`backward` needs.
            mask: booleans (batch, steps), or ``None`` for all steps.
            mask_out: a list to which the mask of the output is appended.
        """
        x = self.prepare(x)
        if mask_out is not None:
            mask_out.append(self.compute_mask(x, mask))
        x, *states = x if isinstance(x, tuple) else (x,)
        count, steps = x.shape[:2]
        absent = self._absent(mask, count, steps)
        series = self._time_first(x)
        if training or not (series.flags.c_contiguous and series.flags.writeable):
            series = self.buffer("x", (steps, count, *x.shape[2:]), training)
            np.copyto(series, self._time_first(x))
        first = self._first_states(count, states)
        outputs, states = run_steps(self, series, first, absent, training)
        if self.stateful:
            kept = self._first_states(count, []) if self._given_states else first
            for before, state in zip(kept, states, strict=True):
                np.copyto(before, state)
        if training:
            self.cache.shape, self.cache.absent = x.shape, absent
            self.cache.y_shape, self.cache.several = outputs.shape, self._given_states
        y = self._output(outputs, absent, training)
        return (y, *states) if self.return_state else y

    def _output(self, outputs: Array, absent: Array | None, training: bool) -> Array:
        """Return the outputs (batch, steps, ...), or the last one."""
        found = outputs.swapaxes(0, 1) if self.return_sequences else outputs[-1]
        if len(outputs) == 1 and not (training or self.return_state or absent is not None):
            return found  # in memory of its own
        y = self.buffer("y", found.shape, training)
        np.copyto(y, found)
        if absent is not None and self.zero_output_for_mask:
            there = absent.swapaxes(0, 1) if self.return_sequences else absent[-1]
            np.copyto(y, 0, where=spread(there, y))
        return y

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """Run the steps backward, from the last to the first: backpropagation through time.

        ``dh[t]``, the gradient of the states after step t, has two parts: from the output of the
        step and from the step behind. The cell turns both into ``dx[t]`` and ``dh[t-1]``, and the
        gradients of its weights are summed over the steps. The mask is as in :meth:`forward`:
        a step that is left out passes ``dh[t]`` on to ``dh[t-1]``, and ``dx[t]`` is 0.

        Source:
            P. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings
            of the IEEE 78 (1990), section III.
        """
        cache = self.cache
        shape, absent = cache.shape, cache.absent
        steps, count, *row = cache.y_shape
        dy, *d_states = dy if isinstance(dy, tuple) else (dy,)
        d_outputs = None  # of all steps, or of the last one
        if dy is not None:
            shape_of_y = (count, steps, *row) if self.return_sequences else (count, *row)
            dy = self.check_gradient(dy, shape_of_y)
            d_outputs = self.buffer("dy", (steps if self.return_sequences else 1, count, *row))
            np.copyto(d_outputs, dy.swapaxes(0, 1) if self.return_sequences else dy[None])
            if absent is not None and self.zero_output_for_mask:
                np.copyto(d_outputs, 0, where=spread(absent[-len(d_outputs) :], d_outputs))
        shapes = self._state_shapes()
        d_states = [
            None if d is None else self.check_gradient(d, (count, *its))
            for d, its in zip(d_states or [None] * len(shapes), shapes, strict=True)
        ]
        dx, d_first = run_steps_backward(self, d_outputs, d_states, absent, input_gradient)
        if dx is not None:
            found = self.buffer("dx", shape)
            np.copyto(self._time_first(found), dx)
            dx = found
        return (dx, *d_first) if cache.several else dx

    def _step_backward(self, calls: list[Any], t: int, d: tuple[Array, ...]) -> Any:
        """Run a step backward; the gradients of the weights are added to those of later steps."""
        if t == len(calls) - 1:
            return backward_of(calls[t], d, True)
        return self._added_backward(1, calls[t], d, True, "backward")

    def _time_first(self, x: Array) -> Array:
        """Return a view (steps, batch, ...) of a series, in the order of the computation."""
        view = x.swapaxes(0, 1)
        return view[::-1] if self.go_backwards else view

    def _first_states(self, count: int, given: list[Array]) -> list[Any]:
        """Return the states before the first step, or 0 for each."""
        if given:
            return given
        if self.stateful:
            return [self.state(name, count) for name in self.states]
        return [0] * len(self._state_shapes())

    def _absent(self, mask: Any, count: int, steps: int) -> Array | None:
        """Return where a step is left out, (steps, batch, 1); ``None`` if nowhere."""
        mask = mask[0] if isinstance(mask, tuple) else mask
        if mask is None:
            return None
        mask = as_mask(f"{self.owner} ({type(self).__name__})", mask)
        if mask.shape != (count, steps):
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): mask must have the shape (batch, steps) = "
                f"{(count, steps)}, got {mask.shape}."
            )
        if mask.all():
            return None
        return np.logical_not(self._time_first(mask))[:, :, None]
