"""The training face of a model: compile, fit, evaluate, predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers import losses, optimizers
from netlayers import metrics as metrics_module
from netlayers.callbacks import History, ProgressBar
from netlayers.callbacks.progress import numbers_line
from netlayers.checks import check_flag, check_integer, check_number
from netlayers.core.layer import Layer
from netlayers.data.arrays import ArrayData, Column, checked_input, split_rows
from netlayers.errors import ConfigurationError, NotCompiledError
from netlayers.models.arguments import (
    batch_result,
    callback_list,
    check_batch_size,
    check_verbose,
    validation_parts,
)
from netlayers.models.preparation import batch_of, build_for, columns_of, undone_on_error
from netlayers.models.saved import Saved
from netlayers.models.summary import Described
from netlayers.training import loop
from netlayers.training.compilation import (
    crossentropy_by_shape,
    fused_loss,
    warn_of_single_softmax,
)
from netlayers.training.events import Events
from netlayers.training.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array, ArrayLike, Identifier, Shape
    from netlayers.core.random import Streams


class Model(Described, Saved, Layer):
    """A layer that can be trained: base class of models.

    Attributes:
        optimizer: set by :meth:`compile`.
        loss: set by :meth:`compile`.
        history: the History of the last :meth:`fit`, also if that was interrupted.
        stop_training: a callback sets it to end the run.
    """

    layers: list[Layer]
    activation: Any
    optimizer: optimizers.Optimizer | None = None
    loss: losses.Loss | None = None
    history: History | None = None
    stop_training = False
    _streams: Streams
    _steps: Steps | None = None
    _metrics: tuple[Any, ...] = ()

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
            metrics: names, metrics or functions of ``y_true`` and ``y_pred``, reported for each
                epoch. Sample and class weights count in them.

        Raises:
            ConfigurationError: a name is unknown, or an object is of the wrong kind.

        A softmax (sigmoid) as last activation and a cross-entropy on its probabilities are computed
        together, from the logits: the same numbers, but exact also where probabilities round to 0.
        """
        owner = self.owner
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
            if not (isinstance(metric, str) and metric in metrics_module.BY_SHAPE):
                metrics_module.get(metric)
        self.optimizer, self.loss, self._metrics = chosen, resolved, tuple(metrics)
        self._steps = None

    def make_steps(self, target_shape: Shape) -> Steps:
        """Return what trains a batch; the last decisions of compile need the shapes."""
        if self._steps is None:
            if self.optimizer is None or self.loss is None:
                raise NotCompiledError(
                    f"{self.owner} is not compiled: call compile(optimizer, loss) first."
                )
            assert self.output_shape is not None
            loss: Any = self.loss
            if isinstance(loss, str):
                loss = crossentropy_by_shape(target_shape, self.output_shape)
            warn_of_single_softmax(self.output_shape, loss, self.activation)
            fused = fused_loss(loss, self.activation)
            steps = Steps(self, self.optimizer, fused or loss, self._metrics, fused is not None)
            steps.resolve_metrics(target_shape)
            self._steps = steps
        return self._steps

    @property
    def metrics(self) -> list[metrics_module.Metric]:
        """The metrics as objects; none before the first data, whose shapes decide on them."""
        return list(self._steps.metrics or ()) if self._steps is not None else []

    def _require_compiled(self) -> None:
        if self.optimizer is None:
            raise NotCompiledError(
                f"{self.owner} is not compiled: call compile(optimizer, loss) first."
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
        chosen = callback_list(callbacks)
        with undone_on_error(self):
            columns = columns_of(self, owner, x, y, sample_weight, class_weight)
            validation = None
            if split:
                columns, held_out = split_rows(owner, columns, split)
                validation = ArrayData(held_out, test_size)
            elif validation_data is not None:
                parts = validation_parts(validation_data)
                validation = ArrayData(columns_of(self, "validation_data", *parts), test_size)
            steps = self.make_steps(columns[1].values.shape)  # type: ignore[union-attr]
        data = ArrayData(columns, size, self._streams.get("shuffle") if shuffle else None)
        self.stop_training = False
        self.history = History()
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
        with undone_on_error(self):
            columns = columns_of(self, "evaluate", x, y, sample_weight)
            steps = self.make_steps(columns[1].values.shape)  # type: ignore[union-attr]
        data = ArrayData(columns, size)
        params = {"epochs": 1, "steps": data.steps, "verbose": verbose}
        logs = loop.test(steps, data, Events(callback_list(callbacks), self, params))
        if verbose:
            print(numbers_line(logs), flush=True)
        return batch_result(logs, return_dict)

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
        with undone_on_error(self):
            build_for(self, x)
        events = Events(callback_list(callbacks), self, {"steps": -(-len(x) // size)})
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
        with undone_on_error(self):
            x, y, weight = batch_of(self, "train_on_batch", x, y, sample_weight, class_weight)
            steps = self.make_steps(y.shape)
            steps.reset()
            steps.train(x, y, weight)
        return batch_result(steps.logs(), return_dict)

    def test_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, of a batch; nothing is learned."""
        self._require_compiled()
        with undone_on_error(self):
            x, y, weight = batch_of(self, "test_on_batch", x, y, sample_weight)
            steps = self.make_steps(y.shape)
            steps.reset()
            steps.test(x, y, weight)
        logs = steps.logs()
        logs.pop("grad_norm", None)
        return batch_result(logs, return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Return the outputs for one batch in a new array."""
        x = checked_input("predict_on_batch", x, self._dtype)
        if not self.built:
            with undone_on_error(self):
                build_for(self, x)
        y = self.forward(x)
        return y.copy() if np.may_share_memory(y, x) else y
