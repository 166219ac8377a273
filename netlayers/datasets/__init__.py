"""Small datasets, with the interface of Keras.

Each module has one function, ``load_data()``. For images it returns
``(x_train, y_train), (x_test, y_test)`` as NumPy arrays of ``uint8``:

- `digits`: 1,797 images of 8x8, part of the package.
- `mnist`: 70,000 images of 28x28, read from a folder or downloaded once.
- `fashion_mnist`: the same for pictures of clothes.

Texts and music are read from files that you have, and name by their path:

- `text`: the characters of a text file as numbers.
- `labelled_lines`: sentences, with the number of a class in front of each.
- `trec`: questions by the kind of answer, in two such files.
- `piano_rolls`: the keys of a piano that sound at each step, from MAT files.
"""

from __future__ import annotations

from netlayers.datasets import (
    digits,
    fashion_mnist,
    labelled_lines,
    mnist,
    piano_rolls,
    text,
    trec,
)

__all__ = ["digits", "fashion_mnist", "labelled_lines", "mnist", "piano_rolls", "text", "trec"]
