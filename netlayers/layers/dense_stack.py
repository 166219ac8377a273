"""Successive Dense layers, computed in one call if compiled kernels are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from netlayers import activations
from netlayers.kernels.exact import EXACT, is_exact
from netlayers.kernels.memory import aligned, constant
from netlayers.kernels.reference import STACKED
from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter, ParameterVector
    from netlayers.layers.dense import Dense

    Buffers = tuple[Array, list[Array], Array, Array]


# By the exact class: a subclass may compute something else.
_COMPILED = [getattr(activations, name) for name in STACKED]
_PLACE, _KIND = 4, 5  # columns of the table, see Kernels


def kind_of(layer: Dense) -> int | None:
    """Return the index of the layer's activation among the compiled ones."""
    activation: Any = layer.activation
    if type(activation) not in _COMPILED or not getattr(activation, "_plain", True):
        return None
    return _COMPILED.index(type(activation))


class SkipConnection(NamedTuple):
    """A skip connection around Dense layers: ``y = h + f(h)``.

    Attributes:
        add: the call that computes the sum.
        depth: number of layers of f.
        order: which input of the sum is h, 0 or 1.
    """

    add: Any
    depth: int
    order: int


class DenseStack:
    """Dense layers that are computed together, or one by one while a hook observes them.

    Both ways give the same numbers and fill the same caches. The stack replaces its layers while a
    :class:`Chain` computes. It is not a layer: it has no name and is neither shown nor saved.

    Args:
        layers: the layers; only the last one may have an activation that is not compiled.
        skips: the skip connections around some of them, by the index of the last one.
    """

    can_skip_input_gradient = True

    def __init__(self, layers: list[Dense], skips: Mapping[int, SkipConnection]) -> None:
        self.layers = layers
        self._skips = skips
        self._activations = [layer.activation for layer in layers]
        self._last_is_compiled = kind_of(layers[-1]) is not None
        # With their attributes, where hooks replace methods.
        pairs = zip(layers, self._activations, strict=True)
        self._watched = [(a, vars(a), b, vars(b)) for a, b in pairs]
        self._adds = [vars(skip.add) for skip in skips.values()]
        # Kept, as another thread may select other kernels meanwhile.
        self._kernels: Any = kernels.stack_forward, kernels.stack_backward
        self._layout: Layout | None = None
        self._left: tuple[Layout, Buffers] | None = None  # buffers of the last forward pass

    def __len__(self) -> int:
        """Return the number of calls that the stack replaces."""
        return len(self.layers) + len(self._skips)

    @property
    def _has_trainable_weights(self) -> bool:
        """Whether an optimizer changes a weight of a layer."""
        return any([layer._has_trainable_weights for layer in self.layers])  # noqa: C419 - twice as fast as lazily

    @property
    def declared_parameters(self) -> list[Parameter]:
        """The weights of the layers."""
        return [p for layer in self.layers for p in layer.declared_parameters]

    # Forward and backward --------------------------------------------------------------------

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the output of the last layer."""
        layout = self._layout_for(x)
        if layout is None:
            return self._forward_one_by_one(x, training, "forward")
        y = self._forward(layout, x, training, logits=not self._last_is_compiled)
        if self._last_is_compiled:
            return y
        return self._activations[-1].forward(y, training, inplace=True)

    def step_for(self, x: Array) -> Callable[[Array], Array] | None:
        """Return :meth:`forward` at inference, for inputs like x; see ``prediction.py``."""
        layout = self._layout_for(x)
        if layout is None:
            return None
        kernel, activation = self._kernels[0], self._activations[-1]
        size, shape = 3 * len(x) * layout.widest, (len(x), self.layers[-1].units)
        values, dtype = layout.vector.values, x.dtype
        activate = None if self._last_is_compiled else activation.forward
        table = layout.passing[activate is not None]

        def forward(x: Array) -> Array:
            y = np.empty(shape, dtype)
            kernel(values, x, np.empty(size, dtype), y, table)
            return y if activate is None else activate(y, inplace=True)

        return forward

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return the logits of the last layer."""
        layout = self._layout_for(x)
        if layout is None:
            return self._forward_one_by_one(x, training, "_forward_logits")
        return self._forward(layout, x, training, logits=True)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Write the gradients of all weights, and return dL/dx for ``dy`` = dL/dy."""
        if not self._is_as_left():
            return self._backward_one_by_one(dy, input_gradient, "backward")
        if not self._last_is_compiled:
            dz = self._activations[-1].backward(dy)
            return self._backward_logits(dz, input_gradient)
        return self._backward(dy, input_gradient, "backward")

    def _backward_logits(self, dz: Array, input_gradient: bool = True) -> Any:
        """As :meth:`backward`, for a gradient of what :meth:`_forward_logits` returned."""
        if not self._is_as_left():
            return self._backward_one_by_one(dz, input_gradient, "_backward_logits")
        return self._backward(dz, input_gradient, "_backward_logits")

    def _forward(self, layout: Layout, x: Array, training: bool, logits: bool) -> Array:
        values, rows = layout.vector.values, len(x)
        if not training:  # no shared memory is written to: other threads may predict
            memory = np.empty(3 * rows * layout.widest, x.dtype)
            y = np.empty((rows, self.layers[-1].units), x.dtype)
            self._kernels[0](values, x, memory, y, layout.passing[logits])
            return y
        buffers = layout.buffers(rows)
        memory, outputs, *_ = buffers
        if np.may_share_memory(x, memory):  # the model's own output would be overwritten
            x = x.copy()
        y = outputs[-1]
        self._kernels[0](values, x, memory, y, layout.tables[logits])
        for layer, activation, y in zip(self.layers, self._activations, outputs, strict=True):
            cache = layer.cache
            cache.x, cache.z_shape = x, y.shape
            activation.cache.y = x = y
        for i, skip in self._skips.items():
            skip.add._remember(outputs[i], (outputs[i],) * 2)
        self._left = layout, buffers
        return y

    def _backward(self, dy: Array, input_gradient: bool, method: str) -> Any:
        layout, (memory, outputs, scratch, ones) = cast("tuple[Layout, Buffers]", self._left)
        y, x = outputs[-1], self.layers[0].cache.x
        if not (
            type(dy) is np.ndarray
            and dy.dtype is y.dtype
            and dy.shape == y.shape
            and dy.flags.c_contiguous
        ):
            return self._backward_one_by_one(dy, input_gradient, method)
        dx, lowest = layout.nothing, layout.lowest
        if input_gradient:
            dx, lowest = self.layers[0].workspace("dx", x.shape, x.dtype), 0
            if np.may_share_memory(dx, dy):  # what this method returned before
                dy = dy.copy()
        self._kernels[1](
            layout.vector.values, layout.vector.gradients, x, memory, y, dy, scratch, ones, dx,
            layout.tables[method == "_backward_logits"], lowest,
        )  # fmt: skip
        return dx if input_gradient else None

    def _forward_one_by_one(self, x: Array, training: bool, method: str) -> Array:
        values, last = [x], len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            x = getattr(layer, method if i == last else "forward")(x, training)
            skip = self._skips.get(i)
            if skip is not None:
                h = values[i + 1 - skip.depth]
                x = skip.add.forward((x, h) if skip.order else (h, x), training)
            values.append(x)
        return x

    def _backward_one_by_one(self, dy: Array, input_gradient: bool, method: str) -> Any:
        lowest, last = 0 if input_gradient else _lowest(self.layers), len(self.layers) - 1
        around: dict[int, Array] = {}  # gradients that go around a block, by its first layer
        for i in range(last, lowest - 1, -1):
            skip = self._skips.get(i)
            if skip is not None:
                gradients = skip.add.backward(dy)
                around[i + 1 - skip.depth] = gradients[skip.order]
                dy = gradients[1 - skip.order]
            backward = getattr(self.layers[i], method if i == last else "backward")
            below = input_gradient or i > lowest
            dy = backward(dy, input_gradient=below)
            if below and i in around:
                dy = np.add(dy, around[i], out=self.layers[i].workspace("dh", dy.shape, dy.dtype))
        return dy

    # What makes it possible ------------------------------------------------------------------

    def _layout_for(self, x: Any) -> Layout | None:
        """Return the layout if the layers can be computed in one call, else ``None``."""
        vector = self.layers[0]._vector
        if vector is None or type(x) is not np.ndarray:  # not built yet, or sparse, or a list
            return None
        if EXACT and is_exact():  # Dense computes the products in small blocks
            return None
        if self._kernels[0] is None:  # another thread selected NumPy's while this was made
            self._kernels = kernels.stack_forward, kernels.stack_backward
            if self._kernels[0] is None:
                return None
        layout = self._layout
        if layout is None or layout.is_old(vector):  # a new one, as other threads may use the old
            layout = self._layout = Layout(self.layers, self._skips, vector)
        fits = x.shape[1:] == layout.row and x.dtype is vector.dtype and len(x) > 0
        return layout if fits and x.flags.c_contiguous and not self._looked_at() else None

    def _looked_at(self) -> bool:
        """Return whether a method of a layer was replaced, or its activation."""
        for layer, its, activation, those in self._watched:
            if "forward" in its or "backward" in its or "forward" in those or "backward" in those:
                return True
            if "_forward_logits" in its or "_backward_logits" in its:
                return True
            if layer.activation is not activation:
                return True
        return bool(self._adds) and any("forward" in a or "backward" in a for a in self._adds)

    def _is_as_left(self) -> bool:
        """Return whether the caches of the layers are those of the last :meth:`_forward`."""
        if self._left is None or self._looked_at():
            return False
        layout, (_, outputs, *_) = self._left
        if layout.vector is not self.layers[0]._vector or layout.is_old(layout.vector):
            return False
        x = vars(self.layers[0].cache).get("x")
        rows = len(outputs[0])
        if type(x) is not np.ndarray or x.shape[1:] != layout.row or len(x) != rows:
            return False
        for layer, activation, y in zip(self.layers, self._activations, outputs, strict=True):
            if layer.cache.x is not x or vars(activation.cache).get("y") is not y:
                # An activation that is not compiled caches its own output.
                return layer.cache.x is x and y is outputs[-1] and not self._last_is_compiled
            x = y
        return True


class Layout:
    """Addresses of the weights of a stack, and its buffers; replaced when they change.

    Args:
        layers: the layers.
        skips: the skip connections.
        vector: their weights.

    Attributes:
        row: shape of a row of inputs; ``None`` if there are no loops for the dtype.
        tables: arguments of the kernels, with and without the last activation.
        passing: the same for inference, where an output is needed by the next layer only.
        widest: largest number of units.
        lowest: index of the first trainable layer.
        nothing: an empty array.
    """

    def __init__(
        self, layers: list[Dense], skips: Mapping[int, SkipConnection], vector: ParameterVector
    ) -> None:
        self.vector, self._version = vector, vector.version
        rows, units = [], 0
        starts = {i: i + 1 - skip.depth for i, skip in skips.items()}
        for i, layer in enumerate(layers):
            places = {p.name: p.slice.start for p in layer.declared_parameters}
            weights = places["kernel"], places.get("bias", 0)
            how = kind_of(layer) or 0, layer.trainable, starts.get(i, -1)
            rows.append((*layer.kernel.shape, *weights, units, *how))
            units += layer.units
        table = np.array(rows, np.int64)
        self.widest = int(table[:, 1].max())
        passing = table.copy()
        passing[:, _PLACE] = np.array(_places(len(rows), starts)) * self.widest
        self.tables, self.passing = ((t, _of_logits(t)) for t in (table, passing))
        self.lowest = _lowest(layers)
        self.row = (int(table[0, 0]),) if vector.dtype.char in "fd" else None
        self.nothing = np.empty((0, 0), vector.dtype)
        self._units = [layer.units for layer in layers]
        self._buffers: dict[int, Buffers] = {}

    def is_old(self, vector: ParameterVector) -> bool:
        """Return whether the weights were moved, or other layers are trainable."""
        return vector is not self.vector or vector.version is not self._version

    def buffers(self, rows: int) -> Buffers:
        """Return memory for the outputs of ``rows`` rows, views of it, scratch, and ones."""
        found = self._buffers.get(rows)
        if found is None:
            found = self._buffers[rows] = self._make_buffers(rows)
        return found

    def _make_buffers(self, rows: int) -> Buffers:
        largest = max(self._buffers, default=0)
        if rows > largest or len(self._buffers) > 16:  # batches of many different sizes
            self._buffers, largest = {}, max(rows, largest)
            memory = aligned(largest * sum(self._units), self.vector.dtype)
            scratch = aligned(3 * largest * self.widest, self.vector.dtype)
        else:
            memory, _, scratch, _ = self._buffers[largest]
        outputs, start = [], 0
        for units in self._units:
            outputs.append(memory[start : start + rows * units].reshape(rows, units))
            start += rows * units
        ones = constant(1, (rows,), self.vector.dtype)
        return memory, outputs, scratch[: 3 * rows * self.widest], ones


def _places(count: int, starts: Mapping[int, int]) -> list[int]:
    """Return which of three places each output has, while the input of its block keeps its own."""
    found = [0]  # that of the input, which is not written
    for i in range(count):
        last = min((end for end, start in starts.items() if start <= i <= end), default=None)
        kept = {found[i], found[i if last is None else starts[last]]}
        found.append(min({0, 1, 2} - kept))
    return found[1:]


def _of_logits(table: Array) -> Array:
    """Return the table without the last activation."""
    table = table.copy()
    table[-1, _KIND] = STACKED.index("Linear")
    return table


def _lowest(layers: list[Dense]) -> int:
    """Return the index of the first trainable layer, or of the last layer if all are frozen."""
    return next(
        (i for i, layer in enumerate(layers) if layer._has_trainable_weights), len(layers) - 1
    )
