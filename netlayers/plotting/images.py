"""Pictures of images: filters, feature maps, and heat maps beside what they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._printable import printable
from netlayers.checks import check_integer
from netlayers.errors import ConfigurationError
from netlayers.plotting.figures import (
    COLOURS,
    DIVERGING,
    SEQUENTIAL,
    SMALL,
    WIDTH,
    new_figure,
    save,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array

_MOST_CHANNELS = 16
_COLUMNS = 16
_TITLE, _GAP = 0.3, 0.06  # inches above the pictures of a layer, and between pictures
_SIZE = 0.42  # width of a feature map
_SMALLEST, _LARGEST = 0.25, 0.9  # width of a filter's channel: as a line of _LINE has room for
_LINE, _BETWEEN = 3.7, 0.12  # inches; the latter more between filters of several channels


def plot_feature_maps(
    images: Array,
    maps: Mapping[str, Array],
    to_file: str | os.PathLike[str] | None,
    image: int,
    most: int,
) -> Any:
    """Draw the maps of an image; see ``FeatureMaps.plot``."""
    if not maps:
        raise ConfigurationError("plot: no layer has feature maps.")
    image = check_integer("plot", "image", image, minimum=0, maximum=len(images) - 1)
    most = check_integer("plot", "most", most, minimum=1)
    rows: Any = [("input", [picture_of(images[image])], None)] if images.ndim > 2 else []
    for name, its in maps.items():
        values = its[image]
        if values.ndim == 2:  # of a series: a map is a line of pixels
            values = values[None]
        if values.ndim != 3:
            raise ConfigurationError(
                f"plot: the maps of {name!r} have {values.ndim - 1} axes; those of images and "
                "series can be drawn."
            )
        shown = [values[..., k] for k in range(min(most, values.shape[-1]))]
        left_out = values.shape[-1] - len(shown)
        title = f"{name}: {values.shape[-1]} maps, {values.shape[0]} x {values.shape[1]}"
        title += f" (the first {len(shown)})" if left_out else ""
        rows.append((title, shown, (min(0.0, float(values.min())), float(values.max()) or 1.0)))
    return save(_rows(rows), to_file)


def plot_filters(
    layer: str, kernel: Array, to_file: str | os.PathLike[str] | None, most: int
) -> Any:
    """Draw the filters of a convolution; see ``Filters.plot``."""
    most = check_integer("plot", "most", most, minimum=1)
    if kernel.ndim == 3:  # of series: a filter is a line of pixels
        kernel = kernel[None]
    if kernel.ndim != 4:
        raise ConfigurationError(
            f"plot: the filters of {layer!r} have {kernel.ndim - 2} axes; those of images and "
            "series can be drawn."
        )
    height, width, channels, filters = kernel.shape
    shown = min(most, filters)
    largest = float(np.abs(kernel).max()) or 1.0
    title = f"{layer}: {filters} filters of {height} x {width} x {channels}"
    title += f" (the first {shown})" if shown < filters else ""
    if channels == 3:
        pictures = [[picture_of(kernel[..., k], centred=True)] for k in range(shown)]
        return save(_grid(title, pictures, None), to_file)
    seen = min(channels, _MOST_CHANNELS)
    if seen < channels:
        title += f", {seen} channels of each"
    pictures = [[kernel[:, :, c, k] for c in range(seen)] for k in range(shown)]
    return save(_grid(title, pictures, (-largest, largest)), to_file)


def plot_heat_maps(
    images: Array,
    maps: Array,
    titles: Sequence[str],
    to_file: str | os.PathLike[str] | None,
    most: int,
) -> Any:
    """Draw images, their heat maps, and both on each other; see ``HeatMaps.plot``."""
    most = check_integer("plot", "most", most, minimum=1)
    if maps.ndim != 3:
        raise ConfigurationError(
            f"plot: heat maps of images have the shape (n, height, width), got {maps.shape}."
        )
    count = min(most, len(maps))
    each = min(1.3, WIDTH / count)
    figure = new_figure(each * count, 3 * each + 0.3, layout="constrained")
    axes = figure.subplots(3, count, squeeze=False)
    for i in range(count):
        image, heat = picture_of(images[i]), maps[i]
        top = float(heat.max()) or 1.0
        axes[0, i].set_title(titles[i], fontsize=SMALL)
        axes[0, i].imshow(image, cmap="gray_r")
        axes[1, i].imshow(heat, cmap="inferno", vmin=0, vmax=top)
        axes[2, i].imshow(image, cmap="gray_r")
        axes[2, i].imshow(heat, cmap="inferno", vmin=0, vmax=top, alpha=0.8 * heat / top)
    for one in axes.flat:
        one.set_axis_off()
    return save(figure, to_file)


def picture_of(image: Array, centred: bool = False) -> Array:
    """Return an image (height, width, channels) as matplotlib draws it.

    One channel is drawn without its axis, three in colour, from the smallest value to the largest
    (``centred``: grey is 0), and of others the mean; a series (length, channels) is a row.
    """
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3:
        raise ConfigurationError(
            f"plot: an image of shape (height, width, channels) is needed, got {image.shape}."
        )
    if image.shape[-1] == 1:
        return image[..., 0]
    if image.shape[-1] != 3:
        return image.mean(axis=-1)
    image = image.astype(np.float64)
    low, high = float(image.min()), float(image.max())
    if centred:
        high = max(-low, high)
        low = -high
    return (image - low) / ((high - low) or 1.0)


def _rows(rows: Sequence[tuple[str, list[Array], tuple[float, float] | None]]) -> Any:
    """Draw pictures in rows of up to 16; each entry has a title, pictures and limits of values."""
    lines = [-(-len(pictures) // _COLUMNS) for _, pictures, _ in rows]
    sizes = [_SIZE * _ratio(pictures[0]) for _, pictures, _ in rows]
    heights = [_TITLE + n * (tall + _GAP) for n, tall in zip(lines, sizes, strict=True)]
    columns = min(_COLUMNS, max(len(pictures) for _, pictures, _ in rows))
    width, height = max(columns * (_SIZE + _GAP) + 0.3, 4.0), sum(heights) + 0.2
    figure = new_figure(width, height)
    top = height - 0.1
    for (title, pictures, limits), tall, whole in zip(rows, sizes, heights, strict=True):
        below = top - _TITLE
        _write(figure, title, below)
        for i, one in enumerate(pictures):
            x = 0.15 + (i % _COLUMNS) * (_SIZE + _GAP)
            y = below - (i // _COLUMNS) * (tall + _GAP) - tall
            axes = figure.add_axes((x / width, y / height, _SIZE / width, tall / height))
            _draw(axes, one, "gray_r" if limits is None else SEQUENTIAL, limits)
        top -= whole
    return figure


def _grid(title: str, filters: list[list[Array]], limits: tuple[float, float] | None) -> Any:
    """Draw filters in lines, about as high as wide; the channels of a filter stand side by side."""
    channels, ratio = len(filters[0]), _ratio(filters[0][0])

    def measures(across: int) -> tuple[float, float, float, float]:
        """Return widths of a channel and a filter, and of the grid with so many in a line."""
        lines = -(-len(filters) // across)
        size = min(_LARGEST, max(_SMALLEST, _LINE / (across * channels) - _GAP))
        each = channels * (size + _GAP) + (_BETWEEN if channels > 1 else 0.0)
        return size, each, across * each, lines * (size * ratio + _GAP)

    def elongation(across: int) -> float:
        *_, width, height = measures(across)
        return max(width / height, height / width)

    across = min(range(len(filters), 0, -1), key=elongation)
    size, each, width, height = measures(across)
    width, height, tall = max(width + 0.3, 4.0), height + _TITLE + 0.2, size * ratio
    figure = new_figure(width, height)
    below = height - 0.1 - _TITLE
    _write(figure, title, below)
    for k, pictures in enumerate(filters):
        y = below - (k // across) * (tall + _GAP) - tall
        for c, one in enumerate(pictures):
            x = 0.15 + (k % across) * each + c * (size + _GAP)
            axes = figure.add_axes((x / width, y / height, size / width, tall / height))
            _draw(axes, one, DIVERGING, limits)
    return figure


def _write(figure: Any, title: str, below: float) -> None:
    """Write the title of pictures that begin ``below`` inches above the lower edge."""
    width, height = figure.get_size_inches()
    name = printable(title).replace("$", r"\$")
    figure.text(0.15 / width, (below + 0.07) / height, name, fontsize=SMALL)


def _ratio(image: Array) -> float:
    """Return the height of a picture over its width, as it is drawn."""
    return min(1.0, float(image.shape[0] / image.shape[1]))


def _draw(axes: Any, image: Array, colours: str, limits: tuple[float, float] | None) -> None:
    low, high = limits or (None, None)
    axes.imshow(image, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    empty = limits is not None and limits[0] == 0 and not image.any()
    for side in axes.spines.values():
        side.set_color(COLOURS[1] if empty else "#aab2bb")
        side.set_linewidth(1.4 if empty else 0.5)
