"""Data that come in batches: generators, iterables, sequences of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.foreign import is_lazy
from netlayers.checks import takes
from netlayers.data.cursor import Cursor, Position, order_state, set_order
from netlayers.data.prefetch import ReadAhead
from netlayers.data.structure import holds_arrays, is_array, unpack_batch
from netlayers.errors import ConfigurationError, DataError, NetlayersError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_ARRAYS = ("__array__", "__dlpack__", "toarray", "collect_schema")  # the last of polars' LazyFrame


def is_stream(value: Any) -> bool:
    """Return whether ``value`` yields batches, rather than being an array or rows.

    A list or tuple is rows or inputs, unless it is a list of batches: of tuples ``(x, y)`` whose
    x is an array or a structure of arrays.
    """
    if type(value) is np.ndarray or isinstance(value, memoryview):
        return False
    if isinstance(value, Sequence):
        first = value[0] if len(value) else None
        if not isinstance(first, tuple) or not 1 <= len(first) <= 3:
            return False
        if not all(isinstance(batch, tuple) for batch in value):
            return False  # ((a, b), y): two inputs and their targets
        x = first[0]
        if isinstance(x, Mapping):
            x = list(x.values())
        return is_array(x) or holds_arrays(x)
    if isinstance(value, (type, Mapping, np.generic)):
        return False
    if is_lazy(value) or any(hasattr(value, n) for n in _ARRAYS):
        return False
    return callable(value) or any(
        hasattr(value, n) for n in ("__next__", "__iter__", "__getitem__")
    )


def is_one_shot(value: Any) -> bool:
    """Return whether ``value`` can be read only once, as a generator, a map or a zip can.

    It is False for iterators of other classes, which may restart with each ``iter()``.
    """
    return hasattr(value, "__next__") and type(value).__module__ in ("builtins", "itertools")


def warn_exhausted(owner: str, where: str) -> None:
    """Warn that the data ended too early."""
    warn(
        f"{owner}: the data ran out {where}. An iterator can be read only once; pass a function "
        "that returns a new one."
    )


class Stream:
    """A dataset that comes in batches.

    Args:
        owner: the caller's name, for messages (``"fit"``).
        source: a function that returns an iterable, an iterable, an iterator, or a sequence of
            batches (``__len__`` and ``__getitem__``).
        check: converts an item of the source to a batch for the model, or raises.
        rng: random generator that shuffles the batches of a sequence; ``None`` keeps their order.
        steps: batches in an epoch; ``None`` for a pass over the source.
        continuous: with ``steps``, whether an epoch continues where the previous one ended, and
            restarts the source when it is exhausted. Otherwise each epoch restarts the source.
        read_ahead: batches that a thread reads ahead; 0 reads in the caller's thread.

    Within an epoch a single thread reads the source, at most ``read_ahead`` + 1 batches ahead and
    never beyond the end of the epoch. No batch is lost between epochs, except those of an iterator
    that were read ahead when an epoch ended early. Training and validation data are not read at the
    same time.
    """

    def __init__(
        self,
        owner: str,
        source: Any,
        check: Callable[[Any], Any],
        rng: np.random.Generator | None = None,
        steps: int | None = None,
        continuous: bool = False,
        read_ahead: int = 2,
    ) -> None:
        self._owner, self._source, self._check = owner, source, check
        self._rng, self._ahead = rng, read_ahead
        self._wanted, self._continuous = steps, continuous and steps is not None
        self._is_sequence = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        self._has_state = hasattr(source, "get_state") and hasattr(source, "set_state")
        self._one_shot = is_one_shot(source)
        self._passes: Iterator[Any] | None = None
        self._reader: Any = None
        self._first: Any = None
        self._taken = 0  # batches read from the source so far
        self._from: Position | None = None  # where the next pass starts; None for its beginning
        self._cursor = Cursor()
        self.steps = steps
        self.rows: int | None = None
        if steps is None and hasattr(source, "__len__"):
            try:
                self.steps = len(source)
            except TypeError:  # __len__ of a wrapper, around an object without a length
                self.steps = None

    def ready(self) -> bool:
        """Start the next epoch unless it has started; return whether it has batches.

        Reads and checks the first batch.

        Raises:
            DataError, ShapeError: the first batch is not valid.
        """
        if self._first is None:
            self._rewind()
            self._cursor.begin(self._between())
            self._call("on_epoch_begin")
            self._open(0)
            first: Any = next(self._reader, None)
            if first is None:
                return False
            self._first = first[0], self._checked(0, first[1])
        return True

    def batches(self, start: int = 0) -> Iterator[Any]:
        """Yield the checked batches of an epoch.

        Args:
            start: batches already done, when a run resumes within an epoch.

        Raises:
            DataError, ShapeError: a batch is not valid; the message contains its number.
            DataError: there are no batches.
        """
        if start:
            self._open(start)
        elif not self.ready():
            raise DataError(
                f"{self._owner} has no batch left: an iterator can be read only once. Pass a "
                "function that returns a new one."
            )
        if self._ahead:
            self._reader.go()
        number = start
        try:
            if not start:
                (place, batch), self._first, number = self._first, None, 1
                self._cursor.mark(number, place)
                yield batch
            for place, batch in self._reader:
                number += 1
                self._cursor.mark(number, place)
                yield self._checked(number - 1, batch)
        except GeneratorExit:
            self._cursor.end(number)
            raise
        if self._wanted is None:
            self.steps = number
        elif number < self._wanted:
            warn_exhausted(self._owner, f"after {number} of {self._wanted} steps")
        self._call("on_epoch_end")
        self._cursor.end(number)
        self._reader = None

    def _rewind(self) -> None:
        """Give up what a thread has read beyond the end of an epoch that ended early."""
        place = self._cursor.between
        if isinstance(self._reader, ReadAhead) and place is not None:
            self._reader.close(timeout=None)  # nobody else reads the source from here on
            self.close()
            if self._has_state:
                self._source.set_state(place.source)
            self._from = place if self._continuous else None

    def close(self) -> None:
        """Stop reading: end the thread and close the generators that were created here."""
        reader, self._reader, self._first = self._reader, None, None
        if isinstance(reader, ReadAhead):
            reader.close()
            if reader.alive:
                return  # the thread closes them when the source returns
        self._end_pass()

    def _open(self, start: int) -> None:
        """Start to read an epoch after its first ``start`` batches."""
        if self._passes is None or not self._continuous:
            self._end_pass()
            self._passes = self._read()
        wanted = self._wanted
        batches = islice(self._passes, None if wanted is None else wanted - start)
        self._reader = ReadAhead(batches, self._ahead, self._end_pass) if self._ahead else batches

    def _read(self) -> Iterator[tuple[Position, Any]]:
        """Yield the batches of one pass, or of all passes, each with the position after it."""
        while True:
            place, self._from = self._from or Position(order_state(self._rng)), None
            iterator, count = self._begin(place), place.count
            try:
                for batch in iterator:
                    count += 1
                    self._taken += 1
                    yield self._place(place.order, count), batch
            finally:
                if iterator is not self._source and hasattr(iterator, "close"):
                    iterator.close()
            if not self._continuous or count == 0:
                return

    def _place(self, order: Any, count: int) -> Position:
        return Position(order, self._taken if self._one_shot else count, self._source_state())

    def _source_state(self) -> Any:
        return deepcopy(self._source.get_state()) if self._has_state else None

    def _begin(self, place: Position) -> Iterator[Any]:
        """Return an iterator over the batches of a pass after ``place``."""
        source = self._source
        if self._is_sequence:
            count = len(source)
            set_order(self._rng, place.order)
            order = range(count) if self._rng is None else self._rng.permutation(count)
            return (self._item(int(i), count) for i in order[place.count :])
        if not (hasattr(source, "__iter__") or hasattr(source, "__getitem__")):
            if not takes(source, 0):
                text = "the function that yields batches takes no arguments; pass lambda: f(...)."
                raise ConfigurationError(f"{self._owner}: {text}")
            source = source()
            if not hasattr(source, "__iter__"):
                raise DataError(
                    f"{self._owner}: the function that yields the batches must return an "
                    f"iterator, got {type(source).__name__}."
                )
        iterator = iter(source)
        if not self._has_state:
            done = self._taken if self._one_shot else 0
            self._taken += sum(1 for _ in islice(iterator, max(0, place.count - done)))
        return iterator

    def _item(self, i: int, count: int) -> Any:
        try:
            return self._source[i]
        except IndexError:
            text = f"{self._owner}: the data have the length {count}, but no batch {i}."
            raise DataError(text) from None

    # Resuming in another process ---------------------------------------------------------------

    def get_state(self, done: int | None = None) -> dict[str, Any]:
        """Return the position in the data as plain data.

        Args:
            done: batches of the epoch that are done, ``None`` between epochs.
        """
        place = self._cursor.after(done) if done else self._between()
        return {**place.get_state(), "steps": self.steps}

    def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
        """Continue from a position that :meth:`get_state` returned."""
        place = Position.from_state(state)
        self.steps = state["steps"]
        if self._one_shot and not place.count:
            return  # its first batch has been read already
        self.close()
        if self._has_state:
            self._source.set_state(place.source)
        self._from = place
        self._cursor.begin(place, done or 0)
        if not done:
            self._cursor.end(0)

    def _between(self) -> Position:
        place = self._cursor.between
        if place is not None and (self._continuous or self._cursor.active):
            return place
        if self._from is not None:  # restored, and not read since
            return self._from
        count = self._taken if self._one_shot else 0
        return Position(order_state(self._rng), count, self._source_state())

    def fingerprint(self) -> dict[str, Any]:
        """Return what must not change when a run resumes."""
        return {
            "kind": type(self._source).__name__,
            "batches": len(self._source) if self._is_sequence else None,
            "steps": self._wanted,
            "shuffle": self._is_sequence and self._rng is not None,
        }

    def reproducibility_warning(self) -> str | None:
        """Return why another process might read other batches, or ``None``."""
        hooked = any(
            callable(getattr(self._source, hook, None))
            for hook in ("on_epoch_begin", "on_epoch_end")
        )
        if self._has_state or (self._is_sequence and not hooked):
            return None
        name = type(self._source).__name__
        if self._is_sequence:
            return f"{name} has a hook that runs between epochs"
        return f"{name} has no get_state() and set_state()"

    # Details ---------------------------------------------------------------------------------

    def _end_pass(self) -> None:
        passes, self._passes = self._passes, None
        if passes is not None:
            passes.close()  # type: ignore[attr-defined]

    def _checked(self, number: int, batch: Any) -> Any:
        try:
            return self._check(batch)
        except NetlayersError as error:
            raise type(error)(f"{error} (This is batch {number}, counted from 0.)") from None

    def _call(self, hook: str) -> None:
        function = getattr(self._source, hook, None)
        if callable(function):
            function()


def inputs_of(owner: str, source: Any) -> Iterator[Any]:
    """Yield x of each batch in one pass over a source, in the caller's thread."""
    with closing(Stream(owner, source, lambda batch: batch, read_ahead=0)) as stream:
        if stream.ready():
            for batch in stream.batches():
                yield unpack_batch(owner, batch, targets=False)[0]


def unpack_first_batch(owner: str, source: Any) -> tuple[Any, Any, Any]:
    """Return x, y and sample weights of the first batch of a source; the latter two may be None.

    Raises:
        DataError: the source has no batches.
    """
    with closing(Stream(owner, source, lambda batch: batch, steps=1, read_ahead=0)) as stream:
        for batch in stream.batches():
            return unpack_batch(owner, batch, targets=False)
    raise AssertionError("batches() yields one, or raises")


def refuse_stream(owner: str, x: Any) -> None:
    """Raise a ConfigurationError if x comes in batches where a single batch is expected."""
    if is_stream(x):
        raise ConfigurationError(
            f"{owner}: expected one batch, x and y, but x is a {type(x).__name__}, which yields "
            "batches. Call it for each of them, or pass the data to fit, evaluate or predict."
        )


def refuse_arguments(owner: str, **arguments: Any) -> None:
    """Raise a ConfigurationError for arguments that are valid for arrays only."""
    reasons = {
        "y": "the targets are part of each batch, (x, y)",
        "sample_weight": "the weights are part of each batch, (x, y, sample_weight)",
        "batch_size": "the source makes the batches",
        "validation_batch_size": "the source makes the batches",
        "validation_split": "the last rows are not known in advance; pass validation_data",
        "stratify": "the classes are not known in advance; pass validation_data",
        "drop_last": "leave the short batch out where the batches are made",
        "shuffle": "a number of rows to shuffle at a time is for arrays; pass True or False",
    }
    for name, value in arguments.items():
        if (
            value is not None
            and value is not False
            and not (name == "validation_split" and not value)
        ):
            raise ConfigurationError(
                f"{owner}: {name} cannot be used with data that come in batches: {reasons[name]}."
            )
