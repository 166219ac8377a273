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
    for name in ("load_overload", "save_overload"):
        setattr(cache, name, _or_without(cache, getattr(cache, name)))
    return compiled


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
