"""Lazy imports: SciPy (exact GELU, L-BFGS, sparse matrices), Pillow (image files), pyarrow."""

from __future__ import annotations

import importlib
from typing import Any

from netlayers.errors import ConfigurationError


def scipy(owner: str, part: str) -> Any:
    """Return a module of SciPy, imported on first use (0.1 to 0.2 s).

    Args:
        owner: what needs it, named in the error message.
        part: the submodule, such as ``"special"``.

    Raises:
        ConfigurationError: SciPy is not installed.
    """
    try:
        return importlib.import_module(f"scipy.{part}")
    except ImportError as error:
        raise ConfigurationError(
            f"{owner} needs the package SciPy, which could not be imported ({error}). "
            "Install it with: pip install scipy"
        ) from error


def pillow(owner: str) -> Any:
    """Return the module ``PIL.Image``, imported on first use.

    Args:
        owner: what needs it, named in the error message.

    Raises:
        ConfigurationError: Pillow is not installed.
    """
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise ConfigurationError(
            f"{owner} needs the package Pillow, which could not be imported ({error}). "
            "Install it with: pip install pillow"
        ) from error


def pyarrow(owner: str) -> Any:
    """Return the module ``pyarrow``, imported on first use.

    Args:
        owner: what needs it, named in the error message.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ConfigurationError(
            f"{owner} needs the package pyarrow, which could not be imported ({error}). "
            "Install it with: pip install pyarrow"
        ) from error
