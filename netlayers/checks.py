"""Argument checks. Messages name the caller, the argument, the expected and the actual value."""

from __future__ import annotations

import contextlib
import inspect
import operator
import os
import stat
import sys
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from netlayers.errors import ArgumentTypeError, ConfigurationError, DataError, FileError, ShapeError

# Larger numbers are infinite in float32, and larger integers none of NumPy's.
LARGEST_NUMBER = float(np.finfo(np.float32).max)
LARGEST_INTEGER = 2**63 - 1


def check_number(
    owner: str,
    argument: str,
    value: Any,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    largest: float = LARGEST_NUMBER,
) -> float:
    """Return ``value`` as a float that is finite in float32, within the given bounds.

    Args:
        owner: the caller's name, used in the message (``"Adam"``).
        argument: name of the argument (``"beta_1"``).
        value: the value to check.
        minimum: inclusive lower bound.
        above: exclusive lower bound.
        maximum: inclusive upper bound.
        below: exclusive upper bound.
        largest: bound of its size, by default that of float32.

    Raises:
        ConfigurationError: ``value`` is not a real number, not finite, or out of bounds.
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
        with contextlib.suppress(OverflowError):  # an integer above 1.8e308
            number = float(value)
    if largest < abs(number) < float("inf"):
        expected = f"{expected} (at most {LARGEST_NUMBER:.2g} in size, as in float32)"
    good = (
        abs(number) <= largest
        and (minimum is None or number >= minimum)
        and (above is None or number > above)
        and (maximum is None or number <= maximum)
        and (below is None or number < below)
    )
    if not good:
        raise ConfigurationError(f"{owner}: {argument} must be {expected}, got {value!r}.")
    return number


def check_integer(
    owner: str,
    argument: str,
    value: Any,
    *,
    minimum: int | None = None,
    maximum: int | None = LARGEST_INTEGER,
) -> int:
    """Return ``value`` as an int from ``minimum`` to ``maximum``.

    Raises:
        ArgumentTypeError: ``value`` is not an integer (``True`` and ``3.0`` are refused).
        ConfigurationError: it is too small or too large.
    """
    expected = "an integer" if minimum is None else f"an integer >= {minimum}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise ArgumentTypeError(f"{owner}: {argument} must be {expected}, got {value!r}.")
    if maximum is not None and number > maximum:
        bound = "2**63 - 1" if maximum == LARGEST_INTEGER else maximum
        raise ConfigurationError(
            f"{owner}: {argument} must be {expected} and at most {bound}, got {value!r:.60}."
        )
    if minimum is not None and number < minimum:
        raise ConfigurationError(f"{owner}: {argument} must be {expected}, got {value!r:.60}.")
    return number


def check_seed(owner: str, value: Any) -> int:
    """Return the seed of a generator, an integer >= 0 of any size."""
    return check_integer(owner, "seed", value, minimum=0, maximum=None)


def check_flag(owner: str, argument: str, value: Any) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        ConfigurationError: it is not; ``"False"`` would otherwise count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigurationError(f"{owner}: {argument} must be True or False, got {value!r}.")
    return bool(value)


def check_choice(owner: str, argument: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        ConfigurationError: it is not.
    """
    # For unhashable values such as arrays, == may not return a bool.
    if not isinstance(value, Hashable) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ConfigurationError(f"{owner}: {argument} must be one of {listed}, got {value!r}.")
    return value


def check_verbose(owner: str, verbose: Any) -> int:
    """Return ``verbose`` as 0, 1 or 2; ``"auto"`` is 1."""
    if isinstance(verbose, (bool, np.bool_)):
        return int(verbose)
    check_choice(owner, "verbose", verbose, (0, 1, 2, "auto"))
    return 1 if verbose == "auto" else int(verbose)


def listed(values: Any) -> list[Any]:
    """Return a list: ``None`` becomes an empty list, a single value a list of one."""
    if values is None:
        return []
    return list(values) if isinstance(values, (list, tuple)) else [values]


def check_list(owner: str, argument: str, value: Any, kind: str) -> list[Any]:
    """Return a list of what a sequence other than a string or dict contains.

    Raises:
        ConfigurationError: ``value`` is no sequence; ``kind`` says what it must contain.
    """
    if isinstance(value, (str, bytes, dict)) or not is_iterable(value):
        raise ConfigurationError(f"{owner}: {argument} must be a list of {kind}, got {value!r}.")
    return list(value)


def is_iterable(value: Any) -> bool:
    """Whether ``iter(value)`` works; an array of no axes has ``__iter__``, which raises."""
    return hasattr(value, "__iter__") and not (isinstance(value, np.ndarray) and value.ndim == 0)


def check_name(owner: str, value: Any, default: str) -> str:
    """Return ``value`` if it is a non-empty printable string, ``default`` for ``None``.

    A name from a file may be anything, and stands in tables and reports: escape sequences in it
    would command the terminal.

    Raises:
        ConfigurationError: it is neither.
    """
    if value is None:
        return default
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{owner}: name must be a non-empty string, got {value!r}.")
    if not value.isprintable():
        raise ConfigurationError(
            f"{owner}: name must hold printable characters only, got {value[:200]!r}."
        )
    return value


def check_dtype(owner: str, value: Any) -> np.dtype[Any]:
    """Return ``value`` as a dtype: ``float32`` or ``float64``, the two that netlayers computes in.

    Raises:
        ConfigurationError: it is another dtype.
    """
    try:
        # np.dtype(None) would be float64, and np.dtype(np.float32(0.5)) float32.
        dtype = np.dtype("O" if value is None or isinstance(value, np.generic) else value)
    except (TypeError, ValueError):
        dtype = np.dtype("O")
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ConfigurationError(
            f"{owner}: dtype must be 'float32' or 'float64', got {value!r}. "
            "(Data of any other dtype are converted.)"
        )
    return dtype


def check_numeric_dtype(owner: str, value: Any) -> np.dtype[Any]:
    """Return ``value`` as a dtype of real numbers.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        dtype = np.dtype(value if isinstance(value, (str, type, np.dtype)) else "O")
    except (TypeError, ValueError):
        dtype = np.dtype("O")
    if dtype.kind not in "iuf":
        raise ConfigurationError(
            f"{owner}: dtype must be one of real numbers, such as 'float32', got {value!r}."
        )
    return dtype


def check_array(owner: str, argument: str, value: Any) -> np.ndarray[Any, Any]:
    """Return ``value`` as an array of real numbers.

    Raises:
        ConfigurationError: it holds others.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ConfigurationError(
            f"{owner}: {argument} must hold real numbers, got {array.dtype} {value!r:.60}."
        )
    return array


def check_axis(owner: str, value: Any, rank: int) -> int:
    """Return the index of an axis of an array of so many axes.

    Raises:
        ConfigurationError: it is no integer, or there is no such axis.
    """
    axis = check_integer(owner, "axis", value)
    if not -rank <= axis < rank:
        raise ConfigurationError(
            f"{owner}: axis must be from {-rank} to {rank - 1}, an axis of the array, got {axis}."
        )
    return axis


def check_shape(owner: str, argument: str, value: Any, minimum: int = 1) -> tuple[int | None, ...]:
    """Return ``value`` as a tuple of ints >= ``minimum``, ``None`` for an axis of any length.

    Raises:
        ConfigurationError: it is not such a sequence.
    """
    try:
        sizes = (value,) if isinstance(value, (int, np.integer)) else tuple(value)
    except TypeError:
        raise ConfigurationError(
            f"{owner}: {argument} must be a tuple of sizes such as (784,), got {value!r}."
        ) from None
    return tuple(
        None
        if size is None
        else check_integer(owner, f"each size in {argument}", size, minimum=minimum)
        for size in sizes
    )


def check_sizes(owner: str, shape: Any) -> tuple[int, ...]:
    """Return the shape of an array, ints >= 0.

    Raises:
        ConfigurationError: it is not such a sequence, or a size is ``None``.
    """
    sizes = check_shape(owner, "shape", shape, minimum=0)
    known = tuple(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        raise ConfigurationError(f"{owner}: each size in shape must be known, got {shape!r}.")
    return known


def is_several(shape: Any) -> bool:
    """Return whether ``shape`` is a sequence of shapes rather than a single shape."""
    return isinstance(shape, (tuple, list)) and bool(shape) and isinstance(shape[0], (tuple, list))


def check_path(owner: str, argument: str, value: Any, *, folder: bool = False) -> str:
    """Return a path as a string, with ``~`` expanded to the home folder.

    Args:
        owner: the caller's name, used in the message.
        argument: name of the argument.
        value: a string, bytes, or a path object such as ``pathlib.Path``.
        folder: whether the path must be that of a folder rather than a file.

    Raises:
        ConfigurationError: ``value`` is not a path, or is empty.
        FileError: the path exists but is not a regular file (or a folder). Replacing a pipe or a
            device by a file would break it, and reading from one may never end.
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
    except OSError:  # missing or unreachable: opening it reports why
        return path
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        got = "a file" if folder else "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        expected = "a folder" if folder else "an ordinary file"
        raise FileError(path, argument, expected, got)
    return path


def is_foreign(thing: Any) -> bool:
    """Whether a class, function or object is defined outside the package."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] != "netlayers"


def overridden(model: Any, *names: str) -> list[str]:
    """Return which of these methods the class of a model overrides; by default, all that may be."""
    names = names or ("train_step", "test_step", "compute_loss")
    cls = type(model)
    if not is_foreign(cls):
        return []
    return [name for name in names if is_foreign(definer(cls, name))]


def definer(cls: type, name: str) -> type | None:
    """Return the class in the method resolution order that defines a name."""
    return next((c for c in cls.__mro__ if name in vars(c)), None)


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with ``count`` arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # some functions written in C have no signature
        return True
    return True


def check_custom_objects(owner: str, value: Any) -> None:
    """Raise a ConfigurationError unless ``value`` is ``None`` or a mapping of names."""
    if value is None or (isinstance(value, Mapping) and all(isinstance(k, str) for k in value)):
        return
    raise ConfigurationError(
        f"{owner}: custom_objects must be a dict such as {{'Mine': Mine}}, got {value!r:.200}."
    )


@contextlib.contextmanager
def named_in_errors(
    argument: str, kinds: tuple[type[ValueError], ...] = (DataError, ShapeError), own: bool = True
) -> Iterator[str]:
    """Add to errors about data that they are in ``argument``, unless they name it already.

    Args:
        argument: the name of the argument.
        kinds: the classes of these errors.
        own: also to errors of the user's code, such as that of a metric.

    Example:
        >>> from netlayers.errors import ShapeError
        >>> with named_in_errors("validation_data"):
        ...     raise ShapeError("expected 3 columns, got 2.")
        Traceback (most recent call last):
        netlayers.errors.ShapeError: expected 3 columns, got 2. (This is in validation_data.)
    """
    try:
        yield argument
    except kinds as error:
        if argument not in str(error) and (own or not _is_of_user(error)):
            error.args = (f"{error} (This is in {argument}.)",)
        raise


def _is_of_user(error: BaseException) -> bool:
    """Whether an error was raised in code of the user, or in what that called."""
    known = {"netlayers", "numpy", *sys.stdlib_module_names}
    frames = traceback.walk_tb(error.__traceback__)
    return any(f.f_globals.get("__name__", "").partition(".")[0] not in known for f, _ in frames)
