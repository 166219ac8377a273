"""Vocabularies of layers: their order, special entries, and weights."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_flag, check_integer
from netlayers.errors import ConfigurationError
from netlayers.layers.categorical import (
    ENCODINGS,
    CategoricalLayer,
    check_dense,
    check_mode,
    check_salt,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Array
    from netlayers.arrays.spec import Kind


class VocabularyLayer(CategoricalLayer):
    """Base class of layers with a vocabulary: its arguments, its order, its place in files.

    The vocabulary starts with the mask token, if there is one and the output is indices; then come
    ``num_oov_indices`` entries for categories that are not in it ("out of vocabulary"), then the
    categories.

    Subclasses set ``_kind_of_entry`` and define ``_entry``.
    """

    arguments_without_effect: tuple[str, ...] = (
        "sparse", "invert", "oov_token", "max_tokens", "pad_to_max_tokens", "encoding",
        "vocabulary_size", "vocabulary_dtype", "salt", "oov_method", "idf_weights",
    )  # fmt: skip
    _kind_of_entry: Kind = "string"
    max_tokens: int | None
    num_oov_indices: int
    mask_token: Any
    oov_token: Any
    pad_to_max_tokens: bool
    salt: list[int] | None
    _known_size: int | None = None
    invert: bool
    oov_method: str

    def _set_arguments(self, vocabulary: Any, idf_weights: Any, **arguments: Any) -> None:
        """Check the arguments that the subclasses share, and store them."""
        owner, its = type(self).__name__, arguments
        if its["max_tokens"] is not None:
            its["max_tokens"] = check_integer(owner, "max_tokens", its["max_tokens"], minimum=2)
        number = its["num_oov_indices"]
        its["num_oov_indices"] = check_integer(owner, "num_oov_indices", number, minimum=0)
        modes = ("int", *ENCODINGS, "tf_idf")
        its["output_mode"] = check_mode(owner, its["output_mode"], modes)
        for name in ("invert", "pad_to_max_tokens"):
            its[name] = check_flag(owner, name, its.get(name, False))
        its["sparse"] = check_dense(owner, its["sparse"])
        its["salt"] = check_salt(owner, its["salt"])
        if its["pad_to_max_tokens"] and its["max_tokens"] is None:
            raise ConfigurationError(f"{owner}: pad_to_max_tokens=True needs max_tokens.")
        if its["invert"] and its["output_mode"] != "int":
            raise ConfigurationError(f"{owner}: invert=True needs output_mode='int'.")
        for name in ("mask_token", "oov_token"):
            if its[name] is not None:
                its[name] = self._entry(name, its[name])
        vars(self).update({"oov_method": "farmhash", **its})
        if self.max_tokens is not None and self.max_tokens <= self._token_start:
            raise ConfigurationError(
                f"{owner}: max_tokens={self.max_tokens} leaves no place in the vocabulary beside "
                f"its {self._token_start} special entries; pass {self._token_start + 1} or more."
            )
        self._entries: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._idf: Array | None = None
        self.vocabulary: list[Any] | None = None
        self._given_weights: list[float] | None = None
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ConfigurationError(f"{owner}: idf_weights needs output_mode='tf_idf'.")
        self._is_given = vocabulary is not None
        if vocabulary is not None:
            from_file = isinstance(vocabulary, (str, os.PathLike))
            self.set_vocabulary(vocabulary, idf_weights)
            if not from_file:
                self.vocabulary = [self._entry("vocabulary", v) for v in _listed(vocabulary)]
                if idf_weights is not None:
                    self._given_weights = np.asarray(idf_weights, np.float64).tolist()

    def _entry(self, argument: str, value: Any) -> Any:
        """Return a category as a plain ``str`` or ``int``.

        Raises:
            ConfigurationError: it is none.
        """
        raise NotImplementedError

    # The vocabulary ------------------------------------------------------------------------------

    @property
    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _token_start(self) -> int:
        return self._oov_start + self.num_oov_indices

    @property
    def depth(self) -> int | None:
        """Length of an encoded row; ``None`` while it is unknown."""
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self._entries else self._known_size

    @property
    def _output_kind(self) -> Kind:  # type: ignore[override]
        """Kind of the output."""
        return self._kind_of_entry if self.invert else super()._output_kind

    @property
    def input_spec(self) -> InputSpec:  # type: ignore[override]
        """The input: categories, of which some may be missing, or indices with ``invert``."""
        if self.invert:
            return InputSpec(dtype="integer", gradient=False)
        return InputSpec(dtype=self._kind_of_entry, gradient=False, missing=True)

    @property
    def idf_weights(self) -> Array | None:
        """For ``"tf_idf"``, the weight of each entry of :meth:`get_vocabulary`, else ``None``."""
        return None if self._idf is None else self._weights()

    def vocabulary_size(self) -> int:
        """Return the size of the vocabulary, with the entries for mask and unseen categories."""
        return self._token_start + len(self._entries)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the vocabulary; the place of a category in the list is its index.

        Args:
            include_special_tokens: with the mask token and those of unseen categories.
        """
        if not include_special_tokens:
            return list(self._entries)
        return [*self._special_tokens(), *self._entries]

    def _special_tokens(self) -> list[Any]:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the vocabulary.

        Args:
            vocabulary: the categories, with all special tokens at their start or none of them; or
                the path of a text file, with one in each line.
            idf_weights: for ``output_mode="tf_idf"``, a weight for each entry of ``vocabulary``;
                unseen categories get the mean if they are not in it.

        Raises:
            ConfigurationError: the vocabulary is empty, repeats a category, has a special token in
                another place or is too large; weights are missing, or do not fit.
        """
        owner = self.owner
        if isinstance(vocabulary, (str, os.PathLike)):
            path = Path(vocabulary)
            if not path.is_file():
                raise ConfigurationError(f"{owner}: Vocabulary file {str(path)!r} does not exist.")
            vocabulary = path.read_text(encoding="utf-8").splitlines()
        given = [self._entry("vocabulary", v) for v in _listed(vocabulary)]
        special = self._token_start
        whole = 0 < special <= len(given) and given[:special] == self._special_tokens()
        entries = given[special:] if whole else given
        if not entries:
            only = f", got only the special {given}" if given else ""
            raise ConfigurationError(f"{owner}: vocabulary must not be empty{only}.")
        repeated = [v for v, count in Counter(entries).items() if count > 1]
        if repeated:
            raise ConfigurationError(
                f"{owner}: the vocabulary has a repeated term, {repeated[0]!r}; name each once."
            )
        for name in ("mask_token", "oov_token") if self.invert else ("mask_token",):
            token = getattr(self, name)
            if token is not None and token in entries:
                raise ConfigurationError(
                    f"{owner}: the vocabulary holds {name}={token!r} at index "
                    f"{given.index(token, special if whole else 0)}; leave special tokens out, or "
                    "begin it with all of them, in the order of get_vocabulary()."
                )
        size = self._token_start + len(entries)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ConfigurationError(
                f"{owner}: the vocabulary has {size} entries with the special ones, more than "
                f"max_tokens={self.max_tokens}."
            )
        weights = self._checked_weights(idf_weights, len(given))
        self._use(entries, weights)
        self.vocabulary = self._given_weights = None

    def _checked_weights(self, weights: Any, count: int) -> Array | None:
        """Return the weights of the entries, with or without those of special ones before."""
        if self.output_mode != "tf_idf":
            if weights is not None:
                raise ConfigurationError(f"{self.owner}: idf_weights needs output_mode='tf_idf'.")
            return None
        if weights is None:
            raise ConfigurationError(
                f"{self.owner}: output_mode='tf_idf' needs idf_weights with the vocabulary."
            )
        array = as_float(self.owner, "idf_weights", weights, np.dtype(np.float64))
        if array.shape != (count,):
            raise ConfigurationError(
                f"{self.owner}: idf_weights must be a weight for each of the {count} entries of "
                f"vocabulary, got the shape {array.shape}."
            )
        if not (good := np.isfinite(array)).all():
            raise ConfigurationError(
                f"{self.owner}: idf_weights must be finite, got {array[~good][0]}."
            )
        return array

    def _weights(self) -> Array:
        """Return a weight for each column: unseen categories have the mean of the others."""
        assert self._idf is not None
        missing = self.vocabulary_size() - len(self._idf)
        return np.concatenate([np.full(missing, self._idf.mean()), self._idf])

    def _use(self, entries: list[Any], weights: Array | None) -> None:
        """Use a checked vocabulary.

        Raises:
            ConfigurationError: the layer is built for another size.
        """
        size = self._token_start + len(entries)
        if self.built and self.output_mode != "int" and not self.pad_to_max_tokens:
            assert self.output_shape is not None
            if self.output_shape[-1] != size:
                raise ConfigurationError(
                    f"{self.owner}: its output has {self.output_shape[-1]} columns, and the "
                    f"vocabulary would have {size} entries; the size of a vocabulary cannot change "
                    "once the layer is built. Make a new layer, or set pad_to_max_tokens=True."
                )
        self._entries = entries
        self._numbers = {v: i + self._token_start for i, v in enumerate(entries)}
        self._idf = weights
        self.vocabulary = self._given_weights = None

    # Configuration and files ---------------------------------------------------------------------

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument."""
        if name == "vocabulary_size":
            size = self.vocabulary_size() if self._entries else self._known_size
            return size if self.vocabulary is None else None
        return self._given_weights if name == "idf_weights" else super()._argument(name)

    def get_assets(self) -> dict[str, list[str] | bytes]:
        """Return the vocabulary, and the weights of its entries, unless they are arguments."""
        if self.vocabulary is not None or not self._entries:
            return {}
        assets: dict[str, list[str] | bytes] = {"vocabulary": [str(v) for v in self._entries]}
        if self._idf is not None:
            assets["idf_weights"] = self._idf.astype("<f8").tobytes()
        return assets

    def set_assets(self, assets: Mapping[str, list[str] | bytes]) -> None:
        """Restore what :meth:`get_assets` returned."""
        if not assets:
            if self.vocabulary is None:
                self._entries, self._numbers, self._idf = [], {}, None
            return
        texts, data = assets["vocabulary"], assets.get("idf_weights")
        entries = [self._entry("vocabulary", v) for v in self._parsed(texts)]
        if len(set(entries)) != len(entries):
            raise ValueError("each category once")
        weights = None
        if self.output_mode == "tf_idf":
            assert isinstance(data, bytes)
            weights = np.frombuffer(data, "<f8").astype(np.float64)
            known = len(weights) in (len(entries), self._token_start + len(entries))
            if not known or not np.isfinite(weights).all():
                raise ValueError("a finite weight for each entry")
        if self.max_tokens is not None and self._token_start + len(entries) > self.max_tokens:
            raise ValueError(f"at most max_tokens={self.max_tokens} entries")
        self._use(entries, weights)

    def _parsed(self, texts: Any) -> list[Any]:
        return list(texts)


def _listed(values: Any) -> list[Any]:
    """Return a vocabulary as a list."""
    if isinstance(values, (list, tuple)):
        return list(values)
    return list(np.asarray(values).reshape(-1).tolist())


def check_size(size: Any) -> int | None:
    """Return the size of a vocabulary, or ``None`` if it is not known."""
    if size is None:
        return None
    return check_integer("a layer with a vocabulary", "vocabulary_size", size, minimum=0)
