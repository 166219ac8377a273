"""One batch, as everything that computes with data takes it, and what gives batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


class Data(Protocol):
    """What the loops read: batches, epoch by epoch."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, ``None`` as long as nobody knows."""

    @property
    def rows(self) -> int | None:
        """Rows in an epoch, ``None`` where nobody knows."""

    def ready(self) -> bool:
        """Whether there are batches for another epoch."""

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, or those after the first ``start``."""

    def close(self) -> None:
        """Let go of the source."""

    def get_state(self, done: int | None = None) -> dict[str, Any]:
        """Return the place after so many batches of an epoch, or between two epochs."""

    def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
        """Go on at such a place."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what makes data the same."""

    def reproducibility_warning(self) -> str | None:
        """Return why another process might read other batches, or ``None``."""


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


def ready_batch(
    model: Any, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Batch | None:
    """Return a batch of arrays just as the model computes with them, or ``None``: a quick look.

    What is not ready goes through the checks, which make it so or say what is wrong. They pass
    everything that this does, and more: finite numbers whose sum of squares overflows, for one.
    A model whose last decisions (``_steps``) are not made yet is never ready.
    """
    if (
        model._steps is not None
        and sample_weight is None
        and class_weight is None
        and type(x) is type(y) is np.ndarray
        and x.dtype is model._dtype
        and x.shape[1:] == model._row
        and (rows := len(x)) > 0
        and y.ndim > 0
        and len(y) == rows
        and x.flags.c_contiguous
        and y.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
        and (y.dtype.kind in "iub" or (y.dtype is x.dtype and math.isfinite(np.vdot(y, y))))
    ):
        return Batch(x, y, None, rows)
    return None


def is_ready_input(model: Any, x: Any) -> bool:
    """Whether x is an array just as the model computes with it, of finite numbers."""
    return (
        type(x) is np.ndarray
        and x.dtype is model._dtype
        and x.shape[1:] == model._row
        and len(x) > 0
        and x.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
    )
