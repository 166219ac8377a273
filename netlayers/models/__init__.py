"""Models: layers put together, trained by one call."""

from __future__ import annotations

from netlayers.models import feature_space  # noqa: F401 - registers FeatureSpace of utils
from netlayers.models.cloning import clone_model
from netlayers.models.functional import Functional
from netlayers.models.model import Model
from netlayers.models.sequential import Sequential
from netlayers.saving import load_model, model_from_json, save_model

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
