"""Conversion of pandas data frames and series. pandas itself is never imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array


def is_frame(value: Any) -> bool:
    """Return whether ``value`` is a pandas DataFrame or Series."""
    if type(value) is np.ndarray:
        return False
    module = sys.modules.get("pandas")
    return module is not None and isinstance(value, (module.DataFrame, module.Series))


def frame_values(owner: str, argument: str, frame: Any) -> Array:
    """Return the values of a frame in the common dtype of its columns.

    The index is ignored. Without a copy if pandas stores the values as one array.

    Raises:
        DataError: columns are not numeric or have missing values (``pandas.NA``); they are named.
    """
    columns = _columns(frame)
    kinds = [_numpy_dtype(c.dtype) for c in columns]
    wrong = [c for c, kind in zip(columns, kinds, strict=True) if kind.kind not in "fiub"]
    if wrong:
        listed = ", ".join(f"{_label(c)} ({c.dtype})" for c in wrong)
        hint = (
            f"Convert them to numbers first: categories for instance with pandas.get_dummies("
            f"{argument}) or pandas.factorize({argument}[name])[0], numbers stored as objects with "
            f"pandas.to_numeric({argument}[name]); or remove them with {argument}.drop(...)."
            if frame.ndim == 2
            else "Convert it to numbers first: categories for instance with pandas.factorize("
            f"{argument})[0], numbers stored as objects with pandas.to_numeric({argument})."
        )
        raise DataError(
            f"{owner}: {argument} must hold real numbers; not numeric: {listed}. {hint}"
        )
    # Missing values of pandas dtypes; those of NumPy dtypes are NaN, which is checked later.
    missing = [c for c in columns if not isinstance(c.dtype, np.dtype) and c.isna().any()]
    if missing:
        listed = ", ".join(
            f"{_label(c)} ({c.dtype}, {int(c.isna().sum())} of them)" for c in missing
        )
        raise DataError(
            f"{owner}: {argument} has missing values (NA) in {_columns_text(missing)}{listed}. "
            f"Fill them, for instance with {argument}.fillna(0), or remove such rows."
        )
    common = np.result_type(*kinds) if kinds else np.dtype(np.float64)
    return np.asarray(frame.to_numpy(dtype=common))


def column_names(value: Any) -> list[str] | None:
    """Return the column names of a frame if all are strings, else ``None``.

    Supports frames of pandas and polars, and any object with ``columns`` and ``__array__``.
    """
    if type(value) is np.ndarray or not hasattr(value, "__array__"):
        return None
    columns = getattr(value, "columns", None)
    try:
        names = list(columns)  # type: ignore[arg-type]
    except TypeError:
        return None
    return names if names and all(isinstance(name, str) for name in names) else None


def frame_columns(value: Any) -> Any:
    """Return a frame of pandas or polars as a dict of its columns; anything else unchanged."""
    names = column_names(value)
    return value if names is None else {name: value[name] for name in names}


def check_names(owner: str, argument: str, names: list[str], known: list[str]) -> None:
    """Raise a DataError if the columns of a frame differ from those of the training data.

    Args:
        owner: the caller's name, used in messages.
        argument: name of the frame, used in messages.
        names: its column names.
        known: the column names of the training data.
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
        f"{argument}.to_numpy() to use their positions."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _numpy_dtype(dtype: Any) -> Any:
    """Return the NumPy dtype of a pandas dtype."""
    if type(dtype).__name__ == "SparseDtype":
        return dtype.subtype
    return getattr(dtype, "numpy_dtype", dtype)


def _columns(frame: Any) -> list[Any]:
    """Return the columns as series, by position, as names may be duplicated."""
    return [frame] if frame.ndim == 1 else [frame.iloc[:, i] for i in range(frame.shape[1])]


def _label(column: Any) -> str:
    return "an unnamed column" if column.name is None else repr(column.name)


def _columns_text(columns: list[Any]) -> str:
    if columns[0].name is None:
        return ""
    return "the column " if len(columns) == 1 else "the columns "
