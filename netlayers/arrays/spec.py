"""Specification of layer inputs, used by checks, data, saving and gradient checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "integer", "boolean", "string", "category"]


@dataclass(frozen=True)
class InputSpec:
    """One input of a layer.

    A layer declares its inputs in the class attribute ``input_spec``: one ``InputSpec``, or a tuple
    of them for a layer with several inputs, whose ``forward`` takes a tuple of arrays.

    Attributes:
        dtype: ``"float"`` (converted to the dtype of the layer), or ``"integer"``, ``"boolean"`` or
            ``"string"``, which are not converted; ``"category"`` stands for strings or integers.
        ndim: number of axes, including the batch; ``None`` for any.
        min_ndim: minimum number of axes, including the batch.
        gradient: whether ``backward`` returns dL/dx for this input rather than ``None``.
        name: name in messages and dicts of inputs; by default ``"x"``, or ``"x_0"``, ``"x_1"``, ...
            for several inputs.
        keeps_precision: for ``"float"``: whether numbers with more digits than the dtype of the
            layer (int64 or float64 in a float32 layer) are not converted, for a layer that
            subtracts before it rounds.
        missing: for ``"integer"``, ``"string"`` and ``"category"``: whether values may be missing:
            NaN among numbers (then floats), ``None`` among strings (then objects).

    Example:
        >>> from netlayers.arrays.spec import InputSpec
        >>> InputSpec(dtype="integer", gradient=False).dtype
        'integer'
    """

    dtype: Kind = "float"
    ndim: int | None = None
    min_ndim: int = 1
    gradient: bool = True
    name: str | None = None
    keeps_precision: bool = False
    missing: bool = False


FLOAT = InputSpec()
