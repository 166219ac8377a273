"""Categories by hash: no vocabulary is needed, and different categories may share a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.hashing import farmhash, joined_hash, siphash
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_integer
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.categorical import (
    ENCODINGS,
    CategoricalLayer,
    check_dense,
    check_mode,
    check_salt,
)
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

_CATEGORY = InputSpec(dtype="category", gradient=False, missing=True)


@register("layer")
class Hashing(CategoricalLayer):
    """Number categories by a hash: ``y = hash(x) mod num_bins``.

    The hash is FarmHash64 of the text of x in UTF-8, with ``salt`` SipHash-2-4: the same numbers as
    in Keras, on every machine. Integers are hashed as their decimal text. Categories never seen
    need no care. A missing value (``None``, NaN, ``pandas.NA``) is hashed as the empty text, and
    with ``mask_value`` it has number 0.

    Shapes: ``x`` strings or integers (batch, ...), ``y`` integers of the same shape; for the other
    modes see :class:`CategoryEncoding`.

    Args:
        num_bins: how many numbers there are, with 0 for the mask.
        mask_value: a category that has number 0; the others then start at 1.
        salt: an integer or two, the key of SipHash: another key, other numbers.
        output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
        sparse: must be ``False``.
        kwargs: ``name``, ``dtype``.

    Source:
        K. Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009; for
        the hashes see ``netlayers/arrays/hashing.py``.

    Example:
        >>> import netlayers as nl
        >>> nl.layers.Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).ravel()
        array([1, 0, 1, 1, 2])
    """

    input_spec = _CATEGORY

    def __init__(
        self,
        num_bins: int,
        mask_value: str | int | None = None,
        salt: int | list[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_bins = check_integer("Hashing", "num_bins", num_bins, minimum=1)
        if mask_value is not None and (
            isinstance(mask_value, bool) or not isinstance(mask_value, (str, int, np.integer))
        ):
            raise ConfigurationError(
                f"Hashing: mask_value must be a string or an integer, got {mask_value!r}."
            )
        self.mask_value = int(mask_value) if isinstance(mask_value, np.integer) else mask_value
        self.salt = check_salt("Hashing", salt)
        self.output_mode = check_mode("Hashing", output_mode, ("int", *ENCODINGS))
        self.sparse = check_dense("Hashing", sparse)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"num_bins": 5}, (4, 3)),
            ({"num_bins": 4, "salt": [3, 7], "mask_value": "1"}, (4, 2)),
            ({"num_bins": 3, "output_mode": "one_hot"}, (2, 3, 1)),
        ]

    @property
    def depth(self) -> int:
        """Length of an encoded row."""
        return self.num_bins

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = hash(x) mod num_bins``."""
        x = self.prepare(x)
        masked = self.mask_value is not None and self.num_bins > 1
        categories, place = _categories(x)
        texts = [_text(v) for v in categories]
        hashes = farmhash(texts) if self.salt is None else siphash(texts, self.salt)
        found = (hashes % np.uint64(self.num_bins - masked)).astype(np.int64)
        if masked:
            mask = _text(self.mask_value)
            is_masked = [
                v is None or text == mask for v, text in zip(categories, texts, strict=True)
            ]
            found = np.where(is_masked, 0, found + 1)
        return self._encoded(found[place].reshape(x.shape), training)


@register("layer")
class HashedCrossing(CategoricalLayer):
    """Number combinations of categories by a hash: ``y = hash(x_1, x_2, ...) mod num_bins``.

    The hash is that of TensorFlow and Keras: FarmHash64 of strings, integers themselves, mixed one
    after the other. A missing value is hashed as the empty text.

    Shapes: ``x`` a list or tuple of two or more arrays of strings or integers, (batch,) or (batch,
    1); ``y`` integers of the same shape; with ``"one_hot"`` (batch, num_bins).

    Args:
        num_bins: how many numbers there are.
        output_mode: ``"int"`` or ``"one_hot"``.
        sparse: must be ``False``.
        num_inputs: number of arrays; the first call counts them, as in Keras.
        kwargs: ``name``, ``dtype``.

    Source:
        K. Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.HashedCrossing(num_bins=5)
        >>> layer((np.array(["A", "B", "A"]), np.array([101, 101, 102])))
        array([1, 4, 3])
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        num_inputs: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_bins = check_integer("HashedCrossing", "num_bins", num_bins, minimum=1)
        self.output_mode = check_mode("HashedCrossing", output_mode, ("int", "one_hot"))
        self.sparse = check_dense("HashedCrossing", sparse)
        self.num_inputs = check_integer("HashedCrossing", "num_inputs", num_inputs, minimum=2)
        if self.num_inputs > 1000:
            raise ConfigurationError(
                f"HashedCrossing: num_inputs must be at most 1000, got {num_inputs}."
            )

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        examples: Any = [
            ({"num_bins": 5}, ((4, 1), (4, 1))),
            ({"num_bins": 4, "output_mode": "one_hot"}, ((4, 1), (4, 1))),
            ({"num_bins": 4, "num_inputs": 3}, ((4, 1), (4, 1), (4, 1))),
        ]
        found: Examples = examples
        return found

    @property
    def input_spec(self) -> tuple[InputSpec, ...]:  # type: ignore[override]
        """A spec for each array."""
        return (_CATEGORY,) * self.num_inputs

    @property
    def depth(self) -> int:
        """Length of an encoded row."""
        return self.num_bins

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one input; with ``"one_hot"``, (batch, num_bins).

        Raises:
            ShapeError: an input has another shape than (batch,) or (batch, 1), or than the first.
        """
        shapes: Any = input_shape
        first = shapes[0]
        if len(first) > 2 or first[1:] not in ((), (1,)) or any(s != first for s in shapes):
            raise ShapeError(
                f"{self.owner} (HashedCrossing): all inputs should have shape (batch,) or (batch, "
                f"1), the same for all, got {', '.join(map(str, shapes))}."
            )
        return super().compute_output_shape(first)

    def forward(self, x: Any, training: bool = False) -> Array:
        """``y = hash(x_1, x_2, ...) mod num_bins``."""
        if not self.built and isinstance(x, (list, tuple)) and len(x) > 2:
            self.num_inputs = len(x)
        x = self.prepare(x)
        hashes = []
        for array in x:
            if array.dtype.kind in "iu":
                hashes.append(array.reshape(-1).astype(np.int64).view(np.uint64))
                continue
            categories, place = _categories(array)
            hashes.append(_crossed_hashes(categories)[place])
        found = joined_hash(hashes) % np.uint64(self.num_bins)
        return self._encoded(found.astype(np.int64).reshape(x[0].shape), training)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Return ``None`` for each input, whatever ``input_gradient`` is."""
        super().backward(dy)
        return (None,) * self.num_inputs


def _categories(x: Array) -> tuple[list[Any], Array]:
    """Return the different entries of an array, and the place of each entry among them.

    A missing value is ``None``.
    """
    entries = x.reshape(-1).tolist()
    if x.dtype.kind == "f":
        entries = [None if v != v else int(v) for v in entries]
    places: dict[Any, int] = {}
    place = np.fromiter((places.setdefault(v, len(places)) for v in entries), np.intp, len(entries))
    return list(places), place


def _text(category: Any) -> bytes:
    """Return the text of a category in UTF-8; that of a missing value is empty."""
    if category is None or isinstance(category, bytes):
        return category or b""
    return str(category).encode()


def _crossed_hashes(categories: list[Any]) -> Array:
    """Return the hash of each category as TensorFlow crosses them: integers are their own."""
    hashes = farmhash([_text(v) for v in categories])
    for i, v in enumerate(categories):
        if isinstance(v, int):
            hashes[i] = v & (2**64 - 1)
    return hashes
