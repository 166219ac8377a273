"""Encoding of integers whose range is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_integer
from netlayers.core.symbolic import symbols_in
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.layers.categorical import ENCODINGS, CategoricalLayer, check_dense, check_mode
from netlayers.layers.dot import Dot
from netlayers.layers.merge_layers import Multiply
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


@register("layer")
class CategoryEncoding(CategoricalLayer):
    """Encode integers from 0 to ``num_tokens - 1``.

    Shapes: ``x`` integers (batch, ..., n). ``"one_hot"``: a row for each, (batch, ..., n,
    num_tokens), for n = 1 (batch, ..., num_tokens). ``"multi_hot"``: 1 for each integer that occurs
    along the last axis, (batch, ..., num_tokens); ``"count"``: how often it occurs. (batch,) is
    taken as (batch, 1).

    Args:
        num_tokens: number of categories.
        output_mode: see above.
        sparse: must be ``False``.
        kwargs: ``name``, ``dtype``.

    Raises:
        DataError: in :meth:`forward`, for an integer out of range, and for missing values.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.CategoryEncoding(4)
        >>> layer(np.array([[0, 1], [0, 0], [3, 1]])).tolist()
        [[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """

    input_spec = InputSpec(dtype="integer", gradient=False)

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ConfigurationError(
                "CategoryEncoding: num_tokens, the number of categories, must be set; if it is not "
                "known, use IntegerLookup and its adapt()."
            )
        self.num_tokens = check_integer("CategoryEncoding", "num_tokens", num_tokens, minimum=1)
        self.output_mode = check_mode("CategoryEncoding", output_mode, ENCODINGS)
        self.sparse = check_dense("CategoryEncoding", sparse)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"num_tokens": 4}, (4, 3)),
            ({"num_tokens": 3, "output_mode": "one_hot"}, (4, 2)),
            ({"num_tokens": 3, "output_mode": "one_hot"}, (2, 3, 1)),
            ({"num_tokens": 5, "output_mode": "count"}, (2, 3, 4)),
        ]

    @property
    def depth(self) -> int:
        """Length of an encoded row."""
        return self.num_tokens

    def __call__(
        self,
        inputs: Any,
        *more: Any,
        training: bool | None = None,
        mask: Any = None,
        count_weights: Any = None,
    ) -> Any:
        """Return :meth:`forward`; see :meth:`Layer.__call__`.

        Of symbolic values, weighted counts are the product of the weights and the one-hot rows,
        which two other layers compute.
        """
        if count_weights is None:
            return super().__call__(inputs, *more, training=training, mask=mask)
        if symbols_in((inputs, count_weights)):
            return self._weighted_counts(inputs, count_weights)
        return self.forward(inputs, bool(training), count_weights=count_weights)

    def _weighted_counts(self, x: Any, count_weights: Any) -> Any:
        self._check_mode_for_weights()
        shapes: Any = [getattr(value, "shape", ()) for value in (x, count_weights)]
        if shapes[0][1:] != shapes[1][1:] or len(shapes[0]) != 2:
            raise ShapeError(
                f"{self.owner} (CategoryEncoding): x and count_weights must both have the shape "
                f"(batch, n) in a symbolic call, got {shapes[0]} and {shapes[1]}."
            )
        rows = CategoryEncoding(self.num_tokens, "one_hot", dtype=self._dtype.name)(x)
        if shapes[0][1] == 1:
            return Multiply()([count_weights, rows])
        return Dot(axes=1)([count_weights, rows])

    def _check_mode_for_weights(self) -> None:
        if self.output_mode != "count":
            raise ConfigurationError(
                f"{self.owner} (CategoryEncoding): count_weights has no effect with "
                f"output_mode={self.output_mode!r}; use 'count'."
            )

    def forward(self, x: Array, training: bool = False, count_weights: Any = None) -> Array:
        """Return the encoding; see the class.

        Args:
            x: the integers.
            training: cache what :meth:`backward` needs.
            count_weights: in the mode ``"count"``, what each integer counts, in the shape of x.
        """
        x = self.prepare(x)
        if count_weights is not None:
            self._check_mode_for_weights()
            count_weights = as_float(self.owner, "count_weights", count_weights, self._dtype)
            if count_weights.shape != x.shape:
                raise ShapeError(
                    f"{self.owner} (CategoryEncoding): count_weights must have the shape of x, "
                    f"{x.shape}, got {count_weights.shape}."
                )
        if x.size and not (x.min() >= 0 and x.max() < self.num_tokens):
            wrong = np.argwhere((x < 0) | (x >= self.num_tokens))[0]
            below = x[tuple(wrong)] < 0
            advice = "Use" if below else f"Increase num_tokens={self.num_tokens}, or use"
            raise DataError(
                f"{self.owner} (CategoryEncoding): x holds the integer {x[tuple(wrong)]} (row "
                f"{wrong[0]}), expected 0 to {self.num_tokens - 1}. {advice} IntegerLookup."
            )
        return self._encoded(x.astype(np.intp, copy=False), training, count_weights)
