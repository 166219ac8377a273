"""The version of netlayers, for every part that writes it down."""

from __future__ import annotations

__version__ = "0.1.0"
