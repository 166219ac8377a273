"""Deprecated: see :mod:`netlayers.diagnostics` and :mod:`netlayers.trace`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.diagnostics", "netlayers.trace", removed_in="0.3")
