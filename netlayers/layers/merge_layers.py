"""Layers that combine several arrays into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_integer, is_several
from netlayers.core.inputs import are_ready
from netlayers.core.layer import Layer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ShapeError
from netlayers.layers import merging
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Examples, Shape


class MergeLayer(Layer):
    """Base class of layers that combine several arrays element by element.

    Shapes: the inputs have the same shape, or shapes that NumPy broadcasts; the batch is the first
    axis of each, and an input with fewer axes gets axes of length 1 after it. The gradient of an
    input that was broadcast is summed over the axes along which it was repeated.
    """

    _combines_masks = True
    _any_inputs = True
    _merge_class: type[merging.Merge]
    _inputs: int | None = None  # their number; None for any from 2
    _count = 2  # of the inputs, once they are known

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._merge = self._new_merge()

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, ((4, 3), (4, 3))),
            ({}, ((2, 3, 4), (2, 1, 4), (2, 4))),
        ]

    def _new_merge(self) -> merging.Merge:
        return self._merge_class(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._merge = self._new_merge()

    @property
    def input_spec(self) -> tuple[InputSpec, ...]:  # type: ignore[override]
        """A float array for each input."""
        return (InputSpec(),) * self._count

    def prepare(self, x: Any) -> Any:
        """Return the inputs as a tuple of checked arrays; see :meth:`Layer.prepare`."""
        if self.built and type(x) is tuple and are_ready(self, x):
            return x
        return super().prepare(x)

    def _set_count(self, count: int) -> None:
        if count < 2 or (self._inputs is not None and count != self._inputs):
            expected = "at least 2" if self._inputs is None else f"{self._inputs}"
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): takes {expected} inputs, got {count}."
            )
        self._count = count

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError unless the shapes can be combined."""
        self.compute_output_shape(input_shape)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError unless the shapes can be combined."""
        if self.built:
            super().check_input_shape(shape)
        else:
            self.compute_output_shape(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the combined array."""
        if not is_several(input_shape):
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): takes a list of arrays, got one, of shape "
                f"{shown_shape(input_shape)}."
            )
        shapes: Any = input_shape
        self._set_count(len(shapes))
        return self._combined(shapes)

    def _combined(self, shapes: Sequence[Shape]) -> Shape:
        ndim = max(map(len, shapes))
        aligned = [_with_axes(shape, ndim) for shape in shapes]
        sizes: list[int | None] = [shapes[0][0]]
        for axis in range(1, ndim):
            found = {shape[axis] for shape in aligned} - {1}
            if len(found - {None}) > 1:
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): the shapes "
                    f"{' and '.join(map(shown_shape, shapes))} cannot be combined: axis {axis} has "
                    f"the sizes {' and '.join(str(s[axis]) for s in aligned)}."
                )
            known = found - {None}
            sizes.append(next(iter(known)) if known else None if found else 1)
        return tuple(sizes)

    def forward(self, x: Any, training: bool = False) -> Array:
        """Return the combined array; see the class for the formula."""
        return self._merge.forward(self._aligned(x, training), training)

    def backward(self, dy: Array) -> Any:
        """Return dL/dx for each input."""
        gradients = self._merge.backward(dy)
        pairs = zip(gradients, self.cache.shapes, strict=True)
        return tuple(
            d if d.shape == shape else self._summed(i, d, shape)
            for i, (d, shape) in enumerate(pairs)
        )

    def _aligned(self, x: Any, training: bool) -> tuple[Array, ...]:
        """Return the checked inputs in one shape, and cache their own shapes."""
        xs = self.prepare(x)
        first = xs[0].shape
        if training:
            self.cache.shapes = [a.shape for a in xs]
        if any(a.shape != first for a in xs):
            ndim = max(a.ndim for a in xs)
            xs = np.broadcast_arrays(*(a.reshape(_with_axes(a.shape, ndim)) for a in xs))
        return tuple(xs)

    def _summed(self, i: int, d: Array, shape: tuple[int, ...]) -> Array:
        """Return a gradient summed over the axes along which its input was repeated."""
        within = _with_axes(shape, d.ndim)
        axes = tuple(n for n, size in enumerate(within) if size == 1 and d.shape[n] != 1)
        out = self.workspace(f"summed {i}", within, self._dtype)
        return np.sum(d, axis=axes, keepdims=True, out=out).reshape(shape)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return where all masks are true; ``None`` if there is none.

        Raises:
            ShapeError: there is not one mask, or ``None``, for each input.
        """
        given = [m for m in self._masks(x, mask) if m is not None]
        return np.logical_and.reduce(given) if given else None

    def _masks(self, x: Any, mask: Any) -> Sequence[Any]:
        """Return a mask, or ``None``, for each input; nothing if there is no mask."""
        if mask is None:
            return ()
        counts = [len(its) if isinstance(its, (list, tuple)) else 0 for its in (x, mask)]
        if not counts[0] or counts[0] != counts[1]:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): compute_mask() takes a list of inputs and "
                f"one of as many masks, got {counts[0]} and {counts[1]}."
            )
        masks: Sequence[Any] = mask
        return masks


def _with_axes(shape: Shape, ndim: int) -> Any:
    """Return a shape with axes of length 1 after the batch, up to ``ndim``."""
    return (shape[0], *(1,) * (ndim - len(shape)), *shape[1:])


@register("layer")
class Add(MergeLayer):
    """``y = Σ x_i``.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Add()([np.ones((1, 2)), np.ones((1, 2))])
        array([[2., 2.]], dtype=float32)
        >>> x = nl.Input((4,))
        >>> nl.layers.Add()([x, nl.layers.Dense(4)(x)])
        <SymbolicValue (batch, 4) of layer 'add'>
    """

    _merge_class = merging.Add
    _merge: merging.Add

    def _forward(self, x: Any, training: bool, rectify: bool = False) -> Array:
        """Return y, or ``max(y, 0)`` for a rectifier that follows; see ``Rectified``."""
        return self._merge.forward(self._aligned(x, training), training, rectify)

    def _remember(self, y: Array, xs: tuple[Array, ...]) -> None:
        """As :meth:`netlayers.layers.merging.Add._remember`."""
        self.cache.shapes = [x.shape for x in xs]
        self._merge._remember(y, xs)


@register("layer")
class Average(MergeLayer):
    """``y = Σ x_i / n``.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Average()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[2. , 1.5]], dtype=float32)
    """

    _merge_class = merging.Average


@register("layer")
class Multiply(MergeLayer):
    """``y = Π x_i``.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Multiply()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[3., 2.]], dtype=float32)
    """

    _merge_class = merging.Multiply


@register("layer")
class Maximum(MergeLayer):
    """``y = max x_i``, element by element; the gradient goes to the first maximum.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Maximum()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[3., 2.]], dtype=float32)
    """

    _merge_class = merging.Maximum


@register("layer")
class Minimum(MergeLayer):
    """``y = min x_i``, element by element; the gradient goes to the first minimum.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Minimum()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[1., 1.]], dtype=float32)
    """

    _merge_class = merging.Minimum


@register("layer")
class Subtract(MergeLayer):
    """``y = x_1 - x_2``.

    Shapes and errors: see :class:`MergeLayer`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Subtract()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[-2.,  1.]], dtype=float32)
    """

    _inputs = 2
    _merge_class = merging.Subtract

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, ((4, 3), (4, 3))), ({}, ((2, 3, 4), (2, 4)))]


@register("layer")
class Concatenate(MergeLayer):
    """``y = (x_1, x_2, ...)`` along an axis.

    Shapes: the inputs agree in all other axes.

    Args:
        axis: the axis; not 0, the batch.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Concatenate()((np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])))
        array([[1., 2., 3., 1.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        self.axis = check_integer("Concatenate", "axis", axis)
        super().__init__(**kwargs)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, ((4, 3), (4, 1), (4, 2))), ({"axis": 1}, ((2, 3, 4), (2, 1, 4)))]

    def _new_merge(self) -> merging.Merge:
        return merging.Concatenate(self, self._axis)

    def _axis(self, ndim: int) -> int:
        if not -ndim < self.axis < ndim or self.axis == 0:
            raise ShapeError(
                f"{self.owner} (Concatenate): axis={self.axis} is no axis of features of arrays "
                f"with {ndim} axes (the first is the batch)."
            )
        return self.axis % ndim

    def _combined(self, shapes: Sequence[Shape]) -> Shape:
        axis = self._axis(len(shapes[0]))
        total: int | None = 0
        for shape in shapes:
            same = len(shape) == len(shapes[0]) and all(
                i == axis or n is None or m is None or n == m
                for i, (n, m) in enumerate(zip(shape, shapes[0], strict=True))
            )
            if not same:
                raise ShapeError(
                    f"{self.owner} (Concatenate): the shapes "
                    f"{' and '.join(map(shown_shape, shapes))} must agree in all axes but {axis}."
                )
            size = shape[axis]
            total = None if total is None or size is None else total + size
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def forward(self, x: Any, training: bool = False) -> Array:
        """``y = (x_1, x_2, ...)`` along the axis."""
        return self._merge.forward(self.prepare(x), training)

    def backward(self, dy: Array) -> Any:
        """``dx_i``: its slice of dy."""
        return self._merge.backward(dy)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return the masks behind each other along the time axis, elsewhere where all are true."""
        given = self._masks(x, mask)
        if all(m is None for m in given):
            return None
        if self._axis(x[0].ndim) != 1 or x[0].ndim < 3:
            return super().compute_mask(x, mask)
        masks = [
            np.ones(a.shape[:2], bool) if m is None else m for a, m in zip(x, given, strict=True)
        ]
        return np.concatenate(masks, axis=1)
