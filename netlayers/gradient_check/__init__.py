"""Every gradient of a layer, a model or a loss against numerical differentiation."""

from __future__ import annotations

from netlayers.gradient_check.gradients import check_gradients
from netlayers.gradient_check.report import GradientReport, GradientRow

__all__ = ["GradientReport", "GradientRow", "check_gradients"]
