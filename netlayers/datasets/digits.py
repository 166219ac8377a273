"""The 8x8 handwritten digits of the UCI repository, shipped with the package.

Source: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*,
UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0.
``digits.txt``, next to this file, says how ``digits.npz`` was made from it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["load_data"]

_UInt8 = npt.NDArray[np.uint8]
_TRAIN = 1437  # the rows of digits.npz before this one are the training part


def load_data() -> tuple[tuple[_UInt8, _UInt8], tuple[_UInt8, _UInt8]]:
    """Return the digits as ``(x_train, y_train), (x_test, y_test)``.

    The rows are the 1,797 of the *test* part of the UCI data, the same as
    scikit-learn's ``load_digits``. They are divided once and for all, with the generator
    ``numpy.random.default_rng(0)``: the rows are shuffled and then sorted by class (stably),
    every fifth one from the first on is a test row, and each part is shuffled again. So each
    class gives a fifth of its rows, to within one.

    The same writers appear in both parts, so accuracies are not to be compared with those
    on UCI's own division, whose test writers are new.

    Returns:
        ``x_train`` (1437, 8, 8) and ``x_test`` (360, 8, 8), grey values from 0 (paper) to
        16 (ink); ``y_train`` (1437,) and ``y_test`` (360,), the digits 0 to 9. All are
        ``uint8``, writable, and new at each call.

    Example:
        >>> from netlayers.datasets import digits
        >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
        >>> x_train.shape, y_test.shape
        ((1437, 8, 8), (360,))
        >>> x_train = x_train.astype("float32") / 16
    """
    with np.load(Path(__file__).with_name("digits.npz")) as stored:
        x, y = stored["x"], stored["y"]
    return (x[:_TRAIN], y[:_TRAIN]), (x[_TRAIN:], y[_TRAIN:])
