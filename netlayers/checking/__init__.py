"""Every gradient of a layer, a model or a loss against numerical differentiation."""

from __future__ import annotations

from netlayers.checking.gradients import check_gradients
from netlayers.checking.report import GradientReport, GradientRow

__all__ = ["GradientReport", "GradientRow", "check_gradients"]
