"""Positions in a dataset, from which a run can resume."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np


@dataclass(frozen=True)
class Position:
    """A position in a dataset.

    Attributes:
        order: state of the random generator before it draws the order of this pass; ``None`` if
            the order is not random.
        count: batches of the pass before this position.
        source: what ``get_state()`` of the source returned at this position.
    """

    order: Any = None
    count: int = 0
    source: Any = None

    def get_state(self) -> dict[str, Any]:
        """Return the position as plain data."""
        return {"order": self.order, "count": self.count, "source": self.source}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the position that :meth:`get_state` described.

        Raises:
            ValueError: the state is not that of a position.
        """
        order, count = state["order"], state["count"]
        if type(count) is not int or count < 0 or not (order is None or isinstance(order, dict)):
            raise ValueError(f"not the position in data: count {count!r}, order {order!r:.60}")
        return cls(order, count, state["source"])

    def __deepcopy__(self, memo: Any) -> Position:
        return self  # immutable


class Cursor:
    """The position before the current epoch, and those before and after the last batch read.

    A batch that was read has not necessarily been trained on: Ctrl-C may interrupt in between. A
    run therefore asks for the position after the number of batches that it has completed.
    """

    def __init__(self) -> None:
        self._start: Position | None = None
        self._marks: deque[tuple[int, Position]] = deque(maxlen=2)
        self.active = False

    def begin(self, place: Position, done: int = 0) -> None:
        """Record the start of an epoch, or its continuation after ``done`` batches."""
        self._marks.clear()
        self._marks.append((done, place))
        self._start, self.active = place, True

    def mark(self, number: int, place: Position) -> None:
        """Record the position after ``number`` batches of the epoch."""
        self._marks.append((number, place))

    def end(self, done: int) -> None:
        """Record the end of the epoch after ``done`` batches."""
        self._start, self.active = self.after(done), False

    def after(self, done: int) -> Position:
        """Return the position after ``done`` batches of the epoch."""
        for number, place in reversed(self._marks):
            if number <= done:
                if number == done:
                    return place
                return Position(place.order, place.count + done - number, place.source)
        raise AssertionError(f"the position after {done} batches is unknown")

    @property
    def between(self) -> Position | None:
        """The position before the current epoch or after the last; ``None`` before the first."""
        return self._start


def order_state(rng: np.random.Generator | None) -> Any:
    """Return the state from which the next order is drawn."""
    return None if rng is None else rng.bit_generator.state


def set_order(rng: np.random.Generator | None, state: Any) -> None:
    """Make the generator draw the next order from ``state``."""
    if rng is not None and state is not None:
        rng.bit_generator.state = state
