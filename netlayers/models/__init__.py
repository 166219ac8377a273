"""Models: layers put together, trained by one call."""

from __future__ import annotations

from netlayers.models.model import Model
from netlayers.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
