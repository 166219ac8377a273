"""Names of files of models, weights and snapshots."""

from __future__ import annotations

import os
from typing import Any

from netlayers.checks import check_path
from netlayers.errors import ConfigurationError

ENDING = ".safetensors"


def check_file_name(owner: str, argument: str, value: Any) -> str:
    """Return the path of a file to write, which ends in ``.safetensors`` or has no ending.

    Files are read under any name: their content says what they are.

    Args:
        owner: the caller's name, used in the message.
        argument: name of the argument.
        value: see :func:`netlayers.checks.check_path`.

    Raises:
        ConfigurationError: it is not a path, or has another ending.
        FileError: the path exists but is not a regular file.
    """
    path = check_path(owner, argument, value)
    root, ending = os.path.splitext(path)
    if ending not in (ENDING, ""):
        other = (root if ending[1:].isidentifier() else path) + ENDING
        raise ConfigurationError(
            f"{owner}: {argument} must end in {ENDING!r}, the format that netlayers writes, or "
            f"have no ending, got {path!r}; pass {other!r}."
        )
    return path
