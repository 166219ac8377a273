"""The gradient laboratory: looking into a network while it computes."""

from __future__ import annotations

from netlayers.inspection.activations import ActivationHistograms, LayerActivations
from netlayers.inspection.diagnosis import Diagnosis
from netlayers.inspection.evidence import Finding
from netlayers.inspection.nonfinite import NonFiniteOrigin
from netlayers.inspection.profile import ProfileReport
from netlayers.inspection.surface import LossSurface
from netlayers.inspection.trace import Trace

__all__ = [
    "ActivationHistograms",
    "Diagnosis",
    "Finding",
    "LayerActivations",
    "LossSurface",
    "NonFiniteOrigin",
    "ProfileReport",
    "Trace",
]
