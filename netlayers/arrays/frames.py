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


def column_names(value: Any) -> list[str] | None:
    """Return the names of a frame's columns, if all of them are texts; else ``None``.

    A frame of pandas or polars, or whatever has ``columns`` and ``__array__``.
    """
    if type(value) is np.ndarray or not hasattr(value, "__array__"):
        return None
    columns = getattr(value, "columns", None)
    try:
        names = list(columns)  # type: ignore[arg-type]
    except TypeError:
        return None
    return names if names and all(isinstance(name, str) for name in names) else None


def check_names(owner: str, argument: str, names: list[str], known: list[str]) -> None:
    """Raise a DataError if the columns of a frame are not those that a model was trained with.

    Args:
        owner: who asks, for the message.
        argument: what the frame is called.
        names: the names of its columns.
        known: those of the frame that the model was trained with.
    """
    if names == known:
        return
    missing = [name for name in known if name not in names]
    extra = [name for name in names if name not in known]
    if missing or extra or len(names) != len(known):
        found = [f"missing: {_listed(missing)}" if missing else ""]
        found.append(f"new: {_listed(extra)}" if extra else "")
        what = "; ".join(part for part in found if part) or f"{len(names)} for {len(known)}"
    else:
        i = next(i for i, pair in enumerate(zip(names, known, strict=True)) if len({*pair}) > 1)
        what = f"the same names in another order, from column {i}: {names[i]!r} for {known[i]!r}"
    raise DataError(
        f"{owner}: the columns of {argument} are not those that the model was trained with "
        f"({what}). Expected {_listed(known)}. Select them with {argument}[names], or pass "
        f"{argument}.to_numpy() to go by their places."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


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
