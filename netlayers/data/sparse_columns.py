"""Batches that are sparse matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.data.fingerprints import csr_checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype, Rows


class SparseColumn:
    """x as a CSR matrix, read in batches that are CSR matrices.

    The memory of a batch is proportional to the number of its stored entries.

    Args:
        values: the matrix, which is never written to; its indices are not sorted.
        dtype: dtype of the batches.
    """

    def __init__(self, values: Any, dtype: Dtype) -> None:
        self.values = values
        self.dtype = dtype
        self.rows = int(values.shape[0])

    def part(self, start: int, stop: int) -> SparseColumn:
        """Return rows ``start`` to ``stop`` as another column."""
        return SparseColumn(self.values[start:stop], self.dtype)

    def slice(self, start: int, stop: int) -> Any:
        """Return rows ``start`` to ``stop``."""
        return self.values[start:stop].astype(self.dtype, copy=False)

    def take(self, rows: Array) -> Any:
        """Return the given rows."""
        return self.values[rows].astype(self.dtype, copy=False)

    def gather(self, parts: Sequence[Rows], count: int) -> SparseColumn:
        """Return ``count`` rows, given in parts, as another column."""
        numbers = np.arange(self.rows)
        rows = np.concatenate(
            [numbers[part] if isinstance(part, slice) else part for part in parts]
        )
        return SparseColumn(self.values[rows], self.dtype)

    def checksum(self, rows: Array) -> int:
        """Return a checksum of some rows; rows with many entries enter in part."""
        return csr_checksum(self.values, rows)
