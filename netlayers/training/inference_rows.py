"""How many rows ``evaluate`` and ``predict`` compute at once, unless they are told."""

from __future__ import annotations

import math
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from netlayers.core.changes import LAST_CHANGE
from netlayers.core.shapes import listed_shapes
from netlayers.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netlayers._typing import Shape

# At most, and at least. That of training is 32, as in Keras, because there it changes the result.
INFERENCE_BATCH, SMALLEST_BATCH = 1024, 32
# Numbers in the largest array that a layer makes of these rows, 8 MB in float32: what is larger
# falls out of the cache before the next layer reads it, and is fetched anew from the system in each
# batch. With 1024 rows, convolutions on images of 64 x 64 took 1.2 to 1.8 times as long as with
# these, and two on 200 images of 128 x 128 four times the memory.
_NUMBERS = 1 << 21
# For each model its number, as long as no layer changes, for rows of a shape.
_KNOWN: WeakKeyDictionary[Any, tuple[object, tuple[int, ...], int]] = WeakKeyDictionary()


def rows_at_once(model: Any, shape: tuple[int, ...]) -> int:
    """Return how many rows fit into the memory in which a model is fastest.

    Args:
        model: the model. One with states keeps the rows of a batch together, and one that is
            distributed divides a batch; both take ``INFERENCE_BATCH``, as does one not built yet.
        shape: shape of the (first) input, also for axes of any size.
    """
    if shape[0] <= SMALLEST_BATCH:  # they are one batch
        return INFERENCE_BATCH
    if model._has_states or getattr(model, "distribution", None) is not None:
        return INFERENCE_BATCH
    known, row = _KNOWN.get(model), shape[1:]
    if known is None or known[0] is not LAST_CHANGE[0] or known[1] != row:
        most = max(chain.from_iterable(_numbers(part, row) for part in model._flatten_layers()))
        rows = max(SMALLEST_BATCH, min(INFERENCE_BATCH, _NUMBERS // most))
        known = _KNOWN[model] = LAST_CHANGE[0], row, rows
    return known[2]


def _numbers(layer: Any, row: Sequence[int]) -> Iterator[int]:
    """Yield how many numbers a layer makes of a row, 1 if it is not known."""
    yield 1
    for shape in listed_shapes(layer.output_shape):
        if shape is not None:
            yield math.prod(_sizes(shape, row))
    if isinstance(layer, Recurrent) and layer.output_shape is not None:
        steps, *_ = _sizes(listed_shapes(layer.input_shape)[0], row)
        y = math.prod(_sizes(listed_shapes(layer.output_shape)[0], row))
        yield 4 * (y if layer.return_sequences else steps * y)  # up to four gates of each step


def _sizes(shape: Shape, row: Sequence[int]) -> Iterable[int]:
    """Return the sizes of a row, those that vary as in the input."""
    pairs = zip(shape[1:], chain(row, repeat(1)), strict=False)
    return [size or given or 1 for size, given in pairs]
