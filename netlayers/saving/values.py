"""Values of a model other than weights: states with a batch axis, and assets.

Their arrays are named ``layer/state.name`` and ``layer/asset.name``: a weight's name is a Python
identifier and has no dot, so none of them can have the name of a weight.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import is_several
from netlayers.core.layer import Layer
from netlayers.errors import FileError
from netlayers.layers.graph import Graph
from netlayers.saving.description import is_text, short
from netlayers.saving.names import built_layers, paths_of

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.states import State
    from netlayers.saving.format import StoredFile

    Assets = dict[str, list[str] | bytes]

MAX_ASSET = 64 << 20  # bytes of an asset
MAX_TEXTS = 4_000_000  # in a list of them
_TEXTS, _BYTES = "texts", "bytes"


def needs_version_2(root: Layer) -> bool:
    """Whether a model is more than a file of version 1 can describe, states and assets apart."""
    return (
        any(isinstance(part, Graph) for part in root._flatten_layers())
        or any(is_several(part.input_shape) for part in built_layers(root).values())
        or any(
            p.dtype != p.layer._dtype
            for part in built_layers(root).values()
            for p in part.declared_parameters
        )
    )


def check_version(file: StoredFile, model: Layer) -> None:
    """Check that a file of version 1 is of a model that version 1 can describe.

    Raises:
        FileError: it has contents of version 2.
    """
    if file.version > 1:
        return
    values = file.section.values
    entry = values.get("optimizer")
    entry = entry if isinstance(entry, dict) else {}
    count = entry.get("accumulated")
    waiting = type(count) is int and 0 < count < 1 << 63 and "denominators" in entry
    if waiting or needs_version_2(model) or values.keys() & {"states", "assets", "own"}:
        raise file.section.fail("format_version", "2 for such a model")


def stored_names(file: StoredFile) -> list[str]:
    """Return the names of the arrays that a file says are states and assets."""
    return [*_states(file), *_assets(file)]


# States ------------------------------------------------------------------------------------------


def states_of(root: Layer) -> dict[str, tuple[Layer, State]]:
    """Return the states of a layer and its parts by their names in a file, with their layers."""
    paths = paths_of(root)
    return {
        f"{paths[id(part)]}/state.{name}": (part, state)
        for part in root._flatten_layers()
        for name, state in part.states.items()
    }


def stored_states(file: StoredFile, root: Layer) -> dict[str, tuple[Layer, State]]:
    """Return the states that a file holds; it says how many rows they have.

    Raises:
        FileError: one is not a state of the model, or has rows of another shape or dtype.
    """
    known = states_of(root)
    found = {}
    for name in _states(file):
        if name not in known:
            raise FileError(file.path, "states", "states of the model", short(name))
        layer, state = known[name]
        entry = file.entries.get(name)
        rows = entry.shape[:1] if entry is not None else ()
        file.check(name, (*(rows or (0,)), *state.shape), state.dtype or layer._dtype)
        found[name] = known[name]
    return found


# Assets ------------------------------------------------------------------------------------------


def assets_of(path: str, root: Layer) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the assets of a model as arrays of bytes, and what each is, by name.

    Raises:
        FileError: one is neither bytes nor a list of strings, or larger than a reader accepts.
    """
    arrays: dict[str, Array] = {}
    kinds: dict[str, str] = {}
    paths = paths_of(root)
    for part in root._flatten_layers():
        for name, asset in part.get_assets().items():
            full = f"{paths[id(part)]}/asset.{name}"
            if full in arrays:
                raise FileError(path, full, "each name once", "the name twice")
            data = _packed(path, full, asset)
            if len(data) > MAX_ASSET:
                raise FileError(path, full, f"at most {MAX_ASSET} bytes", len(data))
            arrays[full] = np.frombuffer(data, np.uint8)
            kinds[full] = _BYTES if isinstance(asset, bytes) else _TEXTS
    return arrays, kinds


def stored_assets(file: StoredFile, root: Layer) -> list[tuple[Layer, Assets]]:
    """Return the layers that take assets, with those of a file.

    Raises:
        FileError: one belongs to no such layer, or is not what the file says that it is.
    """
    kinds = _assets(file)
    paths = paths_of(root)
    found: list[tuple[Layer, Assets]] = []
    known: set[str] = set()
    for part in root._flatten_layers():
        if type(part).set_assets is Layer.set_assets:
            continue
        start = f"{paths[id(part)]}/asset."
        mine = {n: kind for n, kind in kinds.items() if n.startswith(start)}
        known |= mine.keys()
        found.append((part, {n[len(start) :]: _unpacked(file, n, k) for n, k in mine.items()}))
    for name in kinds:
        if name not in known:
            raise FileError(file.path, "assets", "assets of layers of the model", short(name))
    return found


def put_assets(file: StoredFile, assets: list[tuple[Layer, Assets]]) -> None:
    """Pass assets to their layers; a layer without assets is skipped.

    Raises:
        FileError: a layer rejects them.
    """
    for layer, its in assets:
        try:
            if its or layer.get_assets():
                layer.set_assets(its)
        except Exception as error:  # whatever a layer makes of assets that are not its own
            got = f"{type(error).__name__}: {short(error)}"
            raise FileError(file.path, "assets", f"assets of {layer.owner}", got) from error


def _states(file: StoredFile) -> list[str]:
    known = file.version > 1 and "states" in file.section.values
    return file.section.texts("states") if known else []


def _assets(file: StoredFile) -> dict[str, Any]:
    known = file.version > 1 and "assets" in file.section.values
    return file.section.section("assets").values if known else {}


def _packed(path: str, name: str, asset: Any) -> bytes:
    if isinstance(asset, bytes):
        return asset
    if not isinstance(asset, list) or not all(map(is_text, asset)):
        raise FileError(path, name, "bytes or a list of strings", short(asset))
    if len(asset) > MAX_TEXTS:
        raise FileError(path, name, f"at most {MAX_TEXTS} strings", len(asset))
    # One string per line: a newline in a string is written as \\n.
    return json.dumps(asset, ensure_ascii=False, separators=(",\n", ":")).encode()


def _unpacked(file: StoredFile, name: str, kind: Any) -> list[str] | bytes:
    entry = file.entries.get(name)
    if entry is None or entry.dtype != np.uint8 or len(entry.shape) != 1:
        got = "none" if entry is None else f"shape {entry.shape} and {entry.dtype}"
        raise FileError(file.path, name, "an array of bytes", got)
    if entry.shape[0] > MAX_ASSET:
        raise FileError(file.path, name, f"at most {MAX_ASSET} bytes", entry.shape[0])
    if kind not in (_TEXTS, _BYTES):
        raise FileError(file.path, f"assets: {name}", f"{_TEXTS!r} or {_BYTES!r}", short(kind))
    data = file.read(name).tobytes()
    return data if kind == _BYTES else _texts(file.path, name, data)


def _texts(path: str, name: str, data: bytes) -> list[str]:
    """Return the strings of a list; whatever the bytes contain, only strings are created."""
    if data == b"[]":
        return []
    expected = "a JSON list of strings, one per line"
    if data.count(b"\n") >= MAX_TEXTS:
        raise FileError(path, name, f"at most {MAX_TEXTS} strings", "more")
    if not (data.startswith(b'["') and data.endswith(b'"]')):
        raise FileError(path, name, expected, short(data[:80]))
    found: list[str] = []
    for line in io.BytesIO(data[1:-1] + b",\n"):
        try:
            text: Any = json.loads(line[:-2].decode()) if line[:1] == b'"' else None
        except ValueError:
            text = None
        if not is_text(text) or line[-2:] != b",\n":
            raise FileError(path, name, expected, short(line[:80]))
        found.append(text)
    return found
