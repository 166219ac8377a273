"""Draw the next token of a text from the logits of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.checks import check_integer, check_number
from netlayers.errors import DataError, ShapeError
from netlayers.random import _generator

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike
    from netlayers.random import SeedGenerator

_OWNER = "sample_logits"


def sample_logits(
    logits: ArrayLike,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: SeedGenerator | int | None = None,
) -> Array:
    """Draw a class from the softmax of each row of logits.

    For the logits z: ``p = softmax(z / temperature)``, in which classes that ``top_k`` and then
    ``top_p`` leave out have the probability 0.

    Args:
        logits: (..., classes), of a layer without softmax; of probabilities take the logarithm.
        temperature: above 1 the draws are more various, below 1 less; 0 takes the likeliest class.
        top_k: draw from so many of the likeliest classes; ``None`` for all.
        top_p: draw from the fewest of the likeliest classes that have at least this probability
            together (nucleus sampling), in (0, 1]; ``None`` for all.
        seed: an integer gives the same numbers at each call; a ``random.SeedGenerator`` goes on,
            for a text that is drawn one token after the other.

    Returns:
        Integers, (...).

    Raises:
        ShapeError: ``logits`` has no axis of classes.
        DataError: they are not numbers, or the largest of a row is not finite.
        ConfigurationError: another argument is wrong.

    Source:
        ``top_k``: A. Fan, M. Lewis, Y. Dauphin, "Hierarchical neural story generation", ACL 2018,
        section 5.4. ``top_p``: A. Holtzman et al., "The curious case of neural text degeneration",
        ICLR 2020, equations (2) and (3); the temperature is their equation (4).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> logits = np.log([0.5, 0.3, 0.15, 0.05])
        >>> seed = nl.random.SeedGenerator(0)
        >>> draws = [int(nl.utils.sample_logits(logits, top_p=0.75, seed=seed)) for _ in range(9)]
        >>> sorted(set(draws))
        [0, 1]
        >>> int(nl.utils.sample_logits(logits, temperature=0))
        0
    """
    heat = check_number(_OWNER, "temperature", temperature, minimum=0)
    z: Any = as_float(_OWNER, "logits", logits, np.dtype(np.float64))
    if not z.ndim or not z.shape[-1]:
        raise ShapeError(f"{_OWNER}: logits must have an axis of classes, got the shape {z.shape}.")
    largest = np.ravel(z.max(axis=-1))
    if not (good := np.isfinite(largest)).all():  # single classes may be excluded by -inf
        raise DataError(
            f"{_OWNER}: the largest of the logits must be finite in each row, got "
            f"{largest[~good][0]} in row {np.argmin(good)}."
        )
    if top_k is not None:
        top_k = check_integer(_OWNER, "top_k", top_k, minimum=1)
    if top_p is not None:
        top_p = check_number(_OWNER, "top_p", top_p, above=0, maximum=1)
    rng = _generator(_OWNER, seed)
    if not heat:
        return z.argmax(axis=-1)
    order = np.argsort(-z, axis=-1, kind="stable")  # the likeliest class first
    z = np.take_along_axis(z, order, axis=-1)
    p = np.exp((z - z[..., :1]) / heat)
    if top_k is not None:
        p[..., top_k:] = 0
    p /= p.sum(axis=-1, keepdims=True)
    if top_p is not None:
        before = np.cumsum(p, axis=-1) - p  # what the likelier classes have together
        p[before >= top_p] = 0
    reached = np.cumsum(p, axis=-1)
    u = rng.random(z.shape[:-1])[..., None] * reached[..., -1:]
    place = (reached <= u).sum(axis=-1, keepdims=True)
    return np.take_along_axis(order, place, axis=-1)[..., 0]
