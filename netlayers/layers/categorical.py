"""What layers of categories share: indices encoded as one-hot rows, as sets or as counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers._typing import Array, Shape
    from netlayers.arrays.spec import Kind

ENCODINGS = ("one_hot", "multi_hot", "count")
_OLD_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


class CategoricalLayer(Layer):
    """Base class of layers without weights and gradients, whose output is indices or encodes them.

    A subclass sets ``output_mode`` and ``depth``, and calls :meth:`_encoded` in ``forward``.

    Attributes:
        output_mode: ``"int"`` for indices; ``"one_hot"`` for a row for each index; ``"multi_hot"``
            and ``"count"`` for a row for each sample, whose indices are those of the last axis.
    """

    can_skip_input_gradient = True
    arguments_without_effect: tuple[str, ...] = ("sparse",)  # refused
    output_mode = "int"

    @property
    def depth(self) -> int | None:
        """Length of an encoded row; ``None`` while it is unknown."""
        raise NotImplementedError

    @property
    def _output_kind(self) -> Kind:  # type: ignore[override]
        """Kind of the output: integers for indices, else floats."""
        return "integer" if self.output_mode == "int" else "float"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input shape for indices; see the class for the other modes."""
        if self.output_mode == "int":
            return input_shape
        depth = self.depth
        if depth is None:
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): the size of its output is not known; call "
                "adapt() with data before the layer is built."
            )
        its = input_shape[:-1] if len(input_shape) > 1 else input_shape
        if self.output_mode == "one_hot" and (len(input_shape) > 1 and input_shape[-1] != 1):
            its = input_shape
        return (*its, depth)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError for a shape that a model is not built for; alone, any shape is taken.

        Raises:
            ShapeError: see above, or the layer never takes this shape.
        """
        if self._in_model:
            super().check_input_shape(shape)
        else:
            self.compute_output_shape(shape)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Return ``None``: indices have no gradient."""
        if dy is not None and np.asarray(dy).dtype.kind == "f":
            self.check_gradient(dy, self.cache.shape)
        else:
            _ = self.cache.shape

    def _encoded(self, indices: Array, training: bool, weights: Any = None) -> Array:
        """Return indices, or their encoding; indices below 0 are left out of encodings."""
        if self.output_mode == "int":
            y = indices
        else:
            if self.output_mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
                indices = indices[..., 0]
            elif self.output_mode != "one_hot" and indices.ndim == 1:
                indices = indices[:, None]
            depth = self.depth
            assert depth is not None
            shape = indices.shape if self.output_mode == "one_hot" else indices.shape[:-1]
            y = self.buffer("y", (*shape, depth), training)
            y.fill(0)
            rows = y.reshape(-1, depth)
            per_row = indices.size // max(1, len(rows))
            at = np.repeat(np.arange(len(rows)) * depth, per_row) + indices.reshape(-1)
            known = indices.reshape(-1) >= 0
            if not known.all():
                at, weights = at[known], None if weights is None else weights.reshape(-1)[known]
            if self.output_mode in ("one_hot", "multi_hot"):
                rows.reshape(-1)[at] = 1
            else:
                given = None if weights is None else np.reshape(weights, -1)
                rows.reshape(-1)[...] = np.bincount(at, given, rows.size)
        if training:
            self.cache.shape = y.shape
        return y


def check_mode(owner: str, mode: Any, modes: tuple[str, ...]) -> str:
    """Return an output mode by its current name.

    Raises:
        ConfigurationError: it is none of ``modes``.
    """
    if isinstance(mode, str):
        mode = _OLD_NAMES.get(mode, mode)
    return check_choice(owner, "output_mode", mode, modes)


def check_dense(owner: str, sparse: Any) -> bool:
    """Return ``False``.

    Raises:
        ConfigurationError: ``sparse`` is not False.
    """
    if sparse is not False:
        raise ConfigurationError(
            f"{owner}: sparse must be False, got {sparse!r}; the output is a dense array. With "
            "output_mode='int' an Embedding takes the indices."
        )
    return False


def check_salt(owner: str, salt: Any) -> list[int] | None:
    """Return the two numbers of a key of SipHash, or ``None``.

    Raises:
        ConfigurationError: ``salt`` is not ``None``, an integer or two integers.
    """
    if salt is None:
        return None
    given = [salt, salt] if isinstance(salt, (int, np.integer)) else salt
    whole = isinstance(given, (list, tuple)) and len(given) == 2
    if not whole or not all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in given
    ):
        raise ConfigurationError(
            f"{owner}: salt must be an integer, or a list of two, got {salt!r}."
        )
    return [int(n) for n in given]
