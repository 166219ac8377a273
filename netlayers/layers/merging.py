"""Merging: how a container combines the outputs of several calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer

_BOOL = np.dtype(bool)


class Merge:
    """Base class of merges: calls in a network that combine several arrays and are not layers.

    Cache and buffers are those of the container, so that each use of the container has its own.

    Args:
        container: the layer that it belongs to.
    """

    _has_trainable_weights = False
    can_skip_input_gradient = False
    declared_parameters: tuple[()] = ()

    def __init__(self, container: Layer) -> None:
        self.container = container

    def forward(self, xs: tuple[Array, ...], training: bool = False) -> Array:
        """Return the combined array."""
        y = self.merge(xs, training)
        if training:
            self.container.cache.merged, self.container.cache.y = xs, y
        return y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        """Return dL/dx for each of the arrays."""
        cache = self.container.cache
        return self.split(self.container.check_gradient(dy, cache.y.shape), cache.merged)

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """Return the combined array, in a new array or a buffer."""
        raise NotImplementedError

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return dL/dx for each array."""
        raise NotImplementedError

    def first(self, xs: tuple[Array, ...], training: bool) -> Array:
        """Return a copy of the first array, to accumulate in."""
        y = self.container.buffer("y", xs[0].shape, training)
        np.copyto(y, xs[0])
        return y

    def own(self, i: int, like: Array) -> Array:
        """Return a buffer for the gradient of array i."""
        return self.container.buffer(f"dy {i}", like.shape)


class Add(Merge):
    """``y = Σ x_i``."""

    def forward(
        self, xs: tuple[Array, ...], training: bool = False, rectify: bool = False
    ) -> Array:
        """``y = x_1 + x_2 + ...``, or the larger of that and 0; see ``Rectified``."""
        y = self.container.buffer("y", xs[0].shape, training)
        last = len(xs) - 1
        kernels.add(xs[0], xs[1], y, rectify and last == 1)
        for i in range(2, len(xs)):
            kernels.add(y, xs[i], y, rectify and last == i)
        if training:
            self._remember(y, xs, rectify)
        return y

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_i = dy``, 0 where a rectified y is."""
        if self.container.cache.rectified:
            dx = self.container.buffer("dx", dy.shape)
            kernels.relu_gradient(dy, self.container.cache.y, dx)
            dy = dx
        return (dy,) * len(xs)

    def _remember(self, y: Array, xs: tuple[Array, ...], rectified: bool = False) -> None:
        """Cache what :meth:`backward` needs, also for a sum y computed elsewhere."""
        cache = self.container.cache
        cache.merged, cache.y, cache.rectified = xs, y, rectified


class Average(Merge):
    """``y = Σ x_i / n``."""

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``y = (x_1 + x_2 + ...) / n``."""
        y = self.first(xs, training)
        for x in xs[1:]:
            np.add(y, x, out=y)
        y /= len(xs)
        return y

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_i = dy / n``."""
        return (np.divide(dy, len(xs), out=self.own(0, dy)),) * len(xs)


class Multiply(Merge):
    """``y = Π x_i``."""

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``y = x_1 x_2 ...``."""
        y = self.first(xs, training)
        for x in xs[1:]:
            np.multiply(y, x, out=y)
        return y

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_i = dy Π x_j`` over all others."""
        found = []
        for i in range(len(xs)):
            d = self.own(i, dy)
            np.copyto(d, dy)
            for other in xs[:i] + xs[i + 1 :]:
                np.multiply(d, other, out=d)
            found.append(d)
        return tuple(found)


class Subtract(Merge):
    """``y = x_1 - x_2``."""

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``y = x_1 - x_2``."""
        y = self.container.buffer("y", xs[0].shape, training)
        return np.subtract(xs[0], xs[1], out=y)

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_1 = dy``, ``dx_2 = -dy``."""
        return dy, np.negative(dy, out=self.own(1, dy))


class Maximum(Merge):
    """``y = max x_i``, element by element."""

    _larger: Any = np.maximum

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``y = max(x_1, x_2, ...)``."""
        y = self.first(xs, training)
        for x in xs[1:]:
            type(self)._larger(y, x, out=y)
        return y

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_i = dy`` where ``x_i`` is the first maximum (minimum), else 0."""
        y = self.container.cache.y
        free = self.container.buffer("free", dy.shape, dtype=_BOOL)
        mine = self.container.buffer("mine", dy.shape, dtype=_BOOL)
        free[...] = True
        found = []
        for i, x in enumerate(xs):
            np.logical_and(np.equal(x, y, out=mine), free, out=mine)
            found.append(np.multiply(dy, mine, out=self.own(i, dy)))
            np.logical_and(free, np.logical_not(mine, out=mine), out=free)
        return tuple(found)


class Minimum(Maximum):
    """``y = min x_i``, element by element."""

    _larger = np.minimum


class Concatenate(Merge):
    """Concatenate the arrays.

    Args:
        container: the layer that it belongs to.
        axis: a function that returns the concatenation axis for a number of axes.
    """

    def __init__(self, container: Layer, axis: Any) -> None:
        super().__init__(container)
        self.axis = axis

    def merge(self, xs: tuple[Array, ...], training: bool) -> Array:
        """``y = (x_1, x_2, ...)`` along the axis."""
        first, axis = xs[0], self.axis(xs[0].ndim)
        total = sum(x.shape[axis] for x in xs)
        shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
        return np.concatenate(xs, axis=axis, out=self.container.buffer("y", shape, training))

    def split(self, dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
        """``dx_i``: its slice of dy."""
        axis, start, found = self.axis(dy.ndim), 0, []
        for i, x in enumerate(xs):
            stop = start + x.shape[axis]
            d = self.own(i, x)
            np.copyto(d, dy[(slice(None),) * axis + (slice(start, stop),)])
            found.append(d)
            start = stop
        return tuple(found)
