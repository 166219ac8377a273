"""The cache of compiled code on disk: files that cannot be used are compiled anew."""

from __future__ import annotations

import functools
from typing import Any

from netlayers._warn import warn


def compiled_with_cache(njit: Any, function: Any, options: dict[str, Any]) -> Any:
    """Return a compiled function whose code is kept on disk, where there is a folder for it.

    Args:
        njit: ``numba.njit``.
        function: the function.
        options: its options.
    """
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written to: compile in each process
        return njit(**options)(function)
    cache = compiled._cache
    _with_keys(cache._cache_file)
    for name in ("load_overload", "save_overload"):
        setattr(cache, name, _or_without(cache, getattr(cache, name)))
    return compiled


def _with_keys(file: Any) -> None:
    """Keep with each code its key and its source's stamp, and load no other code.

    Two processes that save their first code of a function at the same time choose the same name for
    it. The index of one can then refer to the code of the other, for other types of arguments. And
    a process that is killed between its two files leaves an index that refers to an older code.
    """
    save, load = file.save, file.load

    def save_with_key(key: Any, code: Any) -> None:
        save(key, (file._source_stamp, key, code))

    def load_of_key(key: Any) -> Any:
        match load(key):
            case None:
                return None
            case stamp, found, code if (stamp, found) == (file._source_stamp, key):
                return code
        file.flush()  # an empty index: the code is written again, under a name of its own
        return None

    file.save, file.load = save_with_key, load_of_key


def _or_without(cache: Any, method: Any) -> Any:
    """Return a method of a cache that returns ``None``, with a warning, where it fails.

    Files may be empty or cut after a full disk or a loss of power.
    """

    @functools.wraps(method)
    def tried(*args: Any) -> Any:
        try:
            return method(*args)
        except Exception as error:  # whatever unpickling makes of damaged bytes
            _warn_once(cache.cache_path, f"{type(error).__name__}: {error}")
        try:
            cache.flush()  # an empty index: the code is written again
        except Exception:
            cache.disable()
        return None

    return tried


@functools.cache
def _warn_once(folder: str, error: str) -> None:
    warn(
        f"use_kernels: compiled code in {folder!r} cannot be read or written ({error}). It is "
        "compiled again, which takes some seconds; if this comes back, delete the folder."
    )
