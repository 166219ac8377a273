"""Nested inputs and targets: lists, tuples and dicts of arrays, as one array for each name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlayers.errors import DataError


def is_array(value: Any) -> bool:
    """Whether ``value`` is an array of any library, or a frame, with one axis or more."""
    shape = getattr(value, "shape", None)
    return isinstance(shape, Sequence) and len(shape) > 0  # torch.Size is a tuple


def holds_arrays(value: Any) -> bool:
    """Whether a list or tuple, nested or not, begins with an array: then it is no list of rows."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
        if is_array(value):
            return True
    return False


def flatten(value: Any) -> list[Any]:
    """Return the arrays in nested lists and tuples, depth first; lists of numbers are arrays."""
    if isinstance(value, (list, tuple)) and holds_arrays(value):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def arrays_by_name(
    owner: str, argument: str, value: Any, names: Sequence[str], what: str = "input"
) -> list[Any]:
    """Return one array for each name, in their order, of whatever structure a user gave.

    Args:
        owner: who asks, for the message.
        argument: what ``value`` is called.
        value: an array or lists of numbers; nested lists and tuples of such, in the order of the
            names; or a dict by names.
        names: of the inputs, or outputs, of the model.
        what: ``"input"`` or ``"output"``.

    Raises:
        DataError: there are more arrays, fewer, or others than names.
    """
    if isinstance(value, Mapping):
        missing = [name for name in names if name not in value]
        extra = [name for name in value if name not in names]
        if missing or extra:
            found = [f"has no {_listed(missing)}" if missing else ""]
            found.append(f"has {_listed(extra)}, which it does not take" if extra else "")
            got = f"the dict {argument} " + " and ".join(part for part in found if part)
            raise _refused(owner, argument, got, names, what, list(value))
        found_here = [flatten(value[name]) for name in names]
        for name, its in zip(names, found_here, strict=True):
            if len(its) != 1:
                got = f"{argument}[{name!r}] is a {type(value[name]).__name__} of {len(its)} arrays"
                raise _refused(owner, argument, got, names, what)
        leaves = [its[0] for its in found_here]
    elif holds_arrays(value):
        leaves = flatten(value)
    elif len(names) > 1 and isinstance(value, (list, tuple)) and len(value) == len(names):
        leaves = list(value)
    else:
        leaves = [value]
    inner = next((leaf for leaf in leaves if _is_mapping(leaf)), None)
    if inner is not None:
        got = f"{argument} holds a dict within a {type(value).__name__}"
        raise _refused(owner, argument, got, names, what)
    if len(leaves) != len(names):
        count = "one array" if len(leaves) == 1 else f"{len(leaves)} arrays"
        got = f"{argument} is {count}"
        if isinstance(value, (list, tuple, Mapping)):
            got = f"{argument} is a {type(value).__name__} of {count}"
        raise _refused(owner, argument, got, names, what)
    return leaves


def label(argument: str, name: str, names: Sequence[str]) -> str:
    """Return what messages call one of several inputs: ``x['image']``."""
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
