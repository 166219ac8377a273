"""The numbers of a pandas frame or series. pandas itself is never imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array


def is_frame(value: Any) -> bool:
    """Whether ``value`` is a DataFrame or a Series of pandas."""
    if type(value) is np.ndarray:
        return False
    module = sys.modules.get("pandas")
    return module is not None and isinstance(value, (module.DataFrame, module.Series))


def frame_values(owner: str, argument: str, frame: Any) -> Array:
    """Return the numbers of a frame, in the smallest dtype that holds those of all columns.

    The index plays no part: rows count by their place. Uncopied where pandas has them as one array.

    Raises:
        DataError: columns that hold no real numbers, or gaps (``pandas.NA``); they are named.
    """
    columns = _columns(frame)
    kinds = [_numpy_dtype(c.dtype) for c in columns]
    wrong = [c for c, kind in zip(columns, kinds, strict=True) if kind.kind not in "fiub"]
    if wrong:
        listed = ", ".join(f"{c.name!r} ({c.dtype})" for c in wrong)
        hint = (
            f"Turn them into numbers first, for instance with pandas.get_dummies({argument}) or "
            f"pandas.factorize({argument}[name])[0], or leave them out with {argument}.drop(...)."
            if frame.ndim == 2
            else f"Turn it into numbers first, for instance with pandas.factorize({argument})[0]."
        )
        raise DataError(
            f"{owner}: {argument} must hold real numbers, but not so in {_count(wrong)} {listed}. "
            f"{hint}"
        )
    # Gaps of pandas's own dtypes have no number; those of NumPy's are NaN, which is looked for
    # with the other numbers.
    gaps = [c for c in columns if not isinstance(c.dtype, np.dtype) and c.isna().any()]
    if gaps:
        listed = ", ".join(f"{c.name!r} ({c.dtype}, {int(c.isna().sum())} of them)" for c in gaps)
        raise DataError(
            f"{owner}: {argument} has missing values (NA) in {_count(gaps)} {listed}. Fill them, "
            f"for instance with {argument}.fillna(0), or leave such rows out."
        )
    common = np.result_type(*kinds) if kinds else np.dtype(np.float64)
    return np.asarray(frame.to_numpy(dtype=common))


def _numpy_dtype(dtype: Any) -> Any:
    """Return the dtype of the numbers behind one of pandas's own dtypes."""
    if type(dtype).__name__ == "SparseDtype":
        return dtype.subtype
    return getattr(dtype, "numpy_dtype", dtype)


def _columns(frame: Any) -> list[Any]:
    """Return the columns as series, by their place: names may come twice."""
    return [frame] if frame.ndim == 1 else [frame.iloc[:, i] for i in range(frame.shape[1])]


def _count(columns: list[Any]) -> str:
    return "the column" if len(columns) == 1 else "the columns"
