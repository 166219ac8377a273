"""Which parts of an image a class depends on: saliency and Grad-CAM."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers._html import html_table, picture
from netlayers._notebook import Report
from netlayers._suggestions import suggestion
from netlayers._tables import text_table
from netlayers.activations.sigmoids import Sigmoid
from netlayers.activations.softmaxes import Softmax
from netlayers.arrays.several import float_numbers
from netlayers.core.hooks import matching_name, observed
from netlayers.diagnostics.channels import channels_first, channels_last
from netlayers.diagnostics.layer_statistics import watched_uses
from netlayers.errors import ConfigurationError, DataError
from netlayers.kernels.axes import interpolation, multiply_axis
from netlayers.layers.dense import AffineLayer
from netlayers.layers.inference_call import InferenceCall
from netlayers.layers.spatial import SpatialLayer
from netlayers.plotting.figures import png_of
from netlayers.training.samples import one_input

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from netlayers._typing import Array, ArrayLike
    from netlayers.core.layer import Layer
    from netlayers.training.compilation import CompilableModel


@dataclass(frozen=True)
class HeatMaps(Report):
    """What each place of images does for the score of a class; printed, it is a table.

    Attributes:
        images: the inputs, channels last.
        maps: for each image a number for each place, (n, sizes...), 0 or larger.
        classes: the class of each map, (n,).
        scores: score of that class for each image, (n,), before a softmax or sigmoid.
        layer: the layer whose outputs were weighed; ``None`` for the gradient of the input.
    """

    images: Array
    maps: Array
    classes: Array
    scores: Array
    layer: str | None = None

    def __str__(self) -> str:
        return "\n".join(text_table(self._table()))

    def _table(self) -> list[list[str]]:
        rows = [["image", "class", "score", "largest", "at"]]
        for i, its in enumerate(self.maps):
            place = np.unravel_index(int(its.argmax()), its.shape)
            at = ", ".join(str(int(p)) for p in place)
            row = [str(i), str(self.classes[i]), f"{self.scores[i]:.3g}", f"{its.max():.3g}"]
            rows.append([*row, at])
        return rows

    def _repr_html_(self) -> str:
        return html_table(self._table()) + picture(png_of(self.plot), "Images and heat maps")

    def plot(self, to_file: str | os.PathLike[str] | None = None, most: int = 8) -> Any:
        """Draw images above their maps, each map from 0 to its largest value.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).
            most: how many images are drawn at most, the first ones.

        Returns:
            The ``matplotlib.figure.Figure``.

        Raises:
            ConfigurationError: the inputs are no images, or matplotlib is not installed.
        """
        from netlayers.plotting.images import plot_heat_maps

        titles = [f"class {c}, {s:.3g}" for c, s in zip(self.classes, self.scores, strict=True)]
        return plot_heat_maps(self.images, self.maps, titles, to_file, most)


def saliency(model: CompilableModel, x: Any, classes: ArrayLike | None = None) -> HeatMaps:
    """Return how much the score of a class changes with each pixel: ``max_k |dS/dx_k|``.

    S is the score of the class before a softmax or sigmoid, at inference, and k counts the channels
    of a pixel. The gradient of the loss is ``model.gradients_of(name, x, y)`` with the name of the
    input.

    Args:
        model: a model with one input and scores (n, classes) as output; it need not be compiled,
            and does not change.
        x: images, series or volumes, or rows of features (n, features).
        classes: a class, or one for each image; by default those with the largest scores.

    Returns:
        The maps, which ``plot(to_file)`` draws.

    Raises:
        ConfigurationError: the model has other inputs or outputs, or a layer of the user computes
            something else in training.
        DataError, ShapeError: the classes or the input do not fit the model.

    Source:
        K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks: visualising
        image classification models and saliency maps", ICLR workshop 2014, section 3.1.

    Example:
        Of a linear score, the map is the size of its weights.

        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.Input((2, 2, 1)), nl.layers.Flatten(), nl.layers.Dense(1)])
        >>> model.set_weights([np.array([[1.0], [-2.0], [3.0], [0.0]]), np.zeros(1)])
        >>> nl.diagnostics.saliency(model, np.ones((1, 2, 2, 1))).maps[0].tolist()
        [[1.0, 2.0], [3.0, 0.0]]
    """
    found = _class_gradients(model, "saliency", x, classes)
    size = np.abs(channels_last(found.dx, found.first))
    maps = size.max(axis=-1) if size.ndim > 2 else size
    return HeatMaps(channels_last(found.x, found.first), maps, found.classes, found.scores)


def grad_cam(
    model: CompilableModel, x: Any, classes: ArrayLike | None = None, layer: str | None = None
) -> HeatMaps:
    """Return where a class is seen: gradient-weighted class activation maps.

    ``M = max(0, Σ_k α_k A_k)`` with the feature maps A_k of a layer and ``α_k``, the mean of
    ``dS/dA_k`` over its places; M is resized to the image (bilinear). S is as in :func:`saliency`.

    Args:
        model: as in :func:`saliency`.
        x: images, series or volumes.
        classes: a class, or one for each image; by default those with the largest scores.
        layer: a layer whose output has spatial axes; by default the last one before the size of
            the last convolution's output changes: its activation, or the sum of a residual block.

    Returns:
        The maps, which ``plot(to_file)`` draws.

    Raises:
        ConfigurationError: as :func:`saliency`; or there is no such layer, its output has no
            spatial axes, or the scores do not depend on it.
        DataError, ShapeError: the classes or the input do not fit the model.

    Source:
        R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
        localization", ICCV 2017, equations 1 and 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layers = [nl.layers.Conv2D(3, 3, activation="relu"), nl.layers.Flatten()]
        >>> model = nl.Sequential([nl.Input((8, 8, 1)), *layers, nl.layers.Dense(2)], seed=0)
        >>> found = nl.diagnostics.grad_cam(model, np.ones((1, 8, 8, 1)), classes=1)
        >>> found.layer, found.maps.shape
        ('conv2d', (1, 8, 8))
    """
    owner = "grad_cam"
    found = _class_gradients(model, owner, x, classes)
    spatial = {name: a for name, a in found.outputs.items() if a.ndim > 2}
    name = _last_of_convolution(found, spatial) if layer is None else matching_name(layer, spatial)
    if name not in spatial:
        known = ", ".join(spatial) or "no layer"
        raise ConfigurationError(
            f"{owner}: layer must have an output with spatial axes ({known}), got {name!r}."
            f"{suggestion(str(name), list(spatial))}"
        )
    if name not in found.gradients:
        raise ConfigurationError(f"{owner}: the scores do not depend on the output of {name!r}.")
    a = channels_last(spatial[name], found.first).astype(np.float64)
    da = channels_last(found.gradients[name], found.first).astype(np.float64)
    places = tuple(range(1, a.ndim - 1))
    alpha = da.mean(axis=places, keepdims=True)
    maps = np.maximum(0, (alpha * a).sum(axis=-1))
    images = channels_last(found.x, found.first)
    maps = _resized(maps, images.shape[1:-1])
    return HeatMaps(images, maps, found.classes, found.scores, name)


class _Found(NamedTuple):
    x: Array
    dx: Array
    classes: Array
    scores: Array
    outputs: dict[str, Array]  # of the layers, in the order of the calls
    gradients: dict[str, Array]  # of the scores by these outputs
    layers: dict[str, Layer]
    first: bool  # whether the channels are on axis 1


def _class_gradients(model: CompilableModel, owner: str, x: Any, classes: Any) -> _Found:
    """Compute the scores of the classes, and their gradients, on a copy of the model."""
    trial = copy.deepcopy(model)
    x = one_input(trial, owner, x)
    if isinstance(x, tuple):
        raise ConfigurationError(f"{owner}: the model must have one input, it has {len(x)}.")
    layers = watched_uses(trial)
    watched = {id(layer) for layer in layers.values()}
    outputs: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    last: list[tuple[Layer, Array, Array]] = []  # softmax or sigmoid, with its input and output

    def around(layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
        if method == "backward" and last and layer is last[0][0]:
            return given  # the gradient is that of the scores
        if method == "backward" and id(layer) in watched and isinstance(given, np.ndarray):
            gradients[uses.name(layer)] = given.copy()
        before = given.copy() if isinstance(layer, (Sigmoid, Softmax)) else None
        result = run()
        if method == "forward" and before is not None:
            last[:] = [(layer, before, result.copy())]
        if method == "forward" and id(layer) in watched:
            numbers = float_numbers(result)
            if numbers is not None:
                outputs[uses.name(layer)] = numbers.copy()
        return result

    call = InferenceCall(trial, trial)
    with observed(trial, around) as uses:
        y = call.forward(x, True)
        if not isinstance(y, np.ndarray) or y.ndim != 2:
            shape = y.shape if isinstance(y, np.ndarray) else f"{len(y)} arrays"
            raise ConfigurationError(
                f"{owner}: the output of the model must be scores of shape (n, classes), got "
                f"{shape}."
            )
        if last and not np.array_equal(last[0][2], y):
            last.clear()  # a gate within the network
        scores = last[0][1] if last else y.copy()
        chosen = _chosen(owner, classes, scores)
        dy = np.zeros_like(y)
        dy[np.arange(len(y)), chosen] = 1
        dx = call.backward(dy)
    if dx is None:
        raise ConfigurationError(f"{owner}: no gradient reaches the input of the model.")
    its_scores = scores[np.arange(len(y)), chosen].astype(np.float64)
    first = channels_first(trial)
    return _Found(np.array(x), dx.copy(), chosen, its_scores, outputs, gradients, layers, first)


def _chosen(owner: str, classes: Any, scores: Array) -> Array:
    """Return the class of each row."""
    rows, count = scores.shape
    if classes is None:
        return scores.argmax(axis=1)
    found = np.asarray(classes)
    if found.dtype.kind not in "iu" or found.shape not in ((), (rows,)):
        raise DataError(
            f"{owner}: classes must be an integer, or one for each of the {rows} rows, got "
            f"{found.dtype} of shape {found.shape}."
        )
    if found.size and not (found.min() >= 0 and found.max() < count):
        raise DataError(
            f"{owner}: classes must be from 0 to {count - 1}, got {found.min()} to {found.max()}."
        )
    return np.broadcast_to(found, rows).copy()


def _last_of_convolution(found: _Found, spatial: dict[str, Array]) -> str | None:
    """Return the last layer with an output of the size of that of the last convolution."""
    names = list(spatial)
    kinds = (AffineLayer, SpatialLayer)
    at = [i for i, n in enumerate(names) if all(isinstance(found.layers[n], k) for k in kinds)]
    if not at:
        return names[-1] if names else None
    name = names[at[-1]]
    for other in names[at[-1] + 1 :]:
        if spatial[other].shape != spatial[name].shape:
            break
        name = other
    return name


def _resized(maps: Array, sizes: tuple[int, ...]) -> Array:
    """Return maps (n, ...) of the given sizes, by linear interpolation along each axis."""
    for axis, size in enumerate(sizes, 1):
        matrix = interpolation(maps.shape[axis], size, "bilinear", False, maps.dtype)
        new = np.empty((*maps.shape[:axis], size, *maps.shape[axis + 1 :]))
        multiply_axis(matrix, np.ascontiguousarray(maps), axis, new)
        maps = new
    return maps
