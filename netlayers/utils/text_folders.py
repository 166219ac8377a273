"""Batches of texts from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_integer
from netlayers.errors import DataError
from netlayers.utils.folders import Folder
from netlayers.utils.sequences import RowDataset

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Array

_OWNER = "text_dataset_from_directory"


class TextFolder(RowDataset):
    """Batches of texts that are read from files; see :func:`text_dataset_from_directory`.

    Attributes:
        file_paths: the files, in the order of the batches.
        class_names: names of the classes, or ``None``.
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: Array | None,
        class_names: list[str] | None,
        batch_size: int | None,
        max_length: int | None,
    ) -> None:
        super().__init__(len(file_paths), batch_size)
        self.file_paths, self.class_names = file_paths, class_names
        self._labels, self._max_length = labels, max_length

    def _read(self, rows: slice) -> Any:
        """Return (texts, labels), or texts without labels."""
        x: Any = np.array([self._text(path) for path in self.file_paths[rows]], dtype=object)
        y = None if self._labels is None else self._labels[rows]
        if self._batch_size is None:
            x, y = x[0], None if y is None else y[0]
        return x if y is None else (x, y)

    def _text(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read(-1 if self._max_length is None else self._max_length)
        except UnicodeDecodeError as error:
            raise DataError(f"{_OWNER}: {path!r} is not a text in UTF-8 ({error}).") from None


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return batches of texts from a folder, for ``TextVectorization.adapt`` and the like.

    A folder with a subfolder for each class gives texts and the numbers of their classes, in the
    order of the names. Files, in UTF-8, are read when a batch is asked for.

    Args:
        directory: the folder.
        labels: ``"inferred"`` from the subfolders; ``None`` for texts alone; or a class for each
            file, in the order of their names.
        label_mode: ``"int"``: int32 (batch,); ``"categorical"``: one-hot rows (batch, classes);
            ``"binary"``: 0 or 1, (batch, 1); ``None`` for texts alone.
        class_names: subfolders to use, in the order of their numbers; by default all.
        batch_size: texts in a batch; ``None`` for single ones.
        max_length: number of characters after which texts are cut.
        shuffle: shuffle the files, once; ``fit`` also shuffles the order of batches.
        seed: of the shuffle.
        validation_split: fraction of the files, at the end, for validation.
        subset: ``"training"``, ``"validation"``, or ``"both"`` for a list of both.
        follow_links: look into subfolders that are links.
        format: ``"tf"`` or ``"grain"``, accepted as in Keras, without effect.
        verbose: print how many files and classes were found.

    Returns:
        A :class:`netlayers.utils.PyDataset` with the attributes ``class_names`` and ``file_paths``.
        The texts are strings, (batch,), dtype object.

    Raises:
        FileNotFoundError: there is no such folder.
        DataError: there are no texts in it, or one is not in UTF-8 (when its batch is asked for).
        ConfigurationError: an argument is wrong.

    Example:
        >>> import pathlib, tempfile, netlayers as nl
        >>> with tempfile.TemporaryDirectory() as name:
        ...     for kind, text in (("bad", "a bore"), ("good", "a gem of a film")):
        ...         (pathlib.Path(name) / kind).mkdir()
        ...         _ = (pathlib.Path(name) / kind / "1.txt").write_text(text)
        ...     data = nl.utils.text_dataset_from_directory(name, max_length=9, shuffle=False)
        ...     x, y = data[0]
        Found 2 files belonging to 2 classes.
        >>> data.class_names, x.tolist(), y.tolist()
        (['bad', 'good'], ['a bore', 'a gem of '], [0, 1])
    """
    check_choice(_OWNER, "format", format, ("tf", "grain"))
    if batch_size is not None:
        batch_size = check_integer(_OWNER, "batch_size", batch_size, minimum=1)
    if max_length is not None:
        max_length = check_integer(_OWNER, "max_length", max_length, minimum=1)

    def make(paths: list[str], y: Array | None, names: list[str] | None) -> TextFolder:
        return TextFolder(paths, y, names, batch_size, max_length)

    return Folder(_OWNER, "texts", (".txt",), directory).datasets(
        make,
        labels,
        label_mode,
        class_names,
        shuffle,
        seed,
        validation_split,
        subset,
        follow_links,
        verbose,
    )
