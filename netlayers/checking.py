"""Deprecated: see :mod:`netlayers.gradient_check`."""

from __future__ import annotations

from netlayers._deprecated import moved

__getattr__ = moved(__name__, "netlayers.gradient_check", removed_in="0.3")
