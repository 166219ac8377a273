"""Type aliases, imported for type checking only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
ArrayLike: TypeAlias = npt.ArrayLike
Shape: TypeAlias = tuple[int | None, ...]
"""A shape; ``None`` stands for an axis of any length, axis 0 is the batch."""
Dtype: TypeAlias = np.dtype[Any]
Rows: TypeAlias = slice | Array
"""A range of rows, or their numbers."""
Logs: TypeAlias = dict[str, Any]
Examples: TypeAlias = list[tuple[dict[str, Any], Any]]
"""Constructor arguments and input shapes that the contract tests use."""
Identifier: TypeAlias = Any
"""Argument of a ``get`` function: a name, a configuration, an object, or ``None``."""
Weights: TypeAlias = Sequence[ArrayLike]
