"""One batch, as everything that computes with data takes it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Checked data of one step, ready to be computed with.

    Attributes:
        inputs: an array (or CSR matrix) for a model with one input, else a tuple of them, in the
            order of the model's inputs.
        targets: an array, a tuple of arrays for a model with several outputs, or ``None``.
        weights: a weight for each sample, or ``None`` for all 1.
        size: number of samples.
    """

    inputs: Any
    targets: Any
    weights: Any
    size: int
