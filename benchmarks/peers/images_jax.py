"""JAX: the convolutional networks, with the channels last."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases import BN_EPSILON, BN_MOMENTUM
from benchmarks.images import ImageCase, Weights, build


def start_image(case: ImageCase, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Return the parameters and the moving averages, in the order of the layers."""
    params: list[Any] = []
    moving: list[Any] = []
    draw, rank = Weights(seed), len(case.shape) - 1

    def make(layer: tuple[Any, ...], normed: bool, x: Any) -> Any:
        kind, *numbers = layer
        channels = x.shape[-1]
        if kind in ("conv", "depthwise"):
            outputs = (channels, numbers[0]) if kind == "conv" else (channels, 1)
            kernel = numbers[1] if kind == "conv" else numbers[0]
            w = draw(*[kernel] * rank, *outputs)
            if kind == "depthwise":  # one channel in a group
                w = np.moveaxis(w, -1, -2)
            params.append({"w": jnp.asarray(w)})
            if not normed:
                params[-1]["b"] = jnp.zeros(w.shape[-1])
        elif kind == "dense":
            params.append({"w": jnp.asarray(draw(channels, *numbers)), "b": jnp.zeros(*numbers)})
        elif kind == "norm":
            params.append({"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)})
            moving.append((jnp.zeros(channels), jnp.ones(channels)))
        return _apply(case, layer, x, params, len(params) - 1, None)

    build(case.layers, jnp.zeros((2, *case.shape)), make, jnp.add)
    return params, moving


def image_network(case: ImageCase, params: Any, moving: Any, x: Any, key: Any) -> tuple[Any, Any]:
    """Return the logits and the moving averages; a ``key`` means training."""
    counts, after, keys = [0], [], [key]

    def make(layer: tuple[Any, ...], normed: bool, h: Any) -> Any:
        kind = layer[0]
        if kind == "dropout":
            if key is None:
                return h
            keys[0], mine = jax.random.split(keys[0])
            kept = jax.random.bernoulli(mine, 1 - case.dropout, h.shape)
            return jnp.where(kept, h / (1 - case.dropout), 0)
        at = counts[0]
        if kind in ("conv", "depthwise", "dense", "norm"):
            counts[0] += 1
        if kind != "norm":
            return _apply(case, layer, h, params, at, None)
        average = moving[len(after)]
        if key is not None:
            axes = tuple(range(h.ndim - 1))
            new, keep = (h.mean(axes), h.var(axes)), BN_MOMENTUM
            after.append(
                tuple(keep * a + (1 - keep) * b for a, b in zip(average, new, strict=True))
            )
            average = new
        else:
            after.append(average)
        return _apply(case, layer, h, params, at, average)

    return build(case.layers, x, make, jnp.add), after


def _apply(
    case: ImageCase, layer: tuple[Any, ...], x: Any, params: Any, at: int, average: Any
) -> Any:
    """Apply a layer with the parameters of a number."""
    kind, *numbers = layer
    rank = len(case.shape) - 1
    if kind in ("conv", "depthwise"):
        stride, dilation, padding = numbers[2:] if kind == "conv" else (numbers[1], 1, "same")
        y = jax.lax.conv_general_dilated(
            x,
            params[at]["w"],
            (stride,) * rank,
            padding.upper(),
            rhs_dilation=(dilation,) * rank,
            dimension_numbers=[("NWC", "WIO", "NWC"), ("NHWC", "HWIO", "NHWC")][rank - 1],
            feature_group_count=x.shape[-1] if kind == "depthwise" else 1,
        )
        return y + params[at]["b"] if "b" in params[at] else y
    if kind == "dense":
        return x @ params[at]["w"] + params[at]["b"]
    if kind == "norm":
        mean, variance = average or (0, 1)
        factor = params[at]["gamma"] * jax.lax.rsqrt(variance + BN_EPSILON)
        return (x - mean) * factor + params[at]["beta"]
    if kind in ("max", "mean"):
        window = (1, *numbers * rank, 1)
        start, combine = (-jnp.inf, jax.lax.max) if kind == "max" else (0.0, jax.lax.add)
        y = jax.lax.reduce_window(x, start, combine, window, window, "VALID")
        return y if kind == "max" else y / numbers[0] ** rank
    if kind == "global":
        return x.mean(axis=tuple(range(1, x.ndim - 1)))
    if kind == "flatten":
        return x.reshape(len(x), -1)
    return {"relu": jax.nn.relu, "tanh": jnp.tanh, "dropout": lambda x: x}[kind](x)
