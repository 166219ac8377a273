"""Reading the files that a user names by a path."""

from __future__ import annotations

import os

from netlayers.checks import check_path
from netlayers.errors import ConfigurationError, DataError


def read_text(path: str | os.PathLike[str], encoding: str) -> str:
    r"""Return the text of a file, with line ends as ``"\n"``.

    Raises:
        ConfigurationError: ``path`` is not a path, or there is no such encoding.
        FileNotFoundError: there is no such file.
        DataError: the file is not in this encoding.
    """
    owner = "load_data"
    try:
        "".encode(encoding)
    except (LookupError, TypeError):
        raise ConfigurationError(
            f"{owner}: encoding must be the name of an encoding, such as 'utf-8' or 'latin-1', "
            f"got {encoding!r}."
        ) from None
    name = check_path(owner, "path", path)
    try:
        with open(name, encoding=encoding) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{owner}: {name} is not a text in the encoding {encoding!r} ({error}). Give its "
            "encoding; older data sets are often 'latin-1'."
        ) from None
