"""Warnings that name the line of the user."""

from __future__ import annotations

import os
import sys
import warnings

_HERE = os.path.dirname(__file__) + os.sep


def warn(text: str) -> None:
    """Give a ``UserWarning`` at the innermost line that is not of this package.

    Example:
        >>> import warnings
        >>> from netlayers._warn import warn
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn("the data ran out")
        >>> str(caught[0].message)
        'the data ran out'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
