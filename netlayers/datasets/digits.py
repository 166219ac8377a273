"""The 8x8 handwritten digits of the UCI repository, shipped with the package.

Source: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*,
UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0.
``digits.txt`` in this folder describes how ``digits.npz`` was created.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["load_data"]

_UInt8 = npt.NDArray[np.uint8]
_TRAIN = 1437  # number of training rows, which come first in digits.npz


def load_data() -> tuple[tuple[_UInt8, _UInt8], tuple[_UInt8, _UInt8]]:
    """Return the digits as ``(x_train, y_train), (x_test, y_test)``.

    The 1,797 images are the *test* set of the UCI data, as in scikit-learn's ``load_digits``.
    The split is fixed and stratified: with the generator ``numpy.random.default_rng(0)``, the
    rows are shuffled and stably sorted by class, every fifth row (from the first) becomes a
    test row, and both sets are shuffled again.

    Both sets contain the same writers, so accuracies are not comparable with those on UCI's
    split, whose test writers are new.

    Returns:
        ``x_train`` (1437, 8, 8) and ``x_test`` (360, 8, 8), grey values from 0 (paper) to
        16 (ink); ``y_train`` (1437,) and ``y_test`` (360,), the digits 0 to 9. All are new,
        writable arrays of ``uint8``.

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
