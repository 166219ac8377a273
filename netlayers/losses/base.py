"""Base class of losses: sample weights, the reduction to one number, and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.checks import check_choice, check_dtype, check_name
from netlayers.core.cache import Cache
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.kernels.memory import Workspace
from netlayers.kernels.select import kernels
from netlayers.losses.given import as_predictions, as_weights
from netlayers.registry import Configurable, must_define, snake_case

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype, Shape

EPSILON = 1e-7  # as in Keras: probabilities are clipped to [1e-7, 1 - 1e-7] before the logarithm
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base class of losses.

    Subclasses implement :meth:`forward_samples`, which returns one loss per sample, and
    :meth:`backward_samples`. This class applies weights and the reduction to the value and to the
    gradient, so that the gradient is always that of the reported value.

    Args:
        reduction: how the losses l of the samples, with weights w, are reduced:
            ``"sum_over_batch_size"`` or ``"mean"``: Σ w l / n, with n samples, as in Keras;
            ``"mean_with_sample_weight"``: Σ w l / Σ w; ``"sum"``: Σ w l;
            ``"none"`` or ``None``: the array of w l, whose sum :meth:`backward` differentiates.
        name: name of the loss.
        dtype: ``"float32"`` or ``"float64"``, in which to compute the loss and its gradient, which
            is returned in the dtype of the predictions; ``None`` for that of the predictions.

    Attributes:
        numerator: Σ w l of the last :meth:`forward`.
        denominator: what the numerator of the last :meth:`forward` is divided by: n, Σ w, or 1 for
            ``"sum"``. The loss over several batches is the sum of the numerators divided by the sum
            of the denominators; for ``"sum"``, it is the sum of the numerators.
        is_quotient: whether this holds. A loss of a whole batch, such as :class:`Dice`, is not such
            a quotient: its value over several batches is their mean, weighted by the number of
            rows, and gradients cannot be accumulated. For an object of another class, with only
            ``forward`` and ``backward``, the number of rows serves as the denominator.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> loss = nl.losses.MeanSquaredError()
        >>> loss.forward([[1.0, 2.0]], [[1.0, 4.0]])
        2.0
        >>> loss.numerator, loss.denominator
        (2.0, 1.0)
        >>> loss.backward()
        array([[0., 2.]], dtype=float32)
    """

    # The activation ("softmax" or "sigmoid") that yields the probabilities the loss expects.
    link: str | None = None
    _takes_probabilities = False  # whether other outputs, such as logits, are a mistake
    # What the targets are, by which compile() chooses metrics from their names: "binary" (0 or 1
    # for each output), "signs" (-1 or 1), "one-hot", "indices"; None: the shapes decide.
    target_kind: str | None = None
    from_logits = False
    # Whether the outputs are on an axis other than the last and must be moved: see AxisLoss.
    moves_axis = False
    is_quotient = True
    _reads: ClassVar[dict[str, None]] = dict.fromkeys(
        ("forward", "forward_samples", "backward_samples", "targets", "check_targets")
    )
    ignore_class: int | None = None  # samples of this class are ignored: see _effective_weights
    # Whether targets that are NaN are left out: see ElementwiseLoss. None: others cannot.
    mask_nan: bool | None = None
    weighs_outputs = False  # whether there may be a weight for each output: see ElementwiseLoss
    dtype: str | None = None
    _by_output = False  # whether cache.weights are those of single outputs
    numerator: float = 0.0
    denominator: float | None = None  # None: the number of rows serves as denominator

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ):
        owner = type(self).__name__
        self.reduction = check_choice(owner, "reduction", reduction, REDUCTIONS)
        self.name = check_name(owner, name, snake_case(owner))
        self.dtype = None if dtype is None else check_dtype(owner, dtype).name
        self._set_up()

    def _set_up(self) -> None:
        self.cache = Cache(f"loss {self.name!r}")
        self.workspace = Workspace()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("cache", "workspace")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return ``[(arguments, targets, predictions), ...]`` for ``netlayers.testing``.

        Targets and predictions are named by their kind; see
        :func:`netlayers.testing.check_loss`.
        """
        return [({}, "numbers", "numbers")]

    # For subclasses --------------------------------------------------------------------------

    @must_define("forward")
    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """Return the loss of each sample.

        Args:
            y_true: checked targets.
            y_pred: (batch, ..., outputs).

        Returns:
            The losses, (batch, ...).
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward_samples")

    @must_define("backward")
    def backward_samples(self, dl: float | Array) -> Array:
        """Return dL/dy_pred for ``dl``, dL/dl: a number, or an array that broadcasts to y_pred."""
        raise NotImplementedError(f"{type(self).__name__} must define backward_samples")

    def _prepare_weights(
        self, sample_weight: ArrayLike | None, y_true: Array, y_pred: Array
    ) -> ArrayLike | None:
        """Return the weights of the losses, or ``None`` if the loss applies them itself.

        Called only if there are weights, or with ``mask_nan``. Weights of single outputs are left
        in ``cache.weights``.
        """
        return sample_weight

    def _broadcastable(self, scale: Array) -> Array:
        """Return dL/dl, of the shape of the losses, reshaped to broadcast to y_pred."""
        return scale[..., None]

    def buffer(self, name: str, like: Array) -> Array:
        """Return a buffer with the shape and dtype of ``like``.

        Args:
            name: name of the buffer.
            like: an array.
        """
        existing = self.workspace.views.get((name, like.shape, like.dtype))
        return self.workspace(name, like.shape, like.dtype) if existing is None else existing

    def _unclipped(self, p: Array, c: Array) -> Array:
        """Return the mask of entries that clipping ``p`` to ``c`` left unchanged."""
        return np.equal(p, c, out=self.workspace("unclipped", p.shape, np.dtype(bool)))

    # Public methods --------------------------------------------------------------------------

    def forward(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the loss of a batch.

        Args:
            y_true: targets; (batch,) is treated as (batch, 1) if there is one output.
            y_pred: predictions, (batch, ..., outputs).
            sample_weight: one weight per sample or per loss, or a number for all; ``None`` for 1.
                For an :class:`ElementwiseLoss` also one per target, in the shape of ``y_true``.
                An axis of length 1 is broadcast.

        Returns:
            A float; for ``reduction="none"``, the array of the losses per sample.

        Raises:
            ShapeError: the shapes do not match.
            DataError: the targets are not valid for this loss.
        """
        p: Any = y_pred if self.dtype is None else self._in_own_dtype(y_pred)
        dtype = p.dtype if type(p) is np.ndarray else None
        if (dtype is _FLOAT32 or dtype is _FLOAT64) and p.ndim > 1 and len(p):
            self.cache.shape = p.shape
        else:
            p = self._predictions(p)
        if self.moves_axis:
            p = self._to_last_axis(p)  # type: ignore[attr-defined]
        t = self.targets(y_true, p.shape, p.dtype)
        weight = self.cache.weights = None
        if sample_weight is not None or self.mask_nan:
            sample_weight = self._prepare_weights(sample_weight, t, p)
            weight = self.cache.weights  # of single outputs: forward_samples applies them
        losses = self.forward_samples(t, p)
        try:
            count: float = losses.size
        except AttributeError:
            raise ConfigurationError(
                f"loss {self.name!r}: forward_samples must return an array with the loss of each "
                f"sample, of the shape {p.shape[:-1]}, got {losses!r}."
            ) from None
        if weight is not None:
            count = self.cache.count
        elif sample_weight is not None or self.ignore_class is not None:
            weight, count = self._effective_weights(losses, sample_weight)
            self.cache.weights = weight
            if weight is not None:
                losses = losses * weight
        reduction = self.reduction
        if reduction == "mean_with_sample_weight" and weight is not None:
            denominator = float(np.add.reduce(weight, axis=None, dtype=_FLOAT64))
            if self._by_output:
                denominator /= weight.shape[-1]
        elif reduction in MEANS:
            denominator = float(count)
        else:
            denominator = 1.0
        self.denominator = denominator
        numerator = self.numerator = kernels.total(losses)
        if reduction in ("none", None):
            return np.array(losses)  # type: ignore[return-value]
        if weight is None:  # the factor of backward, for the same rounding
            return numerator * (1.0 / denominator)
        return numerator / denominator if denominator else numerator

    def backward(self, denominator: float | None = None) -> Array:
        """Return dL/dy_pred for the last :meth:`forward`; valid until the next one.

        Args:
            denominator: divisor of the numerator; by default :attr:`denominator`. With 1, the
                result is the gradient of the numerator, which can be summed over batches.
        """
        weight, shape = self.cache.weights, self.cache.shape
        if denominator is None:
            denominator = self.denominator
        denominator = denominator or 1.0  # 0 only if all weights are 0, and so is the numerator
        if weight is None:
            dy = self.backward_samples(1.0 / denominator)
        elif self._by_output:
            dy = self._weigh_gradient(self.backward_samples(1.0 / denominator))  # type: ignore[attr-defined]
        else:
            dy = self.backward_samples(self._broadcastable(weight / denominator))
        if getattr(dy, "shape", None) != shape:
            dy = self._like_predictions(dy)
        if self.moves_axis:
            dy = self._from_last_axis(dy)  # type: ignore[attr-defined]
        return dy if self.dtype is None else dy.astype(self.cache.given, copy=False)

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return :meth:`forward`, as in Keras."""
        return self.forward(y_true, y_pred, sample_weight)

    # Targets ---------------------------------------------------------------------------------

    def target_dtype(self, dtype: Dtype) -> Dtype:
        """Return the dtype of the targets for predictions of ``dtype``."""
        return dtype

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns for that of ``outputs``."""
        return outputs

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets for predictions of ``shape``.

        Args:
            y_true: targets, as the user gave them.
            shape: shape of the predictions.
            dtype: dtype of the result.

        Raises:
            ShapeError: their shape does not match.
            DataError: their values are not valid for this loss.
        """
        if type(y_true) is not np.ndarray or y_true.dtype is not dtype:
            y_true = as_float(f"loss {self.name!r}", "y_true", y_true, dtype)
        columns = self.target_size(shape[-1])
        expected = shape if columns == shape[-1] else (*shape[:-1], columns)
        return y_true if y_true.shape == expected else self._match_shape(y_true, expected, shape)

    def _match_shape(self, y_true: Array, expected: Shape, outputs: Shape) -> Array:
        """Return ``y_true`` in the ``expected`` shape, adding an axis of length one if needed.

        Raises:
            ShapeError: the shapes still differ; nothing is ever broadcast to (n, n).
        """
        if expected[-1] == 1 and y_true.shape == expected[:-1]:
            return y_true[..., None]
        raise ShapeError(
            f"loss {self.name!r}: y_true has the shape {y_true.shape}, expected {expected} for "
            f"predictions of {outputs}. {self._shape_hint(y_true.shape, outputs)}"
        )

    def _shape_hint(self, got: tuple[int, ...], shape: Shape) -> str:
        return "There must be one target per output: change the targets or the last layer."

    def check_targets(self, y: Array, output_shape: Shape) -> None:
        """Check all targets of a data set before training starts.

        Args:
            y: the targets.
            output_shape: output shape of the model, with ``None`` for the batch.

        Raises:
            ShapeError, DataError: see :meth:`targets`.
        """
        rows = max(1, (1 << 20) // max(1, y[:1].size))
        for start in range(0, len(y), rows):
            block = y[start : start + rows]
            shape = tuple(
                block.shape[i] if size is None and i < block.ndim else size or 1
                for i, size in enumerate(output_shape)
            )
            try:
                if self.moves_axis:
                    shape = self._outputs_last(shape)  # type: ignore[attr-defined]
                t = self.targets(block, shape, np.dtype(np.float64))
                self._warn_of_targets(t)
            except DataError as error:
                raise type(error)(
                    f"{error} (Found in rows {start} to {start + len(block) - 1}.)"
                ) from None

    def _warn_of_targets(self, t: Array) -> None:
        """Warn about checked targets that are valid, but unlikely to be meant."""

    # Details ---------------------------------------------------------------------------------

    def _in_own_dtype(self, y_pred: Any) -> Array:
        """Return predictions in the dtype of the loss; cache their original dtype."""
        p = as_predictions(f"loss {self.name!r}", y_pred)
        self.cache.given = p.dtype
        return p.astype(self.dtype, copy=False)

    def _predictions(self, y_pred: Any) -> Array:
        """Return predictions as floats with at least two axes; cache their original shape."""
        p = as_predictions(f"loss {self.name!r}", y_pred)
        self.cache.shape = p.shape
        return p if p.ndim > 1 else p[:, None]

    def _like_predictions(self, dy: Any) -> Array:
        """Return a gradient in the shape of the predictions.

        Raises:
            ShapeError: it has another number of entries.
        """
        try:
            return np.reshape(np.asarray(dy, np.float64) if dy is None else dy, self.cache.shape)
        except (ValueError, TypeError):
            raise ShapeError(
                f"loss {self.name!r}: backward_samples must return dL/dy_pred, of the shape "
                f"{self.cache.shape}, got {np.shape(dy)}."
            ) from None

    def _effective_weights(
        self, losses: Array, sample_weight: ArrayLike | None
    ) -> tuple[Array | None, int]:
        """Return the weights, shaped like the losses (``None`` for all 1), and their number.

        Called only if there are weights or an ``ignore_class``.
        """
        if sample_weight is None:
            return None, losses.size
        owner = f"loss {self.name!r}"
        return as_weights(owner, sample_weight, losses.shape, losses.dtype), losses.size
