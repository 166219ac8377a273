"""Batches of images from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_integer
from netlayers.kernels.axes import INTERPOLATIONS
from netlayers.layers.resizing import Resizing
from netlayers.utils.folders import Folder
from netlayers.utils.images import CHANNELS, check_size, img_to_array, load_img
from netlayers.utils.sequences import RowDataset

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from netlayers._typing import Array

_OWNER = "image_dataset_from_directory"
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


class ImageFolder(RowDataset):
    """Batches of images that are read from files; see :func:`image_dataset_from_directory`.

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
        color_mode: str,
        resizing: Resizing,
    ) -> None:
        super().__init__(len(file_paths), batch_size)
        self.file_paths, self.class_names = file_paths, class_names
        self._labels = labels
        self._color_mode, self._resizing = color_mode, resizing

    def _image(self, path: str) -> Array:
        first = self._resizing.data_format == "channels_first"
        data_format = "channels_first" if first else "channels_last"
        x = img_to_array(load_img(path, self._color_mode), data_format)
        return self._resizing.forward(x[None])[0]

    def _read(self, rows: slice) -> Any:
        """Return (images, labels), or images without labels."""
        x = np.stack([self._image(path) for path in self.file_paths[rows]])
        y = None if self._labels is None else self._labels[rows]
        if self._batch_size is None:
            x, y = x[0], None if y is None else y[0]
        return x if y is None else (x, y)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return batches of images from a folder, for ``fit``, ``evaluate`` and ``predict``.

    A folder with a subfolder for each class gives images and the numbers of their classes, in the
    order of the names. Files are read when a batch is asked for: bmp, gif (the first picture),
    jpeg, jpg and png.

    Args:
        directory: the folder.
        labels: ``"inferred"`` from the subfolders; ``None`` for images alone; or a class for each
            file, in the order of their names.
        label_mode: ``"int"``: int32 (batch,); ``"categorical"``: one-hot rows (batch, classes);
            ``"binary"``: 0 or 1, (batch, 1); ``None`` for images alone.
        class_names: subfolders to use, in the order of their numbers; by default all.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``: 3, 4 channels or 1.
        batch_size: images in a batch; ``None`` for single ones, without the axis of the batch.
        image_size: (height, width) that images are resized to, or an integer for both.
        shuffle: shuffle the files, once; ``fit`` also shuffles the order of batches.
        seed: of the shuffle; the order is that of Keras.
        validation_split: fraction of the files, at the end, for validation.
        subset: ``"training"``, ``"validation"``, or ``"both"`` for a list of both.
        interpolation: see :class:`netlayers.layers.Resizing`.
        follow_links: look into subfolders that are links.
        crop_to_aspect_ratio: see :class:`netlayers.layers.Resizing`.
        pad_to_aspect_ratio: see :class:`netlayers.layers.Resizing`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        format: ``"tf"`` or ``"grain"``, accepted as in Keras, without effect.
        verbose: print how many files and classes were found.

    Returns:
        A :class:`netlayers.utils.PyDataset` with the attributes ``class_names`` and ``file_paths``.
        The images are float32, (batch, height, width, channels), with values from 0 to 255.

    Raises:
        FileNotFoundError: there is no such folder.
        DataError: there are no images in it, or one can not be read (when its batch is asked for).
        ConfigurationError: an argument is wrong, or Pillow is not installed.

    Example:
        >>> import pathlib, tempfile, numpy as np, netlayers as nl
        >>> with tempfile.TemporaryDirectory() as name:
        ...     for kind, value in (("black", 0), ("white", 255)):
        ...         (pathlib.Path(name) / kind).mkdir()
        ...         image = np.full((4, 6, 3), value)
        ...         nl.utils.save_img(f"{name}/{kind}/a.png", image, scale=False)
        ...     data = nl.utils.image_dataset_from_directory(name, image_size=(2, 2), shuffle=False)
        ...     x, y = data[0]
        Found 2 files belonging to 2 classes.
        >>> data.class_names, x.shape, x.max(axis=(1, 2, 3)).tolist(), y.tolist()
        (['black', 'white'], (2, 2, 2, 3), [0.0, 255.0], [0, 1])
    """
    color = check_choice(_OWNER, "color_mode", color_mode, tuple(CHANNELS))
    check_choice(_OWNER, "format", format, ("tf", "grain"))
    if batch_size is not None:
        batch_size = check_integer(_OWNER, "batch_size", batch_size, minimum=1)
    size = image_size if isinstance(image_size, (list, tuple)) else (image_size, image_size)
    height, width = check_size(_OWNER, "image_size", size)
    resizing = Resizing(
        height,
        width,
        check_choice(_OWNER, "interpolation", interpolation, INTERPOLATIONS),
        crop_to_aspect_ratio,
        pad_to_aspect_ratio,
        data_format=data_format,
    )

    def make(paths: list[str], y: Array | None, names: list[str] | None) -> ImageFolder:
        return ImageFolder(paths, y, names, batch_size, color, resizing)

    return Folder(_OWNER, "images", _SUFFIXES, directory).datasets(
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
