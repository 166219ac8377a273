"""The characters of a text file as numbers, for a network that reads and writes text.

Known examples are plays of Shakespeare in one file (A. Karpathy, *The unreasonable effectiveness of
recurrent neural networks*, 2015, http://karpathy.github.io/2015/05/21/rnn-effectiveness/) and lists
of names. For words instead of characters, see :class:`netlayers.layers.TextVectorization`.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from netlayers.datasets._files import read_text
from netlayers.errors import DataError

__all__ = ["load_data"]


def load_data(
    path: str | os.PathLike[str], encoding: str = "utf-8"
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.str_]]:
    r"""Return the characters of a text file as numbers, and what they stand for.

    Args:
        path: the file. The ends of lines are read as ``"\n"`` on every system.
        encoding: of the file.

    Returns:
        ``x`` (length,), int32, and ``characters``, the different characters in the order of their
        code points: ``characters[x]`` are those of the text.

    Raises:
        ConfigurationError: ``path`` is not a path, or there is no such encoding.
        FileNotFoundError: there is no such file.
        DataError: the file is empty, or not in this encoding.

    Example:
        >>> import pathlib, tempfile
        >>> from netlayers.datasets import text
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "small.txt"
        ...     _ = file.write_text("to be or not to be", encoding="utf-8")
        ...     x, characters = text.load_data(file)
        >>> x.shape, "".join(characters), x[:5].tolist()
        ((18,), ' benort', [6, 4, 0, 1, 2])
        >>> "".join(characters[x])
        'to be or not to be'
    """
    content = read_text(path, encoding)
    if not content:
        raise DataError(f"load_data: the file {os.fspath(path)!r} is empty.")
    points = np.frombuffer(content.encode("utf-32-le", "surrogatepass"), "<u4")
    found, x = np.unique(points, return_inverse=True)
    return x.astype(np.int32), np.array([chr(point) for point in found])
