"""What a layer takes: declared once, read by checks, data, saving and gradient checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "integer", "boolean", "string"]


@dataclass(frozen=True)
class InputSpec:
    """One input of a layer.

    A layer declares its inputs in the class attribute ``input_spec``: one ``InputSpec``, or a tuple
    of them for a layer with several inputs, which ``forward`` then takes as a tuple of arrays.

    Attributes:
        dtype: ``"float"`` (converted to the dtype that the layer computes in); ``"integer"``,
            ``"boolean"`` or ``"string"``, which arrive as they are.
        ndim: number of axes, the batch included; ``None`` for any.
        min_ndim: the fewest axes, the batch included.
        gradient: whether ``backward`` returns dL/dx for it; otherwise it returns ``None``.
        name: what messages and dicts of inputs call it; by default ``"x"``, or ``"x_0"``,
            ``"x_1"``, ... of several.

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


FLOAT = InputSpec()
