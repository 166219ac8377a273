"""Fashion-MNIST: 70,000 pictures of clothes of 28x28 pixels in ten classes, read from IDX files.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
machine learning algorithms" (2017), https://github.com/zalandoresearch/fashion-mnist. The MD5 sums
are those of the uncompressed files of Debian's package dataset-fashion-mnist.
"""

from __future__ import annotations

import os
from pathlib import Path

from netlayers.datasets._idx import Pairs, Source, load

__all__ = ["load_data"]

# Tried in this order.
MIRRORS: tuple[str, ...] = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
)
# MD5 of the uncompressed bytes, as mirrors compress differently; in the order of loading.
CHECKSUMS: dict[str, str] = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
# The folder of Debian's package dataset-fashion-mnist.
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> Pairs:
    """Return Fashion-MNIST as ``(x_train, y_train), (x_test, y_test)``.

    The four files have the names of those of MNIST. They are searched in

    1. ``path``, if given, and nowhere else;
    2. ``fashion-mnist`` or ``fashion_mnist`` in the folder named by the environment variable
       ``NETLAYERS_DATA``;
    3. the folder of Debian's package ``dataset-fashion-mnist``;
    4. the cache, ``netlayers/fashion-mnist`` in ``$XDG_CACHE_HOME`` or else in ``~/.cache``.

    Missing files are downloaded to the cache and verified by their MD5 sums.

    Args:
        path: the folder of the four files.

    Returns:
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28), grey values from 0
        (background) to 255; ``y_train`` (60000,) and ``y_test`` (10000,), indices in
        ``CLASSES``. All are new, writable arrays of ``uint8``.

    Raises:
        FileNotFoundError: ``path`` lacks a file, or the folder in ``NETLAYERS_DATA`` has only some.
        ValueError: a file is not a complete IDX file of bytes with the expected dimensions, or
            the numbers of labels and images differ.
        ConnectionError: a download failed on all mirrors.

    Example:
        >>> from netlayers.datasets import fashion_mnist
        >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
        >>> fashion_mnist.CLASSES[y_train[0]]  # doctest: +SKIP
        'Ankle boot'
    """
    below = ("fashion-mnist", "fashion_mnist")
    source = Source("Fashion-MNIST", "fashion-mnist", MIRRORS, CHECKSUMS, below, INSTALLED)
    return load(source, path)
