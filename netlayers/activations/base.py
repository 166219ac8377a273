"""Base classes of activations: layers without weights that may work in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float, in_order
from netlayers.checks import check_integer
from netlayers.core.layer import Layer
from netlayers.errors import ShapeError
from netlayers.registry import must_define

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape


class ActivationLayer(Layer):
    """Base class of activations, usable as layers and as ``activation=`` of other layers.

    Subclasses implement ``forward``, which starts with :meth:`start_forward`, and ``backward``,
    which starts with :meth:`start_backward`.

    Shapes: any; the output and both gradients have the shape of the input. A subclass that
    overrides ``compute_output_shape``, as GLU does, cannot use the two ``start_`` methods.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Square(nl.activations.ActivationLayer):
        ...     needs_input = True
        ...     def forward(self, x, training=False, inplace=False):
        ...         x, y = self.start_forward(x, training, inplace)
        ...         return np.multiply(x, x, out=y)
        ...     def backward(self, dy):
        ...         dy, dx = self.start_backward(dy)
        ...         np.multiply(dy, self.cache.x, out=dx)
        ...         return np.multiply(dx, 2, out=dx)
        >>> model = nl.Sequential([nl.layers.Dense(3, activation=Square())], seed=0)
        >>> nl.check_gradients(model, np.ones((2, 4))).passed
        True
    """

    supports_masking = True

    # Whether backward reads cache.x. If it only needs the output, cache.y, a layer lets the
    # activation overwrite its pre-activations, which saves one array.
    needs_input = False

    @property
    def activation(self) -> ActivationLayer:
        """The object itself."""
        return self

    @must_define()
    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """Return f(x).

        Args:
            x: any shape.
            training: cache what :meth:`backward` needs.
            inplace: allow ``x`` to be overwritten; it must have the dtype of this layer.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def prepare(self, x: Any) -> Array:
        """Return ``x`` as an array of this layer's dtype, any shape."""
        if not (type(x) is np.ndarray and x.dtype is self._dtype and x.flags.c_contiguous):
            x = in_order(as_float(self.owner, "x", x, self._dtype))
        return x

    def check_input_shape(self, shape: Shape) -> None:
        """Accept any shape."""

    def start_forward(self, x: Any, training: bool, inplace: bool) -> tuple[Array, Array]:
        """Return ``x`` and the array for f(x), and with ``training`` cache them for ``backward``.

        With ``inplace``, both may be the same array, so ``forward`` must not read an element of
        ``x`` after writing that of ``y``. Every NumPy function with ``out=y`` satisfies this.
        """
        if not inplace:
            x = self.prepare(x)
        if inplace and not (training and self.needs_input):
            y = x
        else:
            y = self.buffer("y", x.shape, training)
        if training:
            if self.needs_input:
                self.cache.x = x
            self.cache.y = y
        return x, y

    def start_backward(self, dy: Any) -> tuple[Array, Array]:
        """Return the checked ``dy`` and the array for dL/dx."""
        dy = self.check_gradient(dy, self.cache.y.shape)
        return dy, self.buffer("dx", dy.shape)

    # The logits of an activation are its input.

    def _forward_logits(self, x: Array, training: bool = False) -> Array:
        """Return the logits, which are the input."""
        return self.prepare(x)

    def _backward_logits(self, dz: Array) -> Array:
        """Return dL/dx from the gradient with respect to the logits."""
        return dz


class AxisActivation(ActivationLayer):
    """Base class of activations that act along an axis.

    Args:
        axis: the axis; negative values count from the end.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    # Whether axis may be a tuple.
    _takes_axes = False

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        if self._takes_axes and isinstance(axis, (tuple, list)) and axis:
            self.axis: Any = tuple(check_integer(owner, "each axis", a) for a in axis)
        else:
            self.axis = check_integer(owner, "axis", axis)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"axis": 1}, (2, 4, 3)), ({"axis": -2}, (2, 3, 4))]

    def prepare(self, x: Any) -> Array:
        """Return ``x`` as an array of this layer's dtype.

        Raises:
            ShapeError: ``x`` has no axis ``axis``.
        """
        x = super().prepare(x)
        self._check_axis(x.shape)
        return x

    def _check_axis(self, shape: Shape) -> None:
        """Raise a ShapeError if ``shape`` has no axis ``axis``."""
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if any(not -len(shape) <= axis < len(shape) for axis in axes):
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): axis={self.axis} does not exist in "
                f"an input of shape {shape}."
            )
