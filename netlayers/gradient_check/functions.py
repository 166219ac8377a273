"""The scalar function L of the arrays of a layer, model or loss, whose gradient is checked."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netlayers.arrays.complex_step import ComplexStep
from netlayers.arrays.convert import shapes_of
from netlayers.core.binding import assemble, bind
from netlayers.core.buffers import BufferCopies, states_of
from netlayers.core.calls import generators_of
from netlayers.core.inputs import input_names, specs_of
from netlayers.core.layer import Layer
from netlayers.core.penalties import collect_penalties
from netlayers.core.shapes import any_batch
from netlayers.errors import ShapeError
from netlayers.kernels.memory import Workspace
from netlayers.losses.base import Loss
from netlayers.random import Streams

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype

_FLOAT64, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


class Function(Protocol):
    """A scalar function L of named arrays."""

    @property
    def arrays(self) -> list[tuple[str, Array]]:
        """The names and values of the arrays."""

    def warm_up(self) -> None:
        """Do steps on other data, which must leave nothing behind."""

    def value(self) -> Any:
        """Return L."""

    def gradients(self) -> list[Array]:
        """Return dL/dv for each array v, as ``backward`` computes it after :meth:`value`."""

    def complex_copy(self) -> Function:
        """Return the same function of complex arrays."""


class Objective:
    """A scalar function of an output: a loss, or a weighted sum.

    Args:
        loss: a loss, or ``None`` for the weighted sum.
        y: targets of the loss.
        sample_weight: sample weights of the loss.
        weights: weights of the sum, in the shape of the output; for several outputs a tuple, with
            ``None`` for an output that L does not depend on.
    """

    def __init__(self, loss: Loss | None, y: Any, sample_weight: Any, weights: Any = None) -> None:
        self.loss, self.y, self.sample_weight, self.weights = loss, y, sample_weight, weights

    def value(self, output: Any) -> Any:
        """Return L."""
        if self.loss is None:
            pairs = [(self.weights, output)]
            if isinstance(output, tuple):
                pairs = list(zip(self.weights, output, strict=True))
            return sum(np.sum(weights * y).item() for weights, y in pairs if weights is not None)
        value: Any = self.loss.forward(self.y, output, self.sample_weight)
        return np.sum(value).item()

    def gradient(self) -> Any:
        """Return dL/doutput after :meth:`value`; ``None`` for an output without weights."""
        return self.weights if self.loss is None else self.loss.backward()

    def first_rows(self, rows: int) -> Objective:
        """Return the objective of the first rows, with the same loss."""
        weight = None if self.sample_weight is None else np.asarray(self.sample_weight)[:rows]
        return Objective(self.loss, np.asarray(self.y)[:rows], weight)

    def complex_copy(self) -> Objective:
        """Return a copy that computes in complex numbers."""
        loss = copy.deepcopy(self.loss)
        _complex_buffers(loss)
        return Objective(loss, self.y, self.sample_weight, self.weights)


class LossFunction:
    """A loss as a function of the predictions."""

    def __init__(self, objective: Objective, y_pred: Array) -> None:
        self.objective, self.arrays = objective, [("y_pred", y_pred)]

    def warm_up(self) -> None:
        """Do steps on all rows and on fewer: nothing may be left of them."""
        y_pred = self.arrays[0][1]
        for rows in (len(y_pred), max(1, len(y_pred) - 1)):
            self.objective.first_rows(rows).value(y_pred[:rows])
            self.objective.gradient()

    def value(self) -> Any:
        """Return L."""
        return self.objective.value(self.arrays[0][1])

    def gradients(self) -> list[Array]:
        """Return the gradient of the loss after :meth:`value`."""
        return [_copied("y_pred", self.objective.gradient(), self.arrays[0][1])]

    def complex_copy(self) -> LossFunction:
        """Return the same function of complex arrays."""
        return LossFunction(self.objective.complex_copy(), _complex_step(self.arrays[0][1]))


class LayerFunction:
    """A layer or model as a function of its inputs and its trainable weights.

    Every evaluation draws the same random numbers and starts from the same running statistics and
    states. Inputs of other dtypes than float, or declared without a gradient, are constants.

    Args:
        layer: a built copy of the layer.
        x: its input, or a tuple of its inputs.
        objective: the scalar function of the output.
        fused: whether the loss takes the logits, as in training.
        mask: mask of the input, or ``None``.

    Attributes:
        arrays: names and values of the differentiable inputs and of the trainable weights.
    """

    def __init__(
        self, layer: Layer, x: Any, objective: Objective, fused: bool = False, mask: Any = None
    ) -> None:
        self.layer, self.objective = layer, objective
        self.x, self.fused, self.mask = x, fused, mask
        self.vector = layer.parameters
        specs = specs_of(layer)
        self._inputs = x if isinstance(x, tuple) else (x,)
        self._names = input_names(specs)
        self._differentiable = [spec.dtype == "float" and spec.gradient for spec in specs]
        self.arrays = [
            ("input" if len(specs) == 1 else f"input {name}", values)
            for name, values, differentiable in zip(
                self._names, self._inputs, self._differentiable, strict=True
            )
            if differentiable
        ]
        self.arrays += [(p.path, p.value) for p in self.vector.tensors]
        self._generators = [(g, g.bit_generator.state) for g in generators_of(layer).values()]
        self._buffers = BufferCopies(layer)
        self._buffers.take()

    def value(self) -> Any:
        """Return L with all penalties."""
        self._restore()
        forward: Any = self.layer._forward_logits if self.fused else self.layer.forward
        if self.mask is not None:
            forward = functools.partial(forward, mask=self.mask)
        output, penalties = collect_penalties(forward, self.x, True)
        return self.objective.value(output) + self.vector.regularization() + sum(penalties)

    def warm_up(self) -> None:
        """Do steps on other data, and with another number of rows: nothing may be left of them."""
        forward = self.layer._forward_logits if self.fused else self.layer.forward
        backward = self.layer._backward_logits if self.fused else self.layer.backward
        same = len(self._inputs[0])
        other = same if states_of(self.layer) else same + (-1 if same > 2 else 1)
        for rows in (same, other):
            self._restore()
            y = forward(self._other_inputs(rows), training=True)
            dy: Any = tuple(map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
            backward(dy)

    def gradients(self) -> list[Array]:
        """Return the gradients that ``backward`` computes, with inference right before it."""
        self.value()
        if not states_of(self.layer):  # which are those of the batches that it has seen
            self.layer.forward(self._other_inputs(len(self._inputs[0])))
        backward = self.layer._backward_logits if self.fused else self.layer.backward
        found = self._input_gradients(backward(self.objective.gradient()))
        self.vector.add_regularization_gradients(Workspace())
        for p in self.vector.tensors:
            dense = getattr(p.gradient, "dense", None)  # of a RowGradient
            found.append(np.array(p.gradient) if dense is None else dense())
        return found

    def complex_copy(self) -> LayerFunction:
        """Return the same function of complex arrays."""
        self._restore()
        layer = float_copy(self.layer, shapes_of(self.x), _COMPLEX)
        for p in layer.parameters.all:
            assert p.value is not None
            if p.own_dtype is None:
                p.value = _complex_step_view(p.value)
            elif p.own_dtype.kind == "f":
                p.value = _complex_step(p.value)
        bind(layer, layer.parameters.vector)
        for _, state in states_of(layer).values():
            if state.value is not None and state.value.dtype.kind == "f":
                state.value, state.dtype = _complex_step(state.value), _COMPLEX
        _complex_buffers(layer)
        inputs = tuple(_complex_step(v) if v.dtype.kind == "f" else v for v in self._inputs)
        x = inputs if isinstance(self.x, tuple) else inputs[0]
        copied = LayerFunction(layer, x, self.objective.complex_copy(), self.fused, self.mask)
        generators = [generator for generator, _ in copied._generators]
        states = [state for _, state in self._generators]
        copied._generators = list(zip(generators, states, strict=True))
        return copied

    def _other_inputs(self, rows: int) -> Any:
        """Return inputs with other values and so many rows."""
        other = []
        for values in self._inputs:
            taken = np.take(values, np.arange(rows) % max(1, len(values)), axis=0)[::-1]
            other.append(0.7 * taken if taken.dtype.kind == "f" else taken)
        return tuple(other) if isinstance(self.x, tuple) else other[0]

    def _restore(self) -> None:
        for generator, state in self._generators:
            generator.bit_generator.state = state
        if not self._buffers.empty:
            self._buffers.restore()

    def _input_gradients(self, dx: Any) -> list[Array]:
        """Return dL/dx for each differentiable input; ``None`` in ``dx`` means zeros."""
        several = isinstance(self.layer.input_spec, tuple)
        given = dx if several and isinstance(dx, tuple) else (dx,)
        if several and dx is None:
            given = (None,) * len(self._names)
        if len(given) != len(self._names) or (isinstance(dx, tuple) and not several):
            wanted = f"a tuple of {len(self._names)} gradients" if several else "one gradient"
            got = f"a tuple of {len(dx)}" if isinstance(dx, tuple) else type(dx).__name__
            raise ShapeError(
                f"check_gradients: backward() must return {wanted}, one for each input "
                f"({', '.join(self._names)}), got {got}."
            )
        found = []
        for name, d, values, differentiable in zip(
            self._names, given, self._inputs, self._differentiable, strict=True
        ):
            if differentiable:
                found.append(_copied(name, np.zeros(values.shape) if d is None else d, values))
            elif d is not None:
                raise ShapeError(
                    f"check_gradients: backward() returned a gradient for the input {name!r}, "
                    "which is declared without one (by its dtype or gradient=False in the "
                    "InputSpec); it must return None for it."
                )
        return found


def _copied(name: str, gradient: Array, values: Array) -> Array:
    """Return a copy of a gradient; raise a ShapeError if its shape is not that of the array."""
    if np.shape(gradient) != values.shape:
        raise ShapeError(
            f"check_gradients: backward() must return dL/d{name} of shape {values.shape}, got "
            f"{np.shape(gradient)}."
        )
    return np.array(gradient)


def float_copy(original: Layer, shape: Any, dtype: Dtype = _FLOAT64, seed: int = 0) -> Layer:
    """Return a copy of a layer that computes in another dtype, built for one or several shapes."""
    target = copy.deepcopy(original)
    target._set_dtype(dtype)
    target.build(any_batch(shape))
    assemble(target, Streams(seed))
    return target


def _complex_step(values: Array) -> Array:
    """Return a complex copy of a real array."""
    return values.astype(_COMPLEX).view(ComplexStep)


def _complex_step_view(values: Array) -> Array:
    """Return a view of a complex array as a :class:`ComplexStep`."""
    return values.view(ComplexStep)


class _ComplexWorkspace(Workspace):
    """Buffers whose complex arrays are of the class :class:`ComplexStep`."""

    def _make(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        view = super()._make(name, shape, dtype)
        if dtype.kind == "c":
            view = self.views[name, shape, dtype] = view.view(ComplexStep)
        return view


def _complex_buffers(item: Layer | Loss | None) -> None:
    """Give a layer or loss, and everything in it, complex buffers."""
    if isinstance(item, (Layer, Loss)):
        item.workspace = _ComplexWorkspace()
        parts = item._sublayers if isinstance(item, Layer) else getattr(item, "losses", ())
        for part in parts:
            _complex_buffers(part)
