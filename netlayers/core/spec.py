"""Deprecated: see :mod:`netlayers.arrays.spec`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.arrays.spec", removed_in="0.3")
