"""Where a data set stands, so that a run can go on there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np


@dataclass(frozen=True)
class Place:
    """A place in a data set.

    Attributes:
        order: state of the random generator from which the order of this pass was, or will be,
            drawn; ``None`` where there is no such order.
        count: batches of the pass that lie before this place.
        source: what the source's own ``get_state()`` returned here.
    """

    order: Any = None
    count: int = 0
    source: Any = None

    def get_state(self) -> dict[str, Any]:
        """Return the place as plain data."""
        return {"order": self.order, "count": self.count, "source": self.source}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the place that :meth:`get_state` wrote down."""
        return cls(state["order"], state["count"], state["source"])

    def __deepcopy__(self, memo: Any) -> Place:
        return self  # nothing in it changes


class Cursor:
    """The place before an epoch, and those around the batch that was handed out last.

    A batch that was handed out need not have been trained on: Ctrl-C may come between. So a run
    asks for the place after the batches that it counts as done.
    """

    def __init__(self) -> None:
        self._start: Place | None = None
        self._marks: deque[tuple[int, Place]] = deque(maxlen=2)
        self.active = False

    def begin(self, place: Place, done: int = 0) -> None:
        """Note that an epoch begins here, or goes on here after ``done`` batches."""
        self._marks.clear()
        self._marks.append((done, place))
        self._start, self.active = place, True

    def mark(self, number: int, place: Place) -> None:
        """Note that the data stand here after ``number`` batches of the epoch."""
        self._marks.append((number, place))

    def end(self, done: int) -> None:
        """Note that the epoch is over after ``done`` batches."""
        self._start, self.active = self.after(done), False

    def after(self, done: int) -> Place:
        """Return the place after so many batches of the epoch."""
        for number, place in reversed(self._marks):
            if number <= done:
                if number == done:
                    return place
                return Place(place.order, place.count + done - number, place.source)
        raise AssertionError(f"nothing is known of the place after {done} batches")

    @property
    def between(self) -> Place | None:
        """The place before the epoch that has begun, or after the last; ``None`` before any."""
        return self._start


def order_state(rng: np.random.Generator | None) -> Any:
    """Return what the next order will be drawn from."""
    return None if rng is None else rng.bit_generator.state


def set_order(rng: np.random.Generator | None, state: Any) -> None:
    """Draw the next order from this state."""
    if rng is not None and state is not None:
        rng.bit_generator.state = state
