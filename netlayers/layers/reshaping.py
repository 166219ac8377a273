"""Layers that reorder, repeat or rescale values; none has weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_choice, check_integer, check_number
from netlayers.core.layer import Layer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class _Reshaping(Layer):
    """Base class of layers that reshape: both passes return views, not copies."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x`` in the new shape."""
        x = self.prepare(x)
        if training:
            self.cache.x_shape = x.shape
        return x.reshape(self.compute_output_shape(x.shape))  # type: ignore[arg-type]

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` in the shape of ``x``."""
        shape = self.cache.x_shape
        return self.check_gradient(dy, self.compute_output_shape(shape)).reshape(shape)  # type: ignore[arg-type]


@register("layer")
class Flatten(_Reshaping):
    """Flatten each sample: (batch, 28, 28) becomes (batch, 784).

    Shapes: (batch, ...), or (batch,) for one number in each sample; the output (batch, product of
    the other axes), a view of the input unless the channels are moved.

    Args:
        data_format: ``"channels_last"`` (also for ``None``), or ``"channels_first"`` for inputs
            (batch, channels, ...), whose channels are moved to the end first: the output is then
            that of the same data with the channels last.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Flatten()(np.ones((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = check_choice(
            "Flatten", "data_format", data_format, (None, "channels_last", "channels_first")
        )
        self._moves = data_format == "channels_first"

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 3)),
            ({}, (2, 3, 4)),
            ({}, (2, 3, 2, 2)),
            ({"data_format": "channels_first"}, (2, 3, 4)),
            ({"data_format": "channels_first"}, (2, 3, 2, 4)),
        ]

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x`` in the new shape."""
        if not self._moves:
            return super().forward(x, training)
        x = self.prepare(x)
        if training:
            self.cache.x_shape = x.shape
        y = self.buffer("y", self.compute_output_shape(x.shape), training)  # type: ignore[arg-type]
        moved = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
        y.reshape(moved.shape)[...] = moved
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` in the shape of ``x``."""
        if not self._moves:
            return super().backward(dy)
        shape = self.cache.x_shape
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dx = self.buffer("dx", shape)
        moved = np.moveaxis(dx, 1, -1) if dx.ndim > 1 else dx
        moved[...] = dy.reshape(moved.shape)
        return dx

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, product of the other axes)."""
        sizes = input_shape[1:]
        known = None if None in sizes else math.prod(s for s in sizes if s is not None)
        return (input_shape[0], known)


@register("layer")
class Reshape(_Reshaping):
    """Reshape each sample.

    Shapes: (batch, ...); the output (batch, *target_shape), a view of the input.

    Args:
        target_shape: shape without the batch; one size may be -1 and is inferred.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Reshape((4, -1)).forward(np.zeros((2, 12))).shape
        (2, 4, 3)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = (target_shape,) if isinstance(target_shape, (int, np.integer)) else target_shape
        if not isinstance(sizes, (list, tuple)):
            raise ConfigurationError(
                "Reshape: target_shape must be a tuple of sizes such as (28, 28), got "
                f"{target_shape!r}."
            )
        self.target_shape = tuple(
            check_integer("Reshape", "each size in target_shape", size, minimum=-1)
            for size in sizes
        )
        if 0 in self.target_shape or self.target_shape.count(-1) > 1:
            raise ConfigurationError(
                "Reshape: target_shape must hold sizes >= 1, one of them may be -1, got "
                f"{self.target_shape}."
            )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"target_shape": [2, 3]}, (4, 6)),
            ({"target_shape": (3, -1)}, (2, 3, 4)),
            ({"target_shape": -1}, (2, 3, 2)),
        ]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *target_shape), with -1 replaced by the inferred size.

        Raises:
            ShapeError: a sample and ``target_shape`` differ in their number of values.
        """
        sizes, target = input_shape[1:], self.target_shape
        if None in sizes:  # known from the data only
            return (input_shape[0], *(None if size == -1 else size for size in target))
        entries = math.prod(s for s in sizes if s is not None)
        fixed = math.prod(size for size in target if size != -1)
        if entries % fixed or (-1 not in target and entries != fixed):
            raise ShapeError(
                f"{self.owner} (Reshape): a sample of shape {shown_shape(input_shape)} has "
                f"{entries} entries, target_shape {target} "
                f"{'needs a multiple of' if -1 in target else 'has'} {fixed}."
            )
        return (input_shape[0], *(entries // fixed if size == -1 else size for size in target))


@register("layer")
class Permute(Layer):
    """Permute the axes of each sample.

    Shapes: (batch, ...); the output has the same axes in the order of ``dims``.

    Args:
        dims: source of each axis, counted from 1 without the batch:
            ``(2, 1)`` transposes each sample.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Permute((2, 1))(np.ones((2, 3, 4))).shape
        (2, 4, 3)
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sequence = isinstance(dims, (list, tuple))
        if not sequence or sorted(map(repr, dims)) != sorted(map(repr, range(1, len(dims) + 1))):
            raise ConfigurationError(
                "Permute: dims must hold each of the numbers 1, 2, ... of the axes once, the batch "
                f"left out, such as (2, 1), got {dims!r}."
            )
        self.dims: tuple[int, ...] = tuple(dims)
        self._axes = (0, *self.dims)
        self._back = tuple(int(i) for i in np.argsort(self._axes))

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"dims": (2, 1)}, (4, 3, 2)), ({"dims": [3, 1, 2]}, (2, 3, 4, 2))]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the number of axes differs from that of ``dims``."""
        if len(input_shape) != len(self._axes):
            raise ShapeError(
                f"{self.owner} (Permute): dims {self.dims} orders {len(self.dims)} axes, an "
                f"input of shape {shown_shape(input_shape)} has {len(input_shape) - 1} beside the "
                "batch."
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with its axes in the new order."""
        return tuple(input_shape[axis] for axis in self._axes)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x`` with its axes in the order of ``dims``."""
        # A copy in C order, which the next layer needs.
        x = self.prepare(x)
        if training:
            self.cache.x_shape = x.shape
        moved = x.transpose(self._axes)
        y = self.buffer("y", moved.shape, training)
        y[...] = moved
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` with its axes back in the order of ``x``."""
        shape = self.cache.x_shape
        dy = self.check_gradient(dy, tuple(shape[axis] for axis in self._axes))
        dx = self.workspace("dx", shape, self._dtype)
        dx[...] = dy.transpose(self._back)
        return dx


@register("layer")
class RepeatVector(Layer):
    """Repeat each sample ``n`` times, as a sequence.

    Shapes: (batch, features); the output (batch, n, features).

    Args:
        n: number of repetitions.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.RepeatVector(3)(np.ones((2, 4))).shape
        (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = check_integer("RepeatVector", "n", n, minimum=1)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"n": 3}, (4, 2))]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError unless the input is (batch, features)."""
        if len(input_shape) != 2:
            raise ShapeError(
                f"{self.owner} (RepeatVector): expected an input of shape "
                f"(batch, features), got {shown_shape(input_shape)}. Put layers.Flatten() before."
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, n, features)."""
        return (input_shape[0], self.n, input_shape[1])

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y[:, i] = x`` for each ``i``."""
        x = self.prepare(x)
        y = self.buffer("y", (len(x), self.n, x.shape[1]), training)
        y[...] = x[:, None, :]
        if training:
            self.cache.y_shape = y.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = Σ dy[:, i]`` over ``i``."""
        dy = self.check_gradient(dy, self.cache.y_shape)
        dx = self.workspace("dx", (len(dy), dy.shape[2]), self._dtype)
        return np.sum(dy, axis=1, out=dx)


@register("layer")
class Rescaling(Layer):
    """``y = scale x + offset`` with constants, such as ``Rescaling(1 / 255)`` for 8-bit images.

    Shapes: any; the output has the shape of the input.

    Args:
        scale: factor, a number or one for each index of the last axis.
        offset: offset, in the same form.
        kwargs: ``name``, ``trainable``, ``dtype``.

    With an offset above 256, such as a time in seconds since 1970, a float32 layer takes int64 and
    float64 data unconverted, and computes in float64 before rounding.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Rescaling(1 / 127.5, offset=-1)(np.array([[0.0, 127.5, 255.0]]))
        array([[-1.,  0.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = _numbers("scale", scale)
        self.offset = _numbers("offset", offset)
        if np.abs(self.offset).max() > 256:
            self.input_spec = InputSpec(keeps_precision=True)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"scale": 0.25, "offset": -1}, (4, 3)),
            ({"scale": [1, 2, -0.5], "offset": (0.5, 0.0, 1.0)}, (2, 4, 3)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the size of the last axis does not match ``scale``."""
        self.check_input_shape(input_shape)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError unless the last axis matches ``scale`` and ``offset``."""
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(value, tuple) and (len(shape) < 2 or shape[-1] not in (None, len(value))):
                raise ShapeError(
                    f"{self.owner} (Rescaling): {name} has {len(value)} numbers, the last "
                    f"axis of an input of shape {shown_shape(shape)} must be as long."
                )

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = scale x + offset``."""
        x = self.prepare(x)
        y = self.buffer("y", x.shape, training)
        wide = self._dtype if x.dtype is self._dtype else np.dtype(np.float64)
        scaled = y if wide is self._dtype else self.buffer("scaled", x.shape, training, wide)
        np.multiply(x, np.asarray(self.scale, wide), out=scaled)
        np.add(scaled, np.asarray(self.offset, wide), out=y)
        if training:
            self.cache.shape = x.shape
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = scale dy``."""
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        return np.multiply(dy, np.asarray(self.scale, self._dtype), out=dx)


def _numbers(argument: str, value: Any) -> float | tuple[float, ...]:
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        numbers = tuple(check_number("Rescaling", f"each of {argument}", v) for v in value)
        if numbers:
            return numbers
    return check_number("Rescaling", argument, value)
