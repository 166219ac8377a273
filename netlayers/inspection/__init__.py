"""The gradient laboratory: looking into a network while it computes."""

from __future__ import annotations

from netlayers.inspection.nonfinite import NonFiniteOrigin

__all__ = ["NonFiniteOrigin"]
