"""Utility functions, as in Keras."""

from __future__ import annotations

from netlayers.utils.one_hot import to_categorical

__all__ = ["to_categorical"]
