"""The gradient laboratory: looking into a network while it computes."""

from __future__ import annotations

from netlayers.inspection.activations import ActivationHistograms, LayerActivations
from netlayers.inspection.nonfinite import NonFiniteOrigin
from netlayers.inspection.surface import LossSurface

__all__ = ["ActivationHistograms", "LayerActivations", "LossSurface", "NonFiniteOrigin"]
