"""Images as files, objects of Pillow and arrays. Pillow is imported on first use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import pillow
from netlayers._warn import warn
from netlayers.arrays.convert import as_array
from netlayers.checks import check_choice, check_flag, check_numeric_dtype
from netlayers.errors import ConfigurationError, DataError, ShapeError

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike

_FORMATS = ("channels_last", "channels_first")
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def check_size(owner: str, argument: str, value: Any) -> tuple[int, int]:
    """Return (height, width).

    Raises:
        ConfigurationError: it is no pair of integers >= 1.
    """
    pair = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n >= 1 for n in pair):
        raise ConfigurationError(
            f"{owner}: {argument} must be (height, width), integers >= 1, got {value!r}."
        )
    return int(pair[0]), int(pair[1])


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Load an image from a file, as an object of Pillow.

    Args:
        path: name of the file, or an open file.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``, which keeps 16 and 32 bits.
        target_size: (height, width) to resize to, by default none.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"hamming"``, ``"box"`` or
            ``"lanczos"``, as Pillow resizes.
        keep_aspect_ratio: resize the largest part around the centre that has the ratio of
            ``target_size``.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is no image that Pillow reads.
        ConfigurationError: an argument is wrong, or Pillow is not installed.

    Example:
        >>> import io, numpy as np, netlayers as nl
        >>> file = io.BytesIO()
        >>> nl.utils.save_img(file, np.eye(3)[:, :, None], file_format="png")
        >>> nl.utils.load_img(file, "grayscale", target_size=(6, 6)).size
        (6, 6)
    """
    owner = "load_img"
    mode = check_choice(owner, "color_mode", color_mode, tuple(_MODES))
    method = check_choice(owner, "interpolation", interpolation, _INTERPOLATIONS)
    keep = check_flag(owner, "keep_aspect_ratio", keep_aspect_ratio)
    size = None if target_size is None else check_size(owner, "target_size", target_size)
    image = _opened(owner, path)
    if image.mode != _MODES[mode] and not (mode == "grayscale" and image.mode in ("I", "I;16")):
        image = image.convert(_MODES[mode])
    if size is None or image.size == size[::-1]:
        return image
    box = None
    if keep:
        (width, height), (new_height, new_width) = image.size, size
        rows = max(1, min(height, width * new_height // new_width))
        columns = max(1, min(width, height * new_width // new_height))
        top, left = (height - rows) // 2, (width - columns) // 2
        box = (left, top, left + columns, top + rows)
    resampling = getattr(pillow(owner).Resampling, method.upper())
    return image.resize(size[::-1], resampling, box=box)


def _opened(owner: str, path: Any) -> Any:
    """Return the image of a file, read as a whole.

    Raises:
        DataError: it can not be read.
    """
    library = pillow(owner)
    if not isinstance(path, (str, bytes, os.PathLike)) and not hasattr(path, "read"):
        raise ConfigurationError(
            f"{owner}: path must be the name of a file or an open file, got {path!r}."
        )
    try:
        image = library.open(path)
        image.load()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, library.DecompressionBombError) as error:
        raise DataError(f"{owner}: {path!r} is no image that Pillow reads ({error}).") from error
    return image


def img_to_array(img: Any, data_format: str | None = None, dtype: str | None = None) -> Array:
    """Return an image of Pillow as an array (height, width, channels).

    Args:
        img: the image.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        dtype: dtype of the array, by default ``"float32"``. The values are not scaled.

    Raises:
        ShapeError: it has no two or three axes.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.utils.img_to_array(np.array([[0, 255]], "uint8")).tolist()
        [[[0.0], [255.0]]]
    """
    owner = "img_to_array"
    first = _is_first(owner, data_format)
    x = np.array(img, dtype=check_numeric_dtype(owner, "float32" if dtype is None else dtype))
    if x.ndim not in (2, 3):
        raise ShapeError(f"{owner}: expected an image with two or three axes, got {x.shape}.")
    x = x[:, :, None] if x.ndim == 2 else x
    return np.ascontiguousarray(np.moveaxis(x, -1, 0)) if first else x


def _is_first(owner: str, data_format: str | None) -> bool:
    """Whether the channels come first."""
    return check_choice(owner, "data_format", data_format, (None, *_FORMATS)) == "channels_first"


def array_to_img(
    x: ArrayLike, data_format: str | None = None, scale: bool = True, dtype: str | None = None
) -> Any:
    """Return an array as an image of Pillow.

    Args:
        x: (height, width, channels) with 1, 3 or 4 channels.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        scale: map the smallest value to 0 and the largest to 255; otherwise values are cut to
            integers from 0 on, with several channels up to 255.
        dtype: dtype in which the values are scaled, by default ``"float32"``.

    Raises:
        ShapeError: x has other axes or channels.
        ConfigurationError: Pillow is not installed.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> image = nl.utils.array_to_img(np.array([[[0.0], [0.5], [1.0]]]))
        >>> image.size, [image.getpixel((i, 0)) for i in range(3)]
        ((3, 1), [0, 127, 255])
    """
    owner = "array_to_img"
    library = pillow(owner)
    values = as_array(owner, "x", x)
    image: Array = np.array(
        values, dtype=check_numeric_dtype(owner, "float32" if dtype is None else dtype)
    )
    if image.ndim != 3:
        raise ShapeError(
            f"{owner}: expected an image (height, width, channels), got the shape {image.shape}."
        )
    if _is_first(owner, data_format):
        image = np.moveaxis(image, 0, -1)
    if image.shape[-1] not in (1, 3, 4):
        raise ShapeError(f"{owner}: an image has 1, 3 or 4 channels, got the shape {image.shape}.")
    if check_flag(owner, "scale", scale):
        image = image - image.min()
        largest = image.max()
        image = image / largest * 255 if largest else image
    image = np.maximum(image, 0)
    if image.shape[-1] == 1:
        most = image.max(initial=0)
        kind = "uint8" if most < 1 << 8 else "uint16" if most < 1 << 16 else "int32"
        return library.fromarray(image[:, :, 0].astype(kind))
    return library.fromarray(np.ascontiguousarray(np.minimum(image, 255)).astype("uint8"))


def save_img(
    path: Any,
    x: ArrayLike,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Save an array as a file.

    Args:
        path: name of the file, or an open file.
        x: see :func:`array_to_img`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        file_format: format such as ``"png"``, by default that of the name.
        scale: see :func:`array_to_img`.
        kwargs: arguments of Pillow's ``Image.save``, such as ``quality``.

    Raises:
        ConfigurationError: the format is unknown, or Pillow is not installed.

    Example:
        >>> import io, numpy as np, netlayers as nl
        >>> file = io.BytesIO()
        >>> nl.utils.save_img(file, np.ones((4, 6, 3)), file_format="png", scale=False)
        >>> nl.utils.img_to_array(nl.utils.load_img(file)).shape
        (4, 6, 3)
    """
    image = array_to_img(x, data_format, scale)
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = Path(path).suffix[1:]
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"
    if image.mode == "RGBA" and file_format == "jpeg":
        warn("save_img: JPEG files have no transparency; the image is saved without it.")
        image = image.convert("RGB")
    try:
        image.save(path, format=file_format or None, **kwargs)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"save_img: Pillow writes no file with file_format={file_format!r} ({error})."
        ) from error
