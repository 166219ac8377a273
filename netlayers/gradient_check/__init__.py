"""Comparison of the gradients of layers, models and losses with numerical derivatives."""

from __future__ import annotations

from netlayers.gradient_check.gradients import check_gradients
from netlayers.gradient_check.report import GradientReport, GradientRow

__all__ = ["GradientReport", "GradientRow", "check_gradients"]
