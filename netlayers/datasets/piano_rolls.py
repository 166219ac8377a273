"""Polyphonic music as piano rolls: the keys of a piano that sound at each step of each piece.

Source: N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, *Modeling temporal dependencies in
high-dimensional sequences*, ICML 2012: the collections JSB chorales, Nottingham, Piano-midi.de and
MuseData. The files are in the form of S. Bai, J. Z. Kolter and V. Koltun, *An empirical evaluation
of generic convolutional and recurrent networks for sequence modeling*, 2018
(``JSB_Chorales.mat``, ``Nottingham.mat``, ...).
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from netlayers._optional import scipy
from netlayers.checks import check_path
from netlayers.errors import DataError

__all__ = ["load_data"]

Pieces = list[npt.NDArray[np.uint8]]

_PARTS = ("traindata", "validdata", "testdata")


def load_data(path: str | os.PathLike[str]) -> tuple[Pieces, Pieces, Pieces]:
    """Return the pieces of a MAT file for training, validation and tests.

    A network learns to foretell the keys of a step from those before: its inputs are ``piece[:-1]``
    and its targets ``piece[1:]``.

    Args:
        path: the file, with the cell arrays ``traindata``, ``validdata`` and ``testdata``.

    Returns:
        Three lists of arrays (steps, 88) of ``uint8``: 1 where a key sounds, else 0. Pieces are of
        different length; :func:`netlayers.utils.pad_sequences` makes batches of them.

    Raises:
        ConfigurationError: ``path`` is not a path, or SciPy is not installed.
        FileNotFoundError: there is no such file.
        DataError: it is not a MAT file, or has no such arrays.

    Example:
        >>> from netlayers.datasets import piano_rolls
        >>> train, validation, test = piano_rolls.load_data("Nottingham.mat")  # doctest: +SKIP
        >>> len(train), len(validation), len(test), train[0].shape  # doctest: +SKIP
        (694, 173, 170, (192, 88))
    """
    name = check_path("load_data", "path", path)
    with open(name, "rb") as file:  # opened here: SciPy would also look for "name.mat"
        try:
            stored = scipy("datasets.piano_rolls", "io").loadmat(file, variable_names=_PARTS)
        except Exception as error:  # damaged files raise errors of many types
            raise DataError(f"load_data: {name} is not a MAT file ({error}).") from error
    train, validation, test = (_pieces(name, part, stored.get(part)) for part in _PARTS)
    return train, validation, test


def _pieces(name: str, part: str, cells: npt.NDArray[np.object_] | None) -> Pieces:
    """Return the arrays in a cell array of MATLAB, which SciPy reads as one of dtype object."""
    if cells is None or cells.dtype != object:
        raise DataError(
            f"load_data: {name} has no cell array {part!r}; the three parts are {_PARTS}."
        )
    pieces = [np.asarray(piece) for piece in cells.ravel()]
    for i, piece in enumerate(pieces):
        if piece.ndim != 2 or piece.dtype.kind not in "biuf" or not np.isin(piece, (0, 1)).all():
            raise DataError(
                f"load_data: piece {i} of {part!r} in {name} must be an array (steps, keys) of 0 "
                f"and 1, got {piece.dtype} in the shape {piece.shape}."
            )
    return [piece.astype(np.uint8) for piece in pieces]
