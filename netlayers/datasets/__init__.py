"""Small datasets, with the interface of Keras.

Each module has one function, ``load_data()``, which returns
``(x_train, y_train), (x_test, y_test)`` as NumPy arrays of ``uint8``.

- `digits`: 1,797 images of 8x8, part of the package.
- `mnist`: 70,000 images of 28x28, read from a folder or downloaded once.
- `fashion_mnist`: the same for pictures of clothes.
"""

from __future__ import annotations

from netlayers.datasets import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
