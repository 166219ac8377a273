"""Activations, which may overwrite the sums of the layer that they belong to."""

from __future__ import annotations

import numpy as np

from netlayers.activations import ActivationLayer
from netlayers.testing.arguments import BASES, OBSERVE
from netlayers.testing.contract import Example, check
from netlayers.testing.layers import observe_layer
from netlayers.testing.values import FLOATS, built, normal, require, same

BASES[ActivationLayer] = "activation"
OBSERVE["activation"] = observe_layer


@check("activation")
def inplace_gives_the_same_bits(example: Example) -> None:
    """Check that forward(x, inplace=True) overwrites x where it may, with the same bits."""
    shape = example.data[0]
    for dtype in FLOATS:
        x = normal(shape, dtype)
        plain, inplace = built(example, dtype), built(example, dtype)
        fits = plain.compute_output_shape(shape) == shape
        for training in (False, True):
            expected = plain.forward(x, training)
            given = x.copy()
            got = inplace.forward(given, training, inplace=True)
            same(
                [got],
                [expected],
                f"forward(x, training={training}, inplace=True) to return the bits of forward(x)",
                "read an element of x for the last time when that of y is written",
            )
            overwrites = fits and not (training and inplace.needs_input)
            require(
                np.shares_memory(got, given) is overwrites,
                "x to be overwritten where the output fits into it and backward() does not read it",
                "another array" if overwrites else "x itself",
                "begin forward() with x, y = self.start_forward(x, training, inplace)",
            )
            if not np.shares_memory(got, given):
                same([given], [x], "x to stay as it is", "write into y alone")
        dy = normal(plain.compute_output_shape(shape), dtype, 4)
        same(
            [inplace.backward(dy)],
            [plain.backward(dy)],
            "backward() to return the same bits after forward(inplace=True)",
            "set needs_input = True in the class if backward() reads self.cache.x",
        )
