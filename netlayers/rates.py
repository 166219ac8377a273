"""Deprecated: see :mod:`netlayers.diagnostics.lr_finder`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.diagnostics.lr_finder", removed_in="0.3")
