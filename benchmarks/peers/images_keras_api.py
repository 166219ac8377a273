"""The convolutional networks, by netlayers or by Keras, whose names are the same."""

from __future__ import annotations

from typing import Any

from benchmarks.cases import BETA_1, BETA_2, BN_EPSILON, BN_MOMENTUM, EPSILON, SGD_RATE
from benchmarks.images import ImageCase, Weights, build


def make_image_model(case: ImageCase, library: Any, seed: int = 0) -> Any:
    """Return the compiled model of netlayers or keras, with the weights of the case."""
    rank = len(case.shape) - 1
    layers, weighted = library.layers, []
    convolution = layers.Conv1D if rank == 1 else layers.Conv2D

    def make(layer: tuple[Any, ...], normed: bool, x: Any) -> Any:
        kind, *numbers = layer
        made: Any
        if kind == "conv":
            filters, kernel, stride, dilation, padding = numbers
            made = convolution(
                filters, kernel, stride, padding, None, dilation, use_bias=not normed
            )
            weighted.append(made)
        elif kind == "depthwise":
            made = layers.DepthwiseConv2D(*numbers, "same", use_bias=not normed)
            weighted.append(made)
        elif kind == "dense":
            made = layers.Dense(*numbers)
            weighted.append(made)
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

    library.utils.set_random_seed(seed)
    x = library.Input(case.shape)
    y = build(case.layers, x, make, lambda a, b: layers.Add()([a, b]))
    model = library.Model(x, y)
    optimizer = library.optimizers.SGD(SGD_RATE)
    if case.optimizer == "adam":
        optimizer = library.optimizers.Adam(case.rate, BETA_1, BETA_2, EPSILON)
    model.compile(optimizer, library.losses.SparseCategoricalCrossentropy(from_logits=True))
    draw = Weights(seed)
    for layer in weighted:
        _, *bias = layer.get_weights()
        layer.set_weights([draw(*layer.kernel.shape), *bias])
    return model
