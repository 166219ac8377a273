"""Labels from the outputs of a network that was trained with the loss CTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.checks import check_choice, check_flag, check_integer
from netlayers.errors import ConfigurationError, DataError, ShapeError

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike

_OWNER = "ctc_decode"


def ctc_decode(
    inputs: ArrayLike,
    sequence_lengths: ArrayLike,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Array, Array]:
    """Return the labels that the logits of each series mean.

    A network trained with :class:`netlayers.losses.CTC` gives a class for each step, the blank
    among them; labels come from them by merging equal neighbours and leaving out the blank.

    Args:
        inputs: logits, (batch, steps, classes).
        sequence_lengths: the number of steps of each series, (batch,).
        strategy: ``"greedy"`` takes the likeliest class of each step; ``"beam_search"`` adds up the
            probabilities of all series of classes that mean the same labels, of the likeliest
            beginnings.
        beam_width: number of beginnings that the search keeps.
        top_paths: number of label series that the search returns.
        merge_repeated: with ``False``, equal neighbours are not merged (greedy only).
        mask_index: the class that is the blank.

    Returns:
        The labels, int32, (top_paths, batch, steps), with -1 behind the last, the likeliest first.
        And scores: with ``"greedy"`` the sum of the largest logits times -1, (batch, 1), with
        ``"beam_search"`` the log probabilities, (batch, top_paths).

    Raises:
        ShapeError: ``inputs`` is not (batch, steps, classes), or there is not a length for each.
        DataError: a length is not between 0 and the number of steps.
        ConfigurationError: another argument is wrong.

    Source:
        A. Graves, "Supervised sequence labelling with recurrent neural networks", 2012, section
        7.5; the search by prefixes of A. Hannun et al., "First-pass large vocabulary continuous
        speech recognition using bi-directional recurrent DNNs", 2014, algorithm 1, without a
        language model.

    Example:
        The likeliest class of both steps is the blank, but the label 1 is likelier than none:

        >>> import numpy as np, netlayers as nl
        >>> logits = np.log([[[0.6, 0.4], [0.6, 0.4]]])
        >>> nl.utils.ctc_decode(logits, [2])[0].tolist()
        [[[-1, -1]]]
        >>> labels, scores = nl.utils.ctc_decode(logits, [2], "beam_search", top_paths=2)
        >>> labels.tolist(), np.exp(scores).round(2).tolist()
        ([[[1, -1]], [[-1, -1]]], [[0.64, 0.36]])
    """
    check_choice(_OWNER, "strategy", strategy, ("greedy", "beam_search"))
    width = check_integer(_OWNER, "beam_width", beam_width, minimum=1)
    paths = check_integer(_OWNER, "top_paths", top_paths, minimum=1, maximum=width)
    merge = check_flag(_OWNER, "merge_repeated", merge_repeated)
    logits: Any = inputs
    if not isinstance(logits, np.ndarray) or logits.dtype.kind != "f":
        logits = as_float(_OWNER, "inputs", inputs, np.dtype(np.float32))
    if logits.ndim != 3 or not logits.shape[2]:
        raise ShapeError(
            f"{_OWNER}: inputs must be logits (batch, steps, classes), got {logits.shape}."
        )
    blank = check_integer(_OWNER, "mask_index", mask_index, minimum=0, maximum=logits.shape[2] - 1)
    lengths = _checked_lengths(sequence_lengths, logits.shape)
    if strategy == "greedy":
        if paths > 1:
            raise ConfigurationError(
                f"{_OWNER}: top_paths must be 1 with strategy='greedy', got {paths}."
            )
        return _greedy(logits, lengths, merge, blank)
    if not merge:
        raise ConfigurationError(
            f"{_OWNER}: merge_repeated=False is for strategy='greedy'; the search merges."
        )
    labels = np.full((paths, *logits.shape[:2]), -1, np.int32)
    scores = np.full((len(logits), paths), -np.inf, logits.dtype)
    for i, (z, length) in enumerate(zip(logits, lengths, strict=True)):
        for j, (prefix, score) in enumerate(_search(z[:length], width, blank)[:paths]):
            labels[j, i, : len(prefix)], scores[i, j] = prefix, score
    return labels, scores


def _greedy(logits: Array, lengths: Array, merge: bool, blank: int) -> tuple[Array, Array]:
    labels = np.full((1, *logits.shape[:2]), -1, np.int32)
    scores = np.zeros((len(logits), 1), logits.dtype)
    for i, (z, length) in enumerate(zip(logits, lengths, strict=True)):
        best = z[:length].argmax(axis=1)
        scores[i] = -z[:length].max(axis=1, initial=-np.inf).sum()
        there = best != blank
        if merge:
            there[1:] &= best[1:] != best[:-1]
        labels[0, i, : there.sum()] = best[there]
    return labels, scores


def _search(z: Array, width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the likeliest label series and their log probabilities.

    For each prefix there are two probabilities: that of the series of classes that end in a blank,
    and of those that end in the last label. Only behind a blank the same label can follow again.
    """
    log_p = z.astype(np.float64)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    prefixes: list[tuple[int, ...]] = [()]
    by_blank, by_label = np.zeros(1), np.full(1, -np.inf)
    for p in log_p:
        count = len(prefixes)
        total = np.logaddexp(by_blank, by_label)
        last = np.array([prefix[-1] if prefix else blank for prefix in prefixes])
        # A prefix stays as it is with a blank, or with its last label again,
        stays = np.where([bool(prefix) for prefix in prefixes], by_label + p[last], -np.inf)
        # or gets another label,
        longer = total[:, None] + p
        longer[np.arange(count), last] = by_blank + p[last]
        longer[:, blank] = -np.inf
        # which may make one of the others.
        place = {prefix: i for i, prefix in enumerate(prefixes)}
        for j, prefix in enumerate(prefixes):
            i = place.get(prefix[:-1]) if prefix else None
            if i is not None:
                stays[j] = np.logaddexp(stays[j], longer[i, prefix[-1]])
                longer[i, prefix[-1]] = -np.inf
        by_blank = np.concatenate([total + p[blank], np.full(longer.size, -np.inf)])
        by_label = np.concatenate([stays, longer.ravel()])
        score = np.logaddexp(by_blank, by_label)
        best = np.argsort(-score, kind="stable")[:width]
        best = best[np.isfinite(score[best])]
        prefixes = [
            prefixes[k] if k < count else (*prefixes[(k - count) // len(p)], (k - count) % len(p))
            for k in best.tolist()
        ]
        by_blank, by_label = by_blank[best], by_label[best]
    return list(zip(prefixes, np.logaddexp(by_blank, by_label).tolist(), strict=True))


def _checked_lengths(given: Any, shape: tuple[int, ...]) -> Array:
    lengths = np.asarray(given)
    if lengths.shape != (shape[0],) or lengths.dtype.kind not in "iu":
        raise ShapeError(
            f"{_OWNER}: sequence_lengths must be {shape[0]} integers, the number of steps of each "
            f"series, got {given!r}."
        )
    if lengths.size and not (lengths.min() >= 0 and lengths.max() <= shape[1]):
        raise DataError(
            f"{_OWNER}: sequence_lengths must be from 0 to {shape[1]}, the number of steps, got "
            f"{lengths.min()} to {lengths.max()}."
        )
    return lengths
