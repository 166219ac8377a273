"""Texts with a class in front of each: one sentence a line, as in ``1 a gem of a film .``.

Several collections of sentences are kept in this form, such as the film reviews of B. Pang and
L. Lee, *Seeing stars: exploiting class relationships for sentiment categorization with respect to
rating scales*, ACL 2005.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from netlayers.datasets._files import read_text
from netlayers.errors import DataError

__all__ = ["load_data"]

Texts = npt.NDArray[np.object_]
Classes = npt.NDArray[np.int32]


def load_data(path: str | os.PathLike[str], encoding: str = "utf-8") -> tuple[Texts, Classes]:
    r"""Return the texts of a file and their classes.

    Each line holds the number of a class, a space or tab, and a text. Empty lines are left out.

    Args:
        path: the file.
        encoding: of the file; that of older collections is often ``"latin-1"``.

    Returns:
        ``x`` (n,), strings (dtype object, as texts may be of very different length), without
        spaces at both ends; ``y`` (n,), int32.

    Raises:
        ConfigurationError: ``path`` is not a path, or there is no such encoding.
        FileNotFoundError: there is no such file.
        DataError: a line does not start with the number of a class, there is no line, or the file
            is not in this encoding.

    Example:
        >>> import pathlib, tempfile
        >>> from netlayers.datasets import labelled_lines
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "reviews.txt"
        ...     _ = file.write_text("1 a gem of a film .\n0 silly and tedious .\n")
        ...     x, y = labelled_lines.load_data(file)
        >>> x.tolist(), y.tolist()
        (['a gem of a film .', 'silly and tedious .'], [1, 0])
    """
    texts, classes = [], []
    # Not splitlines(), which also splits at characters such as NEL, within lines in Latin-1.
    for number, line in enumerate(read_text(path, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        label, *rest = line.split(maxsplit=1)
        if not (label.isascii() and label.isdigit()) or int(label) > np.iinfo(np.int32).max:
            raise DataError(
                f"load_data: each line of {os.fspath(path)!r} must start with the number of a "
                f"class, but line {number} starts with {label[:20]!r}."
            )
        classes.append(int(label))
        texts.append(rest[0].strip() if rest else "")
    if not texts:
        raise DataError(f"load_data: the file {os.fspath(path)!r} has no lines.")
    x = np.empty(len(texts), object)
    x[:] = texts
    return x, np.array(classes, np.int32)
