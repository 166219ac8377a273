"""Whether this is a notebook, and what it shows."""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether the code runs in a notebook of Jupyter, which shows HTML and pictures."""
    return "IPKernelApp" in getattr(_shell(), "config", ())


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
