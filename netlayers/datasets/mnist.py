"""MNIST: 70,000 handwritten digits of 28x28 pixels, read from IDX files.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, *The MNIST database of handwritten digits*,
http://yann.lecun.com/exdb/mnist/. The MD5 sums are the published ones.

Datasets in the format of MNIST, such as Fashion-MNIST, can be read from a folder.
"""

from __future__ import annotations

import os

from netlayers.datasets._idx import Pairs, Source, load

__all__ = ["load_data"]

# Tried in this order.
MIRRORS: tuple[str, ...] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# MD5 of the uncompressed bytes, as mirrors compress differently; in the order of loading.
CHECKSUMS: dict[str, str] = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> Pairs:
    """Return MNIST as ``(x_train, y_train), (x_test, y_test)``.

    The four files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, optionally with the suffix ``.gz``
    or a dot before ``idx``, are searched in

    1. ``path``, if given, and nowhere else;
    2. the folder named by the environment variable ``NETLAYERS_DATA``, or its ``mnist``;
    3. the cache, ``netlayers/mnist`` in ``$XDG_CACHE_HOME`` or else in ``~/.cache``.

    Missing files are downloaded to the cache and verified by their MD5 sums. Files in your own
    folders may belong to another dataset.

    Args:
        path: the folder of the four files.

    Returns:
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28), grey values from 0 (paper)
        to 255 (ink); ``y_train`` (60000,) and ``y_test`` (10000,), the digits 0 to 9. All are
        new, writable arrays of ``uint8``.

    Raises:
        FileNotFoundError: ``path`` lacks a file, or ``NETLAYERS_DATA`` has only some of them.
        ValueError: a file is not a complete IDX file of bytes with the expected dimensions, or
            the numbers of labels and images differ.
        ConnectionError: a download failed on all mirrors.

    Example:
        >>> from netlayers.datasets import mnist
        >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP
        >>> x_train.shape, y_test.shape  # doctest: +SKIP
        ((60000, 28, 28), (10000,))
    """
    return load(Source("MNIST", "mnist", MIRRORS, CHECKSUMS, ("", "mnist")), path)
