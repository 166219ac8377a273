"""The function L whose derivative is checked: of a layer's, a model's or a loss's arrays."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

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


class Head:
    """What makes one number of an output: a loss, or a sum with fixed weights.

    Args:
        loss: a loss, or ``None`` for the sum.
        y: its targets.
        sample_weight: its weights of samples.
        weights: factors of the sum, one for each entry of the output; for several outputs a tuple,
            with ``None`` for one that L does not depend on.
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
        """Return dL/doutput for the last :meth:`value`; ``None`` for an output without weights."""
        return self.weights if self.loss is None else self.loss.backward()

    def in_complex(self) -> Head:
        """Return one that computes in complex numbers."""
        loss = copy.deepcopy(self.loss)
        _complex_buffers(loss)
        return Head(loss, self.y, self.sample_weight, self.weights)


class LossFunction:
    """A loss as a function of the predictions."""

    def __init__(self, head: Head, y_pred: Array) -> None:
        self.head, self.arrays = head, [("y_pred", y_pred)]

    def value(self) -> Any:
        """Return L."""
        return self.head.value(self.arrays[0][1])

    def gradients(self) -> list[Array]:
        """Return what ``backward`` gives for each array, after a :meth:`value`."""
        return [checked("y_pred", self.head.gradient(), self.arrays[0][1])]

    def in_complex(self) -> LossFunction:
        """Return the same function of complex arrays."""
        return LossFunction(self.head.in_complex(), stepping(self.arrays[0][1]))


class LayerFunction:
    """A layer or a model as a function of its inputs and its trainable weights.

    Random layers draw the same numbers in every evaluation, and each starts from the same running
    statistics and states. Inputs that are no float numbers, or declared without a gradient, are no
    arrays of the function.

    Args:
        layer: a built copy.
        x: its input, or the tuple of its inputs.
        head: makes a number of the output.
        fused: the loss takes the logits, as it does in training.
        mask: mask of the input, ``None`` for none.

    Attributes:
        arrays: the names of the differentiable inputs and the trainable weights, with their values.
    """

    def __init__(
        self, layer: Any, x: Any, head: Head, fused: bool = False, mask: Any = None
    ) -> None:
        self.layer, self.head, self.x, self.fused, self.mask = layer, head, x, fused, mask
        self.vector = layer.parameters
        specs = specs_of(layer)
        self._inputs = x if isinstance(x, tuple) else (x,)
        self._names = input_names(specs)
        self._moving = [spec.dtype == "float" and spec.gradient for spec in specs]
        self.arrays = [
            ("input" if len(specs) == 1 else f"input {name}", values)
            for name, values, moving in zip(self._names, self._inputs, self._moving, strict=True)
            if moving
        ]
        self.arrays += [(p.path, p.value) for p in self.vector.tensors]
        self._states = [(g, g.bit_generator.state) for g in generators_of(layer).values()]
        self._buffers = BufferCopies(layer)
        self._buffers.take()

    def value(self) -> Any:
        """Return L with all penalties."""
        self._put_back()
        forward = self.layer._forward_logits if self.fused else self.layer.forward
        if self.mask is not None:
            forward = functools.partial(forward, mask=self.mask)
        output, penalties = collect_penalties(forward, self.x, True)
        return self.head.value(output) + self.vector.regularization() + sum(penalties)

    def gradients(self) -> list[Array]:
        """Return what ``backward`` gives for each array, after a :meth:`value`."""
        backward = self.layer._backward_logits if self.fused else self.layer.backward
        found = self._of_inputs(backward(self.head.gradient()))
        self.vector.add_regularization_gradients(Workspace())
        for p in self.vector.tensors:
            dense = getattr(p.gradient, "dense", None)  # of a gradient by rows
            found.append(np.array(p.gradient) if dense is None else dense())
        return found

    def in_complex(self) -> LayerFunction:
        """Return the same function of complex arrays."""
        self._put_back()
        layer = float_copy(self.layer, shapes_of(self.x), _COMPLEX)
        for p in layer.parameters.all:
            if p.own_dtype is None:
                p.value = stepping_view(p.value)
            elif p.own_dtype.kind == "f":
                p.value = stepping(p.value)
        bind(layer, layer.parameters.vector)
        for _, state in states_of(layer).values():
            if state.value is not None and state.value.dtype.kind == "f":
                state.value, state.dtype = stepping(state.value), _COMPLEX
        _complex_buffers(layer)
        inputs = tuple(stepping(v) if v.dtype.kind == "f" else v for v in self._inputs)
        x = inputs if isinstance(self.x, tuple) else inputs[0]
        twin = LayerFunction(layer, x, self.head.in_complex(), self.fused, self.mask)
        theirs = [state for _, state in self._states]
        twin._states = [(g, s) for (g, _), s in zip(twin._states, theirs, strict=True)]
        return twin

    def _put_back(self) -> None:
        for generator, state in self._states:
            generator.bit_generator.state = state
        if not self._buffers.empty:
            self._buffers.restore()

    def _of_inputs(self, dx: Any) -> list[Array]:
        """Return dL/dx for each differentiable input; ``None`` for one stands for zeros."""
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
        for name, d, values, moving in zip(
            self._names, given, self._inputs, self._moving, strict=True
        ):
            if moving:
                found.append(checked(name, np.zeros(values.shape) if d is None else d, values))
            elif d is not None:
                raise ShapeError(
                    f"check_gradients: backward() returned a gradient for the input {name!r}, "
                    "which is declared without one (by its dtype or gradient=False in the "
                    "InputSpec); it must return None there."
                )
        return found


def checked(name: str, gradient: Array, values: Array) -> Array:
    """Return a copy of a gradient, which must have the shape of the array."""
    if np.shape(gradient) != values.shape:
        raise ShapeError(
            f"check_gradients: backward() returned dL/d{name} in the shape {np.shape(gradient)}; "
            f"the array has {values.shape}."
        )
    return np.array(gradient)


def float_copy(original: Any, shape: Any, dtype: Any = _FLOAT64, seed: int = 0) -> Any:
    """Return a copy of a layer that computes in another dtype, built for a shape, or shapes."""
    target: Any = copy.deepcopy(original)
    target._set_dtype(dtype)
    target.build(any_batch(shape))
    assemble(target, Streams(seed))
    return target


def stepping(values: Array) -> Array:
    """Return a complex copy of a real array."""
    return values.astype(_COMPLEX).view(ComplexStep)


def stepping_view(values: Array) -> Array:
    """Return a complex array as a :class:`ComplexStep` on the same memory."""
    return values.view(ComplexStep)


class _ComplexWorkspace(Workspace):
    """Buffers whose complex arrays are :class:`ComplexStep`."""

    def _make(self, name: str, shape: tuple[int, ...], dtype: Dtype) -> Array:
        view = super()._make(name, shape, dtype)
        if dtype.kind == "c":
            view = self.views[name, shape, dtype] = view.view(ComplexStep)
        return view


def _complex_buffers(thing: Any) -> None:
    """Let a layer or loss, and all that it is made of, compute in complex buffers."""
    if isinstance(thing, (Layer, Loss)):
        thing.workspace = _ComplexWorkspace()
        parts = thing._sublayers if isinstance(thing, Layer) else getattr(thing, "losses", ())
        for part in parts:
            _complex_buffers(part)
