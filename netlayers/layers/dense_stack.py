"""Dense layers one on another, computed in one compiled call where such kernels are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.kernels import STACKED, kernels
from netlayers.core.workspace import Workspace, aligned, constant
from netlayers.layers.dense import Dense

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import ParameterVector

    Buffers = tuple[Array, list[Array], Array]


def stacked(layers: list[Layer]) -> list[Any]:
    """Return layers with every run of Dense layers as one :class:`DenseStack`."""
    found: list[Any] = []
    open_run: list[Any] | None = None
    for layer in layers:
        if type(layer) is not Dense:
            open_run = None
            found.append(layer)
            continue
        if open_run is None:
            open_run = []
            found.append(open_run)
        open_run.append(layer)
        if _kind(layer) is None:  # what comes next needs what this activation makes
            open_run = None
    return [DenseStack(part) if isinstance(part, list) else part for part in found]


def _kind(layer: Dense) -> int | None:
    """Return the place of the layer's activation among those that are compiled."""
    activation: Any = layer.activation
    name = type(activation).__name__
    if name not in STACKED or not getattr(activation, "_plain", True):
        return None
    return STACKED.index(name)


class DenseStack:
    """Dense layers that are computed together, or one by one where somebody looks at them.

    The numbers, and what the layers remember, are the same either way. It stands in the place of
    its layers while a :class:`Chain` computes, and is no layer itself: it has no weights and no
    name, nothing of it is shown or saved.

    Args:
        layers: the layers; only the last one may have an activation that is not compiled.
    """

    can_skip_input_gradient = True

    def __init__(self, layers: list[Dense]) -> None:
        self.layers = layers
        self._activations = [layer.activation for layer in layers]
        self._last_is_compiled = _kind(layers[-1]) is not None
        # Where a method is put in the place of one of the layer's own, by somebody who watches.
        self._attributes = [vars(thing) for thing in (*layers, *self._activations)]
        self._vector: ParameterVector | None = None
        self._segments: list[slice] | None = None
        self._buffers: dict[int, Buffers] = {}

    @property
    def learns(self) -> bool:
        """Whether an optimizer changes a weight of a layer."""
        return any(layer.learns for layer in self.layers)

    # Forward and backward --------------------------------------------------------------------

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return what the last layer makes of ``x``."""
        if not self._together(x):
            return self._forward_one_by_one(x, training, "forward")
        y = self._forward(x, training, logits=not self._last_is_compiled)
        if self._last_is_compiled:
            return y
        return self._activations[-1].forward(y, training, inplace=True)

    def forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return what the activation of the last layer is applied to."""
        if not self._together(x):
            return self._forward_one_by_one(x, training, "forward_logits")
        return self._forward(x, training, logits=True)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Write the gradients of all weights, and return dL/dx for ``dy`` = dL/dy."""
        if not self._remembered():
            return self._backward_one_by_one(dy, input_gradient, "backward")
        if not self._last_is_compiled:
            dy = self._activations[-1].backward(dy)
        return self._backward(dy, input_gradient, logits=not self._last_is_compiled)

    def backward_logits(self, dz: Array, input_gradient: bool = True) -> Any:
        """As :meth:`backward`, for a gradient of what :meth:`forward_logits` returned."""
        if not self._remembered():
            return self._backward_one_by_one(dz, input_gradient, "backward_logits")
        return self._backward(dz, input_gradient, logits=True)

    def _forward(self, x: Array, training: bool, logits: bool) -> Array:
        x, rows = self.layers[0].prepare(x), len(x)
        vector: Any = self._vector
        if not training:  # nothing is written to that another thread might be reading
            last = self.layers[-1].units
            memory = np.empty(rows * (self._units - last), vector.dtype)
            y = np.empty((rows, last), vector.dtype)
            kernels.stack_forward(vector.values, x, memory, y, self._tables[logits])  # type: ignore
            return y
        memory, outputs, _ = self._buffers.get(rows) or self._make_buffers(rows)
        kernels.stack_forward(vector.values, x, memory, outputs[-1], self._tables[logits])  # type: ignore
        for layer, activation, y in zip(self.layers, self._activations, outputs, strict=True):
            layer.cache.x, layer.cache.z_shape = x, y.shape
            activation.cache.y = x = y
        return outputs[-1]

    def _backward(self, dy: Array, input_gradient: bool, logits: bool) -> Any:
        last = self.layers[-1]
        dy = np.ascontiguousarray(last.check_gradient(dy, last.cache.z_shape))
        x, vector = self.layers[0].cache.x, self._vector
        memory, outputs, scratch = self._buffers[len(x)]
        dx = self._workspace("dx", x.shape if input_gradient else (0, 0), x.dtype)
        kernels.stack_backward(  # type: ignore[misc]
            vector.values,  # type: ignore[union-attr]
            vector.gradients,  # type: ignore[union-attr]
            x,
            memory,
            outputs[-1],
            dy,
            scratch,
            constant(1, x.shape[:1], x.dtype),
            dx,
            self._tables[logits],
            0 if input_gradient else self._lowest,
        )
        return dx if input_gradient else None

    def _forward_one_by_one(self, x: Array, training: bool, method: str) -> Array:
        for layer in self.layers[:-1]:
            x = layer.forward(x, training)
        y: Array = getattr(self.layers[-1], method)(x, training)
        return y

    def _backward_one_by_one(self, dy: Array, input_gradient: bool, method: str) -> Any:
        last = len(self.layers) - 1
        lowest = 0 if input_gradient else [layer.learns for layer in self.layers].index(True)
        for i in range(last, lowest - 1, -1):
            backward = getattr(self.layers[i], method if i == last else "backward")
            dy = backward(dy, input_gradient=input_gradient or i > lowest)
        return dy

    # What makes it possible ------------------------------------------------------------------

    def _together(self, x: Any) -> bool:
        """Return whether the layers can be computed in one call."""
        if type(x) is not np.ndarray or x.ndim != 2 or not len(x) or self._looked_at():
            return False
        vector = self.layers[0]._vector
        if vector is None:  # not built yet
            return False
        if vector is not self._vector or vector.segments is not self._segments:
            self._lay_out(vector)
        return vector.dtype.char in "fd"

    def _looked_at(self) -> bool:
        """Return whether methods of a layer were replaced, or its activation."""
        for attributes in self._attributes:
            if "forward" in attributes or "backward" in attributes:
                return True
        for layer, activation in zip(self.layers, self._activations, strict=True):
            if layer.activation is not activation:
                return True
        return False

    def _remembered(self) -> bool:
        """Return whether the layers remember what :meth:`_forward` left them, and nothing newer."""
        x = self.layers[0].cache.x
        if type(x) is not np.ndarray or len(x) not in self._buffers or self._looked_at():
            return False
        vector = self.layers[0]._vector
        if vector is not self._vector or vector.segments is not self._segments:
            return False
        outputs = self._buffers[len(x)][1]
        for layer, given in zip(self.layers[1:], outputs, strict=False):
            if layer.cache.x is not given:
                return False
        return self._activations[-1].cache.y is outputs[-1]

    def _lay_out(self, vector: ParameterVector) -> None:
        """Note where the weights are, and how much comes out of which layer."""
        rows, before = [], 0
        for layer in self.layers:
            places = {p.name: p.slice.start for p in layer.slots}
            kind = _kind(layer) or 0
            weights = places["kernel"], places.get("bias", 0)
            rows.append((*layer.kernel.shape, *weights, before, kind, layer.trainable))
            before += layer.units
        table = np.array(rows, np.int64)
        of_logits = table.copy()
        of_logits[-1, 5] = 0  # Linear
        self._tables = table, of_logits
        self._units, self._widest = before, int(table[:, :2].max())
        self._lowest = next((i for i, layer in enumerate(self.layers) if layer.learns), 0)
        self._rows, self._buffers, self._workspace = 0, {}, Workspace()
        self._segments = vector.segments
        self._vector = vector  # last, as it tells other threads that the rest is there

    def _make_buffers(self, rows: int) -> Buffers:
        """Return memory for all outputs of so many rows, these outputs in it, and scratch."""
        vector: Any = self._vector
        if rows > self._rows or len(self._buffers) > 16:  # batches of ever new sizes
            self._rows, self._buffers = max(rows, self._rows), {}
            self._memory = aligned(self._rows * self._units, vector.dtype)
            self._scratch = aligned(2 * self._rows * self._widest, vector.dtype)
        outputs, start = [], 0
        for layer in self.layers:
            stop = start + rows * layer.units
            outputs.append(self._memory[start:stop].reshape(rows, layer.units))
            start = stop
        scratch = self._scratch[: 2 * rows * self._widest]
        buffers = self._buffers[rows] = self._memory, outputs, scratch
        return buffers
