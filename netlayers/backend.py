"""What programs for Keras ask of ``keras.backend``; see also :mod:`netlayers.config`."""

from __future__ import annotations

from netlayers.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from netlayers.utils.seeds import clear_session

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]
