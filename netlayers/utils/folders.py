"""Files in folders, with a subfolder for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_flag, check_number, check_seed
from netlayers.errors import ConfigurationError, DataError
from netlayers.utils.one_hot import to_categorical

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array

_LABEL_MODES = ("int", "categorical", "binary", None)


class Folder:
    """A folder with files of the classes; see ``image_dataset_from_directory``.

    Args:
        owner: the function that reads it, named in messages.
        kind: what the files are, for messages.
        suffixes: endings of their names.
        directory: the folder.
    """

    def __init__(
        self, owner: str, kind: str, suffixes: tuple[str, ...], directory: str | os.PathLike[str]
    ) -> None:
        self.owner, self.kind, self.suffixes = owner, kind, suffixes
        self.directory = Path(directory)

    def datasets(
        self,
        make: Callable[[list[str], Array | None, list[str] | None], Any],
        labels: Any,
        label_mode: str | None,
        class_names: Sequence[str] | None,
        shuffle: bool,
        seed: int | None,
        validation_split: float | None,
        subset: str | None,
        follow_links: bool,
        verbose: bool,
    ) -> Any:
        """Return what ``make`` makes of files, labels and names of the classes, or two of these."""
        owner = self.owner
        mode = check_choice(owner, "label_mode", label_mode, _LABEL_MODES)
        shuffled = check_flag(owner, "shuffle", shuffle)
        links = check_flag(owner, "follow_links", follow_links)
        told = check_flag(owner, "verbose", verbose)
        if seed is not None:
            seed = check_seed(owner, seed)
        fraction = self._check_split(validation_split, subset, shuffled, seed)
        if mode is None:
            labels = None
        paths, classes, names = self._listed(labels, class_names, links)
        if told:
            kinds = "" if names is None else f" belonging to {len(names)} classes"
            print(f"Found {len(paths)} files{kinds}.")
        if mode == "binary" and names is not None and len(names) != 2:
            raise ConfigurationError(
                f"{owner}: label_mode='binary' needs two classes, got {names}. Use 'int'."
            )
        if shuffled:  # the order of Keras for the same seed
            order = np.random.RandomState(seed).permutation(len(paths))
            paths = [paths[i] for i in order]
            classes = None if classes is None else classes[order]
        targets = None if classes is None or names is None else _encoded(classes, mode, len(names))

        def part(rows: slice) -> Any:
            if not paths[rows]:
                raise DataError(
                    f"{owner}: there are no {self.kind} for this part in {str(self.directory)!r}; "
                    f"looked for {', '.join(self.suffixes)}."
                )
            return make(paths[rows], None if targets is None else targets[rows], names)

        if subset is None:
            return part(slice(None))
        count = len(paths) - int(fraction * len(paths))
        parts = {"training": slice(count), "validation": slice(count, None)}
        if told:
            for name in parts if subset == "both" else (subset,):
                print(f"Using {len(paths[parts[name]])} files for {name}.")
        return [part(rows) for rows in parts.values()] if subset == "both" else part(parts[subset])

    def _check_split(self, split: Any, subset: Any, shuffled: bool, seed: int | None) -> float:
        """Return the fraction of the files for validation."""
        if (split is None) != (subset is None):
            raise ConfigurationError(
                f"{self.owner}: validation_split and subset belong together, got {split!r} and "
                f"{subset!r}."
            )
        if split is None:
            return 0.0
        check_choice(self.owner, "subset", subset, ("training", "validation", "both"))
        fraction = check_number(self.owner, "validation_split", split, minimum=0, below=1)
        if not fraction:
            raise ConfigurationError(
                f"{self.owner}: validation_split must be above 0, got {split!r}."
            )
        if shuffled and seed is None and subset != "both":
            raise ConfigurationError(
                f"{self.owner}: give a seed, or shuffle=False, so that the parts for training and "
                "validation have no file in common."
            )
        return fraction

    def _listed(
        self, labels: Any, class_names: Sequence[str] | None, links: bool
    ) -> tuple[list[str], Array | None, list[str] | None]:
        """Return the files, their classes, and the names of these."""
        if not self.directory.is_dir():
            raise FileNotFoundError(f"{self.owner}: there is no folder {str(self.directory)!r}.")
        if isinstance(labels, str) and labels == "inferred":
            names = sorted(
                p.name
                for p in self.directory.iterdir()
                if p.is_dir() and not p.name.startswith(".")
            )
            if class_names is not None:
                missing = [name for name in class_names if name not in names]
                if missing or isinstance(class_names, str):
                    raise ConfigurationError(
                        f"{self.owner}: class_names must be names of subfolders, {names}, got "
                        f"{class_names!r}."
                    )
                names = list(class_names)
            files = [self._files(self.directory / name, links) for name in names]
            numbers = np.repeat(np.arange(len(names)), [len(found) for found in files])
            return [path for found in files for path in found], numbers, names
        if class_names is not None:
            raise ConfigurationError(
                f"{self.owner}: class_names are names of subfolders, which labels={labels!r} does "
                "not use."
            )
        paths = self._files(self.directory, links)
        if labels is None:
            return paths, None, None
        if not isinstance(labels, (list, tuple, np.ndarray)) or len(labels) != len(paths):
            raise ConfigurationError(
                f"{self.owner}: labels must be 'inferred', None, or a list with one for each of "
                f"the {len(paths)} files, got {labels!r}."
            )
        classes = np.asarray(labels)
        if (
            classes.dtype.kind not in "iu"
            or classes.ndim != 1
            or (len(classes) and classes.min() < 0)
        ):
            raise ConfigurationError(
                f"{self.owner}: labels must be integers from 0 on, got {labels!r}."
            )
        names = [str(i) for i in range(int(classes.max()) + 1 if len(classes) else 0)]
        return paths, classes, names

    def _files(self, folder: Path, links: bool) -> list[str]:
        """Return the files in a folder and below, by folder and name."""
        found = []
        for place, _, names in sorted(os.walk(folder, followlinks=links)):
            found += [
                os.path.join(place, name)
                for name in sorted(names)
                if name.lower().endswith(self.suffixes)
            ]
        return found


def _encoded(classes: Array, mode: str | None, count: int) -> Array:
    """Return the labels in the form of ``label_mode``."""
    if mode == "categorical":
        return to_categorical(classes, count).astype(np.float32)
    return classes.astype(np.int32) if mode == "int" else classes.astype(np.float32)[:, None]
