"""Flatten nested inputs and targets: lists, tuples and dicts of arrays, one array a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlayers.arrays.frames import frame_columns
from netlayers.arrays.tables import as_table
from netlayers.errors import DataError


def is_array(value: Any) -> bool:
    """Return whether ``value`` is an array or frame of any library, with at least one axis."""
    shape = getattr(value, "shape", None)
    return isinstance(shape, Sequence) and len(shape) > 0  # torch.Size is a tuple


def holds_arrays(value: Any) -> bool:
    """Return whether a list or tuple, nested or not, starts with an array rather than numbers."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
        if is_array(value):
            return True
    return False


def flatten(value: Any) -> list[Any]:
    """Return the arrays in nested lists and tuples, depth first; a list of numbers is an array."""
    if isinstance(value, (list, tuple)) and holds_arrays(value):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def arrays_by_name(
    owner: str, argument: str, value: Any, names: Sequence[str], what: str = "input"
) -> list[Any]:
    """Return one array for each name, in the order of the names.

    Args:
        owner: the caller's name, for error messages.
        argument: name of the argument ``value``.
        value: an array or list of numbers; nested lists and tuples of these in the order of the
            names; or a dict from names to arrays, or a frame with these columns.
        names: names of the model's inputs or outputs.
        what: ``"input"`` or ``"output"``.

    Raises:
        DataError: the arrays do not match the names.
    """
    value = as_table(value)
    if len(names) > 1:
        value = frame_columns(value)
    if isinstance(value, Mapping):
        missing = [name for name in names if name not in value]
        extra = [name for name in value if name not in names]
        if missing or extra:
            found = [f"has no {_listed(missing)}" if missing else ""]
            found.append(f"has {_listed(extra)}, which it does not take" if extra else "")
            got = f"the dict {argument} " + " and ".join(part for part in found if part)
            raise _refused(owner, argument, got, names, what, list(value))
        leaves = []
        for name in names:
            arrays = flatten(value[name])
            if len(arrays) != 1:
                kind = type(value[name]).__name__
                got = f"{argument}[{name!r}] is a {kind} of {len(arrays)} arrays"
                raise _refused(owner, argument, got, names, what)
            leaves += arrays
    elif holds_arrays(value):
        leaves = flatten(value)
    elif len(names) > 1 and isinstance(value, (list, tuple)) and len(value) == len(names):
        leaves = list(value)
    else:
        leaves = [value]
    inner = next((leaf for leaf in leaves if _is_mapping(leaf)), None)
    if inner is not None:
        got = f"{argument} contains a dict within a {type(value).__name__}"
        raise _refused(owner, argument, got, names, what)
    if len(leaves) != len(names):
        count = "one array" if len(leaves) == 1 else f"{len(leaves)} arrays"
        got = f"{argument} is {count}"
        if isinstance(value, (list, tuple, Mapping)):
            got = f"{argument} is a {type(value).__name__} of {count}"
        raise _refused(owner, argument, got, names, what)
    return [as_table(leaf) for leaf in leaves]


def label(argument: str, name: str, names: Sequence[str]) -> str:
    """Return the name of one of several inputs in messages: ``x['image']``."""
    return argument if len(names) == 1 else f"{argument}[{name!r}]"


def _is_mapping(value: Any) -> bool:
    if isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, Mapping)


def _refused(
    owner: str,
    argument: str,
    got: str,
    names: Sequence[str],
    what: str,
    keys: list[Any] | None = None,
) -> DataError:
    if len(names) > 1:
        takes = f"{len(names)} {what}s, {_listed(names)}"
        advice = f"Give a list of one array for each, or a dict {{{names[0]!r}: ..., ...}}."
    else:
        takes = f"one {what}, {names[0]!r}"
        if keys is None:
            advice = (
                f"Arrays that are its rows make one array by np.stack({argument}), batches by "
                f"np.concatenate({argument}), features by np.column_stack({argument})."
            )
        else:
            advice = (
                f"Give the array itself; features make one by "
                f"np.column_stack(list({argument}.values()))."
            )
    return DataError(f"{owner}: the model has {takes}, but {got}. {advice}")


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def unpack_batch(owner: str, batch: Any, targets: bool) -> tuple[Any, Any, Any]:
    """Return x, y and sample weights of a batch that a source yielded.

    Args:
        owner: the caller's name, for error messages.
        batch: ``(x, y)`` or ``(x, y, sample_weight)``; without ``targets`` also x or ``(x,)``.
        targets: whether y is required.

    Raises:
        DataError: the batch has another form.
    """
    packed = isinstance(batch, tuple) or (
        isinstance(batch, list) and bool(batch) and _begins_with_arrays(batch[0])
    )
    if not packed and not targets:
        return batch, None, None
    if not packed or not (2 if targets else 1) <= len(batch) <= 3:
        got = type(batch).__name__ + (f" of length {len(batch)}" if packed else "")
        if isinstance(batch, Mapping):
            got += f" with {', '.join(map(repr, list(batch)[:10]))}"
        expected = "(x, y) or (x, y, sample_weight)" if targets else "x or (x,)"
        hint = ", where x may be a dict of inputs" if isinstance(batch, Mapping) else ""
        raise DataError(f"{owner}: a batch must be {expected}{hint}; got a {got}.")
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


def _begins_with_arrays(x: Any) -> bool:
    return is_array(x) or holds_arrays(x) or isinstance(x, Mapping)
