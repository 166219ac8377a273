"""The function L whose derivative is checked: of a layer's, a model's or a loss's arrays."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.binding import assemble, bind
from netlayers.core.complex_step import ComplexStep, ComplexWorkspace
from netlayers.core.layer import Layer
from netlayers.core.penalties import collect_penalties
from netlayers.core.random import Streams, generators_of
from netlayers.core.workspace import Workspace
from netlayers.errors import ShapeError
from netlayers.losses.base import Loss

if TYPE_CHECKING:
    from netlayers._typing import Array

_FLOAT64, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


class Head:
    """What makes one number of an output: a loss, or a sum with fixed weights."""

    def __init__(self, loss: Loss | None, y: Any, sample_weight: Any, weights: Any = None) -> None:
        self.loss, self.y, self.sample_weight, self.weights = loss, y, sample_weight, weights

    def value(self, output: Array) -> Any:
        """Return L."""
        if self.loss is None:
            return np.sum(self.weights * output).item()
        value: Any = self.loss.forward(self.y, output, self.sample_weight)
        return np.sum(value).item()

    def gradient(self) -> Array:
        """Return dL/doutput for the last :meth:`value`."""
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
    """A layer or a model as a function of its input and its trainable weights.

    Random layers draw the same numbers in every evaluation, and running statistics stay. With
    ``fused``, the loss takes the logits, as it does in training.
    """

    def __init__(self, layer: Any, x: Array, head: Head, fused: bool = False) -> None:
        self.layer, self.head, self.x, self.fused = layer, head, x, fused
        self.vector = layer.parameters
        self.arrays = [("input", x), *((p.path, p.value) for p in self.vector.tensors)]
        self._states = [(g, g.bit_generator.state) for g in generators_of(layer).values()]
        self._statistics = self.vector.statistics.copy()

    def value(self) -> Any:
        """Return L with all penalties."""
        for generator, state in self._states:
            generator.bit_generator.state = state
        self.vector.statistics[...] = self._statistics
        forward = self.layer.forward_logits if self.fused else self.layer.forward
        output, penalties = collect_penalties(forward, self.x, True)
        return self.head.value(output) + self.vector.regularization() + sum(penalties)

    def gradients(self) -> list[Array]:
        """Return what ``backward`` gives for each array, after a :meth:`value`."""
        backward = self.layer.backward_logits if self.fused else self.layer.backward
        dx = checked("x", backward(self.head.gradient()), self.x)
        self.vector.add_regularization_gradients(Workspace())
        return [dx, *(np.array(p.gradient) for p in self.vector.tensors)]

    def in_complex(self) -> LayerFunction:
        """Return the same function of complex arrays."""
        layer = float_copy(self.layer, self.x.shape, _COMPLEX)
        for p in layer.parameters.all:
            p.value = stepping_view(p.value)
        bind(layer, layer.parameters.vector)
        _complex_buffers(layer)
        twin = LayerFunction(layer, stepping(self.x), self.head.in_complex(), self.fused)
        theirs = [state for _, state in self._states]
        twin._states = [(g, s) for (g, _), s in zip(twin._states, theirs, strict=True)]
        return twin


def checked(name: str, gradient: Array, values: Array) -> Array:
    """Return a copy of a gradient, which must have the shape of the array."""
    if np.shape(gradient) != values.shape:
        raise ShapeError(
            f"check_gradients: backward() returned dL/d{name} in the shape {np.shape(gradient)}; "
            f"the array has {values.shape}."
        )
    return np.array(gradient)


def float_copy(original: Any, shape: tuple[int, ...], dtype: Any = _FLOAT64, seed: int = 0) -> Any:
    """Return a copy of a layer that computes in another dtype, built."""
    target: Any = copy.deepcopy(original)
    target.compute_in(dtype)
    target.build((None, *shape[1:]))
    assemble(target, Streams(seed))
    return target


def stepping(values: Array) -> Array:
    """Return a complex copy of a real array."""
    return values.astype(_COMPLEX).view(ComplexStep)


def stepping_view(values: Array) -> Array:
    """Return a complex array as a :class:`ComplexStep` on the same memory."""
    return values.view(ComplexStep)


def _complex_buffers(thing: Any) -> None:
    """Let a layer or loss, and all that it is made of, compute in complex buffers."""
    if isinstance(thing, (Layer, Loss)):
        thing.workspace = ComplexWorkspace()
        parts = thing.parts if isinstance(thing, Layer) else getattr(thing, "losses", ())
        for part in parts:
            _complex_buffers(part)
