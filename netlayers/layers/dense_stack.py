"""Dense layers one on another, computed in one compiled call where such kernels are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from netlayers import activations
from netlayers.core.kernels import STACKED, kernels
from netlayers.core.workspace import aligned, constant
from netlayers.layers.dense import Dense

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import ParameterVector

    Buffers = tuple[Array, list[Array], Array, Array, Array]


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


# By the class itself: one that is derived from it may compute something else.
_COMPILED = [getattr(activations, name) for name in STACKED]


def _kind(layer: Dense) -> int | None:
    """Return the place of the layer's activation among those that are compiled."""
    activation: Any = layer.activation
    if type(activation) not in _COMPILED or not getattr(activation, "_plain", True):
        return None
    return _COMPILED.index(type(activation))


def _of_logits(table: Array) -> Array:
    """Return the table without the last activation."""
    table = table.copy()
    table[-1, 5] = STACKED.index("Linear")
    return table


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
        # With their attributes, where somebody who watches puts methods in the place of their own.
        pairs = zip(layers, self._activations, strict=True)
        self._watched = [(a, vars(a), b, vars(b)) for a, b in pairs]
        self._vector: ParameterVector | None = None
        self._segments: list[slice] | None = None
        self._buffers: dict[int, Buffers] = {}

    @property
    def learns(self) -> bool:
        """Whether an optimizer changes a weight of a layer."""
        return any([layer.learns for layer in self.layers])  # noqa: C419 - twice as fast as lazily

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
        rows, vector = len(x), cast("ParameterVector", self._vector)
        if not training:  # nothing is written to that another thread might be reading
            memory = np.empty(2 * rows * self._widest, self._dtype)
            y = np.empty((rows, self.layers[-1].units), self._dtype)
            kernels.stack_forward(vector.values, x, memory, y, self._passing[logits])  # type: ignore
            return y
        memory, outputs, *_ = self._buffers.get(rows) or self._make_buffers(rows)
        y = outputs[-1]
        kernels.stack_forward(vector.values, x, memory, y, self._tables[logits])  # type: ignore
        for layer, activation, y in zip(self.layers, self._activations, outputs, strict=True):
            cache = layer.cache
            cache.x, cache.z_shape = x, y.shape
            activation.cache.y = x = y
        return y

    def _backward(self, dy: Array, input_gradient: bool, logits: bool) -> Any:
        first, last = self.layers[0], self.layers[-1]
        dy = np.ascontiguousarray(last.check_gradient(dy, last.cache.z_shape))
        x: Array = first.cache.x
        vector = cast("ParameterVector", self._vector)
        memory, outputs, scratch, ones, nothing = self._buffers[len(x)]
        dx = first.workspace("dx", x.shape, x.dtype) if input_gradient else nothing
        lowest = 0 if input_gradient else self._lowest
        kernels.stack_backward(  # type: ignore[misc]
            vector.values, vector.gradients, x, memory, outputs[-1], dy, scratch, ones, dx,
            self._tables[logits], lowest,
        )  # fmt: skip
        return dx if input_gradient else None

    def _forward_one_by_one(self, x: Array, training: bool, method: str) -> Array:
        for layer in self.layers[:-1]:
            x = layer.forward(x, training)
        y: Array = getattr(self.layers[-1], method)(x, training)
        return y

    def _backward_one_by_one(self, dy: Array, input_gradient: bool, method: str) -> Any:
        last = len(self.layers) - 1
        lowest = 0 if input_gradient else self._lowest_that_learns()
        for i in range(last, lowest - 1, -1):
            backward = getattr(self.layers[i], method if i == last else "backward")
            dy = backward(dy, input_gradient=input_gradient or i > lowest)
        return dy

    # What makes it possible ------------------------------------------------------------------

    def _together(self, x: Any) -> bool:
        """Return whether the layers can be computed in one call: ``x`` is as they compute."""
        vector = self.layers[0]._vector
        if vector is None or type(x) is not np.ndarray:  # not built yet, or sparse, or a list
            return False
        if vector is not self._vector or vector.segments is not self._segments:
            self._lay_out(vector)
        return (
            x.shape[1:] == self._row
            and x.dtype is self._dtype
            and x.flags.c_contiguous
            and len(x) > 0
            and not self._looked_at()
        )

    def _looked_at(self) -> bool:
        """Return whether a method of a layer was replaced, or its activation."""
        for layer, its, activation, those in self._watched:
            if "forward" in its or "backward" in its or "forward" in those or "backward" in those:
                return True
            if layer.activation is not activation:
                return True
        return False

    def _remembered(self) -> bool:
        """Return whether the layers remember what :meth:`_forward` left them, and nothing newer."""
        x = self.layers[0].cache.x
        if type(x) is not np.ndarray or len(x) not in self._buffers or self._looked_at():
            return False
        vector = self._vector
        if vector is None or vector is not self.layers[0]._vector:
            return False
        if vector.segments is not self._segments:
            return False
        for layer, output in zip(self.layers, self._buffers[len(x)][1], strict=True):
            if layer.cache.x is not x:
                return False
            x = output
        return not self._last_is_compiled or vars(self._activations[-1].cache).get("y") is x

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
        self._units, self._widest = before, int(table[:, :2].max())
        passing = table.copy()  # of what is not remembered, an output needs to last for one layer
        passing[:, 4] = np.arange(len(rows)) % 2 * self._widest
        self._tables, self._passing = ((t, _of_logits(t)) for t in (table, passing))
        self._lowest = self._lowest_that_learns()
        self._rows, self._buffers = 0, {}
        # No input is like that where there are no loops for the dtype, such as complex numbers.
        self._row = (int(table[0, 0]),) if vector.dtype.char in "fd" else None
        self._dtype = vector.dtype
        self._segments = vector.segments
        self._vector = vector  # last, as it tells other threads that the rest is there

    def _lowest_that_learns(self) -> int:
        """Return its place; where none learns, that of the last layer."""
        learn = (i for i, layer in enumerate(self.layers) if layer.learns)
        return next(learn, len(self.layers) - 1)

    def _make_buffers(self, rows: int) -> Buffers:
        """Return memory for all outputs of so many rows, these outputs in it, and the rest."""
        if rows > self._rows or len(self._buffers) > 16:  # batches of ever new sizes
            self._rows, self._buffers = max(rows, self._rows), {}
            self._memory = aligned(self._rows * self._units, self._dtype)
            self._scratch = aligned(2 * self._rows * self._widest, self._dtype)
        outputs, start = [], 0
        for layer in self.layers:
            stop = start + rows * layer.units
            outputs.append(self._memory[start:stop].reshape(rows, layer.units))
            start = stop
        scratch = self._scratch[: 2 * rows * self._widest]
        ones, nothing = constant(1, (rows,), self._dtype), np.empty((0, 0), self._dtype)
        buffers = self._buffers[rows] = self._memory, outputs, scratch, ones, nothing
        return buffers
