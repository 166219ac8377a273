"""Texts as sequences of indices, or as counts of words."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.categories import as_categories
from netlayers.checks import check_integer, is_iterable, takes
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.layers.categorical import check_mode
from netlayers.layers.lookup import TextLookup, check_encoding
from netlayers.layers.vocabulary import check_size
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from netlayers._typing import Array, Examples, Shape

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLITS = ("whitespace", "character")


@register("layer")
class TextVectorization(TextLookup):
    """Split texts into words and number these by a vocabulary, given or made by :meth:`adapt`.

    A text is standardized, split into words, words are joined to n-grams if ``ngrams`` says so, and
    each gets its index: 0 is padding, 1 stands for words that are not in the vocabulary. With an
    output other than ``"int"`` there is no padding, and unseen words have index 0. A missing value
    (``None``, NaN, ``pandas.NA``) is an empty text.

    Shapes: ``x`` strings (batch,) or (batch, 1), with ``split=None`` also (batch, words); ``y``
    integers (batch, length): ``output_sequence_length``, or the number of words in the longest text
    of the batch. ``"one_hot"``: (batch, words, vocabulary), rows of zeros behind shorter texts. In
    the other modes (batch, vocabulary).

    Args:
        max_tokens: largest size of the vocabulary, with its special entries.
        standardize: ``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"``,
            ``None``, or a function of an array of strings that returns one of the same shape. (All
            letters are lowered; in Keras those of ASCII.)
        split: ``"whitespace"``, ``"character"``, ``None``, or a function of an array of strings
            that returns a list of words for each.
        ngrams: an integer n for groups of 1, ..., n words, or a tuple of such lengths.
        output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"``, ``"count"`` or ``"tf_idf"``, see
            :class:`StringLookup`.
        output_sequence_length: length to which the indices are padded or cut.
        pad_to_max_tokens: encoded rows have ``max_tokens`` columns, whatever the vocabulary.
        vocabulary: a list of words, or the path of a text file with one in each line.
        idf_weights: for ``"tf_idf"``, the weight of each word.
        sparse: must be ``False``.
        ragged: must be ``False``.
        encoding: of texts that are given as bytes.
        vocabulary_size: of the vocabulary that a file holds; part of the configuration.
        kwargs: ``name``, ``dtype``.

    Example:
        >>> import netlayers as nl
        >>> layer = nl.layers.TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["A cat, a dog.", "The cat!"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'cat', 'a', 'the', 'dog']
        >>> layer(["the dog and a", "cat"]).tolist()
        [[4, 5, 1, 3], [2, 0, 0, 0]]
    """

    arguments_without_effect = (*TextLookup.arguments_without_effect, "ragged", "standardize")

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Array], Array] | None = "lower_and_strip_punctuation",
        split: str | Callable[[Array], Any] | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        owner = "TextVectorization"
        _check_step("standardize", standardize, _STANDARDS)
        _check_step("split", split, _SPLITS)
        output_mode = check_mode(
            owner, output_mode, ("int", "one_hot", "multi_hot", "count", "tf_idf")
        )
        its_ngrams = None if ngrams is None else _check_ngrams(ngrams)
        if ragged is not False:
            raise ConfigurationError(
                f"{owner}: ragged must be False, got {ragged!r}; texts are padded to one length."
            )
        if output_sequence_length is not None:
            output_sequence_length = check_integer(
                owner, "output_sequence_length", output_sequence_length, minimum=1
            )
            if output_mode != "int":
                raise ConfigurationError(
                    f"{owner}: output_sequence_length has no effect with output_mode="
                    f"{output_mode!r}; it is for 'int'."
                )
        super().__init__(**kwargs)
        self.standardize, self.split, self.ngrams = standardize, split, its_ngrams
        self.output_sequence_length, self.ragged = output_sequence_length, False
        self._known_size = check_size(vocabulary_size)
        self.encoding = check_encoding(owner, encoding)
        self._set_arguments(
            vocabulary,
            idf_weights,
            max_tokens=max_tokens,
            num_oov_indices=1,
            mask_token="",
            oov_token="[UNK]",
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            salt=None,
        )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        words: dict[str, Any] = {"vocabulary": ["1", "0"]}
        return [
            ({**words, "output_sequence_length": 2, "split": "character"}, (4, 1)),
            ({**words, "output_mode": "count"}, (5,)),
            ({**words, "output_mode": "multi_hot"}, (4, 1)),
            (
                {"vocabulary": ["0", "1 1"], "output_mode": "count", "split": None, "ngrams": 2},
                (4, 3),
            ),
        ]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, length), or (batch, vocabulary).

        Raises:
            ShapeError: x is not (batch,) or (batch, 1), and is to be split.
        """
        if len(input_shape) > 2 or (self.split is not None and input_shape[1:] not in ((), (1,))):
            raise ShapeError(
                f"{self.owner} (TextVectorization): x must have the shape (batch,) or (batch, 1), "
                f"a text for each sample, got {tuple(input_shape)}."
            )
        if self.output_mode != "int":
            words = (None,) if self.output_mode == "one_hot" else ()
            return (input_shape[0], *words, *super().compute_output_shape(input_shape)[-1:])
        return (input_shape[0], self.output_sequence_length)

    def words(self, x: Any) -> list[list[str]]:
        """Return the words, or n-grams, of each text, before they are numbered."""
        array = as_categories(self.owner, "x", x, "string")
        entries = self._plain_entries(array.reshape(-1))
        texts = np.array(["" if v is None else v for v in entries], dtype=str)
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            texts = np.array([text.lower() for text in texts.tolist()], dtype=str)
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            texts = np.array([text.translate(_PUNCTUATION) for text in texts.tolist()], dtype=str)
        if callable(self.standardize):
            texts = _applied(self.owner, "standardize", self.standardize, texts)
        found: list[list[str]]
        if callable(self.split):
            found = [[str(word) for word in words] for words in _split(self, texts)]
        elif self.split == "whitespace":
            found = [text.split() for text in texts.tolist()]
        elif self.split == "character":
            found = [list(text) for text in texts.tolist()]
        else:
            count = len(array) if array.ndim else 1
            found = texts.reshape(count, math.prod(array.shape[1:])).tolist()
        if self.ngrams is None:
            return found
        lengths = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [_ngrams(words, lengths) for words in found]

    def _samples(self, owner: str, data: Any) -> Iterable[list[Any]]:
        yield from self.words(data)

    def _indices(self, x: Array) -> Array:
        """Return the indices of the words of each text, padded."""
        words = self.words(x)
        longest = max(map(len, words), default=0)
        length = self.output_sequence_length or longest
        flat = [word for its in words for word in its[:length]]
        found = super()._indices(np.array(flat, dtype=object))
        filler = 0 if self.output_mode == "int" else -1
        try:
            padded = np.full((len(words), length), filler, np.int64)
        except (MemoryError, ValueError):  # ValueError: more than any array can hold
            raise MemoryError(
                f"{self.owner}: output_sequence_length={length} words of {len(words)} texts do not "
                "fit in memory."
            ) from None
        counts = np.array([min(len(its), length) for its in words], np.intp)
        padded[np.arange(length) < counts[:, None]] = found
        return padded[..., None] if self.output_mode == "one_hot" else padded

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument."""
        value = super()._argument(name)
        return list(value) if name == "ngrams" and isinstance(value, tuple) else value


def _check_step(name: str, value: Any, names: tuple[str, ...]) -> None:
    known = isinstance(value, str) and value in names
    if value is not None and not known and not (callable(value) and takes(value, 1)):
        listed = ", ".join(map(repr, names))
        raise ConfigurationError(
            f"TextVectorization: {name} must be {listed}, None or a function, got {value!r}."
        )


def _check_ngrams(value: Any) -> int | tuple[int, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(
            check_integer("TextVectorization", "each of ngrams", n, minimum=1, maximum=1000)
            for n in value
        )
    return check_integer("TextVectorization", "ngrams", value, minimum=1, maximum=1000)


def _ngrams(words: list[str], lengths: Iterable[int]) -> list[str]:
    """Return groups of adjacent words, the shortest first."""
    return [" ".join(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)]


def _applied(owner: str, name: str, function: Callable[[Array], Any], texts: Array) -> Array:
    result = np.asarray(function(texts))
    if result.shape != texts.shape or result.dtype.kind not in "UOT":
        raise DataError(
            f"{owner}: the function {name} must return strings in the shape {texts.shape}, got "
            f"{result.dtype} in the shape {result.shape}."
        )
    return result.astype(str)


def _split(layer: TextVectorization, texts: Array) -> list[Any]:
    assert callable(layer.split)
    result = layer.split(texts)
    found = list(result) if is_iterable(result) else [None]
    if len(found) != len(texts) or not all(map(_are_words, found)):
        raise DataError(
            f"{layer.owner}: the function split must return a list of words for each of the "
            f"{len(texts)} texts."
        )
    return found


def _are_words(value: Any) -> bool:
    return is_iterable(value) and not isinstance(value, (str, bytes))
