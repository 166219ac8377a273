"""Inputs of models: their shapes, declared before there are data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_choice, check_shape
from netlayers.core.layer import Layer
from netlayers.core.symbolic import record
from netlayers.errors import ConfigurationError
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

KINDS = ("float", "integer", "boolean", "string")
_KIND_OF = {"f": "float", "i": "integer", "u": "integer", "b": "boolean"}


def Input(
    shape: Any = None,
    batch_size: None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: None = None,
    optional: bool = False,
) -> Any:
    """Return a symbolic input: the start of a functional model, or the first layer of a chain.

    Args:
        shape: shape of a sample, without the batch: ``(784,)``; ``None`` for an axis of any length.
        batch_size: must be ``None``: batches may have any size.
        dtype: ``None`` or a float dtype for numbers in the dtype of the model; ``"int32"``,
            ``"int64"`` and the like for integers, ``"bool"`` or ``"string"``.
        sparse: whether data may be a SciPy sparse matrix; layers say themselves whether they take
            one, so it has no effect.
        batch_shape: ``(None, *shape)``, in place of ``shape``.
        name: name of the input, the key in dicts of data.
        tensor: must be ``None``.
        optional: must be ``False``.

    Returns:
        A :class:`netlayers.core.symbolic.SymbolicValue`.

    Raises:
        ConfigurationError: an argument is of another kind.

    Example:
        >>> import netlayers as nl
        >>> x = nl.Input((4,))
        >>> y = nl.layers.Dense(2)(nl.layers.Dense(8, "relu")(x))
        >>> nl.Model(x, y).count_params()
        58
        >>> nl.Sequential([nl.Input((4,)), nl.layers.Dense(2)]).count_params()
        10
    """
    if batch_shape is not None:
        if shape is not None or not len(batch_shape):
            raise ConfigurationError("Input: give shape or batch_shape, the batch first, not both.")
        batch_size, *rest = batch_shape
        shape = tuple(rest)
    refused = {"batch_size": batch_size, "tensor": tensor, "optional": optional or None}
    for argument, value in refused.items():
        if value is not None:
            raise ConfigurationError(
                f"Input: {argument}={value!r} is not supported; an input takes batches of any size "
                "and is always needed."
            )
    if shape is None:
        raise ConfigurationError("Input: shape is missing, such as (784,), without the batch.")
    kind = "float" if dtype is None else _kind_of(dtype)
    layer = InputLayer(shape, kind, name=name)
    return layer.output


def _kind_of(dtype: Any) -> str:
    if str(dtype) == "string":
        return "string"
    try:
        return _KIND_OF[np.dtype(dtype).kind]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"Input: dtype must be a float, integer or boolean dtype or 'string', got {dtype!r}."
        ) from None


@register("layer", "Input", "input")
class InputLayer(Layer):
    """The layer behind :func:`netlayers.Input`: it declares a shape, and passes its input on.

    Args:
        shape: shape of a sample, without the batch: ``(784,)``; ``None`` for an axis of any length.
        kind: what it takes: ``"float"``, ``"integer"``, ``"boolean"`` or ``"string"``.
        kwargs: ``name``, ``dtype``.
    """

    supports_masking = True

    takes_sparse = True
    arguments_without_effect = ("kind",)  # on numbers: it says what data are accepted

    def __init__(self, shape: Any, kind: str = "float", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = check_shape("Input", "shape", shape)
        self.kind = check_choice("Input", "kind", kind, KINDS)
        if kind != "float":
            missing = kind == "string"  # a lookup behind it says what becomes of such values
            self.input_spec = InputSpec(dtype=kind, gradient=False, missing=missing)  # type: ignore[arg-type]
        self.build((None, *self.shape))

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"shape": (3,)}, (4, 3)), ({"shape": (None, 2)}, (4, 3, 2))]

    @property
    def output(self) -> Any:
        """The symbolic input."""
        if not self._symbolic_calls:
            record(self, (), self.input_shape, {})
        return self._symbolic_calls[0].outputs[0]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the shape differs from that of the constructor."""
        if self.built:
            self.check_input_shape(input_shape)

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x``, after a check of the shape."""
        y = self.prepare(x)
        if training:
            self.cache.shape = y.shape
        return y

    def backward(self, dy: Array) -> Any:
        """``dx = dy``; ``None`` for integers, booleans and texts."""
        dy = self.check_gradient(dy, self.cache.shape)
        return dy if self.kind == "float" else None
