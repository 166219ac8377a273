"""Inputs of models: their shapes, declared before there are data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_choice, check_flag, check_integer, check_shape
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
    batch_size: int | None = None,
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
        batch_size: a hint, as in Keras: batches of any size are taken.
        dtype: ``None`` or a float dtype for numbers in the dtype of the model; ``"int32"``,
            ``"int64"`` and the like for integers, ``"bool"`` or ``"string"``.
        sparse: whether data may be a SciPy sparse matrix; layers say themselves whether they take
            one, so it has no effect.
        batch_shape: ``(batch_size, *shape)``, in place of these two.
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
    if tensor is not None:
        raise ConfigurationError(
            f"Input: tensor={tensor!r:.60} is not supported; call the layers on data directly."
        )
    layer = InputLayer(
        shape,
        batch_size,
        sparse=sparse,
        batch_shape=batch_shape,
        optional=optional,
        name=name,
        kind="float" if dtype is None else _kind_of("Input", dtype),
    )
    return layer.output


def _kind_of(owner: str, dtype: Any) -> str:
    if str(dtype) == "string":
        return "string"
    try:
        return _KIND_OF[np.dtype(dtype).kind]
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"{owner}: dtype must be a float, integer or boolean dtype or 'string', got {dtype!r}."
        ) from None


@register("layer", "Input", "input")
class InputLayer(Layer):
    """The layer behind :func:`netlayers.Input`: it declares a shape, and passes its input on.

    Args:
        shape: shape of a sample, without the batch: ``(784,)``; ``None`` for an axis of any length.
        batch_size: a hint, as in Keras: batches of any size are taken.
        dtype: see :func:`netlayers.Input`; a float dtype is that of the layer.
        sparse: see :func:`netlayers.Input`.
        ragged: must be false.
        batch_shape: ``(batch_size, *shape)``, in place of these two.
        input_tensor: must be ``None``.
        optional: must be false.
        name: name of the input, the key in dicts of data.
        kind: what it takes, instead of a ``dtype``: ``"float"``, ``"integer"``, ``"boolean"`` or
            ``"string"``.
        kwargs: ``trainable``, ``learning_rate_multiplier``: they have no effect.

    Raises:
        ConfigurationError: the shape is missing or given twice, or an argument is not supported.
    """

    supports_masking = True

    takes_sparse = True
    # On numbers: they say what data are accepted.
    arguments_without_effect = ("kind", "batch_size", "sparse")
    _not_stored = (*Layer._not_stored, "ragged", "batch_shape", "input_tensor", "optional")

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: None = None,
        optional: bool = False,
        name: str | None = None,
        *,
        kind: str = "float",
        **kwargs: Any,
    ) -> None:
        if dtype is not None and _kind_of("Input", dtype) != "float":
            kind, dtype = _kind_of("Input", dtype), None
        super().__init__(name=name, dtype=dtype, **kwargs)
        if batch_shape is not None:
            if shape is not None or batch_size is not None or not np.size(batch_shape):
                raise ConfigurationError(
                    "Input: give batch_shape, the batch first, or shape and batch_size, not both."
                )
            batch_size, *shape = batch_shape
        if shape is None:
            raise ConfigurationError("Input: shape is missing, such as (784,), without the batch.")
        refused = {"ragged": ragged, "input_tensor": input_tensor, "optional": optional}
        for argument, value in refused.items():
            if value is not None and value is not False:
                raise ConfigurationError(
                    f"Input: {argument}={value!r:.60} is not supported; an input is an array, and "
                    "always needed."
                )
        self.batch_size = None
        if batch_size is not None:
            self.batch_size = check_integer("Input", "batch_size", batch_size, minimum=1)
        self.sparse = None if sparse is None else check_flag("Input", "sparse", sparse)
        self.ragged = False
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
    def batch_shape(self) -> Shape:
        """The shape, with ``batch_size`` first."""
        return (self.batch_size, *self.shape)

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
