"""Convert the state of a run to plain data and named arrays; compare states."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlayers._typing import Array

_MARK = "__"  # key of a dict that represents a value other than plain data
_BITS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")  # of NumPy's generators
_LONG = 32  # longer lists of numbers become arrays, because a long history is slow as JSON


def pack(state: Any) -> tuple[Any, dict[str, Array]]:
    """Return a state as plain data, and its arrays by name.

    Args:
        state: numbers, strings, ``None``, arrays and random generators, in lists, tuples (restored
            as lists) and dicts with strings as keys. NumPy scalars keep their types; generators are
            ``numpy.random.Generator``, ``numpy.random.RandomState`` and ``random.Random``.

    Raises:
        ConfigurationError: it holds another type; the message says where.

    Example:
        >>> import numpy as np
        >>> plain, arrays = pack({"best": np.float32(0.5), "weights": [np.zeros(2)]})
        >>> plain["weights"], list(arrays)
        ([{'__': 'array', 'name': 'weights/0'}], ['weights/0'])
        >>> unpack(plain, arrays)
        {'best': np.float32(0.5), 'weights': [array([0., 0.])]}
    """
    arrays: dict[str, Array] = {}

    def packed(path: str, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        masked = getattr(value, "mask", None) is not None
        if isinstance(value, np.ndarray) and _kept(value.dtype) and not masked:
            arrays[path] = _as_bytes(value)
            return {_MARK: "booleans" if value.dtype == bool else "array", "name": path}
        if isinstance(value, np.generic) and _kept(value.dtype):
            return {_MARK: "number", "dtype": value.dtype.name, "value": value.item()}
        if isinstance(value, (list, tuple)):
            together = _together(value) if len(value) >= _LONG else None
            if together is not None:
                kind, array = together
                arrays[path] = _as_bytes(array)
                return {_MARK: kind, "name": path, "booleans": array.dtype == bool}
            return [packed(f"{path}/{i}", item) for i, item in enumerate(value)]
        generator = _generator_state(value)
        if generator is not None:
            its_state = packed(path, generator[1])
            return {_MARK: "generator", "kind": generator[0], "state": its_state}
        strings = isinstance(value, dict) and all(isinstance(key, str) for key in value)
        if strings and _MARK not in value:
            # Escaped as in JSON pointers (RFC 6901), so that no two places have one name.
            names = {key: key.replace("~", "~0").replace("/", "~1") for key in value}
            return {k: packed(f"{path}/{names[k]}" if path else names[k], value[k]) for k in value}
        raise ConfigurationError(
            f"The state of the run cannot be kept: {path} is {value!r}. get_state() must return "
            "numbers, strings, arrays and random generators, in lists and in dicts with strings as "
            "keys."
        )

    return packed("", state), arrays


def _kept(dtype: Any) -> bool:
    """Whether a dtype is the same on every machine; long doubles are not."""
    return dtype.kind in "biuf" and dtype.char != "g"


def _generator_state(value: Any) -> tuple[str, Any] | None:
    """Return kind and state of a random generator; ``None`` for other values."""
    if type(value) is np.random.Generator and type(value.bit_generator).__name__ in _BITS:
        return type(value.bit_generator).__name__, value.bit_generator.state
    if type(value) is np.random.RandomState:
        return "RandomState", value.get_state(legacy=False)
    if type(value) is random.Random:
        return "Random", value.getstate()
    return None


def _generator(kind: str, state: Any) -> Any:
    """Return a random generator of a kind, in a state."""
    if kind == "RandomState":
        old = np.random.RandomState()
        old.set_state(state)
        return old
    if kind == "Random":
        version, numbers, gauss = state
        plain = random.Random()
        plain.setstate((version, tuple(numbers), gauss))
        return plain
    if kind not in _BITS:
        raise ValueError(f"{kind!r:.60} is no generator of NumPy")
    bits = getattr(np.random, kind)()
    bits.state = state
    return np.random.Generator(bits)


def _as_bytes(array: Array) -> Array:
    return array.view(np.uint8) if array.dtype == bool else array


def _together(items: Any) -> tuple[str, Array] | None:
    """Return items of one kind as one array, and their kind; ``None`` if they differ."""
    first = items[0]
    kind = type(first)
    if any(type(item) is not kind for item in items):
        return None
    if kind in (float, int):
        array = np.array(items)
        exact = array.dtype.kind in ("f" if kind is float else "iu")  # and not of so many bits
        return ("list", array) if exact else None
    if (kind is not np.ndarray and not isinstance(first, np.generic)) or not _kept(first.dtype):
        return None
    if any(item.dtype != first.dtype or item.shape != first.shape for item in items):
        return None
    return ("arrays" if kind is np.ndarray else "numbers"), np.stack(items)


def unpack(plain: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the state from the result of :func:`pack`."""
    if isinstance(plain, list):
        return [unpack(item, arrays) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind = plain.get(_MARK)
    if kind is None:
        return {key: unpack(value, arrays) for key, value in plain.items()}
    if kind == "number":
        return np.dtype(plain["dtype"]).type(plain["value"])
    if kind == "generator":
        return _generator(plain["kind"], unpack(plain["state"], arrays))
    array = arrays[plain["name"]]
    if kind == "list":
        return array.tolist()
    if kind == "booleans" or plain.get("booleans"):
        array = array.view(bool)
    if kind == "numbers":
        return list(array)
    if kind == "arrays":
        return [array[i, ...] for i in range(len(array))]
    return array


def check_like(place: str, stored: Any, fresh: Any, late: bool = False) -> None:
    """Check that a stored state has the types of a new one, as far as the new one shows them.

    Args:
        place: path of the state, for the message.
        stored: the state of a file.
        fresh: the state that the same object has at the start. Its empty lists and dicts, and
            ``None``, stand for contents of any kind.
        late: whether a float, a list and so on may be ``None``: the object may have found it at
            the start, in a file that did not exist when the state was stored.

    Raises:
        ValueError: a value has another type.
    """
    kinds = (bool, (int, float, np.number), str, (list, tuple), dict, np.ndarray)
    kind = next((k for k in kinds if isinstance(fresh, k)), object)
    wrong = not isinstance(stored, kind)
    if stored is None:
        wrong = fresh is not None and (not late or isinstance(fresh, int))
    elif fresh is None:
        wrong = isinstance(stored, str)
    if kind is kinds[1] and not wrong and stored is not None:
        # Every counter and every float is below that; a longer integer is no float.
        wrong = isinstance(stored, bool) or (type(stored) is int and stored.bit_length() > 63)
    if wrong:
        raise ValueError(f"{place} is {stored!r:.60}, expected a value like {fresh!r:.60}")
    if isinstance(fresh, dict) and isinstance(stored, dict):
        for key in fresh.keys() & stored.keys():
            check_like(f"{place}: {key}", stored[key], fresh[key], late)
    elif isinstance(fresh, (list, tuple)) and stored is not None and len(stored) == len(fresh):
        for i, (a, b) in enumerate(zip(stored, fresh, strict=True)):
            check_like(f"{place}[{i}]", a, b, late)


def differences(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the paths at which two states differ, with both values.

    What is ``False`` or ``None`` now may be missing before: an argument of a later version.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            inner = f"{place}: {key}" if place else str(key)
            if key in old and key in new:
                yield from differences(old[key], new[key], inner)
            elif key in old or not (new[key] is None or new[key] is False):
                yield inner, old.get(key, "nothing"), new.get(key, "nothing")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{place}[{i}]")
    elif old != new and not (old != old and new != new):  # NaN is the same as NaN here
        yield place, old, new
