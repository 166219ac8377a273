"""The description in a file: JSON text, read defensively."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from netlayers.errors import FileError

# What a header may hold. A network of 6000 Dense layers fits; what it becomes in memory is bounded
# before it is parsed: at most some 60 MB, whatever the text is.
MAX_BYTES = 8 << 20
MAX_CONTAINERS = 100_000
MAX_VALUES = 300_000
MAX_DEPTH = 200
MAX_BITS = 14_284  # of an integer: so that it has no more than the 4300 digits that Python reads
MAX_WORK = 16_000_000  # 3900 layers in a row, or 1000 residual blocks of 3 layers
# Arguments that say how many numbers an object keeps, which no array of the file has to match, and
# how many there may be together: 100 MB.
SIZES = ("num_thresholds",)
MAX_SIZES = 2_000_000
MAX_USES = 50_000  # of layers, those in a network that is called several times counted each time

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_text(path: str, place: str, value: Any) -> str:
    """Return plain data as ASCII JSON.

    Numbers and arrays of NumPy become those of Python, tuples become lists, and a float that is
    not finite becomes ``{"$float": "nan"}``, because JSON has no word for it.

    Raises:
        FileError: it is not plain data, or larger than :func:`from_text` accepts.
    """
    text = json.dumps(_plain(path, place, value), separators=(",", ":"))
    check_size(path, place, text)
    return text


def from_text(path: str, place: str, text: str) -> Any:
    """Return the data that :func:`to_text` serialized.

    Raises:
        FileError: the text is not valid. Its size is checked before memory is allocated.
    """
    check_size(path, place, text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(path, place, pairs),
            parse_float=lambda number: _number(path, place, number),
            parse_constant=lambda word: _number(path, place, word),
        )
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileError(path, place, "JSON text", f"an error: {short(error)}") from None
    _check_tree(path, place, value)
    return value


def check_size(path: str, place: str, text: str | bytes) -> None:
    """Raise a FileError if a text is too long or has too many values."""

    def count(*signs: str) -> int:
        return sum(
            text.count(s) if isinstance(text, str) else text.count(s.encode()) for s in signs
        )

    for what, found, limit in (
        ("bytes", len(text), MAX_BYTES),
        ("lists and objects", count("[", "{"), MAX_CONTAINERS),
        ("values", count(","), MAX_VALUES),
    ):
        if found > limit:
            raise FileError(path, place, f"at most {limit} {what}", found)


def check_configurations(path: str, place: str, value: Any) -> None:
    """Raise a FileError if building the described model would take seconds, or much memory.

    The time to make a container grows with the square of its layers, that of a layer with the
    third power of how deep it lies. A network in networks, each called twice, is run 2^n times.
    The weights are not counted: they must match the arrays of the file.
    """
    work, sizes, todo, seen = 0, 0, [(value, 0)], []
    while todo:
        item, depth = todo.pop()
        seen.append(item)
        children = list(item.values() if isinstance(item, dict) else item)
        named = sum(isinstance(child, dict) and "class_name" in child for child in children)
        depth += isinstance(item, dict) and "class_name" in item
        work += named**2 + 2 * named * depth**3
        if work > MAX_WORK:
            raise FileError(path, place, "fewer layers, or layers that lie less deep", "more")
        asked = [item.get(name) for name in SIZES] if isinstance(item, dict) else []
        sizes += sum(n for n in asked if type(n) is int and n > 0)
        if sizes > MAX_SIZES:
            raise FileError(path, place, f"{SIZES[0]} of at most {MAX_SIZES} together", "more")
        todo += [(child, depth) for child in children if isinstance(child, (dict, list))]
    uses: dict[int, int] = {}
    for item in reversed(seen):  # what is inside comes first
        uses[id(item)] = _count_uses(item, uses)
    if uses[id(value)] > MAX_USES:
        raise FileError(path, place, f"at most {MAX_USES} uses of layers", "more")


def _count_uses(item: Any, uses: dict[int, int]) -> int:
    """Return the number of uses of a described layer, over all calls."""
    children = list(item.values() if isinstance(item, dict) else item)
    count = int(isinstance(item, dict) and "class_name" in item)
    count += sum(uses[id(child)] for child in children if isinstance(child, (dict, list)))
    if isinstance(item, dict) and isinstance(item.get("calls"), list):
        layers = item.get("layers")
        own = [uses.get(id(layer), 1) for layer in layers] if isinstance(layers, list) else []
        called: set[int] = set()
        for call in item["calls"]:
            number = call[0] if isinstance(call, list) and call else None
            if type(number) is int and 0 <= number < len(own):
                count += own[number] if number in called else 0  # the first is counted above
                called.add(number)
    return min(count, 2 * MAX_USES)


class Section:
    """A section of a description, whose entries are checked when they are read.

    Args:
        path: the file, for messages.
        place: path of the section in the description.
        values: the section.
    """

    def __init__(self, path: str, place: str, values: Any) -> None:
        if not isinstance(values, dict):
            raise FileError(path, place, "an object", short(values))
        self.path, self.place, self.values = path, place, values

    def fail(self, key: str, expected: object, hint: str = "") -> FileError:
        """Return the error for an invalid entry."""
        got = short(self.values[key]) if key in self.values else "nothing"
        return FileError(self.path, f"{self.place}: {key}", expected, got, hint)

    def get(self, key: str, kind: type, expected: str) -> Any:
        """Return an entry of a type."""
        value = self.values.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fail(key, expected)
        return value

    def section(self, key: str) -> Section:
        """Return an entry that is a section."""
        return Section(self.path, f"{self.place}: {key}", self.values.get(key))

    def text(self, key: str) -> str:
        """Return an entry that is a string."""
        return str(self.get(key, str, "a string"))

    def count(self, key: str) -> int:
        """Return an entry that is an integer from 0 to 2^63 - 1."""
        value = int(self.get(key, int, "an integer"))
        if not 0 <= value < 1 << 63:
            raise self.fail(key, "an integer from 0 to 2^63 - 1")
        return value

    def number(self, key: str) -> float:
        """Return an entry that is a finite number of at least 0."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(key, "a number")
        if not 0 <= value < 1e300:  # a comparison holds for an integer of any length
            raise self.fail(key, "a finite number >= 0")
        return float(value)

    def texts(self, key: str) -> list[str]:
        """Return an entry that is a list of distinct strings."""
        found: list[str] = self.get(key, list, "a list of strings")
        if not all(isinstance(item, str) for item in found) or len(set(found)) < len(found):
            raise self.fail(key, "a list of distinct strings")
        return found


def _plain(path: str, place: str, value: Any) -> Any:
    if value is None or isinstance(value, bool) or is_text(value):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        number = int(value)
        if number.bit_length() > MAX_BITS:
            raise FileError(path, place, f"integers of at most {MAX_BITS} bits", short(number))
        return number
    if isinstance(value, (float, np.floating)):
        real = float(value)
        return real if math.isfinite(real) else {"$float": str(real)}
    if isinstance(value, (list, tuple)):
        return [_plain(path, place, item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return _plain(path, place, value.tolist())
    if isinstance(value, dict):
        for key in value:
            if not is_text(key) or key == "$float":
                raise FileError(path, place, "strings as keys", short(key))
        return {key: _plain(path, f"{place}: {key}", item) for key, item in value.items()}
    hint = "get_config() must return numbers, strings, lists and dicts of them."
    raise FileError(path, place, "plain data", short(value), hint)


def _object(path: str, place: str, pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise FileError(path, place, "each name once", f"{short(twice)} twice")
    if len(pairs) == 1 and pairs[0][0] == "$float":
        word = pairs[0][1]
        if not isinstance(word, str) or word not in _FLOATS:
            raise FileError(path, place, "'nan', 'inf' or '-inf'", short(word))
        return _FLOATS[word]
    return found


def _number(path: str, place: str, text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FileError(path, place, "finite numbers", short(text))
    return value


def is_text(value: Any) -> bool:
    """Whether a value is a string that can be encoded; a lone surrogate cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_tree(path: str, place: str, value: Any) -> None:
    """Raise a FileError if data are nested too deeply, or contain an invalid string."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [item for item in level if isinstance(item, (dict, list))]
        words = [item for item in level if isinstance(item, str)]
        words += [key for item in inner if isinstance(item, dict) for key in item]
        if not all(map(is_text, words)):
            raise FileError(path, place, "valid Unicode strings", "a lone surrogate")
        if not inner:
            return
        level = [
            child for item in inner for child in (item.values() if isinstance(item, dict) else item)
        ]
    raise FileError(path, place, f"at most {MAX_DEPTH} levels", "more")


def short(value: Any) -> str:
    """Return a short representation of a value, however large it is."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (dict, list)):
        return f"{type(value).__name__} of {len(value)}"
    text, limit = (str(value), 400) if isinstance(value, Exception) else (repr(value), 80)
    return text if len(text) <= limit else f"{text[: limit - 20]}... ({len(text)} characters)"
