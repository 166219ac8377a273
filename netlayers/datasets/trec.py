"""TREC: 5,452 questions and 500 for tests, by the kind of answer that they ask for.

Source: X. Li and D. Roth, *Learning question classifiers*, COLING 2002,
https://cogcomp.seas.upenn.edu/Data/QA/QC/. The files are in the form in which replications of
Y. Kim, *Convolutional neural networks for sentence classification*, EMNLP 2014, keep them:
``TREC.train.all`` and ``TREC.test.all``, with the class in front of each question.
"""

from __future__ import annotations

import os

from netlayers.checks import check_path
from netlayers.datasets import labelled_lines
from netlayers.datasets.labelled_lines import Classes, Texts

__all__ = ["CLASSES", "load_data"]

# What is asked for, in the order of the numbers 0 to 5.
CLASSES: tuple[str, ...] = (
    "description",
    "entity",
    "abbreviation",
    "human",
    "location",
    "number",
)


def load_data(path: str | os.PathLike[str]) -> tuple[tuple[Texts, Classes], tuple[Texts, Classes]]:
    """Return the questions as ``(x_train, y_train), (x_test, y_test)``.

    Args:
        path: the folder of the files ``TREC.train.all`` and ``TREC.test.all``.

    Returns:
        ``x_train`` (5452,) and ``x_test`` (500,), questions as strings, in tokens with spaces
        between them; ``y_train`` and ``y_test``, the classes 0 to 5 that ``trec.CLASSES`` names.

    Raises:
        ConfigurationError: ``path`` is not a path.
        FileNotFoundError: the folder or one of its files is missing.
        DataError: a line does not start with the number of a class.

    Example:
        >>> from netlayers.datasets import trec
        >>> (x_train, y_train), (x_test, y_test) = trec.load_data("data")  # doctest: +SKIP
        >>> x_train[0], trec.CLASSES[y_train[0]]  # doctest: +SKIP
        ('How did serfdom develop in and then leave Russia ?', 'description')
    """
    folder = check_path("load_data", "path", path, folder=True)
    train, test = (
        labelled_lines.load_data(os.path.join(folder, f"TREC.{part}.all"), encoding="latin-1")
        for part in ("train", "test")
    )
    return train, test
