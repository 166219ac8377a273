"""Small datasets, with the interface of Keras.

Each module has one function, ``load_data()``, which returns
``(x_train, y_train), (x_test, y_test)`` as NumPy arrays of ``uint8``.

- `digits`: 1,797 images of 8x8, part of the package.
- `mnist`: 70,000 images of 28x28, read from a folder or downloaded once.
"""

from __future__ import annotations

from netlayers.datasets import digits, mnist

__all__ = ["digits", "mnist"]
