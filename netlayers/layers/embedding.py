"""Tables with a row for each index, and the same table as a projection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import constraints, initializers, regularizers
from netlayers.arrays.convert import as_float, in_order
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_dtype, check_flag, check_integer, check_number
from netlayers.core.gradients import RowGradient
from netlayers.core.layer import Layer
from netlayers.core.symbolic import call_layer, symbols_in
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.initializers import Constant
from netlayers.kernels.select import kernels
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Examples, Identifier, Shape


@register("layer")
class Embedding(Layer):
    """A vector for each index: ``y = E[x]``, row ``x`` of the table ``E``.

    The gradient of a row is the sum of those of all places where its index occurs, added up in
    their order. It has no other rows: :class:`~netlayers.optimizers.SGD` without momentum,
    :class:`~netlayers.optimizers.Adagrad` and :class:`~netlayers.optimizers.LazyAdam` read and
    write only the rows of the batch. Other rules change all rows in each step, as do weight decay,
    ``use_ema``, ``embeddings_regularizer`` and ``embeddings_constraint``.

    Shapes: ``x`` integers (batch, ...), ``E`` = ``embeddings`` (input_dim, output_dim), ``y``
    (batch, ..., output_dim). Floats without a fraction and booleans are taken as integers.

    Args:
        input_dim: number of rows; indices are 0, ..., input_dim - 1.
        output_dim: length of a row.
        embeddings_initializer: fills ``E``.
        embeddings_regularizer: penalty on ``E``, all of it.
        embeddings_constraint: constraint applied to ``E``, all of it, after each update.
        mask_zero: index 0 stands for a missing step; the mask is ``x != 0``. Row 0 is still looked
            up, and real indices start at 1.
        weights: initial values of ``E``, or a list of that one array, instead of the initializer's.
            Not part of the configuration.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        DataError: in :meth:`forward`, for an index out of range, or a number that is no integer.

    Source:
        Y. Bengio et al., "A neural probabilistic language model", JMLR 3 (2003), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Embedding(3, 2, weights=np.array([[0, 1], [2, 3], [4, 5]]))
        >>> layer.forward([[2, 0]], training=True).tolist()
        [[[4.0, 5.0], [0.0, 1.0]]]
        >>> layer.backward(np.ones((1, 2, 2)))
        >>> layer.d_embeddings.rows, layer.d_embeddings.dense().tolist()
        (array([0, 2]), [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    """

    input_spec = InputSpec(dtype="integer", gradient=False)
    can_skip_input_gradient = True
    _usual_shape = (None,)
    _not_stored = ("input_shape", "weights")
    _row_gradient = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Identifier = "uniform",
        embeddings_regularizer: Identifier = None,
        embeddings_constraint: Identifier = None,
        mask_zero: bool = False,
        weights: ArrayLike | None = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        super().__init__(**kwargs)
        self.input_dim = check_integer(owner, "input_dim", input_dim, minimum=1)
        self.output_dim = check_integer(owner, "output_dim", output_dim, minimum=1)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = check_flag(owner, "mask_zero", mask_zero)
        self._given: Constant | None = None
        if weights is not None:
            self._given = Constant(self._checked_weights(owner, weights))

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        options = {"embeddings_initializer": "normal", "embeddings_constraint": "unit_norm"}
        return [
            ({"input_dim": 4, "output_dim": 3}, (4, 2)),
            ({"input_dim": 3, "output_dim": 2, "mask_zero": True, **options}, (5,)),
            ({"input_dim": 5, "output_dim": 2, "embeddings_regularizer": "l2"}, (3, 2, 2)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Declare ``embeddings``."""
        self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            self._given or self.embeddings_initializer,
            self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            row_gradient=self._row_gradient,
        )

    def check_input_shape(self, shape: Shape) -> None:
        """Take any shape: the table does not depend on it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input shape with the length of a row behind it."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return ``x != 0`` with ``mask_zero``, else ``None``."""
        return np.asarray(x) != 0 if self.mask_zero else None

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = E[x]``."""
        x = self.prepare(x)
        rows = x.astype(np.intp, copy=False)
        if rows.size and not kernels.all_below(rows, self.input_dim):
            raise self._out_of_range(x)
        y = self.buffer("y", (*x.shape, self.output_dim), training)
        self.embeddings.take(rows, axis=0, out=y, mode="clip")  # "raise" would copy
        if training:
            self.cache.rows = rows
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """``dE[i] = Σ dy`` over the places where x is i; there is no dL/dx.

        Args:
            dy: dL/dy.
            input_gradient: without effect: there is none.
        """
        rows = self.cache.rows
        dy = self.check_gradient(dy, (*rows.shape, self.output_dim))
        self.d_embeddings.set(rows, dy)

    def _out_of_range(self, x: Array) -> DataError:
        wrong = np.argwhere((x < 0) | (x >= self.input_dim))[0]
        larger = f"Increase input_dim={self.input_dim}, or map" if x[tuple(wrong)] >= 0 else "Map"
        return DataError(
            f"{self.owner} ({type(self).__name__}): x holds the index {x[tuple(wrong)]} (row "
            f"{wrong[0]}), expected 0 to {self.input_dim - 1}. {larger} other indices to one of "
            "these first."
        )

    def _checked_weights(self, owner: str, weights: Any) -> Array:
        if isinstance(weights, list) and len(weights) == 1 and np.ndim(weights[0]) == 2:
            weights = weights[0]
        array = as_float(owner, "weights", weights, np.dtype(np.float64))
        if array.shape != (self.input_dim, self.output_dim):
            raise ShapeError(
                f"{owner}: weights has the shape {array.shape}, expected (input_dim, output_dim) = "
                f"{(self.input_dim, self.output_dim)}."
            )
        return array


@register("layer")
class ReversibleEmbedding(Embedding):
    """An :class:`Embedding` that is also the last layer: in reverse it returns logits.

    ``y = E[x]``, and with ``reverse=True``, ``y = x R``. With tied weights ``R = Eᵀ``: in a network
    that calls the layer in both directions, the gradients of ``E`` add up. In reverse every row has
    a gradient, so that of tied weights is an array.

    Shapes: see :class:`Embedding`; in reverse ``x`` (batch, ..., output_dim), ``R`` =
    ``reverse_embeddings`` (output_dim, input_dim), ``y`` (batch, ..., input_dim).

    Args:
        input_dim: number of rows.
        output_dim: length of a row.
        tie_weights: whether R is the transpose of E; otherwise it is a weight of its own.
        embeddings_initializer: fills ``E``, and ``R`` if it is a weight.
        embeddings_regularizer: penalty on ``E``.
        embeddings_constraint: constraint applied to ``E`` after each update.
        mask_zero: see :class:`Embedding`.
        reverse_dtype: must be ``None``, or the dtype of the layer: a model computes in one dtype.
        logit_soft_cap: c, limits the logits: ``y = c tanh(x R / c)``.
        weights: see :class:`Embedding`.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        O. Press, L. Wolf, "Using the output embedding to improve language models", EACL 2017.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.ReversibleEmbedding(5, 3)
        >>> hidden = layer(np.array([[1, 4]]))
        >>> layer(hidden, reverse=True).shape
        (1, 2, 5)
    """

    _row_gradient = False
    arguments_without_effect = (
        "tie_weights",
        "reverse_dtype",
        "logit_soft_cap",
    )  # in reverse alone

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Identifier = "uniform",
        embeddings_regularizer: Identifier = None,
        embeddings_constraint: Identifier = None,
        mask_zero: bool = False,
        reverse_dtype: str | None = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        owner = type(self).__name__
        self.tie_weights = check_flag(owner, "tie_weights", tie_weights)
        given = reverse_dtype is None or check_dtype(owner, reverse_dtype) == self.compute_dtype
        if not given:
            raise ConfigurationError(
                f"{owner}: reverse_dtype must be None or the dtype of the layer, "
                f"{self.compute_dtype!r}, got {reverse_dtype!r}; a model computes in one dtype."
            )
        self.reverse_dtype = reverse_dtype
        if logit_soft_cap is not None:
            logit_soft_cap = check_number(owner, "logit_soft_cap", logit_soft_cap, above=0)
        self.logit_soft_cap = logit_soft_cap

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return Embedding.examples()

    def build(self, input_shape: Shape) -> None:
        """Declare ``embeddings``, and ``reverse_embeddings`` unless it is tied."""
        super().build(input_shape)
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            self.add_weight("reverse_embeddings", shape, self.embeddings_initializer)

    def compute_output_shape(self, input_shape: Shape, reverse: bool = False) -> Shape:
        """Return the shape of the output of :meth:`forward`."""
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        """Return ``x != 0`` with ``mask_zero``; in reverse, where x are floats, ``mask``."""
        if np.asarray(x).dtype.kind == "f":
            return mask
        return super().compute_mask(x, mask)

    def __call__(
        self,
        inputs: Any,
        *more: Any,
        training: bool | None = None,
        mask: Any = None,
        reverse: bool = False,
    ) -> Any:
        """Return :meth:`forward`; see :meth:`Layer.__call__`."""
        if reverse and symbols_in(inputs):
            return call_layer(self, inputs, training, None, reverse=True)
        if reverse:
            return self.forward(inputs, bool(training), reverse=True)
        return super().__call__(inputs, *more, training=training, mask=mask)

    def forward(self, x: Array, training: bool = False, reverse: bool = False) -> Array:
        """``y = E[x]``; with ``reverse``, ``y = x R`` or ``y = c tanh(x R / c)``."""
        if training:
            self.cache.reverse = reverse
        if not reverse:
            return super().forward(x, training)
        x = self._prepare_reverse(x)
        y = self.buffer("logits", (*x.shape[:-1], self.input_dim), training)
        np.matmul(x, self._projection, out=y)
        if self.logit_soft_cap is not None:
            np.divide(y, self.logit_soft_cap, out=y)
            np.tanh(y, out=y)
            np.multiply(y, self.logit_soft_cap, out=y)
        if training:
            self.cache.x, self.cache.y = x, y
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Return the gradient of the direction of the last ``forward``.

        See :meth:`Embedding.backward`. In reverse, ``dz = dy (1 - y²/c²)``, or dy without a cap;
        ``dR = xᵀ dz`` over all rows, ``dx = dz Rᵀ``.
        """
        if not self.cache.reverse:
            rows = self.cache.rows
            dy = self.check_gradient(dy, (*rows.shape, self.output_dim))
            gradient = RowGradient(self.embeddings.shape, self._dtype)
            gradient.set(rows, dy)
            self.d_embeddings[...] = 0
            self.d_embeddings[gradient.rows] = gradient.values
            if not self.tie_weights:
                self.d_reverse_embeddings[...] = 0
            return None
        x, y = self.cache.x, self.cache.y
        dz = self.check_gradient(dy, y.shape)
        if self.logit_soft_cap is not None:
            slope = self.workspace("slope", y.shape, self._dtype)
            np.divide(y, self.logit_soft_cap, out=slope)
            np.multiply(slope, slope, out=slope)
            np.subtract(1, slope, out=slope)
            dz = np.multiply(slope, dz, out=slope)
        flat_x, flat_dz = x.reshape(-1, self.output_dim), dz.reshape(-1, self.input_dim)
        if self.tie_weights:
            np.matmul(flat_dz.T, flat_x, out=self.d_embeddings)
        else:
            np.matmul(flat_x.T, flat_dz, out=self.d_reverse_embeddings)
            self.d_embeddings[...] = 0
        if not input_gradient:
            return None
        dx = self.workspace("dx", x.shape, self._dtype)
        return np.matmul(dz, self._projection.T, out=dx)

    @property
    def _projection(self) -> Array:
        projection: Array = self.embeddings.T if self.tie_weights else self.reverse_embeddings
        return projection

    def _prepare_reverse(self, x: Any) -> Array:
        """Return the input of the projection: converted and checked."""
        x = in_order(as_float(self.owner, "x", x, self._dtype))
        if x.ndim < 2 or x.shape[-1] != self.output_dim:
            raise ShapeError(
                f"{self.owner} (ReversibleEmbedding): in reverse x must have the shape (batch, "
                f"..., {self.output_dim}), got {x.shape}."
            )
        if not self.built:
            self.build((None, *x.shape[1:-1]))
        self._bind_alone()
        return x
