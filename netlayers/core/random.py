"""Deprecated: see :mod:`netlayers.random`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.random", removed_in="0.3")
