"""The time that an epoch and a run still take."""

from __future__ import annotations


class RemainingTime:
    """Estimates from the batches of this process how long an epoch and the run still take.

    The speed is that of this epoch and the one before. What an epoch takes after its last batch,
    such as a validation, is the mean of the epochs so far. Batches that another process trained,
    of a run that was resumed, do not count.
    """

    def __init__(self) -> None:
        self._earlier = (0, 0.0)  # batches and seconds of the epoch before
        self._rests: list[float] = []
        self.begin_epoch(0.0)

    def begin_epoch(self, now: float) -> None:
        """Start an epoch at a time in seconds."""
        self._start = self._last = now
        self._first: int | None = None
        self._done = 0

    def count(self, done: int, now: float) -> None:
        """Note that so many batches of the epoch are complete."""
        if self._first is None:
            self._first = 0
            if done > 1:  # the epoch is resumed: restoring took the time before
                self._first, self._start = done, now
        self._done, self._last = done, now

    def end_epoch(self, now: float) -> None:
        """Note the end of an epoch."""
        self._rests.append(now - self._last)
        counted = self._counted
        if counted[0]:
            self._earlier = counted

    @property
    def _counted(self) -> tuple[int, float]:
        """Number of batches whose time is known, and that time."""
        return self._done - (self._first or 0), self._last - self._start

    def estimate(self, steps: int | None, epochs: int) -> tuple[float, float] | None:
        """Return the seconds that the epoch and the run still take; ``None`` if not known yet.

        Args:
            steps: number of batches in an epoch, ``None`` if it is not known.
            epochs: number of epochs after this one.
        """
        batches, seconds = (sum(its) for its in zip(self._earlier, self._counted, strict=True))
        if not batches or steps is None:
            return None
        each = seconds / batches
        rest = sum(self._rests) / len(self._rests) if self._rests else 0.0
        epoch = each * max(steps - self._done, 0) + rest
        return epoch, epoch + epochs * (each * steps + rest)


def duration(seconds: float, decimals: int = 1) -> str:
    """Return a time as text: milliseconds, seconds, ``m:ss`` or ``h:mm:ss``.

    Args:
        seconds: the time.
        decimals: of seconds. What they would show as 0 is in milliseconds.

    Example:
        >>> from netlayers.callbacks.remaining import duration
        >>> [duration(s) for s in (0.0004, 0.049, 0.05, 59.9, 61, 3725)]
        ['0 ms', '49 ms', '0.1 s', '59.9 s', '1:01', '1:02:05']
    """
    if round(seconds, decimals) >= 60:
        minutes, whole = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
    if seconds < 0.5 * 10.0**-decimals:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.{decimals}f} s"
