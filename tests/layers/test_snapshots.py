"""Outputs, gradients, shapes and weights of every layer, and the shapes that it refuses."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.testing.contract import Example
from netlayers.testing.values import built, gradient_like, inputs, restart_streams
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

CLASSES = [cls for cls in concrete("layer") if not issubclass(cls, nl.activations.ActivationLayer)]


def steps(example, dtype):
    """Return the lines of two training steps and of inference."""
    layer, lines = built(example, dtype), []
    for seed in (1, 2):
        x = inputs(layer, example.data[0], dtype, seed)
        restart_streams(layer)
        y = layer.forward(x, training=True)
        lines.append(f"    training: {shown(y)}")
        lines.append(f"    backward: {outcome(lambda y=y: layer.backward(gradient_like(y)))}")
        for p, d in zip(layer.trainable_weights, layer.gradients, strict=True):
            lines.append(f"      {shown(p)}: {outcome(lambda d=d: np.asarray(d))}")
        lines.append(f"    inference: {shown(layer.forward(x))}")
    lines += [
        f"    {p.path} {p.shape} {p.trainable} {p.statistic}" for p in layer.declared_parameters
    ]
    lines.append(f"    {layer.count_params()} {layer.input_shape} {layer.output_shape}")
    return lines


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_steps_and_shapes(cls):
    flags = [
        n
        for n in ("random", "same_in_training", "takes_mask", "supports_masking")
        if getattr(cls, n)
    ]
    lines = [" ".join(flags)]
    for number, (arguments, shape) in enumerate(cls.examples()):
        lines.append(f"example {number} on {shape}")
        example = Example(cls, arguments, (shape,))
        for dtype in ("float64",) if number else ("float64", "float32"):
            lines += [f"  {dtype}", *steps(example, dtype)]
        for other in (
            (None, 3),
            (None, 4),
            (None, None),
            (None, 2, 3),
            (None, None, 4),
            (None, 2, 2, 3),
            (None,),
            (None, 0),
        ):
            layer = example.make(name="it")
            lines.append(
                f"  {other}: {outcome(lambda it=layer, o=other: it.compute_output_shape(o))}"
            )
            lines[-1] += f" | {outcome(lambda it=layer, o=other: it.build(o))}"
        for other in ((2, 3), (2, 4), (2, 2, 3), (3,), ()):
            layer = built(example)
            lines.append(
                f"  x {other}: {outcome(lambda it=layer, o=other: it.forward(numbers(*o)))}"
            )
            lines[-1] += f" | {outcome(lambda it=layer, o=other: it.backward(numbers(*o)))}"
    check_text(__file__, f"{cls.__name__}.txt", "\n".join(lines))
