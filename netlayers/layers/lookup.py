"""Lookups of strings and integers in a vocabulary."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice
from netlayers.errors import ConfigurationError
from netlayers.layers.index_lookup import IndexLookup
from netlayers.layers.vocabulary import check_size
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


def check_encoding(owner: str, value: Any) -> str:
    """Return the name of an encoding of texts.

    Raises:
        ConfigurationError: there is none of this name.
    """
    try:
        codecs.lookup(value)
    except (TypeError, LookupError, ValueError):
        raise ConfigurationError(
            f"{owner}: encoding must be the name of one, such as 'utf-8', got {value!r:.60}."
        ) from None
    return str(value)


class TextLookup(IndexLookup):
    """Base class of lookups of strings, which may be given as bytes."""

    encoding: str

    def _entry(self, argument: str, value: Any) -> str:
        """Return a category as a ``str``."""
        if isinstance(value, bytes):
            value = value.decode(self.encoding)
        if not isinstance(value, str):
            raise ConfigurationError(
                f"{type(self).__name__}: {argument} must hold strings, got {value!r}."
            )
        return str(value)

    def _plain_entries(self, array: Array) -> list[Any]:
        if array.dtype.kind == "S":
            array = np.char.decode(array, self.encoding)
        return super()._plain_entries(array)


@register("layer")
class StringLookup(TextLookup):
    """Number strings by a vocabulary, which is given or made by :meth:`adapt`.

    With ``output_mode="int"`` the output is indices: 0 for ``mask_token``, if there is one; then
    ``num_oov_indices`` for strings that are not in the vocabulary; then the strings. A missing
    value (``None``, NaN, ``pandas.NA``) has the index of the mask, and without one is like a string
    that is not in the vocabulary. The other modes encode the indices, as
    :class:`CategoryEncoding` does; masked and missing values are then left out.

    Shapes: ``x`` strings (batch, ...), ``y`` integers of the same shape; for the other modes see
    :class:`CategoryEncoding`.

    Args:
        max_tokens: largest size of the vocabulary, with its special entries.
        num_oov_indices: number of indices for strings that are not in the vocabulary. With several
            they are divided by FarmHash64; with 0 such a string is an error.
        mask_token: a string that stands for a missing value.
        oov_token: with ``invert``, the string for indices without one.
        vocabulary: a list of strings, or the path of a text file with one in each line.
        idf_weights: for ``"tf_idf"``, the weight of each entry.
        invert: map indices to strings (an array of objects).
        output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"``, ``"count"``, or ``"tf_idf"``: counts
            times the inverse document frequency, see :meth:`adapt`.
        pad_to_max_tokens: encoded rows have ``max_tokens`` columns, whatever the vocabulary.
        sparse: must be ``False``.
        encoding: of strings that are given as bytes.
        salt: an integer or two: SipHash-2-4 with this key instead of FarmHash64.
        vocabulary_size: of the vocabulary that a file holds; part of the configuration.
        kwargs: ``name``, ``dtype``.

    Example:
        >>> import netlayers as nl
        >>> layer = nl.layers.StringLookup()
        >>> layer.adapt([["a", "c", "d"], ["d", "z", "b"]])
        >>> layer.get_vocabulary()
        ['[UNK]', 'd', 'z', 'c', 'b', 'a']
        >>> layer([["a", None], ["d", "new"]])
        array([[5, 0],
               [1, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        salt: int | list[int] | None = None,
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._known_size = check_size(vocabulary_size)
        self.encoding = check_encoding(type(self).__name__, encoding)
        self._set_arguments(
            vocabulary,
            idf_weights,
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            invert=invert,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            salt=salt,
        )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        letters: dict[str, Any] = {"vocabulary": ["1", "0"]}
        return [
            ({"vocabulary": ["2", "0"], "num_oov_indices": 3}, (4, 3)),
            ({**letters, "mask_token": "2"}, (4, 2)),
            ({**letters, "output_mode": "one_hot"}, (2, 3, 1)),
            ({**letters, "output_mode": "tf_idf", "idf_weights": [0.5, 2.0]}, (4, 3)),
        ]


@register("layer")
class IntegerLookup(IndexLookup):
    """Number integers by a vocabulary, which is given or made by :meth:`adapt`.

    As :class:`StringLookup` for strings: codes of products, years, places. A missing value (NaN
    among floats without a fraction, ``pandas.NA``) has the index of the mask, and without one is
    like an integer that is not in the vocabulary.

    Shapes: ``x`` integers (batch, ...), ``y`` integers of the same shape; for the other modes see
    :class:`CategoryEncoding`.

    Args:
        max_tokens: see :class:`StringLookup`.
        num_oov_indices: see :class:`StringLookup`; several are divided by ``oov_method``.
        mask_token: an integer that stands for a missing value.
        oov_token: with ``invert``, the integer for indices without one.
        vocabulary: a list of integers, or the path of a text file with one in each line.
        vocabulary_dtype: must be ``"int64"``.
        idf_weights: see :class:`StringLookup`.
        invert: map indices to integers.
        output_mode: see :class:`StringLookup`.
        sparse: must be ``False``.
        pad_to_max_tokens: see :class:`StringLookup`.
        oov_method: ``"floormod"``: the remainder of the integer divided by ``num_oov_indices``;
            ``"farmhash"``: that of the hash of its decimal text.
        salt: with ``"farmhash"``, see :class:`StringLookup`.
        vocabulary_size: see :class:`StringLookup`.
        kwargs: ``name``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.IntegerLookup(vocabulary=[12, 36, 1138])
        >>> layer(np.array([[12, 1138], [7, 36]])).tolist()
        [[1, 3], [0, 2]]
    """

    _kind_of_entry = "integer"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | list[int] | None = None,
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._known_size = check_size(vocabulary_size)
        self.vocabulary_dtype = check_choice(
            "IntegerLookup", "vocabulary_dtype", vocabulary_dtype, ("int64",)
        )
        methods = ("floormod", "farmhash")
        oov_method = check_choice("IntegerLookup", "oov_method", oov_method, methods)
        if salt is not None and oov_method != "farmhash":
            raise ConfigurationError("IntegerLookup: salt needs oov_method='farmhash'.")
        self._set_arguments(
            vocabulary,
            idf_weights,
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            invert=invert,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            salt=salt,
            oov_method=oov_method,
        )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"vocabulary": [2, 0], "num_oov_indices": 3}, (4, 3)),
            ({"vocabulary": [1, 0], "mask_token": 2}, (4, 2)),
            ({"vocabulary": [1], "output_mode": "count"}, (2, 3, 2)),
        ]

    def _entry(self, argument: str, value: Any) -> int:
        """Return a category as an ``int``."""
        if isinstance(value, str) and argument == "vocabulary":  # of a file
            try:
                return int(value)
            except ValueError:
                pass
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise ConfigurationError(
                f"IntegerLookup: {argument} must hold integers, got {value!r}."
            )
        return int(value)
