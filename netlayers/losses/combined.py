"""What losses that are weighted sums of several losses have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.losses.base import Loss

if TYPE_CHECKING:
    from collections.abc import Sequence


class CombinedLoss(Loss):
    """``L = Σ weight_i L_i``; a subclass says what each loss is computed on.

    Attributes:
        losses: the losses.
        weights: their weights; ``None`` for all 1.
        values: their unweighted values in the last :meth:`forward`.
        is_quotient: whether ``L`` is a quotient of sums, which gradient accumulation requires: all
            losses are quotients with the same denominator. False if one of several losses ignores
            a class or unknown targets. The value of an epoch is correct in any case: it combines
            the epoch values of the losses.
    """

    losses: list[Any]
    weights: Sequence[float] | None

    @property
    def value_names(self) -> list[str]:
        """Names of the values in the logs of a model: ``mean_squared_error_loss``, ..."""
        names: list[str] = []
        for part in self.losses:
            name, number = f"{part.name}_loss", 0
            while name in names:
                number += 1
                name = f"{part.name}_{number}_loss"
            names.append(name)
        return names

    @property
    def values(self) -> list[float]:
        """The unweighted values of the losses in the last :meth:`forward`."""
        return list(self.cache.values)

    @property
    def factors(self) -> Sequence[float]:
        """The weights of the losses, 1 by default."""
        return self.weights if self.weights is not None else [1.0] * len(self.losses)

    def _add_up(self, values: list[float]) -> float:
        """Keep the values of the losses, and return their weighted sum."""
        self.cache.values = values
        self.denominator = self.losses[0].denominator
        pairs = list(zip(self.factors, self.losses, values, strict=True))
        self.numerator = sum(w * part.numerator for w, part, _ in pairs)
        return sum(w * value for w, _, value in pairs)

    @property
    def is_quotient(self) -> bool:  # type: ignore[override]
        """Whether all losses are quotients with the same denominator."""
        ignoring = self.mask_nan or any(
            getattr(part, "ignore_class", None) is not None for part in self.losses
        )
        return (
            all(part.is_quotient for part in self.losses)
            and not (ignoring and len(self.losses) > 1)
            and len({part.denominator for part in self.losses}) == 1
        )

    @property
    def mask_nan(self) -> bool | None:  # type: ignore[override]
        """Whether one of the losses leaves out targets that are NaN; ``None`` if none can."""
        masks = [part.mask_nan for part in self.losses if part.mask_nan is not None]
        return any(masks) if masks else None

    @property
    def no_quotient(self) -> str:
        """Reason why the loss is not a quotient."""
        parts = ", ".join(f"{part.name!r} by {part.denominator:g}" for part in self.losses)
        return f"its losses have different denominators ({parts} in this batch)"
