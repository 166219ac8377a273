"""Numbers of categories by a vocabulary, and back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.categories import as_categories
from netlayers.arrays.hashing import farmhash, siphash
from netlayers.data.adapting import batches_for_adapt
from netlayers.data.structure import arrays_by_name
from netlayers.errors import ConfigurationError, DataError
from netlayers.layers.vocabulary import VocabularyLayer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlayers._typing import Array

_LEFT_OUT, _UNSEEN, _MISSING = -1, -2, -3  # indices that encodings leave out; for later


class IndexLookup(VocabularyLayer):
    """Base class of :class:`StringLookup` and :class:`IntegerLookup`: adapt, and the lookup."""

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Make the vocabulary of data, replacing the previous one.

        The most frequent categories come first, equally frequent ones in reverse order; at most
        ``max_tokens`` entries remain. Missing values do not count. For ``"tf_idf"``, with N samples
        of which n contain a category, its weight is ``log(1 + N / (1 + n))``; unseen categories
        have the mean.

        Args:
            data: an array, list or frame, or data in batches, in any form that ``fit`` takes. A
                sample is a row, or an entry if there is one axis.
            batch_size: accepted as in ``Normalization``; it makes no difference.
            steps: number of batches to read; by default all.

        Raises:
            ConfigurationError: a vocabulary was given to the constructor.
            DataError: the data are of another kind, or have no categories.
        """
        owner = f"{self.owner}: adapt()"
        if self._is_given:
            raise ConfigurationError(
                f"{owner}: a vocabulary was given to the constructor; there is nothing to adapt."
            )
        counts: Counter[Any] = Counter()
        documents: Counter[Any] = Counter()
        total = 0
        for batch in batches_for_adapt(owner, data, steps):
            (array,) = arrays_by_name(owner, "data", batch, ["x"])
            for sample in self._samples(owner, array):
                total += 1
                counts.update(sample)
                if self.output_mode == "tf_idf":
                    documents.update(set(sample))
        for token in (self.mask_token, self.oov_token, None):
            counts.pop(token, None)
        if not counts:
            raise DataError(f"{owner}: the data hold no categories; give one sample or more.")
        entries = sorted(counts, key=lambda v: (counts[v], v), reverse=True)
        if self.max_tokens is not None:
            entries = entries[: max(0, self.max_tokens - self._token_start)]
        weights = None
        if self.output_mode == "tf_idf":
            weights = np.log(
                1 + total / (1 + np.array([documents[v] for v in entries], np.float64))
            )
        self._use(entries, weights)

    def _samples(self, owner: str, data: Any) -> Iterable[list[Any]]:
        """Yield the categories of each sample."""
        array = as_categories(owner, "data", data, self._kind_of_entry)
        if array.size:
            yield from self._plain_entries(
                array.reshape(len(array), -1) if array.ndim else array[None]
            )

    def _plain_entries(self, array: Array) -> list[Any]:
        """Return an array of categories as nested lists of ``str`` or ``int``, ``None`` missing."""
        found = array.tolist()
        if array.dtype.kind == "f" and np.isnan(array).any():
            missing = np.isnan(array).tolist()
            if array.ndim == 1:
                return [None if m else v for v, m in zip(found, missing, strict=True)]
            return [self._without(v, m) for v, m in zip(found, missing, strict=True)]
        return found

    def _without(self, values: list[Any], missing: list[bool]) -> list[Any]:
        return [None if m else v for v, m in zip(values, missing, strict=True)]

    # The lookup ----------------------------------------------------------------------------------

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return indices, or their encoding; with ``invert``, categories of indices."""
        if not self._entries:
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): it has no vocabulary yet; call adapt() "
                "with data, or give vocabulary."
            )
        x = self.prepare(x)
        if self.invert:
            y = self._inverted(x)
            if training:
                self.cache.shape = y.shape
            return y
        return self._weighted(self._indices(x), training)

    def _weighted(self, indices: Array, training: bool) -> Array:
        y = self._encoded(indices, training)
        if self.output_mode == "tf_idf":
            weights = self._weights()
            y[..., : len(weights)] *= weights.astype(y.dtype)
        return y

    def _indices(self, x: Array) -> Array:
        """Return the index of each category, below 0 where an encoding leaves it out."""
        entries = self._plain_entries(x.reshape(-1))
        numbers = dict(self._numbers)
        masked = _MISSING if self.mask_token is None else 0 if self._oov_start else _LEFT_OUT
        numbers[None] = masked
        if self.mask_token is not None:
            numbers[self.mask_token] = masked
        get = numbers.get
        found = np.fromiter((get(v, _UNSEEN) for v in entries), np.int64, len(entries))
        unseen = np.flatnonzero(found < _LEFT_OUT)
        if len(unseen):
            found[unseen] = self._unseen_indices(x, [entries[i] for i in unseen], unseen)
        return found.reshape(x.shape)

    def _unseen_indices(self, x: Array, entries: list[Any], places: Array) -> Any:
        """Return the indices of categories that are not in the vocabulary.

        Raises:
            DataError: there are no such indices.
        """
        count = self.num_oov_indices
        if count == 0:
            row = int(np.unravel_index(places[0], x.shape)[0])
            raise DataError(
                f"{self.owner} ({type(self).__name__}): x holds {entries[0]!r} (row {row}), which "
                "is not in the vocabulary. Set num_oov_indices=1 for an index of such values"
                f"{', and mask_token for one of missing ones' if entries[0] is None else ''}."
            )
        if count == 1:
            return self._oov_start
        if self.oov_method == "floormod":
            buckets = np.array([0 if v is None else int(v) % count for v in entries], np.int64)
        else:
            texts = [b"" if v is None else str(v).encode() for v in entries]
            hashes = farmhash(texts) if self.salt is None else siphash(texts, self.salt)
            buckets = (hashes % np.uint64(count)).astype(np.int64)
        return buckets + self._oov_start

    def _inverted(self, x: Array) -> Array:
        """Return the category of each index; others are ``oov_token``."""
        vocabulary = self.get_vocabulary()
        numbers = x.reshape(-1)
        known = (numbers >= 0) & (numbers < len(vocabulary))
        entries = [
            vocabulary[i] if ok else self.oov_token
            for i, ok in zip(numbers.tolist(), known.tolist(), strict=True)
        ]
        dtype = np.int64 if self._kind_of_entry == "integer" else object
        found = np.empty(len(entries), dtype)
        found[:] = entries
        return found.reshape(x.shape)
