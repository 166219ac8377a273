"""Type aliases of the package. Imported for type checking only, never at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
ArrayLike: TypeAlias = npt.ArrayLike
Shape: TypeAlias = tuple[int | None, ...]
"""A shape with ``None`` for an axis of any length; axis 0 is the batch."""
Dtype: TypeAlias = np.dtype[Any]
Logs: TypeAlias = dict[str, Any]
Examples: TypeAlias = list[tuple[dict[str, Any], tuple[int, ...]]]
"""Arguments and input shapes to try a layer on."""
Identifier: TypeAlias = Any
"""What a ``get`` function resolves: a name, a configuration, an object, or ``None``."""
Weights: TypeAlias = Sequence[ArrayLike]
