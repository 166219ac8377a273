"""Models that train, evaluate and predict."""

from __future__ import annotations

from contextlib import ExitStack, closing, nullcontext
from typing import TYPE_CHECKING, Any

from netlayers._warn import warn
from netlayers.arrays.convert import shapes_of
from netlayers.callbacks import History, ProgressBar
from netlayers.callbacks.progress import numbers_line
from netlayers.checks import check_flag, check_integer, check_verbose
from netlayers.data.batch import ready_batch
from netlayers.data.own_rows import own_rows_of
from netlayers.training import batching, trainer
from netlayers.training.batching import BatchSettings, batch_result
from netlayers.training.callback import CallbackList, RunPlan
from netlayers.training.compilation import (
    CompilableModel,
    has_own_classes,
    warn_of_model,
    warn_of_schedule,
)
from netlayers.training.exact import check_exact
from netlayers.training.first_step import FirstStep
from netlayers.training.given_callbacks import as_callbacks
from netlayers.training.inference_rows import INFERENCE_BATCH
from netlayers.training.inputs import batch_of, input_batch, rollback_on_error
from netlayers.training.lock import one_at_a_time
from netlayers.training.predicting import in_turn, own_outputs, predict_all
from netlayers.training.trainer import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array, ArrayLike
    from netlayers.data.batch import Data


class TrainableModel(CompilableModel):
    """A model that trains, evaluates and predicts.

    Attributes:
        history: the History of the last :meth:`fit`, even if it was interrupted.
    """

    history: History | None = None

    # Train -----------------------------------------------------------------------------------

    @one_at_a_time
    def fit(
        self,
        x: Any = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str | bool = "auto",
        callbacks: Sequence[Any] | Any | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | int = True,
        class_weight: Mapping[int, float] | str | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        stratify: bool = False,
        drop_last: bool = False,
        read_ahead: int = 2,
    ) -> History:
        """Train.

        Args:
            x: inputs, (n, ...), never modified: an array, also of PyTorch or JAX; a memory map, or
                a data set of h5py or zarr, checked in chunks and read in batches; a pandas
                DataFrame, whose columns must stay the same in later calls (the index is ignored); a
                SciPy sparse matrix if ``Dense`` is the first layer, converted to CSR once. For
                several inputs, a list or a dict of these. Or data that come in batches, see below.
            y: targets, n rows; for several outputs, a list or a dict. Never modified. NaN is
                refused unless the loss has ``mask_nan=True``.
            batch_size: samples per update; by default 32, or with ``steps_per_epoch`` such that an
                epoch is one pass over the data.
            epochs: number of the last epoch (with ``initial_epoch`` 0, the number of epochs).
            verbose: 0 for silent, 1 for a progress bar and a line per epoch, 2 for the lines only;
                ``"auto"`` is 1. The bar is shown in terminals and notebooks only.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.
            validation_split: fraction of the samples, the last ones before shuffling, used for
                validation instead of training.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` for validation after each
                epoch, or data that come in batches.
            shuffle: shuffle the samples before each epoch, with the model's random stream; in a
                sequence of batches, shuffle the batches. Other sources keep their order. A number:
                have so many rows in memory at a time, read in blocks, and shuffle these; ``True``
                does so with 64 MB of rows for data that are not in memory.
            class_weight: dict of weights by class index; ``"balanced"`` gives each class the same
                total weight, n / (k count) per sample. Used in training only, and multiplied with
                ``sample_weight``.
            sample_weight: weight of each sample or, in the shape of ``y``, of each output, for a
                loss that is a mean over outputs (:class:`netlayers.losses.ElementwiseLoss`).
            initial_epoch: number of the first epoch.
            steps_per_epoch: batches per epoch. The next epoch continues where this one ended, and
                data that are exhausted within an epoch restart (Keras ends such an epoch early).
            validation_steps: batches per validation: the first ones, or the next ones of an
                iterator. Without ``validation_batch_size`` they have ``batch_size`` rows, or cover
                all data.
            validation_batch_size: rows per batch in validation; by default those of
                :meth:`evaluate`, for models with states as in training.
            validation_freq: validate every ``validation_freq`` epochs; or a list of the epochs to
                validate after, counted from 1.
            stratify: apply ``validation_split`` to each class: its last samples, at least one and
                not all, unless the class has only one. ``y`` must be class labels.
            drop_last: drop the last rows of a pass if they do not fill a batch, so that all batches
                have ``batch_size`` rows. With ``shuffle`` the dropped rows differ between epochs.
                For arrays only.
            read_ahead: batches that a thread prefetches from data that come in batches; 0 for none,
                for sources that must be used in a single thread, such as an sqlite connection.

        Returns:
            The History, also kept as ``model.history``.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: invalid data or arguments;
                the model is unchanged.
            BusyError: another thread trains or evaluates this model, or a callback calls this
                method.
            NonFiniteError: a gradient is not finite; the message says where it originated. The
                weights are those of the last successful update.

        Data that come in batches yield ``(x, y)`` or ``(x, y, sample_weight)`` and are one of:

        - a function without arguments that returns an iterator, usually a generator function,
          called for each epoch;
        - an iterable, such as a list of batches or PyTorch's ``DataLoader``, iterated for each
          epoch;
        - an iterator, such as a generator. Most can be read only once; training stops with a
          warning when it is exhausted. With ``steps_per_epoch``, no further batch is read;
        - a sequence, an object with ``__len__`` (batches in an epoch) and ``__getitem__``.

        If the source has ``on_epoch_begin()`` and ``on_epoch_end()`` they are called. An unbuilt
        model is built for the first batch. Each batch is checked; an error names its number, and
        the weights are those of the previous update. Batches are copied, so a source may reuse its
        arrays.

        Training and validation data are never read at the same time. The prefetching thread has
        ended when ``fit`` returns or raises, and generators that ``fit`` created are closed. A
        source that blocks (on a network, for example) is abandoned after a second. A run that ends
        within an epoch may have read ``read_ahead`` + 1 unused batches of an iterator. A source
        with ``get_state`` and ``set_state`` can resume in another process, see
        ``BackupAndRestore``.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> def batches():
            ...     rng = np.random.default_rng(0)
            ...     for _ in range(50):
            ...         x = rng.normal(size=(16, 2))
            ...         yield x, x.sum(axis=1)
            >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
            >>> model.compile(nl.optimizers.SGD(0.1), "mse")
            >>> history = model.fit(batches, epochs=2, verbose=0)
            >>> history.history["loss"][-1] < 1e-6
            True
        """
        owner = "fit"
        self._require_compiled()
        epochs = check_integer(owner, "epochs", epochs, minimum=0)
        first = check_integer(owner, "initial_epoch", initial_epoch, minimum=0)
        verbose = check_verbose(owner, verbose)
        freq = _checked_frequency(owner, validation_freq)
        if first >= epochs > 0:
            warn(
                f"{owner}: initial_epoch={first} is not below epochs={epochs}, so nothing is "
                "trained: epochs is the number of the last epoch, not of further ones."
            )
        chosen = as_callbacks(callbacks) if callbacks is not None else []
        arguments = batching.FitArguments(
            x=x,
            y=y,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            validation_freq=freq,
            validations=_count_validations(freq, first, epochs),
            stratify=stratify,
            drop_last=drop_last,
            shuffle=shuffle,
            training=BatchSettings.checked(
                owner, read_ahead, batch_size=batch_size, steps_per_epoch=steps_per_epoch
            ),
            testing=BatchSettings.checked(
                owner,
                read_ahead,
                validation_batch_size=validation_batch_size,
                validation_steps=validation_steps,
            ),
        )
        with ExitStack() as opened:
            history = History()
            if verbose:
                chosen.append(ProgressBar(bar=verbose == 1))
            with rollback_on_error(self):
                data, validation = batching.fit_data(self, arguments, opened)
                steps = self._steps
                assert steps is not None  # checking the data made it
                params = {"epochs": epochs, "steps": data.steps, "verbose": verbose}
                if validation is not None:
                    params["validation_freq"] = freq
                warn_of_model(owner, self)
                warn_of_schedule(owner, self, data, max(0, epochs - first))
                hooks = CallbackList([*chosen, history], self, params)
                numbers = range(first, epochs)
                validates = validation is not None and arguments.validations > 0
                hooks.check(RunPlan.of(owner, numbers, steps, validates))
                if validation is not None and not _count_validations(freq, 0, max(1, epochs)):
                    warn(
                        f"{owner}: validation_freq={freq} is above epochs={epochs}: no validation."
                    )
            self.stop_training = False
            self.history = history
            if has_own_classes(steps):
                FirstStep(steps).watch()
            trainer.train(Run(steps, data, hooks, numbers, validation, freq))
        return self.history

    @one_at_a_time
    def evaluate(
        self,
        x: Any = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: int | str | bool = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
        return_dict: bool = False,
        *,
        exact: bool = False,
        read_ahead: int = 2,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, or a dict of both with ``return_dict``.

        Args:
            x: inputs, (n, ...), or data that come in batches; all that :meth:`fit` takes.
            y: targets, n rows.
            batch_size: rows per batch, by default 32 to 1024; affects the result by rounding only.
            verbose: 0 for silent, otherwise one line.
            sample_weight: weight of each sample or output, see :meth:`fit`.
            steps: number of batches to evaluate, the first ones; by default, or without
                ``batch_size``, they cover all data.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.
            return_dict: return a dict.
            exact: return the same bits for every ``batch_size`` and number of BLAS threads; see
                :meth:`predict`. The rows are evaluated, and callbacks called, in batches of 1024.
            read_ahead: see :meth:`fit`.

        Raises:
            DataError, ShapeError, NotCompiledError: see :meth:`fit`.
        """
        self._require_compiled()
        verbose = check_verbose("evaluate", verbose)
        check_flag("evaluate", "exact", exact)
        settings = BatchSettings.checked("evaluate", read_ahead, batch_size=batch_size, steps=steps)
        with rollback_on_error(self):
            parts = x, y, sample_weight
            data: Data = batching.evaluation_data(self, "evaluate", parts, settings, whole=exact)
        current = self._steps
        assert current is not None  # checking the data made it
        with closing(data):
            params = {"epochs": 1, "steps": data.steps, "verbose": verbose}
            if exact:
                check_exact("evaluate", self)
                params["steps"] = data.rows and -(-data.rows // INFERENCE_BATCH)
            elif self.distribution is not None:
                data = own_rows_of(data, self.distribution)
            hooks = CallbackList(as_callbacks(callbacks), self, params)
            logs = trainer.test(current, data, hooks, exact, None)
        if verbose:
            print(numbers_line(logs), flush=True)
        return batch_result(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str | bool = "auto",
        steps: int | None = None,
        callbacks: Sequence[Any] | None = None,
        *,
        exact: bool = False,
        read_ahead: int = 2,
    ) -> Array:
        """Return the outputs for all rows of x in a new array; safe from several threads at once.

        It may run while another thread trains the model; the weights are then those between two
        updates, or a mixture of before and after an update.

        Args:
            x: inputs, (n, ...); no rows give an output of shape (0, ...). Or data that come in
                batches, see :meth:`fit`, where a batch is x, ``(x,)``, or has targets, which play
                no part. A list is always rows.
            batch_size: rows computed at a time; by default 32 to 1024, by the sizes of the layers.
            verbose: 1 or 2 prints a line at the end; 0 and ``"auto"`` print nothing.
            steps: number of batches to predict, the first ones; by default, and without
                ``batch_size``, all.
            callbacks: objects of :class:`netlayers.callbacks.Callback`.
            exact: give a row the same bits alone, in a batch of any size, and on any number of
                threads of NumPy's OpenBLAS, for two to three times the time; otherwise they agree
                up to rounding. Refused for models with states, activations along the batch axis,
                and your own layers, unless their class says ``exact_rows = True``.
            read_ahead: see :meth:`fit`.

        Raises:
            DataError, ShapeError: the input does not fit the model.
            ConfigurationError: ``exact`` cannot be honoured.
        """
        check_flag("predict", "exact", exact)
        shown = check_verbose("predict", verbose) and not isinstance(verbose, str)
        settings = BatchSettings.checked("predict", read_ahead, batch_size=batch_size, steps=steps)
        chosen = as_callbacks(callbacks) if callbacks is not None else []
        y = predict_all(self, x, settings, chosen, exact)
        if shown:
            print(f"{len(y[0])} rows predicted", flush=True)
        return self._as_returned(y)

    # One batch -------------------------------------------------------------------------------

    @one_at_a_time
    def train_on_batch(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one update; return the loss, or ``[loss, metric, ...]``, of this batch alone.

        Args and errors: see :meth:`fit`. The dict also contains ``grad_norm`` if clipping is on.
        """
        batch = ready_batch(self, x, y, sample_weight, class_weight)  # of a compiled model only
        if batch is None:
            self._require_compiled()
        with rollback_on_error(self) if batch is None else nullcontext():
            if batch is None:
                weights = sample_weight, class_weight
                batch = batch_of(self, "train_on_batch", x, y, *weights, remember=True)
            steps = self._steps or self._make_steps(shapes_of(batch.targets))
            steps.reset()
            steps.train(batch)
        logs = steps.logs()
        if len(logs) == 1 and not return_dict:
            return logs["loss"]
        return batch_result(logs, return_dict)

    @one_at_a_time
    def test_on_batch(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, or ``[loss, metric, ...]``, of a batch, without an update."""
        batch = ready_batch(self, x, y, sample_weight)  # of a compiled model only
        if batch is None:
            self._require_compiled()
        with rollback_on_error(self):
            if batch is None:
                batch = batch_of(self, "test_on_batch", x, y, sample_weight)
            steps = self._make_steps(shapes_of(batch.targets))
            steps.reset()
            steps.test(batch)
        logs = steps.logs()
        logs.pop("grad_norm", None)
        return batch_result(logs, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch in a new array."""
        x = input_batch(self, "predict_on_batch", x)
        y = in_turn(self, "predict_on_batch", own_outputs, self, x)
        return self._as_returned(y)


def _checked_frequency(owner: str, value: int | Sequence[int]) -> int | list[int]:
    """Return ``validation_freq`` of ``fit``, checked: an integer, or a list of them."""
    if not isinstance(value, (list, tuple)) or not value:
        return check_integer(owner, "validation_freq", value, minimum=1)
    return [check_integer(owner, "each of validation_freq", n, minimum=1) for n in value]


def _count_validations(freq: int | list[int], first: int, last: int) -> int:
    """Return how many of the epochs ``first + 1`` to ``last`` end with a validation."""
    if isinstance(freq, list):
        return sum(first < epoch <= last for epoch in set(freq))
    return max(0, last // freq - first // freq)
