"""A function as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import call_read_only
from netlayers._serializers import function_name
from netlayers._warn import warn
from netlayers.arrays.convert import each
from netlayers.arrays.derivatives import BatchDerivative, cost, sample_size
from netlayers.arrays.spec import FLOAT
from netlayers.checks import check_shape, is_several
from netlayers.core.layer import Layer
from netlayers.core.shapes import listed_shapes
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.registry import custom_object, own_function, register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netlayers._typing import Array, Examples, Shape
    from netlayers.arrays.spec import InputSpec

_EXAMPLE = """\
    nl.layers.Lambda({function}, gradient=lambda dy, x, y: ...)  # dL/dx for dy = dL/dy
"""


@register("layer")
class Lambda(Layer):
    """``y = function(x)``, for a formula without weights.

    Shapes: any; the function gets an array (batch, ...), or a list of several, read-only, and
    returns one array with as many rows.

    Args:
        function: the function. A file holds its name, which ``custom_objects`` of ``load_model``
            resolves, or :func:`netlayers.saving.register_keras_serializable`.
        output_shape: shape of a sample of the output, or a function that returns the shape of the
            output for that of the input; by default found by a call with zeros.
        mask: must be ``None``: the layer has no mask.
        arguments: dict of further arguments of the function.
        gradient: a function of ``dy``, x and y that returns dL/dx, a list for several inputs.
            Without it the derivative is numerical, by as many evaluations as a sample has values,
            at most 64, with a warning.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: an argument is no function.
        ShapeError: the function or the gradient returns another shape; or a sample has more than
            64 values, without a gradient.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> square = nl.layers.Lambda(lambda x: x**2, gradient=lambda dy, x, y: 2 * x * dy)
        >>> square(np.array([[1.0, 3.0]]))
        array([[1., 9.]], dtype=float32)
        >>> nl.check_gradients(square, np.array([[1.0, 3.0]])).passed
        True
    """

    arguments_without_effect = ("mask",)
    _any_inputs = True
    _several = False  # whether it was built for several inputs

    def __init__(
        self,
        function: Callable[..., Any] | str,
        output_shape: Sequence[int] | Callable[..., Any] | str | None = None,
        mask: None = None,
        arguments: Mapping[str, Any] | None = None,
        gradient: Callable[..., Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mask is not None:
            raise ConfigurationError(f"Lambda: mask={mask!r} is not supported; leave it out.")
        self.function = _function("function", function)
        self.gradient = None if gradient is None else _function("gradient", gradient)
        self.arguments = dict(arguments or {})
        self.mask = None
        self._sizes: Any = output_shape
        if isinstance(output_shape, str) or callable(output_shape):
            self._sizes = _function("output_shape", output_shape)
        elif output_shape is not None:
            self._sizes = check_shape("Lambda", "output_shape", output_shape)
        self._derivatives: list[BatchDerivative] = []
        self._warned = False

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"function": _square, "gradient": _square_gradient}, (4, 3)),
            ({"function": _power, "arguments": {"exponent": 3}, "output_shape": [3]}, (4, 3)),
        ]

    def _argument(self, name: str) -> Any:
        return self._sizes if name == "output_shape" else super()._argument(name)

    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]:  # type: ignore[override]
        """Floats: one array, or as many as it was built for."""
        count = len(self.input_shape or ()) if self._several else 1
        return (FLOAT,) * count if self._several else FLOAT

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_derivatives": []}

    # Shapes ----------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError unless the function takes such an input."""
        self.compute_output_shape(input_shape)
        self._several = is_several(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``output_shape``, or that of the result for zeros."""
        batch = listed_shapes(input_shape)[0][0]
        if callable(self._sizes):
            shape = check_shape("Lambda", "the result of output_shape", self._sizes(input_shape))
            return (batch, *shape[1:])
        if self._sizes is not None:
            return (batch, *self._sizes)
        several, listed = is_several(input_shape), listed_shapes(input_shape)
        shapes = [self._shape_for(listed, n, several) for n in (2, 3)]
        if shapes[0][:1] != (2,):
            raise ShapeError(
                f"{self.owner} (Lambda): the function must keep the batch, the first axis; for an "
                f"input of 2 samples it returned the shape {shapes[0]}."
            )
        sizes = [n if n == m else None for n, m in zip(*shapes, strict=True)]
        return (batch, *sizes[1:])

    def _apply(self, xs: Sequence[Any], several: bool) -> Any:
        x = list(xs) if several else xs[0]
        return np.asarray(call_read_only(self.owner, self.function, x, **self.arguments))

    def _shape_for(self, shapes: list[Shape], count: int, several: bool) -> tuple[int, ...]:
        """Return the shape of the output for zeros, with ``count`` for each unknown size."""
        sizes = [[count, *(count if n is None else n for n in shape[1:])] for shape in shapes]
        with np.errstate(all="ignore"):
            result = self._apply([np.zeros(size, self._dtype) for size in sizes], several)
        shape: tuple[int, ...] = result.shape
        return shape

    # Forward and backward --------------------------------------------------------------------

    def forward(self, x: Any, training: bool = False) -> Array:
        """``y = function(x)``."""
        x = self.prepare(x)
        result = self._apply(each(x), type(x) is tuple)
        if result.shape[:1] != (len(each(x)[0]),):
            raise ShapeError(
                f"{self.owner} (Lambda): the function must return {len(each(x)[0])} rows, as many "
                f"as it got, but returned the shape {result.shape}."
            )
        y = self.buffer("y", result.shape, training)
        np.copyto(y, result, casting="same_kind")
        if training:
            self.cache.x, self.cache.y = x, y
        return y

    def backward(self, dy: Array) -> Any:
        """``dx = gradient(dy, x, y)``, or ``dx_k = Σ_j dy_j df_j/dx_k``, numerically."""
        x, y = self.cache.x, self.cache.y
        dy = self.check_gradient(dy, y.shape)
        if self.gradient is None:
            found = [self._numerical(dy, i) for i in range(len(each(x)))]
            return tuple(found) if type(x) is tuple else found[0]
        given = list(x) if type(x) is tuple else x
        result = call_read_only(self.owner, self.gradient, dy, given, y)
        parts = tuple(result) if type(x) is tuple else (result,)
        found = [np.asarray(d, self._dtype) for d in parts]
        if [d.shape for d in found] != [a.shape for a in each(x)]:
            raise ShapeError(
                f"{self.owner} (Lambda): gradient must return dL/dx in the shape of x, "
                f"{' and '.join(str(a.shape) for a in each(x))}, got "
                f"{' and '.join(str(d.shape) for d in found)}."
            )
        return tuple(found) if type(x) is tuple else found[0]

    def _numerical(self, dy: Array, place: int) -> Array:
        """Return dL/dx for one of the inputs."""
        xs = [a.astype(np.float64) for a in each(self.cache.x)]
        several = type(self.cache.x) is tuple

        def of_one(x: Any) -> Any:
            return self._apply([*xs[:place], x, *xs[place + 1 :]], several)

        count, size = len(dy), sample_size(self.owner, xs[place], "Lambda(f, gradient=...)")
        derivative = BatchDerivative(self.owner, of_one)
        if len(self._derivatives) <= place:
            derivative.choose(xs[place])
            self._derivatives.append(derivative)
        derivative.method = self._derivatives[place].method
        if not self._warned:
            self._warned = True
            example = _EXAMPLE.format(function=function_name(self.function))
            warn(cost(self.owner, derivative.method, size, example))
        dx = self.workspace(f"dx {place}", xs[place].shape, self._dtype)
        direction = np.zeros(xs[place].shape)
        columns, moved = dx.reshape(count, size), direction.reshape(count, size)
        for k in range(size):
            moved[:, k] = 1
            columns[:, k] = (dy * derivative.along(xs[place], direction)).reshape(count, -1).sum(1)
            moved[:, k] = 0
        return dx

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, with the functions themselves."""
        sizes = list(self._sizes) if isinstance(self._sizes, tuple) else self._sizes
        return {**super().get_config(), "output_shape": sizes, "arguments": self.arguments}


def _function(argument: str, given: Any) -> Any:
    """Return a function, or that which ``custom_objects`` or the registry has under a name."""
    found = custom_object(given) if isinstance(given, str) else given
    if found is None:  # those of one argument are registered as activations, others as losses
        registered = {own_function(kind, given) for kind in ("activation", "loss")} - {None}
        found = registered.pop() if len(registered) == 1 else None
    if found is None and isinstance(given, str):
        raise ConfigurationError(
            f"Lambda: {argument} {given[:80]!r} is a function of the user; pass "
            f"custom_objects={{{given[:80]!r}: ...}}, or register it with "
            "netlayers.saving.register_keras_serializable."
        )
    if isinstance(found, type) or not callable(found):
        raise ConfigurationError(f"Lambda: {argument} must be a function, got {found!r:.200}.")
    return found


def _square(x: Array) -> Array:
    return x**2


def _square_gradient(dy: Array, x: Array, y: Array) -> Array:
    return 2 * x * dy


def _power(x: Array, exponent: int) -> Array:
    return x**exponent
