"""netlayers: the convolutional networks."""

from __future__ import annotations

from typing import Any

import netlayers as nl
from benchmarks.cases import BETA_1, BETA_2, BN_EPSILON, BN_MOMENTUM, EPSILON, RATE, SGD_RATE
from benchmarks.images import ImageCase, Weights, build


def make_image_model(case: ImageCase, seed: int = 0) -> Any:
    """Return the compiled model with the weights of the case."""
    rank = len(case.shape) - 1
    layers, kernels = nl.layers, []
    convolution = layers.Conv1D if rank == 1 else layers.Conv2D

    def make(layer: tuple[Any, ...], normed: bool, x: Any) -> Any:
        kind, *numbers = layer
        made: Any
        if kind == "conv":
            filters, kernel, stride, dilation, padding = numbers
            made = convolution(
                filters, kernel, stride, padding, None, dilation, use_bias=not normed
            )
            kernels.append(made)
        elif kind == "depthwise":
            made = layers.DepthwiseConv2D(*numbers, "same", use_bias=not normed)
            kernels.append(made)
        elif kind == "dense":
            made = layers.Dense(*numbers)
            kernels.append(made)
        elif kind == "norm":
            made = layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON)
        elif kind in ("relu", "tanh"):
            made = layers.Activation(kind)
        elif kind in ("max", "mean"):
            made = {"max": layers.MaxPooling2D, "mean": layers.AveragePooling2D}[kind](*numbers)
        elif kind == "global":
            made = [layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D][rank - 1]()
        elif kind == "flatten":
            made = layers.Flatten()
        else:
            made = layers.Dropout(case.dropout)
        return made(x)

    x = nl.Input(case.shape)
    y = build(case.layers, x, make, lambda a, b: layers.add([a, b]))
    model = nl.Model(x, y, seed=seed)
    optimizer = nl.optimizers.SGD(SGD_RATE)
    if case.optimizer == "adam":
        optimizer = nl.optimizers.Adam(RATE, BETA_1, BETA_2, EPSILON)
    model.compile(optimizer, nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    draw = Weights(seed)
    for layer in kernels:
        layer.kernel[...] = draw(*layer.kernel.shape)
    return model
