"""Deprecated: see :mod:`netlayers.diagnostics.replay`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.diagnostics.replay", removed_in="0.3")
