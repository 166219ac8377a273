"""The value of a loss over several batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from netlayers.losses.base import Loss
    from netlayers.losses.split import SplitLoss


class RunningLoss:
    """Value of a loss over several batches: the sum of numerators over the sum of denominators.

    For a :class:`SplitLoss`, this is the weighted sum of its parts. A loss that is not a quotient,
    or has no denominator, is averaged over rows.

    Args:
        loss: the loss whose ``forward`` is called for each batch.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._split = cast("SplitLoss", loss)  # used only if there are parts
        self.parts = [RunningLoss(part) for part in getattr(loss, "losses", ())]
        self.reset_state()

    def add(self, value: float, rows: int) -> None:
        """Add the batch of the last ``forward``, given its value and number of rows."""
        if self.parts:
            for part, part_value in zip(self.parts, self._split.values, strict=True):
                part.add(part_value, rows)
            return
        weight = weight_of(self._loss, rows)
        self._total += value * weight
        self._weight += weight

    def result(self) -> float:
        """Return the value; 0 if no batch was added."""
        if self.parts:
            results = [part.result() for part in self.parts]
            return sum(w * value for w, value in zip(self._split.factors, results, strict=True))
        return quotient(self._loss, self._total, self._weight)

    def reset_state(self) -> None:
        """Reset the sums."""
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
        """Restore the sums that :meth:`get_state` returned."""
        self._total, self._weight = state["_total"], state["_weight"]
        for part, part_state in zip(self.parts, state.get("parts", ()), strict=False):
            part.set_state(part_state)


def weight_of(loss: Loss, rows: int) -> float:
    """Return the weight of the last batch in a mean: its denominator, else its number of rows."""
    denominator: float | None = getattr(loss, "denominator", None)
    return rows if denominator is None or not getattr(loss, "is_quotient", False) else denominator


def quotient(loss: Loss, total: float, weight: float) -> float:
    """Return the value of a loss from the sums over batches; ``total`` for ``reduction="sum"``."""
    if getattr(loss, "reduction", None) == "sum" and getattr(loss, "is_quotient", False):
        return total
    return total / weight if weight else total
