"""Settings that are global in Keras, and fixed here.

A model has its dtype, ``Sequential(..., dtype="float64")``, and its kernels are chosen by
:func:`netlayers.use_kernels`. The functions here tell a program that was written for Keras what it
asks for, and refuse to change it.
"""

from __future__ import annotations

from netlayers.errors import ConfigurationError

__all__ = [
    "backend",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def backend() -> str:
    """Return ``"numpy"``."""
    return "numpy"


def floatx() -> str:
    """Return the dtype of models that are given none, ``"float32"``."""
    return "float32"


def epsilon() -> float:
    """Return 1e-7, the distance that probabilities keep from 0 and 1 in losses."""
    return 1e-7


def image_data_format() -> str:
    """Return ``"channels_last"``."""
    return "channels_last"


def set_floatx(value: str) -> None:
    """Accept ``"float32"``.

    Args:
        value: the dtype.

    Raises:
        ConfigurationError: it is another dtype.
    """
    _only("set_floatx", value, floatx(), "pass dtype='float64' to the model")


def set_epsilon(value: float) -> None:
    """Accept 1e-7.

    Args:
        value: the number.

    Raises:
        ConfigurationError: it is another number.
    """
    _only("set_epsilon", value, epsilon(), "layers and optimizers take epsilon= where it matters")


def set_image_data_format(data_format: str) -> None:
    """Accept ``"channels_last"``.

    Args:
        data_format: the order of the axes.

    Raises:
        ConfigurationError: it is another format.
    """
    _only("set_image_data_format", data_format, image_data_format(), "move the channels to the end")


def _only(owner: str, value: object, allowed: object, advice: str) -> None:
    if not isinstance(value, type(allowed)) or value != allowed:
        raise ConfigurationError(
            f"{owner}: the value {value!r} cannot be set for all models, only {allowed!r}; "
            f"{advice}."
        )
