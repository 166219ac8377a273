"""Output of callbacks, and the numbers in the logs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Logs


def say(text: str) -> None:
    """Print a line; on a terminal, without breaking a progress bar."""
    if sys.stdout.isatty():
        from tqdm import tqdm

        tqdm.write(text)
    else:
        print(text, flush=True)


def scalars(logs: Logs | None) -> dict[str, float]:
    """Return the single numbers of ``logs`` as floats, without arrays and strings."""
    return {
        name: float(value)
        for name, value in (logs or {}).items()
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
    }


def of_a_layer(name: str) -> bool:
    """Whether a name in the logs belongs to a single layer, as ``dense/gradient_norm``."""
    return "/" in name
