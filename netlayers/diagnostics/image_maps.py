"""What convolutions have learned and see: filters and feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import html_table, picture
from netlayers._notebook import Report
from netlayers._suggestions import suggestion
from netlayers._tables import text_table
from netlayers.arrays.convert import each
from netlayers.arrays.several import float_numbers
from netlayers.checks import listed
from netlayers.core.hooks import matching_name, observed
from netlayers.diagnostics.channels import channels_first, channels_last, idle_maps
from netlayers.diagnostics.layer_statistics import watched_uses
from netlayers.errors import ConfigurationError
from netlayers.layers.convolution import Convolution
from netlayers.plotting.figures import png_of
from netlayers.training.samples import one_input

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.training.compilation import CompilableModel


@dataclass(frozen=True)
class FeatureMaps(Report):
    """The outputs of layers for a batch of images; printed, it is a table.

    Attributes:
        images: the input, channels last; of several inputs the first with spatial axes.
        maps: by layer, its output (n, sizes..., channels), channels last.
    """

    images: Array
    maps: dict[str, Array]

    def __str__(self) -> str:
        return "\n".join(text_table(self._table()))

    def _table(self) -> list[list[str]]:
        rows = [["layer", "size", "maps", "mean", "deviation", "zero", "constant"]]
        for name, maps in self.maps.items():
            size = " x ".join(map(str, maps.shape[1:-1]))
            zero, constant = idle_maps(maps)
            row = [name, size, str(maps.shape[-1]), f"{maps.mean():.3g}", f"{maps.std():.3g}"]
            rows.append([*row, str(int(zero.sum())), str(int(constant.sum()))])
        return rows

    def _repr_html_(self) -> str:
        return html_table(self._table()) + picture(png_of(self.plot), "Feature maps by layer")

    def plot(
        self, to_file: str | os.PathLike[str] | None = None, image: int = 0, most: int = 16
    ) -> Any:
        """Draw the maps of an image, a row of pictures for each layer.

        All maps of a layer have one scale, from 0 (or its smallest value) to its largest.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).
            image: number of the image in the batch.
            most: how many maps of a layer are drawn at most, the first ones.

        Returns:
            The ``matplotlib.figure.Figure``.

        Raises:
            ConfigurationError: there is no such image, or matplotlib is not installed.
        """
        from netlayers.plotting.images import plot_feature_maps

        return plot_feature_maps(self.images, self.maps, to_file, image, most)


@dataclass(frozen=True)
class Filters(Report):
    """The kernel of a convolution; printed, it is a table.

    Attributes:
        layer: path of the layer.
        kernel: its kernel, (sizes..., channels, filters).
    """

    layer: str
    kernel: Array

    def __str__(self) -> str:
        return "\n".join(text_table(self._table()))

    def _table(self) -> list[list[str]]:
        *sizes, channels, filters = self.kernel.shape
        norms = np.linalg.norm(self.kernel.reshape(-1, filters).astype(np.float64), axis=0)
        low, middle, high = np.quantile(norms, [0, 0.5, 1])
        return [
            ["layer", "size", "channels", "filters", "least norm", "median", "largest"],
            [
                *(self.layer, " x ".join(map(str, sizes)), str(channels), str(filters)),
                *(f"{norm:.3g}" for norm in (low, middle, high)),
            ],
        ]

    def _repr_html_(self) -> str:
        return html_table(self._table()) + picture(png_of(self.plot), f"Filters of {self.layer}")

    def plot(self, to_file: str | os.PathLike[str] | None = None, most: int = 64) -> Any:
        """Draw the filters; return the ``matplotlib.figure.Figure``.

        Filters of one channel are drawn from blue (negative) to red (positive), all with one scale;
        those of three channels in colour, each with its own; of more channels, the first 16 of each
        filter stand side by side. The grid is about as high as wide.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).
            most: how many filters are drawn at most, the first ones.

        Raises:
            ConfigurationError: the convolution is not one of images, or matplotlib is not
                installed.
        """
        from netlayers.plotting.images import plot_filters

        return plot_filters(self.layer, self.kernel, to_file, most)


def feature_maps(
    model: CompilableModel, x: Any, layers: str | Sequence[str] | None = None
) -> FeatureMaps:
    """Return what layers make of images, at inference.

    Args:
        model: a model of images, series or volumes; it need not be compiled.
        x: inputs, (n, ...); of data that come in batches, the first batch is taken.
        layers: names of layers whose output has spatial axes, with or without those of the models
            that they are in; by default all of these.

    Returns:
        The maps by layer; printed, a table with the number of maps that are 0 everywhere, and of
        those that are the same for all images. Its ``plot(to_file)`` draws them.

    Raises:
        ConfigurationError: there is no such layer, or its output has no spatial axes.
        DataError, ShapeError: the input does not fit the model.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Conv2D(4, 3, activation="relu"), nl.layers.Flatten()]
        >>> model = nl.Sequential([nl.Input((8, 8, 1)), *layers], seed=0)
        >>> x = np.random.default_rng(0).normal(size=(5, 8, 8, 1))
        >>> found = nl.diagnostics.feature_maps(model, x)
        >>> {name: maps.shape for name, maps in found.maps.items()}
        {'conv2d': (5, 6, 6, 4)}
    """
    owner = "feature_maps"
    x = one_input(model, owner, x)
    known = watched_uses(model)
    wanted = None if layers is None else [matching_name(its, known) for its in listed(layers)]
    for name in wanted or ():
        if name not in known:
            raise ConfigurationError(
                f"{owner}: no layer is named {name!r}.{suggestion(str(name), list(known))}"
            )
    by_identity = {id(layer) for layer in known.values()}
    first = channels_first(model)
    maps: dict[str, Array] = {}

    def around(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
        result = run()
        if id(layer) in by_identity and method == "forward":
            name, numbers = uses.name(layer), float_numbers(result)
            asked = wanted is None or name in wanted
            if asked and numbers is not None and numbers.ndim > 2:
                maps[name] = channels_last(numbers, first).copy()
        return result

    with observed(model, around) as uses:
        model.forward(x)
    for name in wanted or ():
        if name not in maps:
            raise ConfigurationError(
                f"{owner}: the output of {name!r} has no spatial axes; those of "
                f"{', '.join(feature_maps(model, x).maps) or 'no layer'} have."
            )
    inputs = [np.asarray(its) for its in each(x)]
    images = next((its for its in inputs if its.ndim > 2), inputs[0])
    return FeatureMaps(channels_last(images, first), maps)


def filters(model: CompilableModel, layer: str | None = None) -> Filters:
    """Return the filters of a convolution.

    Args:
        model: a built model.
        layer: name of a convolution, as in :func:`feature_maps`; by default the first.

    Returns:
        Its kernel; ``plot(to_file)`` draws it.

    Raises:
        ConfigurationError: there is no such convolution, or the model is not built.

    Example:
        >>> import netlayers as nl
        >>> model = nl.Sequential([nl.Input((8, 8, 1)), nl.layers.Conv2D(4, 3)], seed=0)
        >>> nl.diagnostics.filters(model).kernel.shape
        (3, 3, 1, 4)
    """
    known = watched_uses(model)
    found = {name: its for name, its in known.items() if isinstance(its, Convolution)}
    if not found:
        raise ConfigurationError("filters: the model has no convolution.")
    layer = None if layer is None else matching_name(layer, found)
    if layer is not None and layer not in found:
        raise ConfigurationError(
            f"filters: no convolution is named {layer!r}.{suggestion(str(layer), list(found))} "
            f"There are {', '.join(found)}."
        )
    name = next(iter(found)) if layer is None else layer
    convolution = found[name]
    if not convolution.built:
        raise ConfigurationError(
            f"filters: {name!r} has no kernel yet; give the model an Input, or call build()."
        )
    return Filters(name, convolution.kernel.copy())
