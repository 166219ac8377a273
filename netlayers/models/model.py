"""The training face of a model: compile, fit, evaluate, predict."""

from __future__ import annotations

import contextlib
import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses, optimizers
from netlayers.callbacks import History, ProgressBar
from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.core.random import Streams
from netlayers.data.arrays import (
    ArrayData,
    Column,
    checked_input,
    checked_rows,
    class_weights,
)
from netlayers.errors import ConfigurationError, NotCompiledError, ShapeError
from netlayers.losses.base import check_weights
from netlayers.training import loop
from netlayers.training.events import Events
from netlayers.training.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netlayers._typing import Array, ArrayLike, Dtype, Identifier, Shape
    from netlayers.core.parameters import ParameterVector

# Rows that evaluate and predict take at a time when nothing else is said. Training takes 32, as in
# Keras, because there the batch size changes the result.
INFERENCE_BATCH = 1024


class Model:
    """Base class of models. A subclass has ``forward``, ``backward``, ``parameters`` and ``build``.

    Attributes:
        optimizer: set by :meth:`compile`.
        loss: set by :meth:`compile`.
        history: the History of the last :meth:`fit`, also if that was interrupted.
        stop_training: a callback sets it to end the run.
    """

    name: str
    dtype: str
    built: bool
    input_shape: Shape | None
    output_shape: Shape | None
    optimizer: optimizers.Optimizer | None = None
    loss: losses.Loss | None = None
    history: History | None = None
    stop_training = False
    _dtype: Dtype
    _streams: Streams
    _steps: Steps | None = None
    _metrics: tuple[Any, ...] = ()

    # What a subclass has ---------------------------------------------------------------------

    @property
    def parameters(self) -> ParameterVector:
        """The flat vectors of all weights and gradients."""
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for an input shape, batch first."""
        raise NotImplementedError

    def unbuild(self) -> None:
        """Forget the weights and shapes."""
        raise NotImplementedError

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Return the output for a batch."""
        raise NotImplementedError

    def backward(self, dy: ArrayLike, input_gradient: bool = True) -> Any:
        """Return dL/dx, and write the gradients of all weights."""
        raise NotImplementedError

    def last_activation(self) -> Any:
        """Return the activation that makes the output, or ``None``."""
        return None

    # Compile ---------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Identifier = "rmsprop",
        loss: Identifier = None,
        metrics: Sequence[Any] | str | None = None,
    ) -> None:
        """Choose how the model is trained.

        Args:
            optimizer: a name or an optimizer.
            loss: a name or a loss. ``"crossentropy"`` becomes the binary, sparse or categorical
                one by the shapes.
            metrics: names or metrics, reported for each epoch.

        Raises:
            ConfigurationError: a name is unknown, or an object is of the wrong kind.

        A softmax (sigmoid) as last activation and a cross-entropy on its probabilities are computed
        together, from the logits: the same numbers, but exact also where probabilities round to 0.
        """
        owner = f"model {self.name!r}"
        if loss is None:
            raise ConfigurationError(f"{owner}: compile() needs a loss, for instance loss='mse'.")
        chosen = optimizers.get(optimizer)
        by_shape = isinstance(loss, str) and loss.lower() in ("ce", "crossentropy")
        resolved = loss if by_shape else losses.get(loss)
        if getattr(resolved, "reduction", "sum") in ("none", None):
            raise ConfigurationError(
                f"{owner}: the loss has reduction={resolved.reduction!r}, which gives an array; "
                "training minimizes one number. Use 'sum_over_batch_size' or 'sum'."
            )
        if metrics is None:
            metrics = ()
        elif isinstance(metrics, str) or not isinstance(metrics, (list, tuple)):
            metrics = (metrics,)
        for metric in metrics:
            if metric not in ("accuracy", "acc", "Accuracy"):
                _check_metric(metric)
        self.optimizer, self.loss, self._metrics = chosen, resolved, tuple(metrics)
        self._steps = None

    def _make_steps(self, target_shape: Shape) -> Steps:
        """Return what trains a batch; the last decisions of compile need the shapes."""
        if self._steps is None:
            if self.optimizer is None or self.loss is None:
                raise NotCompiledError(
                    f"model {self.name!r} is not compiled: call compile(optimizer, loss) first."
                )
            assert self.output_shape is not None
            loss: Any = self.loss
            if isinstance(loss, str):
                loss = _crossentropy(target_shape, self.output_shape, self.last_activation())
            _warn_of_single_softmax(self.output_shape, loss, self.last_activation())
            fused = _fused(loss, self.last_activation())
            steps = Steps(self, self.optimizer, fused or loss, self._metrics, fused is not None)
            steps.resolve_metrics(target_shape)
            self._steps = steps
        return self._steps

    def _require_compiled(self) -> None:
        if self.optimizer is None:
            raise NotCompiledError(
                f"model {self.name!r} is not compiled: call compile(optimizer, loss) first."
            )

    # Train -----------------------------------------------------------------------------------

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str | bool = "auto",
        callbacks: Sequence[Any] | Any | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train.

        Args:
            x: inputs, (n, ...). Never changed.
            y: targets, n rows. Never changed.
            batch_size: samples in one update; by default 32.
            epochs: number of the last epoch (with ``initial_epoch`` 0, how many there are).
            verbose: 0 silent, 1 a progress bar and a line for each epoch, 2 the lines only;
                ``"auto"`` is 1. Without a terminal there is never a bar.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.
            validation_split: share of the last samples (before shuffling) that is not trained on
                but tested after each epoch.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to test after each epoch.
            shuffle: new order in each epoch, from the model's own random stream.
            class_weight: weight of the samples of a class, by its number.
            sample_weight: weight of each sample.
            initial_epoch: number to start counting at.
            validation_batch_size: rows tested at a time.
            validation_freq: test after every so many epochs.

        Returns:
            The History, also kept as ``model.history``.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: before anything changed.
            NonFiniteError: a gradient exploded; the weights are those of the last good update.
        """
        owner = "fit"
        self._require_compiled()
        size = (
            32 if batch_size is None else check_integer(owner, "batch_size", batch_size, minimum=1)
        )
        epochs = check_integer(owner, "epochs", epochs, minimum=0)
        first = check_integer(owner, "initial_epoch", initial_epoch, minimum=0)
        verbose = check_verbose(owner, verbose)
        split = check_number(owner, "validation_split", validation_split, minimum=0, below=1)
        shuffle = check_flag(owner, "shuffle", shuffle)
        freq = check_integer(owner, "validation_freq", validation_freq, minimum=1)
        test_size = check_batch_size(owner, "validation_batch_size", validation_batch_size)
        if class_weight is not None and sample_weight is not None:
            raise ConfigurationError(
                "fit: class_weight and sample_weight can not be given together; multiply them "
                "into one sample_weight."
            )
        if split and validation_data is not None:
            raise ConfigurationError("fit: give validation_split or validation_data, not both.")
        with self._undone_on_error():
            columns = self._columns(owner, x, y, sample_weight, class_weight)
            validation = None
            if split:
                columns, held_out = _split(owner, columns, split)
                validation = ArrayData(held_out, test_size)
            elif validation_data is not None:
                parts = _validation_parts(validation_data)
                validation = ArrayData(self._columns("validation_data", *parts), test_size)
            steps = self._make_steps(columns[1].values.shape)  # type: ignore[union-attr]
        data = ArrayData(columns, size, self._streams.get("shuffle") if shuffle else None)
        self.stop_training = False
        self.history = History()
        chosen = _callback_list(callbacks)
        if verbose:
            chosen.append(ProgressBar(bar=verbose == 1))
        params = {"epochs": epochs, "steps": data.steps, "verbose": verbose}
        events = Events([*chosen, self.history], self, params)
        loop.train(steps, data, events, range(first, epochs), validation, freq)
        return self.history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str | bool = "auto",
        sample_weight: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, or a dict of both with ``return_dict``.

        Args:
            x: inputs, (n, ...).
            y: targets, n rows.
            batch_size: rows tested at a time, by default 1024; it does not change the result.
            verbose: 0 silent, otherwise one line.
            sample_weight: weight of each sample.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.
            return_dict: return a dict.

        Raises:
            DataError, ShapeError, NotCompiledError: see :meth:`fit`.
        """
        self._require_compiled()
        verbose = check_verbose("evaluate", verbose)
        size = check_batch_size("evaluate", "batch_size", batch_size)
        with self._undone_on_error():
            columns = self._columns("evaluate", x, y, sample_weight)
            steps = self._make_steps(columns[1].values.shape)  # type: ignore[union-attr]
        data = ArrayData(columns, size)
        params = {"epochs": 1, "steps": data.steps, "verbose": verbose}
        logs = loop.test(steps, data, Events(_callback_list(callbacks), self, params))
        if verbose:
            print("  ".join(f"{name} {value:.4f}" for name, value in logs.items()), flush=True)
        return _result(logs, return_dict)

    def predict(
        self,
        x: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str | bool = "auto",
        callbacks: Sequence[Any] | None = None,
    ) -> Array:
        """Return the outputs for all rows of x in a new array; safe from several threads at once.

        Args:
            x: inputs, (n, ...); no rows give an output of shape (0, ...).
            batch_size: rows computed at a time, by default 1024; bounds the memory.
            verbose: accepted as in Keras; nothing is shown.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.

        Raises:
            DataError, ShapeError: the input does not fit the model.
        """
        check_verbose("predict", verbose)
        size = check_batch_size("predict", "batch_size", batch_size)
        x = checked_input("predict", x, self._dtype)
        with self._undone_on_error():
            self._build_for(x)
        events = Events(_callback_list(callbacks), self, {"steps": -(-len(x) // size)})
        events.fire("on_predict_begin", {})
        if len(x) == 0:
            y = np.empty((0, *self.forward(np.zeros((1, *x.shape[1:]))).shape[1:]), self._dtype)
        column = Column(x, self._dtype)
        for batch, start in enumerate(range(0, len(x), size)):
            events.fire("on_predict_batch_begin", batch, {})
            part = self.forward(column.slice(start, min(start + size, len(x))))
            if start == 0:
                y = np.empty((len(x), *part.shape[1:]), self._dtype)
            y[start : start + len(part)] = part
            events.fire("on_predict_batch_end", batch, {"outputs": part})
        events.fire("on_predict_end", {})
        return y

    # One batch -------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one update; return the loss, or ``[loss, metric, ...]``, of this batch alone.

        Args and errors: see :meth:`fit`. The dict has ``grad_norm`` too where clipping is on.
        """
        self._require_compiled()
        with self._undone_on_error():
            x, y, weight = self._batch("train_on_batch", x, y, sample_weight, class_weight)
            steps = self._make_steps(y.shape)
            steps.reset()
            steps.train(x, y, weight)
        return _result(steps.logs(), return_dict)

    def test_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, of a batch; nothing is learned."""
        self._require_compiled()
        with self._undone_on_error():
            x, y, weight = self._batch("test_on_batch", x, y, sample_weight)
            steps = self._make_steps(y.shape)
            steps.reset()
            steps.test(x, y, weight)
        logs = steps.logs()
        logs.pop("grad_norm", None)
        return _result(logs, return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Return the outputs for one batch in a new array."""
        x = checked_input("predict_on_batch", x, self._dtype)
        if not self.built:
            with self._undone_on_error():
                self._build_for(x)
        y = self.forward(x)
        return y.copy() if np.may_share_memory(y, x) else y

    # Details ---------------------------------------------------------------------------------

    def _build_for(self, x: Array) -> None:
        if not self.built:
            self.build((None, *x.shape[1:]))

    @contextlib.contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Leave the model as it was, not built if it was not, if the data turn out to be wrong."""
        built, steps = self.built, self._steps
        try:
            yield
        except BaseException:
            self._steps = steps
            if not built:
                self.unbuild()
            raise

    def _columns(
        self,
        owner: str,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
    ) -> list[Column | None]:
        """Check a whole data set against the model; return it ready to be cut into batches."""
        x = checked_input(owner, x, self._dtype)
        if y is None:
            raise ConfigurationError(f"{owner}: y is missing; give one target for each row of x.")
        others = checked_rows(owner, x, y=y, sample_weight=sample_weight)
        self._build_for(x)
        y = others["y"]
        self.check_input_shape(x.shape)
        loss = self._loss_for(y.shape)
        if hasattr(loss, "check_targets"):
            loss.check_targets(y, (None, *self._output_shape_for(x)[1:]))
        weight = others.get("sample_weight")
        if class_weight is not None:
            weight = class_weights(owner, class_weight, y)
        target_dtype = loss.target_dtype(self._dtype) if hasattr(loss, "target_dtype") else None
        column = None if weight is None else Column(weight, self._dtype)
        if weight is not None:
            check_weights(owner, weight)
            if len(weight.shape) > 1 and weight.shape[1:] not in ((1,), y.shape[1:]):
                raise ShapeError(
                    f"{owner}: sample_weight has the shape {weight.shape}, expected ({len(x)},)."
                )
        return [Column(x, self._dtype), Column(y, target_dtype or self._dtype), column]

    def _batch(
        self, owner: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> tuple[Array, Array, Array | None]:
        """Check one batch against the model."""
        if class_weight is not None and sample_weight is not None:
            raise ConfigurationError(
                f"{owner}: class_weight and sample_weight can not be given together."
            )
        x = checked_input(owner, x, self._dtype)
        others = checked_rows(owner, x, y=y, sample_weight=sample_weight)
        self._build_for(x)
        weight = others.get("sample_weight")
        if class_weight is not None:
            weight = class_weights(owner, class_weight, others["y"])
        return x, others["y"], weight

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError if the model can not take this shape."""

    def _output_shape_for(self, x: Array) -> Shape:
        assert self.output_shape is not None
        return self.output_shape

    def _loss_for(self, target_shape: Shape) -> Any:
        return self._make_steps(target_shape).loss


def check_verbose(owner: str, verbose: Any) -> int:
    """Return 0, 1 or 2."""
    if isinstance(verbose, (bool, np.bool_)):
        return int(verbose)
    check_choice(owner, "verbose", verbose, (0, 1, 2, "auto"))
    return 1 if verbose == "auto" else int(verbose)


def check_batch_size(owner: str, argument: str, value: Any) -> int:
    """Return a batch size for inference."""
    return INFERENCE_BATCH if value is None else check_integer(owner, argument, value, minimum=1)


def _result(logs: dict[str, Any], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = [value for name, value in logs.items() if name != "grad_norm"]
    return values[0] if len(values) == 1 else values


def _callback_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def _check_metric(metric: Any) -> None:
    from netlayers import metrics

    metrics.get(metric)


def _validation_parts(data: Any) -> tuple[Any, ...]:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise ConfigurationError(
            "fit: validation_data must be (x, y) or (x, y, sample_weight), got "
            f"{type(data).__name__}"
            + (f" of length {len(data)}." if isinstance(data, (tuple, list)) else ".")
        )
    return tuple(data)


def _split(
    owner: str, columns: list[Column | None], share: float
) -> tuple[list[Column | None], list[Column | None]]:
    """Cut off the last share of the rows."""
    rows = len(columns[0].values)  # type: ignore[union-attr]
    first = int(rows * (1 - share))
    if not 0 < first < rows:
        raise ConfigurationError(
            f"{owner}: validation_split={share:g} of {rows} rows leaves nothing to "
            f"{'train on' if first == 0 else 'validate with'}."
        )
    train = [None if c is None else Column(c.values[:first], c.dtype) for c in columns]
    test = [None if c is None else Column(c.values[first:], c.dtype) for c in columns]
    return train, test


def _crossentropy(target_shape: Shape, output_shape: Shape, activation: Any) -> losses.Loss:
    """Choose what ``"crossentropy"`` means, as Keras does: by the shapes."""
    if output_shape[-1] == 1:
        return losses.BinaryCrossentropy()
    if len(target_shape) == len(output_shape) and target_shape[-1] == output_shape[-1]:
        return losses.CategoricalCrossentropy()
    return losses.SparseCategoricalCrossentropy()


def _fused(loss: Any, activation: Any) -> Any:
    """Return the loss on logits that stands for activation and loss together, or ``None``."""
    if not isinstance(loss, losses.Crossentropy) or loss.from_logits:
        return None
    if type(activation).__name__.lower() != loss.link or loss.axis != -1:
        return None
    if getattr(activation, "axis", -1) != -1:
        return None
    fused = copy.deepcopy(loss)
    fused.from_logits = True
    return fused


def _warn_of_single_softmax(output_shape: Shape, loss: Any, activation: Any) -> None:
    softmax = type(activation).__name__ == "Softmax" or getattr(loss, "link", "") == "softmax"
    if softmax and output_shape[-1] == 1:
        warnings.warn(
            "A softmax over one output is always 1, so nothing can be learned. For two classes use "
            "one output with activation='sigmoid' and loss='binary_crossentropy', or two outputs.",
            stacklevel=4,
        )
