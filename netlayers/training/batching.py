"""Convert the arguments of fit, evaluate and predict to data: arrays or streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.arrays.checks import warn_of_lost_columns
from netlayers.arrays.convert import each, shapes_of
from netlayers.checks import check_flag, check_integer, check_number, named_in_errors, overridden
from netlayers.data.arrays import ArrayData, column
from netlayers.data.batch import Batch, ready_batch
from netlayers.data.blocks import warn_of_few_blocks
from netlayers.data.class_weights import split_columns, stratified_rows, times_class_weights
from netlayers.data.own_shards import OwnShards, OwnStream, own_shards_of
from netlayers.data.streams import Stream, is_one_shot, is_stream, refuse_arguments
from netlayers.data.structure import unpack_batch
from netlayers.errors import ConfigurationError, DataError
from netlayers.training.compilation import own_part
from netlayers.training.inference_rows import rows_at_once
from netlayers.training.inputs import (
    batch_of,
    check_against,
    class_count,
    columns_of,
    input_batch,
    input_columns,
    input_of,
    remember_columns,
    single_target,
)

if TYPE_CHECKING:
    from contextlib import ExitStack

    from netlayers._typing import Array, Logs
    from netlayers.data.arrays import AnyColumn
    from netlayers.training.compilation import CompilableModel

    Data = ArrayData | Stream


class BatchSettings(NamedTuple):
    """How data are split into batches and epochs.

    Attributes:
        batch_size: rows per batch, or ``None``.
        steps: batches per epoch, or ``None``.
        read_ahead: batches that a thread prefetches.
        size_argument: name of the user's argument for the batch size.
        default: rows per batch of an evaluation without ``batch_size``; ``None`` for as many as
            the model computes at once.
    """

    batch_size: int | None
    steps: int | None
    read_ahead: int
    size_argument: str
    default: int | None = None

    @classmethod
    def checked(cls, owner: str, read_ahead: Any, **sizes: Any) -> BatchSettings:
        """Check the arguments; ``sizes`` are batch size and steps, by the names of the arguments.

        Raises:
            ConfigurationError: one is not an integer, or too small.
        """
        size, steps = (
            None if value is None else check_integer(owner, name, value, minimum=1)
            for name, value in sizes.items()
        )
        ahead = check_integer(owner, "read_ahead", read_ahead, minimum=0)
        return cls(size, steps, ahead, next(iter(sizes)))


@dataclass
class FitArguments:
    """The arguments of ``fit`` that concern data; see there.

    Raises:
        ConfigurationError: arguments contradict each other or are out of range.
    """

    x: Any
    y: Any
    sample_weight: Any
    class_weight: Any
    validation_data: Any
    validation_split: float
    validation_freq: int | list[int]
    validations: int  # number of times that the validation data are read
    stratify: bool
    drop_last: bool
    shuffle: bool | int
    training: BatchSettings
    testing: BatchSettings

    def __post_init__(self) -> None:
        split = check_number("fit", "validation_split", self.validation_split, minimum=0, below=1)
        _check_shuffle(self.shuffle)
        check_flag("fit", "stratify", self.stratify)
        check_flag("fit", "drop_last", self.drop_last)
        if split and self.validation_data is not None:
            raise ConfigurationError("fit: give validation_split or validation_data, not both.")
        if self.stratify and not split:
            raise ConfigurationError("fit: stratify=True needs a validation_split to cut off.")
        if not split and self.validation_data is None:
            given = {
                "validation_steps": self.testing.steps is not None,
                "validation_batch_size": self.testing.batch_size is not None,
                "validation_freq": self.validation_freq != 1,
            }
            for name in (name for name, its in given.items() if its):
                raise ConfigurationError(
                    f"fit: {name} needs validation_data or a validation_split."
                )


def fit_data(
    model: CompilableModel, arguments: FitArguments, opened: ExitStack
) -> tuple[Data, Data | None]:
    """Check the data of ``fit``; return the data to train on, and to validate with.

    Args:
        model: the model; built if necessary.
        arguments: the arguments of ``fit``.
        opened: closes the data at the end of the run.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    _check_iterator(arguments)
    data, held_out = _training_data(model, arguments)
    opened.callback(data.close)
    settings, size = arguments.testing, arguments.training.batch_size
    if model._has_states and isinstance(data, ArrayData):  # the states have rows for a batch
        settings = settings._replace(default=data.batch_size)
    validation: Any = held_out and _test_arrays(model, held_out[0], settings, size, held_out[1])
    if arguments.validation_data is not None:
        parts = validation_parts(arguments.validation_data)
        with named_in_errors("validation_data") as name:
            validation = evaluation_data(model, name, parts, settings, size)
    if validation is not None:
        opened.callback(validation.close)
    return data, validation


def evaluation_data(
    model: CompilableModel,
    owner: str,
    parts: tuple[Any, Any, Any],
    settings: BatchSettings,
    step_size: int | None = None,
    whole: bool = False,
) -> Data:
    """Check x, y and sample_weight for an evaluation; return their batches.

    Args:
        model: the model; built if necessary.
        owner: the caller, for messages.
        parts: x, y and sample_weight.
        settings: how to split them into batches.
        step_size: rows per step if ``settings`` has steps but no batch size.
        whole: let each of several processes read all of data that come in batches.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    x, y, sample_weight = parts
    sizes = {settings.size_argument: settings.batch_size}
    if in_batches(owner, x, y, sample_weight=sample_weight, **sizes):
        its = None if whole else model.distribution
        return open_stream(model, owner, own_shards_of(x, its), settings)
    columns = columns_of(model, owner, x, y, sample_weight, own_part(model))
    return _test_arrays(model, columns, settings, step_size)


def prediction_data(model: CompilableModel, x: Any, settings: BatchSettings) -> Data:
    """Check x for a prediction; return its batches.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    if is_stream(x):
        refuse_arguments("predict", batch_size=settings.batch_size)
        x = own_shards_of(x, None if model._has_states else getattr(model, "distribution", None))
        return open_stream(model, "predict", x, settings, targets=False)
    inputs = input_of(model, "predict", x, own_part(model))
    return _test_arrays(model, [input_columns(model, inputs), None, None], settings)


def batch_result(logs: Logs, return_dict: bool) -> Any:
    """Return logs as Keras does: the loss, or ``[loss, metric, ...]``, or the dict.

    Takes ownership of ``logs``.
    """
    if return_dict is not False and check_flag("the result", "return_dict", return_dict):
        return logs
    logs.pop("grad_norm", None)
    return list(logs.values()) if len(logs) != 1 else next(iter(logs.values()))


# Details -------------------------------------------------------------------------------------


def in_batches(owner: str, x: Any, y: Any, **arguments: Any) -> bool:
    """Whether x yields batches with targets; then raise for arguments that require arrays."""
    if type(x) is np.ndarray or y is not None or not is_stream(x):
        _require_rows(owner, x, y)
        return False
    refuse_arguments(owner, **arguments)
    return True


def _training_data(model: CompilableModel, arguments: FitArguments) -> tuple[Data, Any]:
    """Return the data to train on, and what is held out: columns, and of which rows or ``None``."""
    x, y, settings, split = arguments.x, arguments.y, arguments.training, arguments.validation_split
    rng = model._streams.get("shuffle") if arguments.shuffle else None
    buffer = None if isinstance(arguments.shuffle, (bool, np.bool_)) else int(arguments.shuffle)
    if in_batches(
        "fit",
        x,
        y,
        sample_weight=arguments.sample_weight,
        batch_size=settings.batch_size,
        validation_split=split or None,
        stratify=arguments.stratify or None,
        drop_last=arguments.drop_last or None,
        shuffle=buffer,
    ):
        options = {"class_weight": arguments.class_weight, "rng": rng, "continuous": True}
        x = own_shards_of(x, model.distribution, endless=settings.steps is not None)
        return open_stream(model, "fit", x, settings, trains=True, **options), None
    columns = columns_of(model, "fit", x, y, arguments.sample_weight, own_part(model))
    remember_columns(model, x)
    warn_of_lost_columns("fit", columns)
    rows: Array | None = None
    held_out: Any = None
    if arguments.stratify:
        y = single_target("fit", "stratify=True", _values(columns[1]))
        rows, others = stratified_rows("fit", y, split)
        held_out = columns, others
    elif split:
        columns, rest = split_columns("fit", columns, split)
        held_out = rest, None
    if arguments.class_weight is not None:  # of the training only: validation is not weighted
        y = single_target("fit", "class_weight", _values(columns[1]))
        given = None if len(columns) < 3 or columns[2] is None else _values(columns[2])
        weights = _class_column(model, y, arguments.class_weight, given, rows)
        columns = [*columns[:2], weights]
    count = columns[0].rows if rows is None else len(rows)  # type: ignore[union-attr]
    size = settings.batch_size or (32 if settings.steps is None else -(-count // settings.steps))
    last = arguments.drop_last
    if last and count < size:
        raise ConfigurationError(
            f"fit: drop_last=True leaves no batch: there are {count} rows to train on, fewer than "
            f"the batch size of {size}. Pass a batch_size of at most {count}."
        )
    data = ArrayData(
        columns, size, rng, rows, settings.steps, continuous=True, drop_last=last, buffer=buffer
    )
    if data.blocks is not None and rng is not None:
        warn_of_few_blocks("fit", data.blocks)
    return data, held_out


def _check_shuffle(value: Any) -> None:
    """Raise a ConfigurationError if ``shuffle`` is neither a bool nor an integer above 1."""
    whole = isinstance(value, (int, np.integer))
    if isinstance(value, (bool, np.bool_)) or (whole and value > 1):
        return
    raise ConfigurationError(
        "fit: shuffle must be True, False, or the number of rows to have in memory and to shuffle "
        f"at a time, an integer above 1, got {value!r}."
    )


def _test_arrays(
    model: CompilableModel,
    columns: list[Any],
    settings: BatchSettings,
    step_size: int | None = None,
    rows: Array | None = None,
) -> ArrayData:
    """Return batches for an evaluation; steps without a batch size cover all data, as in Keras."""
    x: Any = columns[0].values
    size = settings.batch_size or settings.default or rows_at_once(model, each(x)[0].shape)
    if settings.steps is not None and settings.batch_size is None:
        count = columns[0].rows if rows is None else len(rows)
        size = step_size or max(1, -(-count // settings.steps))
    return ArrayData(columns, size, rows=rows, steps=settings.steps)


def open_stream(
    model: CompilableModel,
    owner: str,
    source: Any,
    settings: BatchSettings,
    class_weight: Any = None,
    targets: bool = True,
    trains: bool = False,
    **options: Any,
) -> Any:
    """Return a stream of a source; read and check its first batch, and build the model for it."""
    if isinstance(class_weight, str):
        raise ConfigurationError(
            f"{owner}: class_weight={class_weight!r} counts the classes, which is not possible "
            "with data that come in batches; pass a dict such as {0: 1.0, 1: 5.0}."
        )

    first = trains
    needs_targets = targets and not overridden(model, "train_step", "test_step")

    def check(given: Any) -> Batch:
        nonlocal first
        x, y, weight = unpack_batch(owner, given, needs_targets)
        if not targets:
            inputs = input_batch(model, owner, x)
            model.check_input_shape(shapes_of(inputs))
            return Batch(inputs, None, None, each(inputs)[0].shape[0])
        batch = ready_batch(model, x, y, weight, class_weight)
        if batch is None:
            batch = batch_of(model, owner, x, y, weight, class_weight, remember=trains)
        check_against(model, owner, batch.inputs, batch.targets, batch.weights)
        if first:
            first = False
            warn_of_lost_columns(owner, [input_columns(model, batch.inputs)])
        return batch

    own = isinstance(source, OwnShards)
    options |= {"steps": settings.steps, "read_ahead": settings.read_ahead}
    stream = Stream(owner, source, source.checked_by(check) if own else check, **options)
    try:
        if not stream.ready():
            raise DataError(f"{owner}: the data end before the first batch; there must be one.")
    except BaseException:
        stream.close()
        raise
    return OwnStream(stream, model.distribution) if own else stream  # type: ignore[arg-type]


def _require_rows(owner: str, x: Any, y: Any) -> None:
    if x is None:
        raise ConfigurationError(f"{owner}: x is missing.")
    if type(x) is not np.ndarray and is_stream(x) and not isinstance(x, Sequence):
        refuse_arguments(owner, y=y)


def _check_iterator(arguments: FitArguments) -> None:
    """Check that an iterator given as validation_data is read only once."""
    if arguments.validation_data is None or not is_one_shot(arguments.validation_data):
        return
    if arguments.validation_data is arguments.x:
        raise ConfigurationError("fit: x and validation_data are the same iterator.")
    if arguments.testing.steps is None and arguments.validations > 1:
        raise ConfigurationError(
            "fit: validation_data is an iterator, which can be read only once, but there are "
            f"{arguments.validations} validations. Pass a function that returns a new one, or "
            "validation_steps."
        )


def validation_parts(data: Any, owner: str = "fit") -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight; for data that come in batches, only x."""
    if is_stream(data):
        return data, None, None
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise ConfigurationError(
            f"{owner}: validation_data must be (x, y) or (x, y, sample_weight), or give such "
            f"batches, got {type(data).__name__}"
            + (f" of length {len(data)}." if isinstance(data, (tuple, list)) else ".")
        )
    x, y, weight = (*data, None)[:3]
    return x, y, weight


def _values(of: AnyColumn | None) -> Any:
    assert of is not None
    return of.values


def _class_column(
    model: CompilableModel, y: Array, class_weight: Any, given: Any, rows: Array | None
) -> AnyColumn:
    """Return the weights, times those by class, in a column of all rows.

    Classes are counted over the rows to train on.
    """
    used = slice(None) if rows is None else rows
    some = None if given is None else np.asarray(given)[used]  # they may be in a file
    ignored = getattr(model.loss, "ignore_class", None)
    weight = times_class_weights("fit", class_weight, y[used], some, class_count(model), ignored)
    if rows is not None:
        every = np.zeros((len(y), *weight.shape[1:]))
        every[rows] = weight
        weight = every
    return column(weight, model._dtype)
