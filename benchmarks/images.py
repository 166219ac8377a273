"""The convolutional networks to measure, as layers that every framework builds.

This module uses NumPy only. A layer is a tuple of its kind and its numbers:

- ``("conv", filters, kernel, stride, dilation, padding)``: over one or two axes, without a bias if
  a normalization follows; ``("depthwise", kernel, stride)``, with padding ``"same"``;
- ``("norm",)``, ``("relu",)``, ``("tanh",)``, ``("max", size)``, ``("mean", size)``,
  ``("global",)`` for the mean of each channel, ``("flatten",)``, ``("dropout", rate)``,
  ``("dense", units)``;
- ``("add", layers, shortcut)``: the sum of two chains on the same input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Layers = tuple[tuple[Any, ...], ...]
CLASSES = 10


@dataclass(frozen=True)
class ImageCase:
    """A convolutional classifier and its training, with the cross-entropy of logits.

    Attributes:
        shape: shape of a sample, the channels last.
        batch: samples in a batch.
        optimizer: ``"adam"`` or ``"sgd"``.
        layers: see the module.
        dropout: rate of the dropout layers.
        rate: learning rate of Adam. That of vgg is lower: a step of 0.001 in each weight of 8,192
            inputs is so large that the loss rises, and rounding decides where it goes.
        loss: the cross-entropy of logits and class indices.
    """

    name: str
    shape: tuple[int, ...]
    batch: int
    optimizer: str
    layers: Layers
    dropout: float = 0.0
    rate: float = 0.001
    loss: str = "crossentropy"

    def to_dict(self) -> dict[str, Any]:
        """Return a description for :func:`benchmarks.cases.from_dict`."""
        return {"image_case": self.name, "dropout": self.dropout}


def conv(
    filters: int, kernel: int = 3, stride: int = 1, dilation: int = 1, padding: str = "same"
) -> tuple[Any, ...]:
    """Return a convolution."""
    return ("conv", filters, kernel, stride, dilation, padding)


def normalized(*layers: tuple[Any, ...]) -> Layers:
    """Return the layers, each followed by a normalization and a rectifier."""
    return tuple(part for layer in layers for part in (layer, ("norm",), ("relu",)))


def block(filters: int, stride: int) -> Layers:
    """Return a residual block of two convolutions; a 1 x 1 convolution where the shape changes."""
    path = (*normalized(conv(filters, stride=stride)), conv(filters), ("norm",))
    shortcut = (conv(filters, 1, stride), ("norm",)) if stride > 1 else ()
    return (("add", path, shortcut), ("relu",))


def separable(filters: int, stride: int = 1) -> Layers:
    """Return a depthwise and a pointwise convolution, each normalized."""
    return normalized(("depthwise", 3, stride), conv(filters, 1))


def _cases() -> Iterator[ImageCase]:
    pool, relu = ("max", 2), ("relu",)
    maps = (
        conv(6, 5),
        ("tanh",),
        ("mean", 2),
        conv(16, 5, padding="valid"),
        ("tanh",),
        ("mean", 2),
    )
    dense = (("flatten",), ("dense", 120), ("tanh",), ("dense", 84), ("tanh",), ("dense", CLASSES))
    yield ImageCase("lenet", (28, 28, 1), 128, "adam", (*maps, *dense))
    first, second = conv(20, 5, padding="valid"), conv(40, 5, padding="valid")
    nielsen = (first, pool, relu, second, pool, relu, ("flatten",), ("dense", 100), relu)
    yield ImageCase("nielsen", (28, 28, 1), 10, "sgd", (*nielsen, ("dense", CLASSES)))
    first, second = conv(32, padding="valid"), conv(64, padding="valid")
    convnet = (first, relu, pool, second, relu, pool, ("flatten",), ("dropout",))
    yield ImageCase("convnet", (28, 28, 1), 128, "adam", (*convnet, ("dense", CLASSES)), 0.5)
    vgg = (*normalized(conv(64), conv(64)), pool, *normalized(conv(128), conv(128)), pool)
    top = (("flatten",), ("dense", 256), relu, ("dense", CLASSES))
    yield ImageCase("vgg", (32, 32, 3), 64, "adam", vgg + top, rate=1e-4)
    blocks = [block(f, 2 if f > 16 and not i else 1) for f in (16, 32, 64) for i in range(3)]
    resnet = (*normalized(conv(16)), *(part for parts in blocks for part in parts))
    top = (("global",), ("dense", CLASSES))
    yield ImageCase("resnet", (32, 32, 3), 64, "adam", resnet + top)
    mobile = (
        *normalized(conv(32)), *separable(64), *separable(128, 2), *separable(128),
        *separable(256, 2), *separable(256),
    )  # fmt: skip
    yield ImageCase("mobile", (32, 32, 3), 64, "adam", mobile + top)
    series = tuple(part for d in (1, 2, 4) for part in (conv(64, 7, dilation=d), relu))
    yield ImageCase("conv1d", (1000, 12), 64, "adam", series + top)


IMAGE_CASES = {case.name: case for case in _cases()}


def image_data(case: ImageCase) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch in float32, the channels last, and class indices."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((case.batch, *case.shape), dtype=np.float32)
    return x, rng.integers(0, CLASSES, case.batch)


class Weights:
    """Draws kernels in the order of the layers, the same for all frameworks."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray:
        """Return a He uniform kernel (..., inputs, outputs), or (..., channels, 1) depthwise."""
        fan = int(np.prod(shape[:-1])) if shape[-1] > 1 else int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / fan)
        return self.rng.uniform(-limit, limit, shape).astype(np.float32)


def build(
    layers: Layers, x: Any, make: Callable[[tuple[Any, ...], bool, Any], Any], add: Any
) -> Any:
    """Apply layers in any framework.

    Args:
        layers: see the module.
        x: the input.
        make: applies a layer, given whether a normalization follows, to an array.
        add: adds two arrays.
    """
    for i, layer in enumerate(layers):
        if layer[0] == "add":
            x = add(build(layer[1], x, make, add), build(layer[2], x, make, add))
        else:
            normed = i + 1 < len(layers) and layers[i + 1][0] == "norm"
            x = make(layer, normed, x)
    return x


def products(case: ImageCase) -> list[tuple[int, int, int]]:
    """Return the matrix products of a step as (rows, inner, columns), forward and backward.

    A convolution is the product of its patches, one for each window, with the kernel. Those of the
    first layer need no input gradient; a depthwise convolution is no product.
    """
    found: list[tuple[int, int, int]] = []
    rank = len(case.shape) - 1

    def add(rows: int, inner: int, columns: int) -> None:
        first = not found
        found.extend([(rows, inner, columns), (inner, rows, columns)])
        if not first:
            found.append((rows, columns, inner))

    def make(layer: tuple[Any, ...], normed: bool, shape: tuple[int, ...]) -> tuple[int, ...]:
        kind, *numbers = layer
        sizes, channels = shape[:-1], shape[-1]
        if kind == "conv":
            filters, kernel, stride, dilation, padding = numbers
            reach = 0 if padding == "same" else (kernel - 1) * dilation
            sizes = tuple(-(-(n - reach) // stride) for n in sizes)
            add(case.batch * int(np.prod(sizes)), kernel**rank * channels, filters)
            return (*sizes, filters)
        if kind == "depthwise":
            return (*(-(-n // numbers[1]) for n in sizes), channels)
        if kind in ("max", "mean"):
            return (*(n // numbers[0] for n in sizes), channels)
        if kind == "dense":
            add(case.batch, channels, *numbers)
            return (*sizes, *numbers)
        if kind == "global":
            return (channels,)
        return (int(np.prod(shape)),) if kind == "flatten" else shape

    build(case.layers, case.shape, make, lambda a, b: a)
    return found
