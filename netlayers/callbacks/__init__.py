"""Callbacks: what happens beside the training, at its beginnings and ends."""

from __future__ import annotations

from netlayers.callbacks.progress import ProgressBar
from netlayers.training.events import Callback
from netlayers.training.history import History

__all__ = ["Callback", "History", "ProgressBar"]
