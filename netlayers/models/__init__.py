"""Models: layers put together, trained by one call."""

from __future__ import annotations

from netlayers.models.model import Model
from netlayers.models.sequential import Sequential
from netlayers.saving import load_model, model_from_json

__all__ = ["Model", "Sequential", "load_model", "model_from_json"]
