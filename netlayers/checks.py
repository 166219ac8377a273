"""Checks of arguments: one sentence that says who asked, what was expected, and what came."""

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Hashable
from typing import Any

import numpy as np

from netlayers.errors import ConfigurationError, FileError


def check_number(
    owner: str,
    argument: str,
    value: Any,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a finite float within the limits.

    Args:
        owner: who takes the argument, for the message (``"Adam"``).
        argument: its name (``"beta_1"``).
        value: what the user gave.
        minimum: smallest allowed value.
        above: largest value that is too small.
        maximum: largest allowed value.
        below: smallest value that is too large.

    Raises:
        ConfigurationError: ``value`` is no real number, not finite, or outside the limits.
    """
    limits = [
        f"{sign} {limit:g}"
        for sign, limit in ((">=", minimum), (">", above), ("<=", maximum), ("<", below))
        if limit is not None
    ]
    expected = " ".join(["a finite number", " and ".join(limits)]).strip()
    number = float("nan")
    if (
        isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    ) or (isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf"):
        number = float(value)
    good = (
        np.isfinite(number)
        and (minimum is None or number >= minimum)
        and (above is None or number > above)
        and (maximum is None or number <= maximum)
        and (below is None or number < below)
    )
    if not good:
        raise ConfigurationError(f"{owner}: {argument} must be {expected}, got {value!r}.")
    return number


def check_integer(owner: str, argument: str, value: Any, *, minimum: int | None = None) -> int:
    """Return ``value`` as an int of at least ``minimum``.

    Raises:
        ConfigurationError: ``value`` is no integer (``True`` and ``3.0`` are none) or too small.
    """
    expected = "an integer" if minimum is None else f"an integer >= {minimum}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or (minimum is not None and number < minimum):
        raise ConfigurationError(f"{owner}: {argument} must be {expected}, got {value!r}.")
    return number


def check_flag(owner: str, argument: str, value: Any) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        ConfigurationError: it is something else; ``"False"`` would otherwise count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigurationError(f"{owner}: {argument} must be True or False, got {value!r}.")
    return bool(value)


def check_choice(owner: str, argument: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ConfigurationError: it is not.
    """
    # What can not be hashed, an array above all, may answer == with something that is no bool.
    if not isinstance(value, Hashable) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ConfigurationError(f"{owner}: {argument} must be one of {listed}, got {value!r}.")
    return value


def check_verbose(owner: str, verbose: Any) -> int:
    """Return the argument ``verbose`` as 0, 1 or 2; ``"auto"`` is 1."""
    if isinstance(verbose, (bool, np.bool_)):
        return int(verbose)
    check_choice(owner, "verbose", verbose, (0, 1, 2, "auto"))
    return 1 if verbose == "auto" else int(verbose)


def listed(values: Any) -> list[Any]:
    """Return values as a list: ``None`` and a single one may be given too."""
    if values is None:
        return []
    return list(values) if isinstance(values, (list, tuple)) else [values]


def check_name(owner: str, value: Any, default: str) -> str:
    """Return ``value`` if it is a text that can name something, ``default`` for ``None``.

    Raises:
        ConfigurationError: it is something else, or empty.
    """
    if value is None:
        return default
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{owner}: name must be a text, got {value!r}.")
    return value


def check_dtype(owner: str, value: Any) -> np.dtype[Any]:
    """Return ``value`` as ``float32`` or ``float64``, the two types that netlayers computes in.

    Raises:
        ConfigurationError: it is another type.
    """
    try:
        dtype = np.dtype("O" if value is None else value)  # np.dtype(None) would be float64
    except (TypeError, ValueError):
        dtype = np.dtype("O")
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ConfigurationError(
            f"{owner}: dtype must be 'float32' or 'float64', got {value!r}. "
            "(Data of other types is welcome: it is converted.)"
        )
    return dtype


def check_shape(owner: str, argument: str, value: Any) -> tuple[int | None, ...]:
    """Return ``value`` as a tuple of positive ints, or ``None`` for an axis of any length.

    Raises:
        ConfigurationError: it is no such sequence.
    """
    try:
        sizes = (value,) if isinstance(value, (int, np.integer)) else tuple(value)
    except TypeError:
        raise ConfigurationError(
            f"{owner}: {argument} must be a tuple of sizes such as (784,), got {value!r}."
        ) from None
    return tuple(
        None if size is None else check_integer(owner, f"each size in {argument}", size, minimum=1)
        for size in sizes
    )


def is_several(shape: Any) -> bool:
    """Whether these are the shapes of several arrays rather than the shape of one."""
    return isinstance(shape, (tuple, list)) and bool(shape) and isinstance(shape[0], (tuple, list))


def check_path(owner: str, argument: str, value: Any, *, folder: bool = False) -> str:
    """Return a path that a user gave as a text, with ``~`` as the home folder.

    Args:
        owner: who takes the argument, for the message.
        argument: its name.
        value: a text, bytes, or an object such as a ``pathlib.Path``.
        folder: whether it is to be the path of a folder rather than that of a file.

    Raises:
        ConfigurationError: ``value`` is no path, or an empty one.
        FileError: what has this path is no file (or no folder): to put a file into the place of a
            pipe or a device would break it, and reading one might never end.
    """
    kind = "folder" if folder else "file"
    try:
        path = os.path.expanduser(os.fsdecode(value))
    except TypeError:
        path = ""
    if not path or "\0" in path:
        raise ConfigurationError(
            f"{owner}: {argument} must be the path of a {kind}, got {value!r}."
        )
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing is there, or whoever opens it says why it can not be reached
        return path
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        got = "a file" if folder else "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        expected = "a folder" if folder else "an ordinary file"
        raise FileError(path, argument, expected, got)
    return path
