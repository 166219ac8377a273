"""The value of a loss over several batches."""

from __future__ import annotations

from typing import Any


class RunningLoss:
    """The value of a loss over several batches: the quotient of the sums.

    For a loss that is made of others (see :class:`SplitLoss`), that is the weighted sum of their
    values. A loss that is no quotient, or does not say by what it divides, is a mean over rows.

    Args:
        loss: the loss whose ``forward`` is called for each batch.
    """

    def __init__(self, loss: Any) -> None:
        self._loss = loss
        self.parts = [RunningLoss(part) for part in getattr(loss, "losses", ())]
        self.reset_state()

    def add(self, value: float, rows: int) -> None:
        """Take in the batch of the last ``forward``, with its value and its number of rows."""
        if self.parts:
            for part, its in zip(self.parts, self._loss.values, strict=True):
                part.add(its, rows)
            return
        weight = weight_of(self._loss, rows)
        self._total += value * weight
        self._weight += weight

    def result(self) -> float:
        """Return the value, 0 of nothing."""
        if self.parts:
            results = [part.result() for part in self.parts]
            return sum(w * its for w, its in zip(self._loss.factors, results, strict=True))
        return quotient(self._loss, self._total, self._weight)

    def reset_state(self) -> None:
        """Forget everything."""
        for part in self.parts:
            part.reset_state()
        self._total = 0.0
        self._weight: float = 0

    def get_state(self) -> dict[str, Any]:
        """Return the sums."""
        state: dict[str, Any] = {"_total": self._total, "_weight": self._weight}
        if self.parts:
            state["parts"] = [part.get_state() for part in self.parts]
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on after what :meth:`get_state` returned."""
        self._total, self._weight = state["_total"], state["_weight"]
        for part, its in zip(self.parts, state.get("parts", ()), strict=False):
            part.set_state(its)


def weight_of(loss: Any, rows: int) -> float:
    """Return what the value of the last batch counts in a mean: its denominator, else its rows."""
    denominator: float | None = getattr(loss, "denominator", None)
    return rows if denominator is None or not getattr(loss, "is_quotient", False) else denominator


def quotient(loss: Any, total: float, weight: float) -> float:
    """Return the value of a loss from the sums over its batches; for a sum, that is the first."""
    if getattr(loss, "reduction", None) == "sum" and getattr(loss, "is_quotient", False):
        return total
    return total / weight if weight else total
