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
    return save(_rows(rows, SEQUENTIAL, 0.42), to_file)


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
    if channels in (1, 3):
        pictures = [picture_of(kernel[..., k], centred=channels == 3) for k in range(shown)]
        rows: Any = [(title, pictures, None if channels == 3 else (-largest, largest))]
        return save(_rows(rows, DIVERGING, 0.42), to_file)
    seen = min(channels, _MOST_CHANNELS)
    if seen < channels:
        title += f", {seen} channels of each"
    rows = []
    for k in range(shown):
        pictures = [kernel[:, :, c, k] for c in range(seen)]
        rows.append((title if k == 0 else "", pictures, (-largest, largest)))
    return save(_rows(rows, DIVERGING, 0.42), to_file)


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


def _rows(
    rows: Sequence[tuple[str, list[Array], tuple[float, float] | None]], colours: str, size: float
) -> Any:
    """Draw pictures in rows of up to 16; each entry has a title, pictures and limits of values."""
    heights = []
    for title, pictures, _ in rows:
        lines = -(-len(pictures) // _COLUMNS)
        tall = size * min(1.0, _ratio(pictures[0]))
        heights.append((_TITLE if title else 0.0) + lines * (tall + _GAP))
    columns = min(_COLUMNS, max(len(pictures) for _, pictures, _ in rows))
    width, height = max(columns * (size + _GAP) + 0.3, 4.0), sum(heights) + 0.2
    figure = new_figure(width, height)
    top = height - 0.1
    for (title, pictures, limits), tall in zip(rows, heights, strict=True):
        below = top - (_TITLE if title else 0.0)
        if title:
            name = printable(title).replace("$", r"\$")
            figure.text(0.15 / width, (below + 0.07) / height, name, fontsize=SMALL)
        each = size * min(1.0, _ratio(pictures[0]))
        for i, one in enumerate(pictures):
            x = 0.15 + (i % _COLUMNS) * (size + _GAP)
            y = below - (i // _COLUMNS) * (each + _GAP) - each
            axes = figure.add_axes((x / width, y / height, size / width, each / height))
            _draw(axes, one, "gray_r" if limits is None else colours, limits)
        top -= tall
    return figure


def _ratio(image: Array) -> float:
    return float(image.shape[0] / image.shape[1])


def _draw(axes: Any, image: Array, colours: str, limits: tuple[float, float] | None) -> None:
    low, high = limits or (None, None)
    axes.imshow(image, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    empty = limits is not None and limits[0] == 0 and not image.any()
    for side in axes.spines.values():
        side.set_color(COLOURS[1] if empty else "#aab2bb")
        side.set_linewidth(1.4 if empty else 0.5)
